"""What a strategy is told about the prompt: the template and label words as the tokenizer sees them.

No MindSpore here; `promptkit.nn` holds the cells that are built from a `PromptTask`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptkit.backbones.face import Kind, Tokenizer
from promptkit.data import AnswerPacker, Batch, Example, Packer, Rows, Task, with_reads
from promptkit.data.packing import Packable
from promptkit.errors import UserError
from promptkit.prompting.answers import AnswerEncoder
from promptkit.prompting.demonstrations import Context
from promptkit.prompting.encoder import Content, Demonstration, Encoded, Encoder
from promptkit.prompting.layout import Front, Layout, Readout
from promptkit.prompting.template import Template
from promptkit.prompting.verbalizer import ResolvedVerbalizer, SlotRule, Verbalizer, advise_words


@dataclass(frozen=True)
class PromptTask:
    """One template of one run, resolved for one model.

    Attributes:
        labels: class names; their order is the class index, C of them.
        template: the parsed template.
        encoder: texts -> token ids under this template.
        verbalizer: label words as vocabulary rows; None with the `head` readout.
        readout: `cloze` reads label words at the mask, `head` a linear layer on one token's state, `answer` the
            tokens of a text that is written at the mask.
        tokenizer: the backbone's tokenizer.
        rng: the only source of random numbers for `Strategy.build`.
        language: language code of the data.
        context: the demonstrations that stand beside texts; None where there are none.
        answers: answers -> token ids behind the prompt; None where classes are scored.
    """

    labels: tuple[str, ...]
    template: Template
    encoder: Encoder
    verbalizer: ResolvedVerbalizer | None
    readout: Readout
    tokenizer: Tokenizer
    rng: np.random.Generator
    language: str = "en"
    context: Context | None = None
    answers: AnswerEncoder | None = None

    @property
    def sets(self) -> int:
        """How many sets of demonstrations a text is scored with; 1 without demonstrations."""
        return 1 if self.context is None else self.context.showing.sets

    @property
    def training_sets(self) -> int:
        """How many sets of demonstrations a text is learnt from with; 1 without demonstrations."""
        return 1 if self.context is None else self.context.showing.training_sets

    @property
    def front(self) -> Front | None:
        """What all prompts begin with that is left to be computed once; None where every prompt is whole."""
        return self.encoder.front if self.encoder.front.ids else None

    @property
    def num_virtual(self) -> int:
        """P, the virtual tokens in the template."""
        return self.encoder.num_virtual

    @property
    def virtual_init(self) -> tuple[int | None, ...]:
        """For each virtual token, the vocabulary id it starts from, or None."""
        return self.encoder.virtual_init

    def encode(self, texts: Sequence[str | Sequence[int]], number: int = 0) -> Batch:
        """Encode texts as one batch, e.g. content-free inputs for calibration. Every field gets the same text.

        Each text has a row of its own, in order. A sequence of piece ids stands for a field as it is:
        `[task.tokenizer.mask_id]` puts the model's mask token there, which no text does, for a text that holds
        "[MASK]" is text. The template's own mask slots are read in any case. With demonstrations each text has those
        of one set, the first by default.

        Raises:
            ValueError: for a piece id that the tokenizer does not have.
        """
        fields = [dict.fromkeys(self.template.fields, text) for text in texts]
        encoded = self.encode_fields(fields, number + 1)[number * len(fields) :]
        alone = Rows(1, max(len(each.token_ids) for each in encoded), 1)
        batches = [next(iter(self.packer([each], None, batch_size=1, rows=alone).epoch(None))) for each in encoded]
        inputs = {name: np.concatenate([b.inputs[name] for b in batches]) for name in batches[0].inputs}
        return Batch(
            inputs=inputs,
            labels=np.zeros(len(encoded), np.int32),
            weights=np.ones(len(encoded), np.float32),
            index=np.arange(len(encoded)),
        )

    def encode_examples(self, examples: Sequence[Example], sets: int = 1) -> list[Encoded]:
        """Encode examples of the data set, with their answers where these are learnt; see `encode_fields`."""
        encoded = self.encode_fields([example.fields() for example in examples], sets)
        if self.answers is None:
            return encoded
        return self.answers.answered(encoded, [example.label for example in examples])

    def rows_for(self, rows: Rows, encoded: Sequence[Packable], batch_size: int) -> Rows:
        """Return planned rows with what is read of each, where answers are."""
        return rows if self.answers is None else with_reads(rows, encoded, batch_size)

    def encode_fields(self, fields: Sequence[Mapping[str, Content]], sets: int = 1) -> list[Encoded]:
        """Encode texts, each with its demonstrations: all with their first set, then all with their second, etc.

        Returns:
            sets * N prompts; N where there are no demonstrations.
        """
        if self.context is None:
            return self.encoder.encode_many(fields)
        chosen = self.context.chosen(fields, sets)
        return [encoded for each in chosen for encoded in self.encoder.encode_many(fields, each)]

    def encode_whole(self, fields: Sequence[Mapping[str, Content]]) -> list[Encoded]:
        """Encode texts with all their positions, those of the front as well; see `encode_fields`."""
        return [self.encoder.whole(encoded) for encoded in self.encode_fields(fields)]

    def explain(self, fields: Mapping[str, Content]) -> list[tuple[str, str]]:
        """Return (piece, role) for every position of a prompt, with its first set of demonstrations."""
        chosen = None if self.context is None else self.context.chosen([fields], 1)[0][0]
        return self.encoder.explain(fields, chosen)

    def packer(
        self, encoded: Sequence[Packable], labels: Sequence[int] | Any | None, *, batch_size: int, rows: Rows
    ) -> Packer | AnswerPacker:
        """Return the batches of encoded examples, of answers where rows have `reads`; for `labels` see `Packer`."""
        if rows.reads:
            return AnswerPacker(encoded, batch_size=batch_size, rows=rows, pad_id=self.tokenizer.pad_id)
        return Packer(encoded, labels, batch_size=batch_size, rows=rows, pad_id=self.tokenizer.pad_id)


def resolve_prompt(
    template: Template,
    verbalizer: Verbalizer | None,
    *,
    labels: Sequence[str],
    tokenizer: Tokenizer,
    readout: Readout,
    slots: SlotRule,
    max_length: int,
    rng: np.random.Generator,
    language: str = "en",
    kind: Kind = "masked",
    context: Context | None = None,
    front: bool = False,
    max_tokens: int = 0,
) -> PromptTask:
    """Resolve a template and a verbalizer for a tokenizer.

    `context` holds the demonstrations, if there are any; `max_tokens` is for answers, with that readout.

    With `front` what all prompts begin with is left to the model, see `PromptTask.front`.

    Raises:
        UserError: if the cloze readout has no mask or no label words, the words do not fit the template, or there are
            demonstrations and no label words to fill in.
    """
    if context is not None and readout != "cloze":
        raise UserError("demonstrations show label words, which the head readout has none of; use --readout cloze.")
    layout = Layout.of(tokenizer, kind, chat=template.has_chat)
    resolved = _label_words(template, verbalizer, labels, tokenizer, slots, kind) if readout == "cloze" else None
    answers = AnswerEncoder.of(template, tokenizer, kind, max_tokens) if readout == "answer" else None
    encoder = Encoder(
        template,
        tokenizer,
        mask_slots=resolved.mask_slots if resolved else int(readout == "answer"),
        max_length=max_length,
        readout=readout,
        layout=layout,
        behind=resolved.behind if resolved else None,
        demonstrations=[
            Demonstration(each.fields(), resolved.whole[list(labels).index(each.label)][0]) for each in context.pool
        ]
        if resolved and context is not None
        else (),
        arrange=None if context is None else context.arrange,
        front=None if not front else () if context is None else context.steady(),
    )
    return PromptTask(tuple(labels), template, encoder, resolved, readout, tokenizer, rng, language, context, answers)


def _label_words(
    template: Template,
    verbalizer: Verbalizer | None,
    labels: Sequence[str],
    tokenizer: Tokenizer,
    slots: SlotRule,
    kind: Kind,
) -> ResolvedVerbalizer:
    """Return the label words that are read at a template's mask; refuse a template without one, or no words."""
    if not template.has_mask:
        raise UserError(
            f"template '{template}' has no {{mask}}: the cloze readout predicts a label word there. "
            f"Add {{mask}}, or choose --readout head.{f' {template.foreign}' if template.foreign else ''}"
        )
    if verbalizer is None:
        raise UserError(
            f"no label words are known for the labels {', '.join(labels)}: give "
            f"{advise_words(labels)}, or choose --readout head."
        )
    return verbalizer.resolve(
        tokenizer, labels, rule=slots, spacing=template.mask_spacing, continued=kind == "causal"
    )


@dataclass(frozen=True)
class EncodedTask:
    """The splits of a task under one template.

    Attributes:
        train, dev, test: their examples, as often as there are sets of demonstrations for them, set by set.
        typical: tokens of examples that train and dev were drawn from; none where nothing was drawn.
        unlabelled: texts without labels; none where the strategy asks for none.
    """

    train: list[Encoded]
    dev: list[Encoded]
    test: list[Encoded]
    typical: tuple[int, ...] = ()
    unlabelled: tuple[Encoded, ...] = ()

    @property
    def all(self) -> list[Encoded]:
        """Every example."""
        return [*self.train, *self.dev, *self.test, *self.unlabelled]


def encode_task(
    prompt: PromptTask, task: Task, drawn_from: Sequence[Example] = (), unlabelled: Sequence[Example] = ()
) -> EncodedTask:
    """Encode every split and texts without labels; take the lengths of what train and dev were drawn from."""
    train = prompt.encode_examples(task.train, prompt.training_sets) if prompt.training_sets else []
    dev, test, others = (prompt.encode_examples(part, prompt.sets) for part in (task.dev, task.test, unlabelled))
    typical: tuple[int, ...] = ()
    if drawn_from and not (
        prompt.context is not None and prompt.context.showing.by_likeness
    ):  # which costs as much as a scoring
        typical = tuple(len(each.token_ids) for each in prompt.encode_examples(drawn_from))
    return EncodedTask(train, dev, test, typical, tuple(others))
