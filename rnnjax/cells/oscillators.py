"""Cells that are physical systems: coupled oscillators, and a memory of several time scales."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import uniform


class CoRNNParams(NamedTuple):
    W: Float[Array, "n m"]
    U: Float[Array, "m m"]
    V: Float[Array, "m m"]
    b: Float[Array, " m"]


class CoRNNState(NamedTuple):
    y: Float[Array, "*B m"]
    z: Float[Array, "*B m"]


class LEMParams(NamedTuple):
    W: Float[Array, "n 4*m"]
    U: Float[Array, "m 3*m"]
    V: Float[Array, "m m"]
    b: Float[Array, " 4*m"]


class LEMState(NamedTuple):
    y: Float[Array, "*B m"]
    z: Float[Array, "*B m"]


@interned
def cornn(
    n: int, m: int, *, dt: float = 0.1, gamma: float = 1.0, epsilon: float = 1.0, weight: Initializer | None = None
) -> Cell:
    """The coupled oscillatory RNN: m damped oscillators, driven by the input and by one another.

        z' = z + Δ (tanh(x W + y U + z V + b) - γ y - ε z)
        y' = y + Δ z'

    The velocities z go first and the positions y follow them, as in the authors' code; the damping is explicit. With
    γ = 1 and ε >= 1 and a small Δ, |y|² + |z|² <= m Δ t after t steps from 0, whatever the weights and the inputs.

    Args:
        n, m: sizes of the input and of y and z.
        dt, gamma, epsilon: Δ, the frequencies' square γ, and the damping ε. The paper tunes all three.
        weight: initialiser of W (n, m), U, V (m, m) and b (m,). By default uniform within 1/√(n + 2m).

    State: `CoRNNState(y, z)`, each (m,). Input: x (n,). Output: y' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.cornn(3, 4, dt=0.04, gamma=2.7, epsilon=4.7)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> state.z.shape, y.shape
        ((4,), (4,))

    Rusch & Mishra 2021, https://arxiv.org/abs/2010.00951
    """
    sizes("cornn", n=n, m=m)
    weight, Δ = uniform((n + 2 * m) ** -0.5) if weight is None else weight, dt

    def init(key):
        shapes = (n, m), (m, m), (m, m), (m,)
        return CoRNNParams(*(weight(k, shape) for k, shape in zip(jax.random.split(key, 4), shapes)))

    def start(params):
        return CoRNNState(jnp.zeros(m, params.U.dtype), jnp.zeros(m, params.U.dtype))

    def step(params, state, x):
        features("cornn", x, n)
        W, U, V, b = params
        y, z = state
        z = z + Δ * (jnp.tanh(x @ W + y @ U + z @ V + b) - gamma * y - epsilon * z)
        y = y + Δ * z
        return CoRNNState(y, z), y

    return Cell(init, start, step)


@interned
def lem(n: int, m: int, *, dt: float = 1.0, weight: Initializer | None = None) -> Cell:
    """Long expressive memory: two coupled states, each with time steps that are learnt; blocks in the order s r p q.

        s, r, p, q = split(x W + b),   i, j, k = split(y U)
        z' = (1 - Δσ(s + i)) z + Δσ(s + i) tanh(p + k)
        y' = (1 - Δσ(r + j)) y + Δσ(r + j) tanh(q + z' V)

    The fast state z' is used at once, in the slow one. With Δ <= 1, both stay within [-1, 1] if they start there.

    Args:
        n, m: sizes of the input and of y and z.
        dt: Δ, the longest time step.
        weight: initialiser of W (n, 4m), U (m, 3m), V (m, m) and b (4m,). By default uniform within 1/√m.

    State: `LEMState(y, z)`, each (m,). Input: x (n,). Output: y' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.lem(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> bool((abs(y) < 1).all())
        True

    Rusch et al. 2022, https://arxiv.org/abs/2110.04744
    """
    sizes("lem", n=n, m=m)
    weight, Δ = uniform(m**-0.5) if weight is None else weight, dt

    def init(key):
        shapes = (n, 4 * m), (m, 3 * m), (m, m), (4 * m,)
        return LEMParams(*(weight(k, shape) for k, shape in zip(jax.random.split(key, 4), shapes)))

    def start(params):
        return LEMState(jnp.zeros(m, params.U.dtype), jnp.zeros(m, params.U.dtype))

    def step(params, state, x):
        features("lem", x, n)
        W, U, V, b = params
        y, z = state
        s, r, p, q = jnp.split(x @ W + b, 4)
        i, j, k = jnp.split(y @ U, 3)
        s, r = Δ * jax.nn.sigmoid(s + i), Δ * jax.nn.sigmoid(r + j)
        z = (1 - s) * z + s * jnp.tanh(p + k)
        y = (1 - r) * y + r * jnp.tanh(q + z @ V)
        return LEMState(y, z), y

    return Cell(init, start, step)
