"""The clockwork RNN: groups of units, each of which moves at its own pace."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import glorot, orthogonal, zeros


class ClockworkParams(NamedTuple):
    W: Float[Array, "n m"]
    U: Float[Array, "m m"]
    b: Float[Array, " m"]


class ClockworkState(NamedTuple):
    h: Float[Array, "*B m"]
    t: Int[Array, "*B"]


@interned
def clockwork(
    n: int,
    m: int,
    periods: tuple[int, ...] = (1, 2, 4, 8),
    *,
    weight: Initializer = glorot,
    recurrent: Initializer = orthogonal,
    bias: Initializer = zeros,
) -> Cell:
    """The clockwork RNN: equal groups of units; that of period p moves at the times which p divides, else stands still.

        h'_g = tanh(x W_g + h U_g + b_g)   where t mod p_g = 0,   else h_g
        t' = t + 1,   y = h'

    Group g hears itself and slower groups: the blocks of U from a shorter period to a longer one are left out. All of
    them are computed at every step here, and what stands still is thrown away: it saves params, not time.

    Args:
        n, m: sizes of the input and of the state.
        periods: one a group, all different; m must be a multiple of how many there are.
        weight, recurrent, bias: initialisers of W (n, m), U (m, m), whose left out blocks are 0 for good, and b (m,).

    Params: `ClockworkParams(W, U, b)`. State: `ClockworkState(h, t)`: h (m,), and t, an integer that starts again from
    0 at the least common multiple of the periods. Input: x (n,). Output: h' (m,). Raises `ValueError` for periods that
    are not so, and if x has another shape.

    Example:
        >>> cell = rnnjax.scan(rnnjax.clockwork(3, 4, (1, 2)))
        >>> params = cell.init(jax.random.key(0))
        >>> state, ys = cell.step(params, cell.start(params), jnp.ones((7, 3)))
        >>> bool((ys[0, 2:] == ys[1, 2:]).all()), bool((ys[0, :2] == ys[1, :2]).any())
        (True, False)

    Koutník et al. 2014, https://arxiv.org/abs/1402.3511
    """
    sizes("clockwork", n=n, m=m, **{f"periods[{g}]": p for g, p in enumerate(periods)})
    if not periods or len(set(periods)) < len(periods) or m % len(periods):
        raise ValueError(
            f"clockwork: there must be different periods, in equal groups of the units, but m is {m} and periods "
            f"is {periods}. Give m as a multiple of how many there are."
        )
    period = np.repeat(np.array(periods, np.int32), m // len(periods))
    heard = period[:, None] >= period[None, :]

    def init(key):
        W, U, b = jax.random.split(key, 3)
        return ClockworkParams(weight(W, (n, m)), jnp.where(heard, recurrent(U, (m, m)), 0), bias(b, (m,)))

    def start(params):
        return ClockworkState(jnp.zeros(m, params.U.dtype), jnp.zeros((), jnp.int32))

    def step(params, state, x):
        features("clockwork", x, n)
        W, U, b = params
        h, t = state
        h = jnp.where(t % period == 0, jnp.tanh(x @ W + h @ jnp.where(heard, U, 0) + b), h)
        return ClockworkState(h, (t + 1) % math.lcm(*periods)), h

    return Cell(init, start, step)
