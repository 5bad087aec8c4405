"""The self-check: a few scores, one loss and its gradient of promptkit-mini, held against stored numbers.

It runs in a process of its own, `python -m promptkit.doctor.selfcheck DEVICE MODE PRECISION`, and writes a line of
JSON after each step: a MindSpore that crashes or hangs on a device then still says how far it came.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from promptkit.backbones.device import Mode
from promptkit.backbones.fusion import fuse, prepare

if TYPE_CHECKING:
    from promptkit.backbones.face import Backbone

GOLDENS = Path(__file__).with_name("goldens.json")
MODEL = "promptkit-mini"
LABELS = ("negative", "positive")
# (text, class): of uneven lengths, so that several share a row.
EXAMPLES = (
    ("A warm and funny film.", 1),
    ("The plot goes nowhere, and it takes two hours to get there.", 0),
    ("I would see it again tomorrow.", 1),
    ("Bland food.", 0),
)
TEMPLATE, WORDS = "{text} It was {mask}.", "negative=terrible; positive=great"
SOFT_TEMPLATE = "{soft:4} {text} It was {mask}."
# Largest difference of a score, and of the loss and the gradient as a part of the largest number there.
TOLERANCES = {"fp32": 1e-3, "fp16": 3e-2, "bf16": 1e-1}
SAMPLED = 24  # every which number of the gradient is kept


@dataclass(frozen=True)
class Step:
    """One step of the check.

    Attributes:
        name: of it.
        ok: whether all is well.
        said: the outcome in words.
        seconds: it took.
    """

    name: str
    ok: bool
    said: str
    seconds: float


def numbers(backbone: Backbone, mode: Mode, warn: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    """Yield the numbers that are held against the stored ones, by name.

    Yields:
        `scores`, (4, 2) log-probabilities of `hard`; `loss` of one step of `soft`; `gradient` of its virtual tokens,
        every 24th number of (4, H).
    """
    from promptkit.training import Classification, Executor

    model, source = _prompted(backbone, "hard", {}, TEMPLATE)
    scores = Executor(model, mode, warn).scores(source)
    yield "scores", scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    model, source = _prompted(backbone, "soft", {"tokens": 4, "init": "text"}, SOFT_TEMPLATE)
    executor = Executor(model, mode, warn, Classification(len(LABELS), "the self-check"))
    loss, gradients = executor.loss_and_gradients(next(iter(source.epoch(None))))
    yield "loss", np.asarray(loss.asnumpy(), np.float64).reshape(1)
    yield "gradient", gradients[0].asnumpy().reshape(-1)[::SAMPLED]


def _prompted(backbone: Backbone, name: str, options: dict[str, Any], template: str) -> tuple[Any, Any]:
    """Return the model that a strategy makes, and the examples for it."""
    from promptkit.data import plan_scoring_rows
    from promptkit.hooks import get_host
    from promptkit.prompting import Template, Verbalizer
    from promptkit.prompting.resolved import resolve_prompt
    from promptkit.strategies.contract import parse_options
    from promptkit.training import PackedSource

    cls = get_host().strategy(name).cls
    prompt = resolve_prompt(
        Template.parse(template), Verbalizer.parse(WORDS), labels=LABELS, tokenizer=backbone.tokenizer,
        rng=np.random.default_rng(0), readout="cloze", slots="same", max_length=48,
    )  # fmt: skip
    model = cls(parse_options(cls, options)).build(backbone, prompt)
    encoded = prompt.encode_fields([{"text": text} for text, _ in EXAMPLES], prompt.sets)
    rows = plan_scoring_rows([[len(each.token_ids) for each in encoded]], len(encoded), backbone.info)
    targets = np.array([label for _, label in EXAMPLES])
    return model, PackedSource(prompt.packer(encoded, targets, batch_size=len(encoded), rows=rows))


def compare(found: Any, stored: Any, name: str, tolerance: float) -> tuple[bool, str]:
    """Return whether numbers are the stored ones, and by how much they differ.

    Args:
        found: an array.
        stored: what it should be.
        name: `scores` are held to the tolerance as they are, others as a part of the largest stored number.
        tolerance: the largest difference that is none.
    """
    found, stored = np.asarray(found, np.float64), np.asarray(stored, np.float64)
    if found.shape != stored.shape:
        return False, f"shape {found.shape} where {stored.shape} is stored"
    if not np.isfinite(found).all():
        return False, "holds NaN or infinity"
    scale = 1.0 if name == "scores" else float(np.abs(stored).max())
    worst = float(np.abs(found - stored).max()) / scale
    return worst <= tolerance, f"largest difference {worst:.1e}, {tolerance:.0e} allowed"


def run(device: str, mode: Mode, precision: str, told: Callable[[Step], None]) -> None:
    """Carry out the check; it ends at the first step that cannot be done."""
    clock = _Clock(told)
    if mode == "fused":
        prepare()
    try:
        import mindspore as ms
    except BaseException as error:  # a broken installation may raise anything, or exit
        clock.done("MindSpore", False, f"cannot be imported ({type(error).__name__}: {error})")
        return
    clock.done("MindSpore", True, f"{ms.__version__}{_made_for()}")
    try:
        from promptkit.backbones.device import set_device

        chosen = set_device(device)
        fuse(mode == "fused", chosen)
        clock.done("device", True, chosen)
        from promptkit.backbones.catalog import shipped_root
        from promptkit.backbones.engines import describe_model, load_backbone
        from promptkit.hooks import get_host

        engines = get_host().engine_objects()
        backbone = load_backbone(describe_model(shipped_root() / MODEL, engines, None, precision), engines, MODEL)
        clock.done("model", True, f"{MODEL}, fingerprint {backbone.fingerprint}")
        goldens = json.loads(GOLDENS.read_text(encoding="utf-8"))
        slower: list[str] = []
        for name, found in numbers(backbone, mode, slower.append):
            clock.done(name, *compare(found, goldens[name], name, TOLERANCES[precision]))
        clock.done("compiling", not slower, slower[0] if slower else f"{mode} mode, {precision}")
    except Exception as error:
        said = " ".join(str(error).split())[:400]
        clock.done(f"after {clock.last}", False, f"{type(error).__name__}: {said}")


def _made_for() -> str:
    """Return which versions of CANN this MindSpore says that it takes, where it does."""
    try:
        from mindspore.run_check._check_version import AscendEnvChecker

        return f", which takes CANN {', '.join(AscendEnvChecker(None).version)}"
    except Exception:  # none of its public functions tells
        return ""


class _Clock:
    def __init__(self, told: Callable[[Step], None]) -> None:
        self._told, self._since, self.last = told, time.perf_counter(), "the start"

    def done(self, name: str, ok: bool, said: str) -> None:
        now = time.perf_counter()
        self._told(Step(name, ok, said, round(now - self._since, 1)))
        self._since, self.last = now, name


if __name__ == "__main__":
    device: str
    mode: Any
    device, mode, precision = sys.argv[1:4]
    run(device, mode, precision, lambda step: print(f"step {json.dumps(asdict(step))}", flush=True))
