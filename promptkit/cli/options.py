"""Options that several commands take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str, typer.Option("--model", metavar="NAME|DIR|ID", help="Shipped model, checkpoint directory or Hub id.")
]
DeviceOption = Annotated[str, typer.Option("--device", metavar="auto|CPU|Ascend|GPU", help="What MindSpore runs on.")]
DownloadOption = Annotated[
    bool, typer.Option("--download", help="Fetch a Hub model; without it nothing touches the network.")
]
MirrorOption = Annotated[
    str | None, typer.Option("--mirror", metavar="URL", help="Fetch from this mirror of the Hub.")
]
ReadoutOption = Annotated[
    str,
    typer.Option("--readout", metavar="cloze|head", help="Read label words at the mask, or a linear head."),
]
SlotsOption = Annotated[
    str,
    typer.Option(
        "--slots",
        metavar="same|first|mean",
        help="Rule for label words of several pieces.",
    ),
]
VerbalizerOption = Annotated[
    str | None, typer.Option("--verbalizer", metavar="V", help="Label words: 'label=word,word; label=word'.")
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An option of the strategy; may be repeated."),
]
MaxLengthOption = Annotated[
    int,
    typer.Option("--max-length", metavar="N", help="Most tokens of a text with its template; texts are cut."),
]
CleanOption = Annotated[bool, typer.Option("--clean", help="The classic cleaning of movie reviews.")]
TextColumnOption = Annotated[str | None, typer.Option("--text-column", metavar="NAME", help="Column of the text.")]
TextBColumnOption = Annotated[
    str | None, typer.Option("--text-b-column", metavar="NAME", help="Column of the second text.")
]
LabelColumnOption = Annotated[str | None, typer.Option("--label-column", metavar="NAME", help="Column of the label.")]
EncodingOption = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Encoding of the data files, if not UTF-8.")
]
SecondTextOption = Annotated[
    str | None, typer.Option("--text-b", metavar="TEXT", help="Second text, for a template with {text_b}.")
]
OtherModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME|DIR|ID", help="The model, if it is not where the run found it."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
StoreOption = Annotated[Path, typer.Option("--store", metavar="DIR", help="Folder of the store.")]


def command_line(context: typer.Context) -> tuple[str, ...]:
    """Return the command line for the record, without the password a mirror's address may hold."""
    arguments = context.obj if isinstance(context.obj, tuple) else ()
    return ("promptkit", *(re.sub(r"://[^/@\s]+@", "://***@", argument) for argument in arguments))
