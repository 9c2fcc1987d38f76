"""`zoneout(cell, rate)`: a state of which some numbers rest."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from rnnjax.cell import Cell, interned, one_step
from rnnjax.compose.dropout import Noise, Noisy, share
from rnnjax.compose.memory import given


@interned
def zoneout(cell: Cell, rate: PyTree[float]) -> Cell:
    """Each number of the state keeps, with probability `rate`, its value of the step before.

        s' = mask s + (1 - mask) cell(s, x)      a mask for every step
        s' = rate s + (1 - rate) cell(s, x)      silent: the mean

    Where y is a part of the new state, as the h' of an LSTM, it is what came of that part; any other y is the cell's
    (also that of a step which is compiled by a `jit` of its own, and has lost the sameness). Integers, booleans, keys
    and an attended memory in the state have no zoneout. Give p of `slstm` and `mlstm`, which starts at -∞, the rate 0.

    Args:
        cell: a cell of one step.
        rate: the probability to keep a number; or one for each part of the state, as `LSTMState(h=0.05, c=0.5)`.

    Params and input: the cell's. State: `Noisy(state, Noise(key, step))`, silent until `seed`. Raises `ValueError`
    unless 0 <= rate < 1, and `TypeError` if the rates do not fit the state.

    Example:
        >>> cell = rnnjax.zoneout(rnnjax.lstm(3, 4), rnnjax.LSTMState(h=0.05, c=0.5))
        >>> params = cell.init(jax.random.key(0))
        >>> state, ys = rnnjax.apply(cell, params, jnp.ones((5, 7, 3)), key=jax.random.key(1))
        >>> bool((ys[:, -1] == state.state.h).all())
        True

    Krueger et al. 2017, https://arxiv.org/abs/1606.01305
    """
    one_step("zoneout", cell)
    for number in jax.tree.leaves(rate):
        share("zoneout", number, "keep")

    def start(params):
        state = cell.start(params)
        rates(state)
        return Noisy(state, Noise())

    def rates(state):
        try:
            each = jax.tree.map(lambda r, part: jax.tree.map(lambda _: r, part, is_leaf=given), rate, state)
            return jax.tree.leaves(each)
        except ValueError as error:
            raise TypeError(
                f"zoneout: rate must be a number, or a tree of them like the state, but rate is {rate} and the state "
                f"of {cell} is {jax.tree.structure(state)}. Give a rate for each part of the state."
            ) from error

    def step(params, state, x):
        before, noise = state
        after, y = cell.step(params, before, x)
        parts, tree = jax.tree.flatten(after, is_leaf=given)
        key = None if noise.key is None else jax.random.fold_in(noise.key, noise.step)
        zoned = [
            rest(key, i, rate, old, new)
            for i, (rate, old, new) in enumerate(zip(rates(after), jax.tree.leaves(before, is_leaf=given), parts))
        ]
        y = jax.tree.map(lambda y: next((now for part, now in zip(parts, zoned) if part is y), y), y)
        noise = noise if key is None else Noise(noise.key, noise.step + 1)
        return Noisy(jax.tree.unflatten(tree, zoned), noise), y

    return Cell(cell.init, start, step)


def rest(key, i, rate, old, new):
    """The i-th part of a state, of which a share rests, or with no key all of it by that share."""
    if given(new) or rate == 0 or not jnp.issubdtype(new.dtype, jnp.inexact):
        return new
    if key is None:
        return rate * old + (1 - rate) * new
    return jnp.where(jax.random.bernoulli(jax.random.fold_in(key, i), rate, new.shape), old, new)
