"""The batch-major door."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from rnnjax.cell import Cell, kind
from rnnjax.compose.batch import batch
from rnnjax.compose.dropout import seed
from rnnjax.loops.masked import select
from rnnjax.loops.scan import scan
from rnnjax.types import AnyArray, Key, Params, Sequences, Streams


def apply(
    model: Cell,
    params: Params,
    xs: Sequences,
    *,
    lengths: Int[AnyArray, " B"] | Sequence[int] | None = None,
    state: Streams | None = None,
    key: Key | None = None,
) -> tuple[Streams, Sequences]:
    """Run a model on a batch of sequences, batch-major: `xs (B, T, ...) -> (state, ys (B, T, ...))`.

    Args:
        model: a cell over whole sequences; a cell of one step is run by `scan`.
        params: from `model.init(key)`.
        xs: a pytree of arrays (B, T, ...).
        lengths: (B,) integers in 0 ... T, how many steps of each sequence are real; the rest is padding on the right,
            with any content. The state is then the one after each sequence's own last step (in a reversed
            direction its first), and ys is zero on the padding. It may be a traced array.
        state: the state to go on from, with a leading axis B; by default the model's start.
        key: turns on dropout and all other noise, as `seed` does.

    Compiled once for each model and shape. Raises `TypeError` and `ValueError` for arguments that do not fit.

    Example:
        >>> model = rnnjax.gru(3, 4)
        >>> params = model.init(jax.random.key(0))
        >>> state, ys = rnnjax.apply(model, params, jnp.ones((2, 5, 3)), lengths=jnp.array([5, 2]))
        >>> bool((state[1] == ys[1, 1]).all()), bool((ys[1, 2:] == 0).all())
        (True, True)
    """
    shapes = {jnp.shape(x)[:2] for x in jax.tree.leaves(xs)}
    if len(shapes) != 1 or len(min(shapes)) < 2:
        raise ValueError(
            f"apply: xs must be batch-major (B, T, ...), but xs is {jax.tree.map(kind, xs)}. "
            "Add a batch axis with xs[None], or run one sequence with scan(cell).step."
        )
    ((B, T),) = shapes
    if lengths is not None:
        lengths = _lengths(lengths, B, T)
    return _apply(model, params, xs, lengths, state, key)


def _lengths(lengths, B, T):
    if not isinstance(lengths, jax.core.Tracer):
        lengths = np.asarray(lengths)
    if lengths.shape != (B,) or not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise ValueError(
            f"apply: lengths must be {B} integers, one a sequence, but lengths is {kind(lengths)}. Count real steps."
        )
    if isinstance(lengths, np.ndarray) and B and not 0 <= lengths.min() <= lengths.max() <= T:
        raise ValueError(
            f"apply: lengths must be in 0 ... {T}, but lengths goes from {lengths.min()} to {lengths.max()}. "
            "Pad xs to the longest sequence."
        )
    return lengths


@functools.partial(jax.jit, static_argnums=0)
def _apply(model, params, xs, lengths, state, key):
    run = model if model.each is not None else scan(model)
    B, T = jnp.shape(jax.tree.leaves(xs)[0])[:2]
    run = batch(run, B)
    xs = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), xs)
    keep = ()
    if lengths is not None:
        keep = (jnp.arange(T, dtype=jnp.int32)[:, None] < lengths.astype(jnp.int32)[None],)
        xs = select(*keep, xs)
    if state is None:
        state = run.start(params)
    if key is not None:
        state = seed(state, key, B)
    state, ys = run.step(params, state, xs, *keep)
    if keep:
        ys = select(*keep, ys)
    return state, jax.tree.map(lambda y: jnp.swapaxes(y, 0, 1), ys)
