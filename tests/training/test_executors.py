"""Compiled graphs that serve another model: only one that is the same but for its values, and then to the bit."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import mindspore as ms
import models
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from promptkit.nn import Inputs, PromptedModel, SoftPrompt, VirtualTokens
from promptkit.training import Classification, Executor, Executors, PackedSource
from promptkit.training.likeness import array_of, likeness


def value(number: float) -> Parameter:
    return Parameter(Tensor(np.full(3, number, np.float32)), name="w")


class Model(PromptedModel):
    """Scores from one vector; what else it holds is what a test is about."""

    def __init__(self, number: float = 0.0, **more: Any) -> None:
        super().__init__()
        self.w = value(number)
        for name, thing in more.items():
            setattr(self, name, thing)

    def construct(self, inputs: Inputs) -> Any:
        return inputs["token_ids"].astype(self.w.dtype)[:, :2] + self.w.sum()


class Slotted:
    """An object without a `__dict__`, and with a name that Python changes."""

    __slots__ = ("__hidden",)

    def __init__(self, hidden: int) -> None:
        self.__hidden = hidden


class Plain:
    def __init__(self, number: int) -> None:
        self.number = number


class Holder:
    """Something that is no cell; MindSpore lets no parameter stand in two attributes of one."""

    def __init__(self, parameters: list[Parameter]) -> None:
        self.parameters = parameters


def double(x: int) -> int:
    return 2 * x


def closure(factor: int) -> Callable[[int], int]:
    return lambda x: factor * x


SHARED = closure(3)


def name(value: Any) -> str:
    """Name a value without where it lies, which is another place in every process of the tests."""
    return str(value).partition(" at 0x")[0]


def pair(make: Callable[[], Any]) -> tuple[Model, Model]:
    return Model(1.0, thing=make()), Model(2.0, thing=make())


@pytest.mark.parametrize(
    "make",
    [
        lambda: 3,
        lambda: "words",
        lambda: None,
        lambda: [1, (2, {"a": np.arange(3)})],
        lambda: {1, 2},
        lambda: Tensor(np.arange(3)),
        lambda: ops.MatMul(transpose_b=True),
        lambda: nn.Dense(3, 2),
        lambda: nn.LSTM(3, 2),
        lambda: Plain(4),
        lambda: Slotted(4),
        lambda: double,
        lambda: SHARED,
        lambda: np.random.default_rng(),
    ],
)
def test_models_of_one_build_are_alike(make: Callable[[], Any]) -> None:
    one, other = (model.set_train(False) for model in pair(make))
    found = likeness(one, other)
    assert found is not None
    assert any(mine is one.w and theirs is other.w for mine, theirs in found.parameters)
    found.take_over()
    assert np.array_equal(one.w.asnumpy(), np.full(3, 2.0))
    assert all(np.array_equal(mine.asnumpy(), theirs.asnumpy()) for mine, theirs in found.parameters)
    assert all(mine.random() == theirs.random() for mine, theirs in found.generators)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (3, 4),
        (3, 3.0),
        (True, 1),
        ("a", "b"),
        ([1, 2], [1, 2, 3]),
        ({"a": 1}, {"b": 1}),
        ({1}, {2}),
        (np.arange(3), np.arange(3.0)),
        (Tensor(np.arange(3)), Tensor(np.arange(1, 4))),
        (ops.MatMul(), ops.MatMul(transpose_b=True)),
        (nn.Dense(3, 2), nn.Dense(3, 4)),
        (nn.Dense(3, 2), nn.Dense(3, 2, has_bias=False)),
        (nn.ReLU(), nn.GELU()),
        (value(1), Parameter(Tensor(np.ones(4, np.float32)), name="w")),
        (value(1), Parameter(Tensor(np.ones(3, np.float32)), name="w", requires_grad=False)),
        (Plain(1), Plain(2)),
        (Slotted(1), Slotted(2)),
        (closure(2), closure(2)),
        (partial(double, 2), partial(double, 2)),
        (Plain(1).__init__, Plain(1).__init__),
        (iter([1]), iter([1])),
        (ops.Dropout(0.5), ops.Dropout(0.5)),
    ],
    ids=name,
)
def test_what_a_graph_could_tell_apart_is_not_alike(one: Any, other: Any) -> None:
    assert likeness(Model(thing=one).set_train(False), Model(thing=other).set_train(False)) is None


def test_what_draws_in_the_graph_is_not_even_like_itself() -> None:
    drawing = ops.Dropout(0.5)
    assert likeness(Model(thing=drawing), Model(thing=drawing)) is None
    cell = nn.Dropout(p=0.5)
    assert likeness(Model(thing=cell).set_train(True), Model(thing=cell).set_train(True)) is None


def test_a_class_of_its_own_is_not_alike() -> None:
    """A strategy that defines its model within `build` may close over anything."""

    def local() -> type[Model]:
        class Local(Model):
            pass

        return Local

    assert likeness(local()(), local()()) is None


def test_a_circle_ends() -> None:
    one, other = pair(lambda: Plain(1))
    one.thing.back, other.thing.back = one, other
    assert likeness(one, other) is not None


def test_a_parameter_in_two_places_is_not_like_two_parameters() -> None:
    shared, again, apart = ([value(1)] * 2, [value(2)] * 2, [value(1), value(2)])
    holding = [Model(thing=Holder(pair)) for pair in (shared, again, apart)]
    assert likeness(holding[0], holding[1]) is not None
    assert likeness(holding[0], holding[2]) is None
    assert likeness(holding[2], holding[0]) is None


def soft(seed: int, backbone: Any, words: str = "neg=bad; pos=good") -> tuple[SoftPrompt, PackedSource]:
    """Return a soft prompt of a seed, and some texts."""
    task = models.prompt_task(
        backbone.tokenizer, "{soft:3}{text} is {mask}.", words, ("neg", "pos"), seed=seed, max_length=32
    )
    vectors = task.rng.normal(size=(3, backbone.info.hidden_size)).astype(np.float32)
    encoded = task.encoder.encode_many([{"text": text} for text in ("good film", "bad film", "a film", "bad")])
    from promptkit.data import Rows

    source = PackedSource(task.packer(encoded, [1, 0, 1, 0], batch_size=4, rows=Rows(2, 32, 4)))
    return SoftPrompt(backbone, task, prompt=VirtualTokens(vectors)), source


def executor(model: PromptedModel, objective: Any = None, warn: Any = print) -> Executor:
    return Executor(model, "graph", warn, objective or Classification(2, "test"), label="test")


def outputs(of: Executor, source: PackedSource) -> list[Any]:
    loss, gradients = of.loss_and_gradients(next(source.epoch(None)))
    return [of.scores(source), loss.asnumpy(), *(gradient.asnumpy() for gradient in gradients)]


@pytest.fixture(scope="module")
def backbone() -> Any:
    return models.load("bert-onelayer")


def test_values_that_numpy_does_not_have_are_compared() -> None:
    one, same, other = (Tensor([number]).astype(ms.bfloat16) for number in (2.5, 2.5, 1.0))
    assert array_of(one) == 2.5
    assert likeness(Model(x=one), Model(x=same)) is not None
    assert likeness(Model(x=one), Model(x=other)) is None


def test_a_kept_graph_gives_what_a_new_one_gives(backbone: Any) -> None:
    kept = Executors()
    first = kept.kept_for(executor(soft(0, backbone)[0]))
    outputs(first, soft(0, backbone)[1])
    assert first.compile_seconds > 0
    model, source = soft(1, backbone)
    second = kept.kept_for(executor(model))
    assert second is first
    assert second.compile_seconds == 0
    mine, theirs = outputs(second, source), outputs(executor(soft(1, backbone)[0]), source)
    assert second.compile_seconds == 0, "it was compiled again"
    assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert not np.array_equal(mine[0], outputs(executor(soft(0, backbone)[0]), source)[0])


def test_a_graph_is_kept_for_its_like_only(backbone: Any) -> None:
    kept = Executors()
    first = kept.kept_for(executor(soft(0, backbone)[0]))
    assert kept.kept_for(executor(soft(1, backbone, "neg=bad; pos=film")[0])) is not first
    assert kept.kept_for(executor(soft(1, backbone)[0], Classification(2, "another"))) is not first
    choosy = soft(1, backbone)[0]
    choosy.keeps_graph = False
    assert kept.kept_for(executor(choosy)) is not first
    first.mode = "pynative"
    assert kept.kept_for(executor(soft(1, backbone)[0])) is not first


@pytest.mark.parametrize("why", ["eager", "choosy"])
def test_what_can_serve_no_other_is_not_held(why: str) -> None:
    kept = Executors()
    model = Model()
    model.keeps_graph = why != "choosy"
    mode = "pynative" if why == "eager" else "graph"
    made = kept.kept_for(Executor(model, mode, print, Classification(2, "test"), label="test"))
    seen = weakref.ref(model)
    del model, made
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("released", [True, False])
def test_a_model_is_let_go_of_with_its_executor(backbone: Any, released: bool) -> None:
    """MindSpore's own caches hold what it has compiled."""
    model, source = soft(0, backbone)
    made, seen = executor(model), weakref.ref(model)
    outputs(made, source)
    if released:
        made.release()
    del model, made
    gc.collect()
    assert seen() is None


def test_after_a_release_a_graph_is_compiled_again(backbone: Any) -> None:
    model, source = soft(0, backbone)
    kept = executor(model)
    before = outputs(kept, source)
    kept.release()
    ms.ms_memory_recycle()
    assert all(np.array_equal(a, b) for a, b in zip(outputs(kept, source), before, strict=True))
