"""The content-free inputs of contextual calibration: the third is the model's own mask token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import GOLDENS, load, prompt_task

from promptkit.nn import packed

pytest.importorskip("mindspore")

from mindspore import Tensor

from promptkit.backbones.device import set_device
from promptkit.prompting.resolved import PromptTask

set_device("CPU")


@pytest.fixture(scope="module", params=["bert-odd", "roberta-odd"])
def backbone(request: Any) -> Any:
    return load(GOLDENS / request.param)


def task_of(backbone: Any, template: str) -> PromptTask:
    return prompt_task(backbone.tokenizer, template)


def test_the_mask_token_stands_in_the_field_and_is_not_read_there(backbone: Any) -> None:
    from promptkit.strategies.calibration import content_free

    task = task_of(backbone, "{text} {mask}")
    mask = backbone.tokenizer.mask_id
    batch = task.encode(content_free(task))
    row = batch.index.tolist().index(2)
    ids = batch.inputs["token_ids"][row][batch.inputs["segment_ids"][row] > 0].tolist()
    assert ids == [backbone.tokenizer.cls_id, mask, mask, backbone.tokenizer.sep_id]
    assert batch.inputs["read"][row].tolist() == [[2]]
    assert sorted((batch.inputs["token_ids"] == mask).sum(1).tolist()) == [1, 1, 2]


def test_a_mask_that_is_spelt_out_stays_text(backbone: Any) -> None:
    task = task_of(backbone, "{text} {mask}")
    spelt = task.encode(["[MASK] <mask>"])
    assert (spelt.inputs["token_ids"] == backbone.tokenizer.mask_id).sum() == 1


def test_every_field_gets_the_pieces(backbone: Any) -> None:
    task = task_of(backbone, "{text} {mask} {text_b}")
    mask = backbone.tokenizer.mask_id
    batch = task.encode([[mask]])
    (row,) = batch.inputs["token_ids"].tolist()
    assert row == [
        backbone.tokenizer.cls_id,
        *[mask] * 3,
        backbone.tokenizer.sep_id,
    ]
    assert batch.inputs["read"][0].tolist() == [[2]]


def test_the_prior_is_the_mean_over_the_three_inputs(backbone: Any) -> None:
    """Zhao et al. 2021, section 5, with rows written by hand: cls, field, mask, sep."""
    from promptkit.nn import calibrated

    tokenizer = backbone.tokenizer
    task = task_of(backbone, "{text} {mask}")
    held = calibrated(backbone, task, "content-free")
    plain = calibrated(backbone, task, "none")
    found = []
    for field in (tokenizer.encode("N/A"), [], [tokenizer.mask_id]):
        row = [tokenizer.cls_id, *field, tokenizer.mask_id, tokenizer.sep_id]
        ones = [1] * len(row)
        arrays = ([row], [ones], [range(len(row))], [[-1] * len(row)], [[[len(row) - 2]]])
        scores = (
            plain(packed(*(Tensor(np.array(array, np.int32)) for array in arrays))).asnumpy()[0].astype(np.float64)
        )
        found.append(np.exp(scores) / np.exp(scores).sum())
    assert np.allclose(held.prior.asnumpy(), np.log(np.mean(found, axis=0)), atol=1e-5)
