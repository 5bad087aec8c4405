"""The language model in its process: mindnlp's, asked in NumPy. Imported by `promptkit_mindnlp.worker` alone.

Importing mindnlp changes MindSpore's own tensors for the whole process. Dimensions are those of
`promptkit.backbones.face`; E' is the width of word embeddings.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import mindnlp  # noqa: F401  # before mindtorch, which it puts in the place of torch
import mindspore as ms
import mindtorch as torch
import numpy as np
from mindnlp.transformers import AutoModelForCausalLM, AutoModelForMaskedLM
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from promptkit_mindnlp.rows import attention, take_apart, window_of

_FAR = -1e9  # added to attention scores: exp of it is zero
_DEVICES = {"CPU": "cpu", "Ascend": "npu", "GPU": "cuda"}  # MindSpore's names, and mindnlp's; CPU alone has been run
_Place = tuple[dict[str, Any], str, Any]
_LOADERS = {"masked": AutoModelForMaskedLM, "causal": AutoModelForCausalLM}


class RefusedError(Exception):
    """What the model or the checkpoint does not offer; its text goes to the user."""


class _Given:
    """Stands for the encoder while the head runs: it gives hidden states that are there already."""

    def __init__(self, real: Any, hidden: Any) -> None:
        self._real, self._hidden = real, hidden

    def __call__(self, *_: Any, **__: Any) -> Any:
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=self._hidden)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class LanguageModel:
    """One checkpoint.

    Args:
        device: as MindSpore calls it.
        directory: of the checkpoint.
        kind: `masked` or `causal`.
        info: `embedding_size`, `hidden_size`, `vocab_size`, as `config.json` has them.

    Raises:
        RefusedError: for weights that are missing, other sizes, or a model of the other kind.
    """

    def __init__(self, device: str, directory: str, kind: str, info: dict[str, int]) -> None:
        self._causal = kind == "causal"
        self._model, told = _LOADERS[kind].from_pretrained(
            directory,
            attn_implementation="eager",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
        )
        if told["missing_keys"]:
            names = sorted(told["missing_keys"])
            raise RefusedError(f"the weights lack {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}")
        self._model.eval()
        if device != "CPU":
            torch._bind.set_default_device(_DEVICES[device])
            self._model.to(_DEVICES[device])
        self._base = self._model.base_model
        if self._base is self._model:
            raise RefusedError("its encoder cannot be told from its head")
        for name, value in self._model.named_parameters():
            if not np.isfinite(value.asnumpy()).all():
                raise RefusedError(f"{name} holds values that are no finite numbers")
        self._table = self._model.get_input_embeddings()
        accepted = inspect.signature(self._base.forward).parameters
        self._takes_positions = "position_ids" in accepted
        self._rotates = self._takes_positions and any(
            name.endswith("rotary_emb") for name, _ in self._base.named_modules()
        )
        self._takes_cache = "past_key_values" in accepted
        self._more = {name: False for name in ("use_cache",) if name in accepted}
        self._vocab = info["vocab_size"]
        self._mask_rank, self._offset, self._pads, self._window = 2, 0, True, window_of(self._model.config)
        self._encoder = (self._model, self._model.base_model_prefix)
        self._check_kind()
        self._check_sizes(info)
        self._check_halves()
        self._find_packing()

    def parameters(self, part: str) -> tuple[dict[str, Any], dict[str, Any], str]:
        """Return what learns with a part, by name, of the encoder and of the head; and the name of the embeddings.

        The embeddings, which are often the output rows as well, are among the head's, and nameless where they do not
        learn. See `promptkit.backbones.face.Backbone.trainable`.
        """
        inside = {id(value) for value in self._base.parameters()}
        encoder, head, table = {}, {}, ""
        for name, value in self._model.named_parameters():
            if value is self._table.weight:
                table = name if part == "all" else ""
            elif id(value) not in inside:
                if part == "all" or (part == "head" and value.shape[0] != self._vocab):
                    head[name] = value.asnumpy()
            elif part == "all" or (part == "biases" and name.endswith("bias") and len(value.shape) == 1):
                encoder[name] = value.asnumpy()
        if table:
            head[table] = self._table.weight.asnumpy()
        return encoder, head, table

    def embed(self, ids: Any) -> Any:
        """Word embeddings: ids (...) -> (..., E')."""
        return self._table(_whole(ids)).asnumpy()

    def run(
        self,
        embeddings: Any,
        segments: Any,
        positions: Any,
        read: Any,
        prefix: Any,
        names: Any = (),
        values: Any = (),
    ) -> Any:
        """Last hidden states at the positions read, (N, M, H), with these values in the place of the model's."""
        run = self._runner(segments, positions, read, names, prefix is not None)
        return run(_real(embeddings), *_given(prefix), *map(_real, values)).asnumpy()

    def run_gradients(
        self, embeddings: Any, segments: Any, positions: Any, read: Any, prefix: Any, names: Any, values: Any,
        towards: Any,
    ) -> list[Any]:  # fmt: skip
        """Gradients of (states * towards).sum() by embeddings, by the prefix if there is one, and by the values."""
        run = self._runner(segments, positions, read, names, prefix is not None)
        return _gradients(run, towards, _real(embeddings), *_given(prefix), *map(_real, values))

    def logits(self, hidden: Any, rows: Any, normalised: bool, names: Any = (), values: Any = ()) -> Any:
        """Vocabulary scores, (N, M, W), with these values in the place of the model's."""
        return self._scorer(rows, normalised, names)(_real(hidden), *map(_real, values)).asnumpy()

    def logits_gradients(
        self, hidden: Any, rows: Any, normalised: bool, names: Any, values: Any, towards: Any
    ) -> list[Any]:
        """Gradients of (logits * towards).sum() by hidden states, and by the values."""
        return _gradients(self._scorer(rows, normalised, names), towards, _real(hidden), *map(_real, values))

    def keys_and_values(self, embeddings: Any, before: bool = False) -> Any:
        """What the attention of every layer computes for a text, (P, H) -> (L, 2, A_kv, P, D).

        With `before` its positions are -P to -1 where they are angles; see `promptkit.backbones.face.Backbone`.
        """
        self._need_cache()
        cache, where = _cache(), {}
        if before and self._rotates:
            where["position_ids"] = _whole(np.arange(-len(embeddings), 0)[None])
        self._base(
            inputs_embeds=_real(embeddings)[None], past_key_values=cache, return_dict=True, **where,
            **self._flags(True),
        )  # fmt: skip
        pairs = [(layer.keys.asnumpy()[0], layer.values.asnumpy()[0]) for layer in cache.layers]
        return np.stack([np.stack(pair) for pair in pairs])

    def _need_cache(self, last: int = 0) -> None:
        if not self._takes_cache or self._mask_rank == 2:
            raise RefusedError(f"mindnlp's {type(self._model).__name__} takes no keys and values from outside")
        if last >= self._window:
            raise RefusedError(f"it looks back {self._window} positions, fewer than a prefix and a text take")

    def _flags(self, caching: bool) -> dict[str, Any]:
        return dict.fromkeys(self._more, caching)

    def _runner(self, segments: Any, positions: Any, read: Any, names: Any, prefixed: bool) -> Callable[..., Any]:
        """Return the model as a function of embeddings, a prefix if there is one, and values by name."""
        plain = (
            self._apart(segments, positions, read)
            if self._mask_rank == 2 or positions.max() >= self._window
            else self._packed(segments, positions, read, self._mask_rank, self._offset)
        )
        count = 1 + prefixed

        def run(*given: Any) -> Any:
            with _Swapped(self._places(names, given[count:])):
                return plain(*given[:count])

        return run

    def _places(self, names: Sequence[str], values: Sequence[Any]) -> list[_Place]:
        """Return all places of parameters, tied ones have several, with what comes there."""
        if not names:
            return []
        known = dict(self._model.named_parameters())
        instead = {id(known[name]): value for name, value in zip(names, values)}  # noqa: B905
        return [
            (module._parameters, name, instead[id(parameter)])
            for module in self._model.modules()
            for name, parameter in module._parameters.items()
            if id(parameter) in instead
        ]

    def _apart(self, segments: Any, positions: Any, read: Any) -> Callable[..., Any]:
        """Return the model on one example a row; it counts positions itself."""
        plan, shape = take_apart(segments, positions, read, self._pads), read.shape
        chosen = _whole(plan.read)
        parts = [(_whole(source.reshape(-1)), _whole(mask)) for source, mask in plan.parts]

        def run(embeddings: Any, prefix: Any = None) -> Any:
            if prefix is not None:
                self._need_cache(positions.max())
            rows, length, width = embeddings.shape
            flat = torch.cat([embeddings.reshape(rows * length, width), torch.zeros((1, width))])
            found = []
            for source, mask in parts:
                own = flat[source].reshape(*mask.shape, width)
                states = self._base(inputs_embeds=own, attention_mask=mask, return_dict=True, **self._flags(False))
                found.append(states.last_hidden_state.reshape(len(source), -1))
            return _read(torch.cat(found), chosen, shape)

        return run

    def _packed(self, segments: Any, positions: Any, read: Any, rank: int, offset: int) -> Callable[..., Any]:
        """Return the model on rows as they are, behind a mask."""
        rows, length = segments.shape
        chosen = _whole((read.reshape(rows, -1) + np.arange(rows)[:, None] * length).reshape(-1))
        # A position of padding may have any place.
        places = {"position_ids": _whole(np.maximum(positions, 0) + offset)} if self._takes_positions else {}

        def run(embeddings: Any, prefix: Any = None) -> Any:
            count, cached = 0, {}
            if prefix is not None:
                count, cached = prefix.shape[3], {"past_key_values": _cache(prefix, rows)}
                self._need_cache(count + positions.max())
            allowed = attention(segments, self._causal, count)
            mask = _whole(allowed) if rank == 3 else _real(np.where(allowed, 0.0, _FAR)[:, None])
            found = self._base(
                inputs_embeds=embeddings, attention_mask=mask, return_dict=True,
                **places, **cached, **self._flags(False),
            )  # fmt: skip
            return _read(found.last_hidden_state, chosen, read.shape)

        return run

    def _scorer(self, rows: Any, normalised: bool, names: Any) -> Callable[..., Any]:
        """Return the head as a function of hidden states, and values by name."""

        def score(hidden: Any, *values: Any) -> Any:
            module, name = self._encoder
            # Before the stand-in is there: it has no parameters.
            places = self._places(names, values)
            with _Swapped([(module._modules, name, _Given(module._modules[name], hidden)), *places]):
                found = self._model(inputs_embeds=hidden, return_dict=True).logits
            if normalised:
                found = torch.log_softmax(found, -1)
            return found if rows is None else torch.index_select(found, 2, _whole(rows))

        return score

    def _check_kind(self) -> None:
        """Refuse a causal model in which a later token changes a state, and a masked one in which none does."""
        embeddings = self.embed(np.arange(5)[None] * 31 % self._table.weight.shape[0])
        changed = embeddings.copy()
        changed[:, -1] = -3 * embeddings[:, -2]
        where = (np.ones((1, 5), np.int64), np.arange(5)[None], np.arange(4).reshape(1, 1, 4), None)
        first, then = self.run(embeddings, *where), self.run(changed, *where)
        if self._causal == (np.abs(then - first).max() > 1e-6 * max(1.0, np.abs(first).max())):
            said = "no causal model: states change" if self._causal else "no masked model: no state changes"
            raise RefusedError(f"mindnlp's {type(self._model).__name__} is {said} with a later token")

    def _check_sizes(self, info: dict[str, int]) -> None:
        one = np.ones((1, 2), np.int64)
        embedded = self.embed(one)
        hidden = self.run(embedded, one, np.arange(2)[None], np.zeros((1, 1, 1), np.int64), None)
        found = {
            "embedding_size": embedded.shape[-1],
            "hidden_size": hidden.shape[-1],
            "vocab_size": self.logits(hidden, None, False).shape[-1],
        }
        wrong = [f"{name} {found[name]}, not {info[name]}" for name in found if found[name] != info[name]]
        if wrong:
            raise RefusedError(f"mindnlp's {type(self._model).__name__} has {', '.join(wrong)}")

    def _check_halves(self) -> None:
        """Hold head behind encoder to the whole model: some heads call a part of what they are built on (OPT)."""
        ids = np.arange(5)[None] * 31 % self._table.weight.shape[0]
        embeddings, one = self.embed(ids), np.ones((1, 5), np.int64)
        hidden = self.run(embeddings, one, np.arange(5)[None], np.arange(5).reshape(1, 1, 5), None)
        whole = self._model(inputs_embeds=_real(embeddings), attention_mask=_whole(one), return_dict=True)
        wanted = whole.logits.asnumpy()
        for place in (self._encoder, *((self._base, name) for name in ("decoder",) if name in self._base._modules)):
            self._encoder = place
            if _near(self.logits(hidden, None, False), wanted):
                return
        raise RefusedError(f"the head of mindnlp's {type(self._model).__name__} does not run by itself")

    def _find_packing(self) -> None:
        """Find out how the model takes packed rows, by trying; else examples get rows of their own.

        What stands beside an example must change no bit of its states, and states must be those of an example alone.
        The rows differ, so that a mask which is taken for one of something else than rows shows. Where padding
        changes states, for layers mix neighbours whatever a mask says, each length runs by itself.
        """
        ids = np.arange(21).reshape(3, 7) * 31 % self._table.weight.shape[0]
        split = np.array([3, 2, 5])[:, None]
        segments = 1 + (np.arange(7) >= split)
        positions = np.where(segments == 1, np.arange(7), np.arange(7) - split)
        read = np.stack([np.arange(7) * (segments == 1), np.maximum(np.arange(7), split)], 1)
        embeddings = self.embed(ids)
        padded = self.run(embeddings, segments, positions, read, None)
        self._pads = False
        alone = self.run(embeddings, segments, positions, read, None)
        self._pads = _near(padded, alone)
        padding = getattr(self._model.config, "pad_token_id", None)
        for rank in (3, 4):
            for offset in (0, *([padding + 1] if isinstance(padding, int) and self._takes_positions else [])):
                try:
                    run = self._packed(segments, positions, read, rank, offset)
                    found = run(_real(embeddings)).asnumpy()
                    seen = [
                        run(_real(np.where((segments == other)[..., None], -3 * embeddings, embeddings))).asnumpy()
                        for other in (2, 1)
                    ]
                except Exception:  # whatever a model says to a mask it does not know
                    # What was begun goes on in MindSpore's pipeline, and would fail in the middle of the next try.
                    with contextlib.suppress(Exception):
                        ms.runtime.synchronize()
                    continue
                same = np.array_equal(seen[0][::2], found[::2]) and np.array_equal(seen[1][1::2], found[1::2])
                if same and _near(found, alone):
                    self._mask_rank, self._offset = rank, offset
                    return


class _Swapped:
    """Something else in some places of the model, as long as the body runs."""

    def __init__(self, places: Sequence[_Place]) -> None:
        self._places = places

    def __enter__(self) -> None:
        self._before = [(where, name, where[name]) for where, name, _ in self._places]
        for where, name, value in self._places:
            where[name] = value

    def __exit__(self, *_: object) -> None:
        for where, name, value in self._before:
            where[name] = value


def _gradients(function: Callable[..., Any], towards: Any, *given: Any) -> list[Any]:
    weights = _real(towards)

    def total(*values: Any) -> Any:
        return (function(*values) * weights).sum()

    # mindnlp's tensors know no backward pass of their own: `tensor.backward()` leaves no gradient (0.5.1).
    _, found = ms.value_and_grad(total, tuple(range(len(given))))(*given)
    return [each.asnumpy() for each in (found if isinstance(found, tuple) else (found,))]


def _near(found: Any, wanted: Any) -> bool:
    return bool(np.abs(found - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max()))


def _read(hidden: Any, chosen: Any, shape: tuple[int, ...]) -> Any:
    width = hidden.shape[-1]
    rows, examples, slots = shape
    return hidden.reshape(-1, width)[chosen].reshape(rows * examples, slots, width)


def _cache(prefix: Any = None, rows: int = 1) -> Any:
    from transformers.cache_utils import DynamicCache

    cache = DynamicCache()
    for number in range(0 if prefix is None else prefix.shape[0]):
        keys, values = (prefix[number, which][None].expand(rows, -1, -1, -1) for which in (0, 1))
        cache.update(keys, values, number)
    return cache


def _given(prefix: Any) -> list[Any]:
    return [] if prefix is None else [_real(prefix)]


def _real(values: Any) -> Any:
    return torch.tensor(np.ascontiguousarray(values, np.float32))


def _whole(values: Any) -> Any:
    return torch.tensor(np.ascontiguousarray(values, np.int64))
