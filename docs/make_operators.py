"""Writes the table of operators in compiled graphs in docs/operators.md.

    python docs/make_operators.py            compile every strategy and rewrite the table, in some minutes
    python docs/make_operators.py --check    exit with 1 if it is not current

Every built-in strategy is run on a tiny task, with a masked and a causal model, while MindSpore writes the graphs it
compiles. Taken is the last one that does not yet depend on the device, after differentiation: what a device is given
to compute. Where MindSpore documents no platforms for an operator, as for most gradients, it is looked for in the
libraries for Ascend that its wheel brings.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from make_options import ORDER

PAGE = Path(__file__).resolve().parent / "operators.md"
_TABLE = re.compile(r"(<!-- compiled operators -->\n).*?(<!-- end compiled operators -->)", re.DOTALL)
_NODE = re.compile(r"^ +%\d+\([^)]*\) = (?:PrimFunc_)?([A-Z_]\w*)\(", re.MULTILINE)
_PLATFORMS = re.compile(r"Supported Platforms:\s+(.+)")
_FUNCTION = re.compile(r"\bops\.(?:auto_generate\.)?([a-z]\w*)\(")
# What holds a graph together and computes nothing.
_STRUCTURE = {
    "Load", "UpdateState", "MakeTuple", "TupleGetItem", "Depend", "Return", "MakeDict", "DictGetItem", "Switch",
    "MakeList", "ListGetItem", "Partial",
}  # fmt: skip
Runs = list[tuple[str, str]]
"""Strategies, each with the kind of model that it is compiled for."""


def every_run() -> Runs:
    """Return all built-in strategies with the kinds of model that they take."""
    from promptkit.hooks import get_host

    host = get_host()
    runs = [(name, kind) for name in ORDER for kind in ("masked", "causal") if kind in host.strategy(name).cls.kinds]
    runs.remove(("bitfit", "causal"))  # the tiny causal model is a Llama, which has no biases
    return runs


def label_of(run: tuple[str, str]) -> str:
    """Return what the table calls a run."""
    return run[0] if run[1] == "masked" else f"{run[0]} (causal)"


def compiled(runs: Runs) -> dict[str, list[str]]:
    """Return the operators in the graphs of each run, by its label."""
    with tempfile.TemporaryDirectory() as place:
        # MindSpore reads these when it is imported.
        graphs = {"MS_DEV_SAVE_GRAPHS": "1", "MS_DEV_SAVE_GRAPHS_PATH": str(Path(place) / "graphs")}
        command = [sys.executable, __file__, "--collect", place, json.dumps(runs)]
        done = subprocess.run(command, env=os.environ | graphs, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def collect(place: Path, runs: Runs) -> dict[str, list[str]]:
    """Do the runs in this process, whose graphs are written to `place`."""
    from promptkit import run
    from promptkit.testing import write_tiny_model, write_tiny_task
    from promptkit.testing.tiny import WORDS

    data = str(write_tiny_task(place / "data"))
    found = {}
    for name, kind in runs:
        model = place / kind
        if not model.exists():
            write_tiny_model(model, kind)  # type: ignore[arg-type]
        print(f"compiling {label_of((name, kind))}", file=sys.stderr)
        result = run(name, model=str(model), data=data, verbalizer=WORDS, shots=4, epochs=1, save=False, quiet=True)
        if result.record.options.mode != "graph":
            raise SystemExit(f"{name} was not compiled")
        graphs = (path.read_text(encoding="utf-8") for path in (place / "graphs").rglob("*_validate_*.ir"))
        found[label_of((name, kind))] = sorted(set().union(*map(operators_of, graphs)))
        shutil.rmtree(place / "graphs")
    return found


def operators_of(graph: str) -> set[str]:
    """Return the operators of a graph as MindSpore writes it."""
    return set(_NODE.findall(graph)) - _STRUCTURE


def platforms(operator: str) -> str:
    """Return the platforms that MindSpore documents for an operator or the function that it is; empty if none."""
    from mindspore import ops
    from mindspore.ops import auto_generate
    from mindspore.ops.auto_generate import gen_ops_prim

    homes = (gen_ops_prim, ops, auto_generate)
    for text in _texts(operator, homes):
        if match := _PLATFORMS.search(text):
            return match[1].replace("`", "").strip()
    return ""


def _texts(operator: str, homes: Iterable[Any]) -> Iterator[str]:
    own = [inspect.getdoc(getattr(home, operator)) or "" for home in homes if hasattr(home, operator)]
    yield from own
    for name in dict.fromkeys(name for text in own for name in _FUNCTION.findall(text)):
        yield from (inspect.getdoc(getattr(home, name)) or "" for home in homes if hasattr(home, name))


def ascend_libraries() -> bytes:
    """Return what the libraries for Ascend hold that come with MindSpore."""
    import mindspore

    plugins = Path(mindspore.__file__).parent / "lib" / "plugin"
    ascend = plugins / "ascend"
    files = [
        *plugins.glob("libmindspore_*ascend.so*"),
        *ascend.glob("*graph_ir.so"),
        *ascend.glob("*_ascend_res*.so"),
    ]
    return b"\0".join(path.read_bytes() for path in files if path.is_file())


def is_named(operator: str, libraries: bytes) -> bool:
    """Return whether a library knows an operator: as a kernel (`NameAscend`), an adapter to CANN's, or by name."""
    name = operator.encode()
    symbols = rb"\d" + name + rb"Ascend|cz" + name + rb"E"
    return b"\0" + name + b"\0" in libraries or re.search(symbols, libraries) is not None


def rows(found: dict[str, list[str]]) -> str:
    """Return the table's rows."""
    libraries, every = ascend_libraries(), sorted(set().union(*found.values()))
    lines = ["| Operator | Documented for | In graphs of |", "|---|---|---|"]
    for operator in every:
        known = platforms(operator)
        if not known:
            known = "not said; named in the libraries for Ascend" if is_named(operator, libraries) else "not said"
        having = [label for label, operators in found.items() if operator in operators]
        lines.append(f"| `{operator}` | {known} | {where(having, list(found))} |")
    return "\n".join(lines) + "\n"


def where(having: list[str], every: list[str]) -> str:
    """Say which runs an operator is in, or which it is not in, whichever is shorter."""
    lacking = [label for label in every if label not in having]
    if not lacking:
        return "all"
    return ", ".join(having) if len(having) <= len(lacking) else f"all but {', '.join(lacking)}"


def is_in(label: str, said: str) -> bool:
    """Return whether a run has an operator of which `where` said this."""
    listed = said.removeprefix("all but ").split(", ")
    return said == "all" or (label in listed) != said.startswith("all but ")


def main(arguments: list[str]) -> int:
    """Write the table, compare it, or do the runs of `compiled`."""
    if arguments[:1] == ["--collect"]:
        print(json.dumps(collect(Path(arguments[1]), [tuple(each) for each in json.loads(arguments[2])])))  # type: ignore[misc]
        return 0
    page = PAGE.read_text(encoding="utf-8")
    new = _TABLE.sub(lambda match: match[1] + rows(compiled(every_run())) + match[2], page)
    if arguments == ["--check"]:
        return int(new != page)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
