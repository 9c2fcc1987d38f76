"""Initialisers of biases, gate by gate."""

import jax
import jax.numpy as jnp

from rnnjax.cell import interned
from rnnjax.types import Initializer
from rnnjax.weights.called import called


@interned
def forget(value: float) -> Initializer:
    """Biases of an LSTM (gates i f g o): the forget gate's `value`, the rest 0 (Gers et al. 2000)."""

    def draw(key, shape, dtype=float):
        i, f, g, o = jnp.split(jnp.zeros(shape, dtype), 4)
        return jnp.concatenate([i, f + value, g, o])

    return called(draw, f"forget({value})")


@interned
def biases(*gates: float | Initializer) -> Initializer:
    """Biases gate by gate, in the order of the gates: for each a number, or an initialiser.

    >>> rnnjax.janet(3, 4, bias=rnnjax.weights.biases(rnnjax.weights.lasting(784), 0))
    janet(3, 4, bias=biases(lasting(784), 0))
    """

    def draw(key, shape, dtype=float):
        m, keys = shape[0] // len(gates), jax.random.split(key, len(gates))
        return jnp.concatenate(
            [g(k, (m,), dtype) if callable(g) else jnp.full(m, g, dtype) for g, k in zip(gates, keys)]
        )

    return called(draw, f"biases({', '.join(str(getattr(g, '__name__', g)) for g in gates)})")


@interned
def lasting(longest: float) -> Initializer:
    """log U(1, longest - 1): the bias of a gate σ(b) that keeps a cell for 2 to `longest` steps, as `chrono` says."""

    def draw(key, shape, dtype=float):
        return jnp.log(jax.random.uniform(key, shape, dtype, 1, longest - 1))

    return called(draw, f"lasting({longest})")


@interned
def spaced(low: float, high: float) -> Initializer:
    """From `low` to `high` in even steps over the units (the forget gates of Beck et al. 2024)."""

    def draw(key, shape, dtype=float):
        return jnp.linspace(low, high, *shape, dtype=dtype)

    return called(draw, f"spaced({low}, {high})")


@interned
def chrono(longest: float, *, gru: int | None = None) -> Initializer:
    """Biases that make an LSTM, or with `gru=m` a GRU of m units, remember for 1 to `longest` steps.

        b_f = log u,   b_i = -b_f,   u ~ U(1, longest - 1);   of a GRU b_z = log u;   all else 0

    A forget gate σ(b_f) keeps its cell for u + 1 steps; in our GRU it is z that multiplies the old state. (A GRU also
    has a bias d (m,), which stays 0: that is why its m must be known.) Raises `ValueError` unless longest > 2, and for
    biases of another GRU.

        >>> cell = rnnjax.lstm(3, 4, bias=rnnjax.weights.chrono(100))
        >>> cell is rnnjax.lstm(3, 4, bias=rnnjax.weights.chrono(100))
        True
        >>> i, f, g, o = jnp.split(cell.init(jax.random.key(0)).b, 4)
        >>> bool((i == -f).all()), bool((0 <= f).all() and (f <= jnp.log(99)).all())
        (True, True)
        >>> rnnjax.gru(3, 4, bias=rnnjax.weights.chrono(100, gru=4))
        gru(3, 4, bias=chrono(100, gru=4))

    Tallec & Ollivier 2018, https://arxiv.org/abs/1804.11188
    """
    if not longest > 2:
        raise ValueError(f"chrono: longest must be more than 2 steps, but longest is {longest}. Give more.")

    def draw(key, shape, dtype=float):
        if gru is not None and shape not in ((3 * gru,), (gru,)):
            raise ValueError(f"chrono: biases must be of gru(n, {gru}), but they are {shape}. Give its m, gru=m.")
        if shape == (gru,):
            return jnp.zeros(shape, dtype)
        m = shape[0] // (4 if gru is None else 3)
        long = lasting(longest)(key, (m,), dtype)
        still = jnp.zeros_like(long)
        return jnp.concatenate([-long, long, still, still] if gru is None else [still, long, still])

    return called(draw, f"chrono({longest})" if gru is None else f"chrono({longest}, gru={gru})")


open_forget: Initializer = forget(1.0)
