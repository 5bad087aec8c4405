"""Writes what the pages say of single names: signature, arguments, shapes, from the code and its docstrings.

    python docs/make_reference.py            rewrite them
    python docs/make_reference.py --check    exit with 1 if they are not current

On a page they stand between `<!-- reference: MODULE.NAME -->` and `<!-- end reference -->`.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any, is_typeddict

FOLDER = Path(__file__).resolve().parent
PAGES = tuple(FOLDER / name for name in ("blocks.md", "hooks.md"))
_PLACE = re.compile(r"(<!-- reference: ([\w.]+) -->\n).*?(<!-- end reference -->)", re.DOTALL)
_SECTION = re.compile(r"^(Args|Attributes|Keys|Returns|Raises|Examples):$")
_ITEM = re.compile(r"^ {4}(\*{0,2}\w[\w, *]*): (.*)$")
_LISTS = ("Args", "Attributes", "Keys")


def names(page: str) -> list[str]:
    """Return what a page has places for."""
    return [match[2] for match in _PLACE.finditer(page)]


def render(page: str) -> str:
    """Return a page with every reference written anew."""
    return _PLACE.sub(lambda match: match[1] + "\n" + reference(match[2]) + "\n" + match[3], page)


def reference(name: str) -> str:
    """Return what is to be said of a name: how it is called, and what its docstring says."""
    module, _, attribute = name.rpartition(".")
    home = importlib.import_module(module)
    thing = getattr(home, attribute)
    if not callable(thing):
        return f"`{thing!r}`\n"
    # What no room hands out is made by promptkit alone.
    called = attribute in getattr(home, "__all__", ()) and not _is_a_form(thing)
    parts = [f"```python\n{attribute}{_signature(thing)}\n```\n"] if called else []
    parts += _paragraphs(thing)
    if inspect.isclass(thing):
        parts += [_property(*each) for each in _properties(thing)]
        parts += [_method(each) for each in _methods(thing)]
    return "\n".join(parts)


def _is_a_form(thing: Any) -> bool:
    """Return whether nobody calls it: a dictionary's keys, or a protocol that others fulfil."""
    return bool(is_typeddict(thing) or getattr(thing, "_is_protocol", False))


def _properties(cls: type) -> list[tuple[str, property]]:
    return [(name, it) for name, it in vars(cls).items() if isinstance(it, property) and not name.startswith("_")]


def _property(name: str, thing: property) -> str:
    first, *rest = _paragraphs(thing)
    return "\n".join([f"`{name}`: {first}", *rest])


def _initialiser(cls: type) -> Any:
    """Return the `__init__` that promptkit wrote for a class, its own or a base's."""
    ours = (base for base in cls.__mro__ if base.__module__.startswith("promptkit"))
    return next((vars(base)["__init__"] for base in ours if "__init__" in vars(base)), None)


def _signature(thing: Any) -> str:
    """Return the parameters as they are written, without what says nothing."""
    function = _initialiser(thing) if inspect.isclass(thing) else thing
    if function is None:
        return "()"
    signature = inspect.signature(function)
    kinds = [each.kind for each in signature.parameters.values()]
    shown = [_parameter(each) for each in signature.parameters.values() if each.name != "self"]
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY) - ("self" in signature.parameters), "*")
    returned = "" if inspect.isclass(thing) else _annotation(signature.return_annotation)
    return f"({', '.join(shown)})" + (f" -> {returned}" if returned not in ("", "None") else "")


def _parameter(parameter: inspect.Parameter) -> str:
    kind = _annotation(parameter.annotation)
    text = f"{parameter.name}: {kind}" if kind else parameter.name
    if parameter.default is parameter.empty:
        return text
    return f"{text} = {parameter.default!r}" if kind else f"{text}={parameter.default!r}"


def _annotation(annotation: Any) -> str:
    """Return an annotation as text, which it is already; of `Any` and of nothing, nothing."""
    return "" if annotation in (inspect.Parameter.empty, "Any") else str(annotation)


def _methods(cls: type) -> list[FunctionType]:
    return [it for name, it in vars(cls).items() if isinstance(it, FunctionType) and not name.startswith("_")]


def _method(method: FunctionType) -> str:
    first, *rest = _paragraphs(method)
    return "\n".join([f"`{method.__name__}{_signature(method)}`: {first}", *rest])


def _paragraphs(thing: Any) -> Iterator[str]:
    """Yield the paragraphs of a docstring: its text, then a list of what it takes, then what it returns."""
    for head, lines in _sections(inspect.getdoc(thing) or ""):
        text = " ".join(line.strip() for line in lines if line.strip())
        if head in _LISTS:
            yield "".join(f"- `{name}`: {said}\n" for name, said in _items(lines))
        elif head == "Returns":
            yield f"Returns {text[0].lower()}{text[1:]}\n"
        elif head == "Raises":
            yield f"Raises {text}\n"
        elif head == "":
            blocks = re.split(r"\n\s*\n", "\n".join(lines).strip())
            yield from (" ".join(block.split()) + "\n" for block in blocks if block.strip())


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    head, lines = "", list[str]()
    for line in text.splitlines():
        if match := _SECTION.match(line):
            yield head, lines
            head, lines = match[1], []
        else:
            lines.append(line)
    yield head, lines


def _items(lines: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in lines:
        if match := _ITEM.match(line):
            found.append((match[1], match[2]))
        elif line.strip() and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
    return found


def main(arguments: Sequence[str]) -> int:
    """Rewrite the pages, or check them."""
    old = {page: page.read_text(encoding="utf-8") for page in PAGES}
    new = {page: render(text) for page, text in old.items()}
    if "--check" in arguments:
        return int(old != new)
    for page, text in new.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
