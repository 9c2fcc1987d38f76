"""What an encoder has said, in the state of a decoder that looks through it at every step."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from rnnjax.cell import kind
from rnnjax.compose.dropout import random
from rnnjax.compose.scores import Score
from rnnjax.loops.masked import select
from rnnjax.types import AnyArray, State


class Memory(NamedTuple):
    """Places (S, k), which of them are real (S,), and how the last step weighed each."""

    places: Float[Array, "*B S k"]
    keep: Bool[Array, "*B S"]
    weights: Float[Array, "*B S"]


def look(score: Score, query: Float[Array, " m"], memory: Memory) -> tuple[Memory, Float[Array, " k"]]:
    """The memory weighed by softmax of how well each real place fits the query, and the context, Σ weight · place."""
    places, keep, _ = memory
    fit = score.fit(query, places)
    best = jnp.max(fit, where=keep, initial=jnp.finfo(fit.dtype).min)
    share = jnp.exp(jnp.where(keep, fit - jax.lax.stop_gradient(best), -jnp.inf))
    weights = share / jnp.where(keep.any(), share.sum(), 1)
    return Memory(places, keep, weights), weights @ places


def given(part) -> bool:
    """Whether a part of a state is put there by `seed` or `attend_to`, and is no state that steps make."""
    return random(part) or isinstance(part, Memory)


def attend_to(
    state: State,
    places: Float[AnyArray, "*B S k"],
    *,
    lengths: Int[AnyArray, "*B"] | Sequence[int] | int | None = None,
) -> State:
    """Give every attending cell of a model what an encoder has said: the state to begin decoding from.

    Args:
        state: the model's state, as `start` gives it, or that of `batch(model, B)`.
        places: the encoder's outputs (S, k), or (B, S, k).
        lengths: how many places are real, an integer, or (B,) of them; the rest is padding, with any content, and
            has weight 0. With a length of 0 the context is 0. It may be a traced array.

    The encoder's gradient comes back through the state: call this inside the function that you differentiate. An online
    gradient begins from its result, `rtrl(model).begun(params, attend_to(...), x)`. `Memory.weights` in the state after
    a step is where the step has looked. Raises `TypeError` for a model that does not attend, and `ValueError` for
    arrays that do not fit.

    Example:
        >>> encoder = rnnjax.bidirectional(rnnjax.gru(3, 4), rnnjax.gru(3, 4))
        >>> attending = rnnjax.bahdanau(rnnjax.gru(2 + 8, 5), 5, 8, rnnjax.additive(6))
        >>> decoder = rnnjax.stack(attending, rnnjax.dense(5 + 8, 2))
        >>> first, second = encoder.init(jax.random.key(0)), decoder.init(jax.random.key(1))
        >>> lengths = jnp.array([7, 2])
        >>> _, said = rnnjax.apply(encoder, first, jnp.ones((2, 7, 3)), lengths=lengths)
        >>> state = rnnjax.batch(decoder, 2).start(second)
        >>> state = rnnjax.attend_to(state, said, lengths=lengths)
        >>> state, ys = rnnjax.apply(decoder, second, jnp.ones((2, 4, 2)), state=state)
        >>> ys.shape, bool((state[0].memory.weights[1, 2:] == 0).all())
        ((2, 4, 2), True)
    """
    parts, tree = jax.tree.flatten(state, is_leaf=_is_memory)
    if not any(map(_is_memory, parts)):
        raise TypeError("attend_to: the model must attend, but its state has no memory. Build it of bahdanau or luong.")
    places = jnp.asarray(places)
    for *lanes, _, k in (part.places.shape for part in parts if _is_memory(part)):
        if places.ndim != len(lanes) + 2 or [*places.shape[:-2], places.shape[-1]] != [*lanes, k]:
            raise ValueError(
                f"attend_to: places must be ({', '.join(map(str, (*lanes, 'S', k)))}), but places is {kind(places)}. "
                "Start batch(model, B) for B memories, and give the attending cell their width k."
            )
    lanes = places.shape[:-2]
    real = jnp.asarray(places.shape[-2] if lengths is None else lengths)
    if real.shape not in ((), lanes) or not jnp.issubdtype(real.dtype, jnp.integer):
        raise ValueError(
            f"attend_to: lengths must be one integer a memory, but lengths is {kind(real)} and places is "
            f"{kind(places)}. Count real places."
        )
    S = places.shape[-2]
    if not isinstance(real, Tracer) and not ((0 <= real) & (real <= S)).all():
        raise ValueError(
            f"attend_to: lengths must be in 0 ... {S}, but lengths goes from {real.min()} to {real.max()}. "
            "Pad the memory to the longest."
        )
    at = jax.lax.broadcasted_iota(real.dtype, places.shape[:-1], len(lanes))
    keep = at < jnp.broadcast_to(real, lanes)[..., None]
    known = select(keep, places)
    weights = jnp.zeros_like(known[..., 0])
    full = [
        Memory(known.astype(part.places.dtype), keep, weights.astype(part.places.dtype)) if _is_memory(part) else part
        for part in parts
    ]
    return jax.tree.unflatten(tree, full)


def _is_memory(part):
    return isinstance(part, Memory)
