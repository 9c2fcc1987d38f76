"""Long short-term memory over space."""

import jax
import jax.numpy as jnp
from jax.nn import sigmoid

from rnnjax.cell import Cell, interned, kind, sizes
from rnnjax.cells.lstm import LSTMParams, LSTMState
from rnnjax.types import Initializer
from rnnjax.weights import glorot, open_forget, orthogonal, per_gate


@interned
def conv_lstm(
    shape: tuple[int, ...],
    n: int,
    m: int,
    *,
    kernel: int = 3,
    weight: Initializer = glorot,
    recurrent: Initializer = orthogonal,
    bias: Initializer = open_forget,
) -> Cell:
    """The LSTM with convolutions for products, over a line, an image, or a volume; gates in the order i f g o.

        i, f, g, o = split(x ∗ W + h ∗ U + b)
        c' = σ(f) c + σ(i) tanh(g)
        h' = σ(o) tanh(c'),   y = h'

    (x ∗ W)[s] = Σ_k x[s + k - ⌊(kernel - 1) / 2⌋] W[k] at each place s, with zeros beyond the edges: `SAME` padding,
    and no flip of the kernel, as everywhere in deep learning. There are no peepholes, which the paper has.

    A batch that lies across a mesh with Explicit axes wants the loop `rolled`: there JAX refuses a convolution over
    both batch and time at once, as `deferred` makes of x ∗ W.

    Args:
        shape: the sizes of space, `(width,)`, `(height, width)`, or three.
        n, m: channels of the input and of the state, the last axis of each.
        kernel: the kernel's size along every axis of space.
        weight, recurrent: initialisers of each gate's block of W (kernel, ..., n, 4m) and U (kernel, ..., m, 4m).
        bias: initialiser of b (4m,), by default 1 for the forget gate and 0 elsewhere.

    State: `LSTMState(h, c)`, each (*shape, m). Input: x (*shape, n). Output: h' (*shape, m). Raises `ValueError` if
    x has another shape.

    Example:
        >>> cell = rnnjax.conv_lstm((8, 8), 1, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones((8, 8, 1)))
        >>> params.U.shape, y.shape
        ((3, 3, 4, 16), (8, 8, 4))

    Shi et al. 2015, https://arxiv.org/abs/1506.04214
    """
    if not isinstance(shape, tuple) or not 1 <= len(shape) <= 3:
        raise ValueError(
            f"conv_lstm: shape must be a tuple of one to three sizes, but shape is {shape!r}. Give (width,) for a line."
        )
    sizes("conv_lstm", n=n, m=m, kernel=kernel, **{f"shape[{k}]": size for k, size in enumerate(shape)})
    axes, window = "DHW"[-len(shape) :], (kernel,) * len(shape)

    def init(key):
        W, U, b = jax.random.split(key, 3)
        W, U = per_gate(weight, 4)(W, (*window, n, 4 * m)), per_gate(recurrent, 4)(U, (*window, m, 4 * m))
        return LSTMParams(W, U, bias(b, (4 * m,)))

    def start(params):
        return LSTMState(jnp.zeros((*shape, m), params.U.dtype), jnp.zeros((*shape, m), params.U.dtype))

    def conv(x, W):
        layout = f"N{axes}C", f"{axes}IO", f"N{axes}C"
        return jax.lax.conv_general_dilated(x[None], W, [1] * len(shape), "SAME", dimension_numbers=layout)[0]

    def step(params, state, x):
        if jnp.shape(x) != (*shape, n):
            raise ValueError(
                f"conv_lstm: x must be one step of shape {(*shape, n)}, but x is {kind(x)}. "
                "Use scan for a time axis and batch (or apply) for a batch axis."
            )
        W, U, b = params
        h, c = state
        a = conv(x, W) + conv(h, U)
        i, f, g, o = jnp.split(a + jnp.broadcast_to(b, a.shape), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return LSTMState(h, c), h

    return Cell(init, start, step)
