"""The classic lab by mindnlp alone: prompt tuning of a sequence classifier with `mindnlp.peft`. No promptkit in it.

Run with a checkpoint and a file for what comes out: where the 10 virtual tokens and the linear layer start, the loss
and the gradients of every step, and the learning rates of a linear schedule with warm-up. mindnlp 0.5.1 has no
backward pass of its own on tensors and no kernels for its optimisers on CPU: gradients are MindSpore's, and the steps
plain descent.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import mindnlp  # noqa: F401  # before mindtorch, which it brings
import mindspore as ms
import mindtorch as torch
import numpy as np
from mindnlp.peft import PromptTuningConfig, TaskType, get_peft_model
from mindnlp.transformers import AutoModelForSequenceClassification
from transformers import get_linear_schedule_with_warmup

IDS = np.array([[5, 6, 7, 8], [9, 10, 11, 12], [5, 9, 5, 9]])
LABELS = np.array([0, 1, 1])
VIRTUAL, WARMUP, STEPS, RATE = 10, 2, 6, 0.3


def main(checkpoint: str, out: str) -> None:
    """Train, and write what happened."""
    warnings.simplefilter("ignore")
    base = AutoModelForSequenceClassification.from_pretrained(
        checkpoint, num_labels=2, attn_implementation="eager", use_safetensors=True, dtype=torch.float32
    )
    base.config.pad_token_id = 0  # it wants one for more than one text, and looks at none here
    config = PromptTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=VIRTUAL)
    model = get_peft_model(base, config).eval()
    places = []
    for name, value in model.named_parameters():
        if value.requires_grad:
            *path, last = name.split(".")
            module: Any = model
            for step in path:
                module = getattr(module, step)
            places.append((module._parameters, last, value.asnumpy()))
    places.sort(key=lambda place: place[2].shape[0])  # the linear layer, (2, H), and the virtual tokens, (10, H)

    def loss(*values: Any) -> Any:
        for (where, name, _), value in zip(places, values):  # noqa: B905
            where[name] = value
        mask = torch.tensor(np.ones_like(IDS))
        return model(input_ids=torch.tensor(IDS), attention_mask=mask, labels=torch.tensor(LABELS)).loss

    optimiser = torch.optim.SGD([where[name] for where, name, _ in places], lr=RATE)
    schedule = get_linear_schedule_with_warmup(optimiser, WARMUP, STEPS)
    values = [value for _, _, value in places]
    found: dict[str, list[Any]] = {"loss": [], "head": [], "prompt": [], "rate": []}
    start = {"ids": IDS, "labels": LABELS, "first_head": values[0], "first_prompt": values[1]}
    for _ in range(STEPS):
        given = [torch.tensor(value) for value in values]
        value, gradients = ms.value_and_grad(loss, (0, 1))(*given)
        rate = optimiser.param_groups[0]["lr"]
        arrays = [gradient.asnumpy() for gradient in gradients]
        for name, it in zip(found, (float(value), *arrays, rate)):  # noqa: B905
            found[name].append(it)
        values = [old - rate * gradient for old, gradient in zip(values, arrays)]  # noqa: B905
        schedule.step()
    np.savez(out, **start, **{name: np.array(each) for name, each in found.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
