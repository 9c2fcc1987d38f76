"""Lyapunov exponents: how fast neighbouring states part, direction by direction."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, single
from rnnjax.diagnostics.path import look, pack, path
from rnnjax.types import Params, State, Steps


def lyapunov(
    cell: Cell, params: Params, state: State, xs: Steps, *, count: int | None = None
) -> Float[Array, " count"]:
    """The `count` largest Lyapunov exponents (all d by default), descending, in nats a step.

        Q_t R_t = ∂s_t/∂s_{t-1} Q_{t-1},   λ_i = mean over t of log |R_t[i, i]|

    Above 0, neighbouring states part (chaos, exploding gradients); below, they meet, and the state forgets at this
    rate. The first tenth of the steps only brings state and directions to where they belong, and is not in the mean.
    -inf is a direction that a step loses entirely. Arguments and errors are those of `gradient_flow`; `ValueError`
    also if count is not from 1 to d, the number of floats in the state.

    Example:
        >>> from rnnjax.diagnostics import lyapunov
        >>> linear = rnnjax.Cell(lambda key: jnp.array([0.5, 2.0]), lambda a: a, lambda a, h, x: (a * h, h))
        >>> print(jnp.exp(lyapunov(linear, jnp.array([0.5, 2.0]), jnp.ones(2), jnp.zeros(100))).round(3))
        [2.  0.5]

    Benettin et al. 1980, https://doi.org/10.1007/BF02128236; for recurrent networks Vogt et al. 2022,
    https://arxiv.org/abs/2006.14123, and Engelken et al. 2023, https://arxiv.org/abs/2006.02427
    """
    _, d = look("lyapunov", state, xs)
    count = int(d if count is None else count)
    if not 1 <= count <= d:
        raise ValueError(f"lyapunov: count must be from 1 to the state's {d} floats, but it is {count}. Give less.")
    return _lyapunov(single(cell), count, params, state, xs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _lyapunov(cell, count, params, state, xs):
    before, step = path("lyapunov", cell, params, state, xs)
    vectors = jax.vmap(pack)(before)

    def turn(Q, now):
        vector, before, x = now
        _, push = jax.linearize(lambda v: step(v, before, x)[0], vector)
        Q, R = jnp.linalg.qr(jax.vmap(push, 1, 1)(Q))
        return Q, jnp.log(jnp.abs(jnp.diagonal(R)))

    T, d = vectors.shape
    Q, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (d, count), vectors.dtype))
    _, grown = jax.lax.scan(turn, Q, (vectors, before, xs))
    return -jnp.sort(-grown[T // 10 :].mean(0))
