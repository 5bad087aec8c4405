"""From an artifact back to prompted models: as they were before they learnt, and with what they learnt."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptkit.data import Example
from promptkit.errors import UserError
from promptkit.hooks import get_host, no_exit
from promptkit.hub import Access, at_revision
from promptkit.running.contexts import make_context
from promptkit.running.loader import frozen_model, model_files
from promptkit.running.streams import START, generator
from promptkit.strategies.contract import Strategy, parse_options

if TYPE_CHECKING:
    from promptkit.backbones.face import Backbone, ModelFiles
    from promptkit.nn import PromptedModel
    from promptkit.prompting.resolved import PromptTask


@dataclass(frozen=True)
class OpenedPrompt:
    """An artifact with the strategy and the backbone it belongs to.

    Attributes:
        path: what was opened: a run directory or a `prompt.safetensors`.
        card: the artifact's card.
        tensors: by template number and attribute path, e.g. `0.prompt.vectors`.
        strategy: with the run's options.
        backbone: the frozen language model.
    """

    path: Path
    card: dict[str, Any]
    tensors: dict[str, Any]
    strategy: Strategy
    backbone: Backbone

    def rebuild(self, number: int) -> tuple[PromptTask, PromptedModel]:
        """Return a template's task and its model as the strategy built it at the start of the run, folded.

        The run's seed gives the same starting values, if the strategy draws from `task.rng` alone.
        """
        from promptkit.prompting import Template, Verbalizer
        from promptkit.prompting.answers import prompt_length
        from promptkit.prompting.resolved import resolve_prompt
        from promptkit.running.guard import build_model, fold_model
        from promptkit.running.states import States
        from promptkit.training import Executors

        card, backbone = self.card, self.backbone
        title = get_host().strategy(card["strategy"]).title
        template = Template.parse(card["templates"][number])
        shown = card["contexts"][number] if card["contexts"] else ()
        pool = [Example(**{**each, "others": tuple(map(tuple, each["others"]))}) for each in shown]
        task = resolve_prompt(
            template,
            Verbalizer.parse(card["verbalizer"]) if card["verbalizer"] else None,
            labels=card["labels"],
            tokenizer=backbone.tokenizer,
            readout=card["readout"],
            slots=card["slots"],
            max_length=prompt_length(backbone.info, card["max_length"], card["max_tokens"]),
            rng=generator(card["seed"], START, number),
            language=card["language"],
            kind=backbone.info.kind,
            max_tokens=card["max_tokens"],
            context=make_context(self.strategy, pool, card["labels"], template, (card["seed"], number), title),
            # Answers are written behind whole prompts, and nothing else is asked of such a run.
            front=self.strategy.fronts and backbone.info.takes_front and card["readout"] != "answer",
        )
        if task.context is not None and task.context.showing.by_likeness:
            task.context.measure = States(backbone, task, "pynative", _ignore, Executors())
        return task, fold_model(self.strategy, build_model(self.strategy, backbone, task, title), title)

    def fill(self, number: int, model: PromptedModel) -> None:
        """Load what the run learnt for a template into a model that `rebuild` returned.

        Raises:
            UserError: if the artifact's tensors are not those of the model.
        """
        from promptkit.running.guard import load_tensors

        prefix = f"{number}."
        fault = load_tensors(model, {k[len(prefix) :]: v for k, v in self.tensors.items() if k.startswith(prefix)})
        if fault:
            raise UserError(f"'{self.path}' does not fit strategy '{self.card['strategy']}': {fault}.")


@no_exit()
def open_prompt(
    path: str | Path,
    *,
    model: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    access: Access | None = None,
) -> OpenedPrompt:
    """Read an artifact and load the backbone it belongs to; see `promptkit.load` for the arguments.

    Raises:
        UserError: if there is no artifact, its strategy is not installed, or it belongs to another backbone.
    """
    from promptkit.runs import ARTIFACT_NAME, load_prompt

    path = Path(path)
    if not os.path.exists(path):
        raise UserError(f"run '{path}' does not exist.")
    tensors, checked_card = load_prompt(path / ARTIFACT_NAME if path.is_dir() else path)
    card = checked_card.model_dump()
    cls = get_host().strategy(card["strategy"]).cls
    strategy = cls(parse_options(cls, card["options"]))
    files = _files(card, path, model, access, precision)
    return OpenedPrompt(path, card, tensors, strategy, frozen_model(files, model or card["model"], device))


def _files(card: dict[str, Any], path: Path, model: str | None, access: Access | None, precision: str) -> ModelFiles:
    """Return the files of the model that an artifact was made with, found as it was unless another is named."""
    engine, engines = card["backbone"]["engine"], get_host().engine_objects()
    if engine not in engines:
        known = ", ".join(engines) or "none"
        raise UserError(f"'{path}' was made with engine '{engine}', which is not installed. Installed: {known}.")
    name = model or card["model"]
    # What it was made with, wherever the main branch has gone since.
    found = name if model else at_revision(name, card["backbone"]["revision"])
    files = model_files(found, engine=engine, access=access, precision=precision)
    wanted = card["backbone"]["fingerprint"]
    if wanted != files.fingerprint:
        raise UserError(
            f"'{path}' was made with another model than '{name}' (fingerprint {wanted}, this one has "
            f"{files.fingerprint}: weights, configuration or tokenizer differ); give the right one with --model."
        )
    return files


def _ignore(_: str) -> None:
    """What measures states of a loaded prompt is never compiled, and has nothing to warn of."""
