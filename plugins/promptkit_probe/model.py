"""The cell behind `probe`; imported only when a run builds it."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit import PromptTask
from promptkit.nn import Backbone, Inputs, PromptedModel, Trial, numbers, packed

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""What dev picks from: inverse strengths of regularisation, scikit-learn's C over standardised states."""
_ROUNDING = 1e-5  # share of its magnitude below which the spread of a state, float32, says nothing


class Linear(nn.Cell):
    """One linear layer, zero until it is fitted."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.weight = Parameter(Tensor(np.zeros((classes, width), np.float32)), name="weight")
        self.bias = Parameter(Tensor(np.zeros(classes, np.float32)), name="bias")
        self.linear = ops.MatMul(transpose_b=True)

    def construct(self, x: Any) -> Any:
        """(N, F) -> (N, C)."""
        return self.linear(x, self.weight) + self.bias


class LinearProbe(PromptedModel):
    """Mean state, first state and the state read, side by side, under a linear layer.

    Dimensions: R rows, S positions a row, E examples a row, M positions read, N = R * E, H hidden, C classes.
    """

    fixed_features = True
    fits = True

    def __init__(self, backbone: Backbone, task: PromptTask) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = Linear(len(task.labels), 3 * backbone.info.hidden_size)
        self.mix = ops.BatchMatMul()

    def features(self, inputs: Inputs) -> Any:
        """Return the three states of every example, (N, 3 * H)."""
        token_ids = inputs["token_ids"]
        rows, length = token_ids.shape
        examples, slots = inputs["read"].shape[1], inputs["read"].shape[2]
        places = numbers(0, length)
        everywhere = packed(
            token_ids, inputs["segment_ids"], inputs["position_ids"], inputs["virtual_ids"],
            ops.broadcast_to(places.reshape(1, 1, length), (rows, 1, length)),
        )  # fmt: skip
        states = self.backbone.run(self.backbone.embed(token_ids), everywhere)
        segments = numbers(1, examples + 1).reshape(1, examples, 1)
        own = ops.equal(inputs["segment_ids"].expand_dims(1), segments).astype(ms.float32)
        counts = ops.maximum(own.sum(2).expand_dims(2), Tensor(1.0, ms.float32))
        first = own * ops.equal(inputs["position_ids"], 0).astype(ms.float32).expand_dims(1)
        read = ops.equal(inputs["read"].reshape(rows, examples * slots, 1), places.reshape(1, 1, length))
        read = read.astype(ms.float32).reshape(rows, examples, slots, length).sum(2) / float(slots)
        chosen = self.mix(ops.concat((own / counts, first, read), 1), states)
        chosen = ops.transpose(chosen.reshape(rows, 3, examples, -1), (0, 2, 1, 3))
        return chosen.reshape(rows * examples, -1)

    def scores(self, features: Any) -> Any:
        """(N, 3 * H) -> (N, C)."""
        return self.head(features)

    def fit(self, train: Any, labels: Any, dev: Any, dev_labels: Any) -> list[Trial]:
        """Fit logistic regressions of several strengths, and keep the one with the best dev accuracy.

        Of equals the one of the lower dev loss is kept. States that are the same for every text get no weight, as the
        first one is in a causal model. See `PromptedModel.fit`.
        """
        from scipy.special import softmax
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import log_loss

        classes = self.head.bias.shape[0]
        flat = train.std(0, dtype=np.float64) <= _ROUNDING * np.abs(train).max(0)
        if flat.any():
            train = train.copy(order="K")
            train[:, flat] = train[0, flat]
        mean, scale = train.mean(0), np.maximum(train.std(0), 1e-6)
        found, best = list[Trial](), None
        for strength in STRENGTHS:
            fitted = LogisticRegression(C=strength, max_iter=2000).fit((train - mean) / scale, labels)
            weight, bias = _for_all_classes(fitted, classes)
            weight = weight / scale
            # A weight divided by a spread of rounding is so large that the score is lost in float32. What these come
            # to is the same for every text: the bias's.
            bias = bias - weight @ mean + weight[:, flat] @ train[0, flat]
            weight[:, flat] = 0.0
            logits = dev @ weight.T + bias
            accuracy = float((logits.argmax(-1) == dev_labels).mean())
            loss = float(
                log_loss(dev_labels, np.clip(softmax(logits, axis=-1), 1e-12, 1.0), labels=list(range(classes)))
            )
            found.append(Trial(accuracy, loss))
            if best is None or (accuracy, -loss) > best[0]:
                best = (accuracy, -loss), weight, bias
        assert best is not None
        ops.assign(self.head.weight, Tensor(best[1].astype(np.float32)))
        ops.assign(self.head.bias, Tensor(best[2].astype(np.float32)))
        return found


def _for_all_classes(fitted: Any, classes: int) -> tuple[Any, Any]:
    """Return weights and biases of every class; one that is not in train is scored far below the others."""
    weight = np.zeros((classes, fitted.coef_.shape[1]))
    bias = np.full(classes, -1e3)
    if len(fitted.classes_) == 2:
        # Two classes have one set of weights: half of it for the one, minus half for the other.
        weight[fitted.classes_] = np.concatenate([-fitted.coef_, fitted.coef_]) / 2
        bias[fitted.classes_] = np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2
    else:
        weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
    return weight, bias
