"""Writes a distribution that installs and passes its tests at once, whole or not at all."""

from __future__ import annotations

import ast
import importlib.util
import keyword
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from promptkit.checking import user_path
from promptkit.errors import UserError, with_article
from promptkit.runs import RunDirectory
from promptkit.version import __version__

KINDS: Mapping[str, str] = {"strategy": "strategy", "dataset": "data set", "metric": "metric", "engine": "engine"}
"""What there are templates for, and what it is called in a sentence."""
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST = 40
_TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True)
class NewPlugin:
    """The names of a plugin to be written.

    Attributes:
        kind: what it adds, one of `KINDS`.
        name: of what it adds.
    """

    kind: str
    name: str

    @property
    def stem(self) -> str:
        """The name as a part of Python names: `null_prompt`."""
        return self.name.replace("-", "_")

    @property
    def module(self) -> str:
        """The module: `promptkit_null_prompt`."""
        return f"promptkit_{self.stem}"

    @property
    def distribution(self) -> str:
        """The distribution: `promptkit-null-prompt`."""
        return f"promptkit-{self.stem.replace('_', '-')}"

    @property
    def class_name(self) -> str:
        """The class: `NullPrompt`."""
        return "".join(part.capitalize() for part in self.stem.split("_"))

    def files(self) -> dict[str, str]:
        """Return the content of every file, by its path.

        Raises:
            UserError: if the name makes a class of a name that Python, or the module itself, needs.
        """
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        # Of other signs than usual, for the templates hold prompts and f-strings.
        environment = Environment(
            loader=FileSystemLoader([_TEMPLATES / self.kind, _TEMPLATES]),
            variable_start_string="<<",
            variable_end_string=">>",
            undefined=StrictUndefined,
            keep_trailing_newline=True,
        )
        modules = {f"{self.module}.py": "module.py"}
        if self.kind == "metric":
            modules[f"{self.module}_metric.py"] = "metric.py"
        sources = {"pyproject.toml": "pyproject.toml", "README.md": "README.md", **modules}
        sources[f"tests/test_{self.stem}.py"] = "test.py"
        names = {
            "what": KINDS[self.kind], "name": self.name, "module": self.module, "distribution": self.distribution,
            "cls": self.class_name, "stem": self.stem, "version": __version__,
            "modules": ", ".join(f'"{path}"' for path in modules),
        }  # fmt: skip
        found = {path: environment.get_template(f"{it}.jinja").render(names) for path, it in sources.items()}
        for path, source in found.items():
            if keyword.iskeyword(self.class_name) and re.search(rf"\bclass {self.class_name}\b", source):
                raise UserError(
                    f"the name '{self.name}' makes a class '{self.class_name}', which is a word of Python's own; "
                    "choose another."
                )
            if path.endswith(".py") and (twice := _bound_twice(source)):
                raise UserError(f"the name '{self.name}' makes a class '{twice}', which is taken; choose another.")
        return found


def write_plugin(plugin: NewPlugin, folder: Path | None, taken: Mapping[str, str]) -> tuple[Path, list[str]]:
    """Write a plugin into a new folder; return the folder and the paths of the files in it.

    Args:
        plugin: its names.
        folder: must not exist; by default one of the distribution's name in the working directory.
        taken: registered names of its kind, and whose they are.

    Raises:
        UserError: for a bad or taken name, or a folder that exists or cannot be written; nothing is left behind.
    """
    kind, name = KINDS[plugin.kind], plugin.name
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UserError(
            f"'{name}' is no name for a new {kind}; use up to {_LONGEST} lower-case letters and digits, with single "
            "dashes between them, e.g. 'null-prompt'."
        )
    if name in taken:
        raise UserError(f"there is {with_article(kind)} '{name}' already, {taken[name]}; choose another name.")
    if importlib.util.find_spec(plugin.module):
        raise UserError(f"there is a module '{plugin.module}' already; choose another name.")
    target = user_path(folder or plugin.distribution)
    if os.path.lexists(target):
        raise UserError(f"'{target}' exists already; name another --folder, or remove it.")
    files = plugin.files()
    with RunDirectory.create(target, target.name) as directory:
        for path, content in files.items():
            directory.file(path).parent.mkdir(exist_ok=True)
            directory.file(path).write_text(content, encoding="utf-8")
        directory.commit()
    return target, list(files)


def _bound_twice(source: str) -> str | None:
    """Return a name that a module imports or defines as a class more than once, or None."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [node.name for node in nodes if isinstance(node, ast.ClassDef)]
    names += [
        it.asname or it.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for it in node.names
    ]
    return next((name for name, count in Counter(names).items() if count > 1), None)
