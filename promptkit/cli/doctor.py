"""`promptkit doctor`: what is here, what is missing, and whether it computes what it should."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, get_args

import typer

from promptkit.cli.options import DeviceOption, JsonOption, PrecisionOption
from promptkit.errors import unknown


def doctor(
    device: DeviceOption = "auto",
    mode: Annotated[
        str,
        typer.Option(
            metavar="graph|fused|pynative", help="In the self-check: compile, compile and fuse, or neither."
        ),
    ] = "graph",
    precision: PrecisionOption = "fp32",
    facts_only: Annotated[bool, typer.Option("--facts-only", help="Leave the self-check out.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is installed and what is missing, and check what this device computes; 1 if all is not well."""
    from promptkit.backbones.device import Mode, check_device
    from promptkit.backbones.face import Precision
    from promptkit.doctor import diagnose, diagnosis_text

    check_device(device)
    if mode not in get_args(Mode):
        raise unknown("mode", mode, get_args(Mode))
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
    found = diagnose(device, mode, precision, check=not facts_only)  # type: ignore[arg-type]
    if as_json:
        whole = {**asdict(found), "faults": list(found.faults)}
        typer.echo(json.dumps(whole, indent=2, ensure_ascii=False))
    else:
        typer.echo(diagnosis_text(found))
    raise typer.Exit(1 if found.faults else 0)
