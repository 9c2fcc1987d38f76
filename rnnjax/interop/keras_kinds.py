"""The layers of Keras that are cells here: their weights, in which order, and how each becomes ours and back."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.elman import RNNParams
from rnnjax.cells.gru import GRUParams
from rnnjax.cells.lstm import LSTMParams
from rnnjax.cells.stateless import DenseParams


class Kind(NamedTuple):
    """A layer of Keras: `name` as its class and sizes, the `shapes` of its weights in order, how they become our
    params (`ours`) and params become them (`theirs`), and which `options` it must have been made with."""

    name: str
    shapes: dict[str, tuple[int, ...]]
    ours: Callable[..., Any]
    theirs: Callable[[Any], tuple]
    options: dict[str, Any]

    @property
    def group(self) -> str:
        """How a file names the first layer of this kind."""
        return self.name.partition("(")[0].replace("SimpleRNN", "simple_rnn").lower()


RECURRENT = dict(go_backwards=False)
GATED = RECURRENT | dict(activation="tanh", recurrent_activation="sigmoid")


def kind(where, model, own) -> Kind:
    """The layer of Keras that has the params `own`, told by their type and shapes; refuse one that Keras has not."""
    if isinstance(own, DenseParams):
        return Kind(f"Dense({own.b.shape[0]})", dict(kernel=own.W.shape, bias=own.b.shape), DenseParams, tuple, {})
    if isinstance(own, RNNParams | LSTMParams | GRUParams) and len(own.W.shape) == 2:
        m, columns = own.U.shape
        shapes = dict(kernel=own.W.shape, recurrent_kernel=own.U.shape, bias=own.b.shape)
        if isinstance(own, RNNParams) and columns == m:
            return Kind(f"SimpleRNN({m})", shapes, RNNParams, tuple, RECURRENT)
        if isinstance(own, LSTMParams) and columns == 4 * m:
            return Kind(f"LSTM({m})", shapes, LSTMParams, tuple, GATED)
        if isinstance(own, RNNParams) and columns == 3 * m:
            name = f"GRU({m}, reset_after=False)"
            return Kind(name, shapes, _reset_first, lambda own: _reset_first(*own), GATED | dict(reset_after=False))
        if isinstance(own, GRUParams):
            shapes["bias"] = (2, 3 * m)
            return Kind(f"GRU({m})", shapes, _gru, _keras_gru, GATED | dict(reset_after=True))
    shape = getattr(own, "shape", ())
    if len(shape) == 2:
        return Kind(f"Embedding{shape}", dict(embeddings=shape), lambda E: E, lambda E: (E,), {})
    raise TypeError(
        f"{where}: model must be made of rnn, lstm, gru, reset_first_gru, dense and embed, but {model} has "
        f"{type(own).__name__}({', '.join(str(p.shape) for p in jax.tree.leaves(own))}). Keras has no such layer."
    )


def _swapped(w):
    """Keras' gates z r h as our r z n, and back."""
    first, second, last = jnp.split(w, 3, axis=-1)
    return jnp.concatenate([second, first, last], axis=-1)


def _reset_first(W, U, b):
    return RNNParams(_swapped(W), _swapped(U), _swapped(b))


def _gru(W, U, bias):
    m, (first, second) = len(U), _swapped(bias)
    return GRUParams(_swapped(W), _swapped(U), first + second.at[2 * m :].set(0), second[2 * m :])


def _keras_gru(own):
    second = jnp.concatenate([jnp.zeros_like(own.b)[: 2 * len(own.d)], own.d])
    return _swapped(own.W), _swapped(own.U), _swapped(jnp.stack([own.b, second]))
