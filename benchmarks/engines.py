"""What the engines cost on one model: loading, a forward pass and a training step of soft prompts.

Run it where mindnlp is installed (docs/mindnlp.md). Both engines get the same packed batch of promptkit-mini; the
native one is compiled, which is not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from tabulate import tabulate

from promptkit.backbones.catalog import shipped_root
from promptkit.backbones.device import set_device
from promptkit.backbones.engines import describe_model, load_backbone
from promptkit.hooks import get_host

TEXT = "a film that has everything but a plot, and an actor who knows it; i laughed once"


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call, and what it gives."""
    started = time.perf_counter()
    found = call()
    return time.perf_counter() - started, found


def measure(engine: str, examples: int, repeats: int) -> list[Any]:
    """Return a row of the table."""
    from promptkit.data import Rows
    from promptkit.nn import SoftPrompt, VirtualTokens, initial_vectors
    from promptkit.testing import prompt_task
    from promptkit.training import Classification, Executor, PackedSource

    engines = get_host().engine_objects()
    files = describe_model(shipped_root() / "promptkit-mini", engines, engine)
    loading, backbone = timed(lambda: load_backbone(files, engines, "promptkit-mini"))
    prompt = prompt_task(backbone, "{soft:20}{text} It was {mask}.", max_length=64)
    model = SoftPrompt(backbone, prompt, prompt=VirtualTokens(initial_vectors(backbone, prompt, "vocab")))
    encoded = prompt.encoder.encode_many([{"text": TEXT}] * examples)
    rows = Rows(examples // 2, 2 * len(encoded[0].token_ids), 2)
    source = PackedSource(prompt.packer(encoded, [i % 2 for i in range(examples)], batch_size=examples, rows=rows))
    executor = Executor(model, "graph", print, Classification(2))
    (step,) = source.epoch(None)

    def learn() -> Any:
        return executor.loss_and_gradients(step)[0].asnumpy()

    found = []
    for call in (lambda: executor.scores_of_batch(step), learn):
        call()
        found.append(median(timed(call)[0] for _ in range(repeats)))
    return [engine, executor.mode, loading, *found, float(np.asarray(learn()))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    set_device("CPU")
    table = [measure(engine, given.examples, given.repeats) for engine in ("native", "mindnlp")]
    table.append(["ratio", "", *(second / first for first, second in zip(table[0][2:5], table[1][2:5], strict=True))])
    print(tabulate(table, headers=("engine", "mode", "loading, s", "forward, s", "step, s", "loss"), floatfmt=".3f"))


if __name__ == "__main__":
    main()
