"""A step between real numbers, as algorithms that go forward in time take it."""

import jax
import jax.numpy as jnp

from rnnjax.cell import kind
from rnnjax.gradients.bptt import judged
from rnnjax.loops.carry import checked
from rnnjax.loops.numbers import vector


def flat(where, cell, params_of, state_of, x):
    """A step at one input, from and to real numbers. `change` is what to do with `cell.step` first."""

    def step(θ, s, change=lambda step: step):
        def checked_step(params, state, x):
            return checked(where, cell, params)(state, x)

        after, loss = change(checked_step)(params_of(θ), state_of(s), x)
        judged(where, loss, 0)
        return (vector(after)[0], loss), after

    return step


def floating(where, params):
    """Refuse params that have no derivative."""
    for path, leaf in jax.tree.leaves_with_path(params):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
            raise TypeError(
                f"{where}: params must be floating, but params{jax.tree_util.keystr(path)} is {kind(leaf)}. "
                "Keep it in the state, or in the cell."
            )
