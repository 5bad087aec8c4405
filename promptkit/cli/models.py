"""`promptkit models`: the language models that are at hand."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from promptkit.cli.options import JsonOption


def models(as_json: JsonOption = False) -> None:
    """List the language models at hand, and what each engine takes."""
    from tabulate import tabulate

    from promptkit.backbones.catalog import list_models
    from promptkit.hooks import get_host

    host = get_host()
    cards = list_models(host.model_finders(), host.engine_objects())
    if as_json:
        typer.echo(json.dumps([asdict(card) for card in cards], indent=2, ensure_ascii=False))
        return
    rows = [(card.name, card.architecture, card.engine, card.summary) for card in cards]
    typer.echo(tabulate(rows, headers=("model", "architecture", "engine", "shape"), disable_numparse=True))
    engines = [(name, str(entry.origin), entry.engine.summary) for name, entry in host.engines.items()]
    typer.echo()
    typer.echo(tabulate(engines, headers=("engine", "from", "takes"), disable_numparse=True))
    typer.echo(
        "\n--model also takes a Hugging Face checkpoint directory, a GGUF file, or an id of the Hub or of "
        "ModelScope (ms:ID), with --download where it is to be fetched."
    )
