"""What a recurrent layer of Flax does around its loop, for a model of this library."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.apply import apply
from rnnjax.cell import kind
from rnnjax.compose.dropout import random, seed
from rnnjax.loops.deferred import deferred
from rnnjax.loops.scan import scan


def over_time(where, model, loop):
    """The model over whole sequences: a cell of one step is run by `loop`."""
    if model.each is None:
        return scan(model, loop)
    if loop is not deferred:
        raise TypeError(
            f"{where}: a loop must be given with a cell of one step, but {model} runs over whole sequences. "
            "Give the loop to the scan inside it."
        )
    return model


def noisy(model):
    """Whether some cell of the model draws random numbers."""
    start = jax.eval_shape(lambda key: model.start(model.init(key)), jax.random.key(0))
    return any(map(random, jax.tree.leaves(start, is_leaf=random)))


def run(where, model, params, xs, *, carry, seq_lengths, key, time_major, reverse, keep_order, num_feature_axes):
    """The final carry and the outputs, with `xs (*batch, T, *features)`, or time before the batch.

    Of a pytree of inputs the array with the most axes has these features, and all have the same batch and time.
    """
    axes = max(map(jnp.ndim, jax.tree.leaves(xs)), default=0) - 1 - num_feature_axes
    leading = {jnp.shape(x)[: axes + 1] for x in jax.tree.leaves(xs)}
    if axes < 0 or len(leading) != 1:
        raise ValueError(
            f"{where}: inputs must have a time axis and {num_feature_axes} axes of features, but inputs is "
            f"{jax.tree.map(kind, xs)}. Add an axis, or say what one step has in num_feature_axes."
        )
    time = 0 if time_major else axes
    xs = jax.tree.map(lambda x: jnp.moveaxis(x, time, axes), xs)
    batch = jnp.shape(jax.tree.leaves(xs)[0])[:axes]
    B = math.prod(batch)

    def joined(x):
        return jnp.reshape(x, (B, *jnp.shape(x)[axes:]))

    def apart(x):
        return jnp.reshape(x, (*batch, *x.shape[1:]))

    if carry is not None:
        carry = jax.tree.map(joined, _fitting(where, model, params, seed(carry, None), batch))
    if seq_lengths is not None:
        seq_lengths = _lengths(where, seq_lengths, batch).reshape(B)
    xs = jax.tree.map(joined, xs)
    if reverse:
        xs = jax.tree.map(lambda x: flipped(x, seq_lengths), xs)
    carry, ys = apply(model, params, xs, lengths=seq_lengths, state=carry, key=key)
    if reverse and keep_order:
        ys = jax.tree.map(lambda y: flipped(y, seq_lengths), ys)
    ys = jax.tree.map(lambda y: jnp.moveaxis(apart(y), axes, time), ys)
    return jax.tree.map(apart, seed(carry, None)), ys


def flipped(xs, lengths):
    """xs (B, T, ...) with the real steps of each sequence from the last to the first, and its padding behind them."""
    if lengths is None:
        return jnp.flip(xs, 1)
    T = xs.shape[1]
    at = (lengths.astype(np.int32)[:, None] - 1 - jnp.arange(T, dtype=jnp.int32)[None]) % T
    return jnp.take_along_axis(xs, at.reshape(at.shape + (1,) * (xs.ndim - 2)), axis=1)


def chosen(given, default):
    """An argument of the call, or that of the constructor."""
    return default if given is None else given


def _fitting(where, model, params, carry, batch):
    like = jax.eval_shape(model.start, params)
    was, is_ = jax.tree.structure(like), jax.tree.structure(carry)
    if was != is_:
        raise TypeError(
            f"{where}: initial_carry must be a state of {model}, {was}, but initial_carry is {is_}. "
            "Give a carry that return_carry=True has returned."
        )
    for (path, a), b in zip(jax.tree.leaves_with_path(like), jax.tree.leaves(carry), strict=True):
        if jnp.shape(b) != (*batch, *a.shape):
            raise ValueError(
                f"{where}: initial_carry{jax.tree_util.keystr(path)} must have the shape {(*batch, *a.shape)}, but it "
                f"is {kind(b)}. Give one state for every sequence."
            )
    return carry


def _lengths(where, lengths, batch):
    lengths = lengths if isinstance(lengths, jax.Array) else np.asarray(lengths)
    if lengths.shape != batch:
        raise ValueError(
            f"{where}: seq_lengths must be {batch} integers, one a sequence, but seq_lengths is {kind(lengths)}. "
            "Count real steps."
        )
    return lengths
