"""Normalised features: cells without a state, for between the layers of a stack."""

from typing import NamedTuple

import jax
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import zeros

ones = jax.nn.initializers.ones


def rms(a, epsilon=1e-5):
    """a / √(mean(a²) + epsilon), over all of a vector."""
    return a * jax.lax.rsqrt((a * a).mean() + epsilon)


def norm(a, epsilon=1e-5):
    """(a - mean) / √(variance + epsilon), over all of a vector."""
    return rms(a - a.mean(), epsilon)


class LayerNormParams(NamedTuple):
    w: Float[Array, " n"]
    b: Float[Array, " n"]


@interned
def layer_norm(n: int, *, gain: Initializer = ones, bias: Initializer = zeros, epsilon: float = 1e-5) -> Cell:
    """y = w (x - mean) / √(variance + ε) + b over the n features of x, PyTorch's `nn.LayerNorm(n)`.

    Args:
        n: size of the input and of the output.
        gain, bias: initialisers of w (n,) and b (n,).
        epsilon: ε.

    Params: `LayerNormParams(w, b)`. Raises `ValueError` if x has another shape.

    Example:
        >>> model = rnnjax.stack(rnnjax.scan(rnnjax.lstm(3, 4)), rnnjax.layer_norm(4))
        >>> _, ys = rnnjax.apply(model, model.init(jax.random.key(0)), jnp.ones((5, 7, 3)))
        >>> bool(jnp.allclose(ys.mean(-1), 0, atol=1e-5))
        True

    Ba et al. 2016, https://arxiv.org/abs/1607.06450
    """
    sizes("layer_norm", n=n)

    def init(key):
        w, b = jax.random.split(key)
        return LayerNormParams(gain(w, (n,)), bias(b, (n,)))

    def step(params, state, x):
        features("layer_norm", x, n)
        return state, params.w * norm(x, epsilon) + params.b

    return Cell(init, lambda params: (), step)


@interned
def rms_norm(n: int, *, gain: Initializer = ones, epsilon: float = 1e-5) -> Cell:
    """y = w x / √(mean(x²) + ε) over the n features of x, PyTorch's `nn.RMSNorm(n, eps=1e-5)`.

    Args:
        n: size of the input and of the output.
        gain: initialiser of w (n,), which is the params.
        epsilon: ε.

    Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.rms_norm(2)
        >>> _, y = cell.step(cell.init(jax.random.key(0)), (), jnp.array([1.0, -7.0]))
        >>> bool(jnp.allclose(y, jnp.array([0.2, -1.4])))
        True

    Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467
    """
    sizes("rms_norm", n=n)

    def step(w, state, x):
        features("rms_norm", x, n)
        return state, w * rms(x, epsilon)

    return Cell(lambda key: gain(key, (n,)), lambda params: (), step)
