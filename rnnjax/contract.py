"""The contract of a cell: what a step must return, and the check of a user's own cell."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from rnnjax.cell import Cell, kind, one_step
from rnnjax.types import Key


def same_state(where, before, after):
    """Refuse a step that returns a state of another structure, shape or dtype than it was given."""
    was, is_ = jax.tree.structure(before), jax.tree.structure(after)
    if was != is_:
        raise TypeError(
            f"{where}: step must return the state it was given, but state went in as {was} and came out as {is_}. "
            "Return the same structure."
        )
    for (path, a), b in zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True):
        promoted = jax.typeof(a).weak_type and jnp.shape(a) == jnp.shape(b)
        if kind(a) != kind(b) and not promoted:
            fix = "Cast it inside step." if jnp.shape(a) == jnp.shape(b) else "Keep its shape inside step."
            raise TypeError(
                f"{where}: step must return the state it was given, but state{jax.tree_util.keystr(path)} "
                f"went in as {kind(a)} and came out as {kind(b)}. {fix}"
            )


def check(cell: Cell, x: PyTree, key: Key | None = None) -> None:
    """Hold a cell of one step to its contract, over two steps of one input `x`, and its promises to `step`.

    Raises `TypeError` if `step` changes the type of its state, and `ValueError` if a promise differs from `step`.

        >>> rnnjax.check(rnnjax.gru(3, 4), jnp.ones(3))
    """
    one_step("check", cell)
    params = cell.init(jax.random.key(0) if key is None else key)
    states, ys = [cell.start(params)], []
    for _ in range(2):  # the second from a state that is not zero, which would hide an error
        after, y = cell.step(params, states[-1], x)
        same_state("check", states[-1], after)
        if cell.affine is not None:
            a, b = cell.affine(params, x)
            _equal("affine", after, jax.tree.map(lambda a, s, b: a * s + b, a, states[-1], b))
        states.append(after)
        ys.append(y)
    for promise in "whole", "chunk":
        if (run := getattr(cell, promise)) is not None:
            xs = jax.tree.map(lambda x: jnp.stack([x, x]), x)
            both = jax.tree.map(lambda *y: jnp.stack(y), *ys)
            keep = jnp.stack([jnp.ones(_streams(cell, states[0]), bool), jnp.zeros(_streams(cell, states[0]), bool)])
            _equal(promise, (states[2], both), run(params, states[0], xs))
            _equal(promise, states[1], run(params, states[0], xs, keep)[0])
            _equal(promise, states[2], run(params, states[1], xs, ~keep)[0])


def _streams(cell, state):
    """The sizes of the batches that a cell of one step is of."""
    depth = 0
    while cell.one is not None:
        cell, depth = cell.one, depth + 1
    return jnp.shape(jax.tree.leaves(state)[0])[:depth] if depth else ()


def _equal(promise, by_step, promised):
    def equal(a, b):
        return jnp.shape(a) == jnp.shape(b) and jnp.allclose(a, b, rtol=1e-5, atol=1e-6)

    close = jax.tree.map(equal, by_step, promised)
    if not all(jax.tree.leaves(close)):
        raise ValueError(f"check: {promise} must equal step, but it gives another state or y. Correct or remove it.")
