"""`promptkit doctor`: what is here, what is missing, and whether it computes what it should."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any, get_args

import typer

from promptkit.cli.options import JsonOption, with_settings
from promptkit.errors import unknown


@with_settings(("device", "mode", "precision"))
def doctor(
    given: dict[str, Any],
    facts_only: Annotated[bool, typer.Option("--facts-only", help="Leave the self-check out.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is installed and what is missing, and check what this device computes; 1 if all is not well."""
    from promptkit.backbones.device import Device, Mode
    from promptkit.backbones.face import Precision
    from promptkit.doctor import diagnose, diagnosis_text

    for name, kind in {"device": Device, "mode": Mode, "precision": Precision}.items():
        if given[name] not in get_args(kind):
            raise unknown(name, given[name], get_args(kind))
    found = diagnose(**given, check=not facts_only)
    if as_json:
        whole = {**asdict(found), "faults": list(found.faults)}
        typer.echo(json.dumps(whole, indent=2, ensure_ascii=False))
    else:
        typer.echo(diagnosis_text(found))
    raise typer.Exit(1 if found.faults else 0)
