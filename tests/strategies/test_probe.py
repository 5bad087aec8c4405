"""The linear probe: which states it reads, how it is fitted, and that it is a run like any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Tensor
from models import load, prompt_task
from scipy.special import softmax

import promptkit
from promptkit.nn import packed, tensors

HARD = "{text} it was {mask} ."
TEXTS = ["the film is good", "a boring plot and a bad actor", "like it"]


def probe_of(backbone: Any, classes: int = 2) -> tuple[Any, Any]:
    from promptkit_probe.model import LinearProbe

    words = dict(zip("abc"[:classes], ("good", "bad", "not"), strict=False))
    verbalizer = "; ".join(f"{label}={word}" for label, word in words.items())
    task = prompt_task(backbone.tokenizer, HARD, verbalizer, tuple(words))
    return LinearProbe(backbone, task), task


def test_it_reads_the_mean_the_first_and_the_mask_state_of_each_packed_example() -> None:
    from promptkit.data import Rows

    backbone = load("bert-odd")
    probe, task = probe_of(backbone)
    encoded = task.encoder.encode_many([{"text": text} for text in TEXTS])
    (batch,) = task.packer(encoded, None, batch_size=3, rows=Rows(1, 40, 4)).epoch(None)
    found = probe.features(tensors(batch.inputs)).asnumpy()
    assert found.shape == (4, 3 * 24)
    for place, number in enumerate(batch.index.tolist()):
        if number < 0:
            assert np.isfinite(found[place]).all()
            continue
        alone = task.encode([TEXTS[number]])
        inputs = tensors(alone.inputs)
        length = inputs["token_ids"].shape[1]
        arrays = [alone.inputs[name] for name in ("token_ids", "segment_ids", "position_ids", "virtual_ids")]
        every = tensors(packed(*arrays, np.arange(length, dtype=np.int32).reshape(1, 1, length)))
        states = backbone.run(backbone.embed(inputs["token_ids"]), every).asnumpy()[0]
        mask = int(alone.inputs["read"][0, 0, 0])
        expected = np.concatenate([states.mean(0), states[0], states[mask]])
        assert np.abs(found[place] - expected).max() < 1e-5


def test_of_several_strengths_dev_picks_one_and_all_are_counted() -> None:
    from promptkit_probe.model import STRENGTHS

    probe, _ = probe_of(load("bert-odd"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 72)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    trials = probe.fit(x[:40], y[:40], x[40:], y[40:])
    assert len(trials) == len(STRENGTHS)
    scores = x[40:] @ probe.head.weight.asnumpy().T + probe.head.bias.asnumpy()
    assert (scores.argmax(-1) == y[40:]).mean() == max(trial.dev_accuracy for trial in trials)


def fitted(x: Any, y: Any, classes: int = 2) -> Any:
    """A probe fitted on the first forty rows; dev is the others."""
    probe, _ = probe_of(load("bert-odd"), classes)
    probe.fit(x[:40], y[:40], x[40:], y[40:])
    return probe


def best_of_scikit_learn(x: Any, y: Any) -> tuple[float, Any]:
    """The strength that dev picks, and scikit-learn's own optimum there, on standardised states in float64."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = []
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0):
        regression = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000)
        pipeline = make_pipeline(StandardScaler(), regression).fit(x[:40].astype(np.float64), y[:40])
        loss = log_loss(y[40:], pipeline.predict_proba(x[40:]))
        found.append((-pipeline.score(x[40:], y[40:]), loss, strength, pipeline))
    *_, strength, pipeline = min(found, key=lambda it: it[:2])
    return strength, pipeline


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("constant", [False, True], ids=["all differ", "some are constant"])
def test_it_is_scikit_learns_optimum_at_the_strength_that_dev_picks(classes: int, constant: bool) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(60, 72)) * rng.uniform(0.1, 10, 72) + rng.normal(size=72)).astype(np.float32)
    y = np.digitize(x[:, 0] / x[:, 0].std(), [-0.4, 0.4] if classes == 3 else [0.0])
    if constant:
        x[:, 24:48] = 100 * rng.normal(size=24)
    probabilities = softmax(fitted(x, y, classes).scores(Tensor(x[40:])).asnumpy(), -1)
    strength, best = best_of_scikit_learn(x, y)
    # The probe's own optimum is found as exactly as scikit-learn does by default, in float32.
    assert np.abs(probabilities - best.predict_proba(x[40:])).max() < 0.03, strength
    assert np.ptp(probabilities) > 0.3, "it is sure of some"


@pytest.mark.parametrize("noise", [0.0, 1e-7], ids=["constant", "rounding"])
def test_states_that_are_the_same_for_every_text_get_no_weight(noise: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 72))
    y = (x[:, 0] > 0).astype(int)
    x[:, 24:48] = 100 * rng.normal(size=24) * (1 + noise * rng.normal(size=(60, 24)))
    x[:, 30] = 0.0
    x = x.astype(np.float32)
    probe = fitted(x, y)
    weight, bias = probe.head.weight.asnumpy(), probe.head.bias.asnumpy()
    assert not weight[:, 24:48].any()
    assert weight[:, :24].any()
    assert max(np.abs(weight).max(), np.abs(bias).max()) < 100
    exact = x[40:].astype(np.float64) @ weight.T.astype(np.float64) + bias
    assert np.abs(probe.scores(Tensor(x[40:])).asnumpy() - exact).max() < 1e-5


def test_a_class_that_train_lacks_is_never_answered() -> None:
    from promptkit_probe.model import _for_all_classes
    from sklearn.linear_model import LogisticRegression

    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    fitted = LogisticRegression().fit(x, [0, 0, 2, 2])
    weight, bias = _for_all_classes(fitted, 3)
    assert (x @ weight.T + bias).argmax(-1).tolist() == [0, 0, 2, 2]


def test_it_is_a_run_whose_artifact_answers_the_same(tiny_run: Callable[..., Any], tmp_path: Path) -> None:
    result = tiny_run("probe", templates=(HARD,), out=tmp_path / "run")
    record = result.record
    assert record.test.accuracy >= 0.9
    assert record.parameters.head == 2 * 72 + 2
    assert record.parameters.total == record.parameters.head
    assert (record.epochs_run, record.best_epoch, len(record.history)) == (0, None, 6)
    texts = ["the film is good", "it was bad"]
    again = promptkit.load(tmp_path / "run").probabilities(texts)
    assert again.argmax(-1).tolist() == [1, 0]
