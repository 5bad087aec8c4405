"""`promptkit datasets`: the data sets that are at hand."""

from __future__ import annotations

import json

import typer

from promptkit.cli.options import JsonOption


def datasets(as_json: JsonOption = False) -> None:
    """List the data sets at hand."""
    from tabulate import tabulate

    from promptkit.data import list_datasets
    from promptkit.hooks import get_host

    cards = list_datasets(get_host().dataset_readers())
    if as_json:
        plain = [{**vars(card), "sizes": dict(card.sizes)} for card in cards]
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    splits = ("train", "dev", "test")
    rows = [
        (card.name, card.language, *(card.sizes.get(split, "") for split in splits), card.summary) for card in cards
    ]
    headers = ("data set", "language", *splits, "summary")
    typer.echo(tabulate(rows, headers=headers, maxcolwidths=[None] * 5 + [50]))
    typer.echo("\n--data also takes a CSV, TSV or JSON Lines file, or a folder of them or of *.pos and *.neg.")
