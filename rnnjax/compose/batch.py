"""`batch(cell, B)`: one cell, one set of params, B independent streams."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned, kind, sizes


@interned
def batch(cell: Cell, B: int) -> Cell:
    """Run B copies of a cell side by side on shared params, by `jax.vmap` of the step, inside the loops.

    Every leaf of the state gains a leading axis B. The batch axis of x and y is axis 0 for a cell of one step and
    axis 1, after time, for a cell over whole sequences, so that `batch(scan(cell), B)` and `scan(batch(cell, B))`
    are the same function, `xs (T, B, n) -> ys (T, B, m)`. `apply` takes batch-major data.

    On a mesh with Explicit axes params may lie across any axis but that of the streams, for which JAX raises
    `ValueError`: make them whole first, by `jax.sharding.reshard(params, jax.P())`.

    Example:
        >>> model = rnnjax.batch(rnnjax.scan(rnnjax.lstm(3, 4)), 5)
        >>> params = model.init(jax.random.key(0))
        >>> state, ys = model.step(params, model.start(params), jnp.ones((7, 5, 3)))
        >>> state.h.shape, ys.shape
        ((5, 4), (7, 5, 4))
    """
    sizes("batch", B=B)
    axis = 0 if cell.each is None else 1
    within = None if cell.remade is None else cell.remade(lambda part: batch(part, B))

    def start(params):
        return jax.tree.map(lambda s: jnp.broadcast_to(s, (B, *jnp.shape(s))), cell.start(params))

    def step(params, state, xs, *keep):
        state, xs, keep = _fitted(B, axis, state, xs, keep)
        if within is not None:
            return within.step(params, state, xs, *keep)
        run = jax.vmap(cell.step, (None, 0, axis) + (axis,) * len(keep), (0, axis))
        return run(params, state, xs, *keep)

    def chunk(params, state, xs, *keep):
        state, xs, keep = _fitted(B, 1, state, xs, keep)
        return jax.vmap(cell.chunk, (None, 0, 1) + (1,) * len(keep), (0, 1))(params, state, xs, *keep)

    if cell.each is None:
        affine = None if cell.affine is None else jax.vmap(cell.affine, (None, 0))
        return Cell(cell.init, start, step, affine=affine, chunk=cell.chunk and chunk, one=cell)
    return Cell(cell.init, start, step, each=batch(cell.each, B), remade=None if within is None else within.remade)


def _fitted(B, axis, state, xs, keep):
    """State, xs and keep, refused unless they are of B streams, each with its batch axis across the same devices."""
    for name, tree, at in ("state", state, 0), ("xs", xs, axis), ("keep", keep, axis):
        for leaf in jax.tree.leaves(tree):
            if jnp.shape(leaf)[at : at + 1] != (B,):
                raise ValueError(
                    f"batch: axis {at} of {name} must have size {B}, but {name} is {kind(leaf)}. "
                    f"Give {B} streams, or build batch(cell, B) for another B."
                )
    along = [jax.typeof(leaf).sharding.spec[axis] for leaf in jax.tree.leaves((xs, keep))]
    along += [jax.typeof(leaf).sharding.spec[0] for leaf in jax.tree.leaves(state)]
    if across := next(filter(None, along), None):
        state, xs, keep = _laid(state, 0, across), _laid(xs, axis, across), _laid(keep, axis, across)
    return state, xs, keep


def _laid(tree, axis, across):
    """Lay a batch axis across devices, where array types say so (Explicit axes), as vmap wants of all it maps."""

    def lay(x):
        spec = list(jax.typeof(x).sharding.spec)
        spec[axis] = across
        return jax.sharding.reshard(x, jax.P(*spec))

    return jax.tree.map(lay, tree)
