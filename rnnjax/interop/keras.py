"""Keras' weights, both ways: SimpleRNN, LSTM, GRU, Bidirectional, Dense, Embedding, one after another."""

import os
from collections import defaultdict
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from rnnjax.cell import Cell
from rnnjax.interop.keras_file import read
from rnnjax.interop.keras_kinds import kind
from rnnjax.interop.layers import fits, layers, rebuilt
from rnnjax.interop.tensors import floating
from rnnjax.types import AnyArray, Location, Params


def load(source: Sequence[Shaped[AnyArray, "..."]] | Location, model: Cell) -> Params:
    """The params of `model` that hold the weights of a Keras model.

        W = kernel,  U = recurrent_kernel,  b = bias
        of a GRU  b = bias[0] + bias[1] but for the candidate,  d = bias[1] of the candidate,  gates z r h as r z n

    Args:
        source: `keras_model.get_weights()` or a layer's, or a path to a `.weights.h5` or `.keras` of a Sequential or
            Functional model, which is read by h5py (the extra `rnnjax[keras]`) without Keras.
        model: of `rnn`, `lstm`, `gru` (Keras' default, `reset_after=True`), `reset_first_gru` (`reset_after=False`),
            `dense` and `embed`, by `scan`, `deep`, `bidirectional`, `stack`, or one such cell.

    A layer without bias gives a bias of 0, and dtypes stay. Weights do not say which activation a SimpleRNN or a Dense
    has, how a Bidirectional joins its two directions (`merge_mode` "concat", "sum", "ave" is `join` by default,
    `jnp.add`, `rnnjax.average`), whether a layer goes backwards, or, without biases, where a GRU resets: the model
    does. Nor does a `.weights.h5` say in which order layers of different classes come; a `.keras` does, and must have
    the usual activations of an LSTM and a GRU, and no layer that goes backwards outside a Bidirectional. What it says
    of the first two, SimpleRNN's and Dense's activation and `merge_mode`, is not compared with the model. Outputs, and
    gradients by the arrays, are Keras' if the model does around its weights what the layers do.

    Raises `ValueError` if a weight is missing, left over or of another shape, or if a list fits with more than one
    choice of the layers without bias (those around a GRU of 2 units), `TypeError` if the model has other
    layers or the source is neither, `ImportError` if h5py is missing.

    Example:
        >>> from rnnjax.interop import keras
        >>> weights = [jnp.ones((3, 16)), jnp.ones((4, 16)), jnp.zeros(16)]  # or keras.layers.LSTM(4).get_weights()
        >>> params = keras.load(weights, rnnjax.scan(rnnjax.lstm(3, 4)))
        >>> params.W.shape, params.U.shape, params.b.shape
        ((3, 16), (4, 16), (16,))
    """
    like = jax.eval_shape(model.init, jax.random.key(0))
    found = _kinds("keras.load", model, like)
    if isinstance(source, str | os.PathLike):
        weights = read(source, found)
    elif isinstance(source, list | tuple):
        weights = _listed(source, sum(found, ()))
    else:
        raise TypeError(
            f"keras.load: source must be a list of arrays or a path, but source is {type(source).__name__}. "
            "Give model.get_weights()."
        )
    return rebuilt(like, [_ours(one, own) for one, own in zip(sum(found, ()), weights)])


def dump(params: Params, model: Cell, *, bias: bool = True) -> list[Shaped[np.ndarray, "..."]]:
    """The list, for `set_weights`, of the Keras model with the weights of `model`, which are all it holds.

    Of a GRU's two biases bias[0] holds our b, and bias[1] our d for the candidate, else zeros; `load` gives back the
    same params.

    Args:
        params, model: as in `load`.
        bias: False leaves out all biases, for layers built with `use_bias=False`.

    Raises `TypeError` and `ValueError` if params are not the model's, if the model has other layers than `load`
    knows, or if biases to be left out are not 0.

    Example:
        >>> from rnnjax.interop import keras
        >>> model = rnnjax.deep(rnnjax.gru, 3, 4, bidirectional=True)
        >>> [w.shape for w in keras.dump(model.init(jax.random.key(0)), model)]
        [(3, 12), (4, 12), (2, 12), (3, 12), (4, 12), (2, 12)]
    """
    fits("keras.dump", model, params)
    made, kinds = [], _kinds("keras.dump", model, params)
    for one, own in zip(sum(kinds, ()), sum(layers("keras.dump", model, params), ())):
        for name, w in zip(one.shapes, map(np.asarray, one.theirs(own))):
            if bias or name != "bias":
                made.append(w)
            elif w.any():
                raise ValueError(
                    f"keras.dump: biases must be 0 to be left out, but {one.name} has others. Give bias=True."
                )
    return made


def _kinds(where, model, params):
    """The kind of each layer, of one direction or two."""
    return [tuple(kind(where, model, own) for own in ways) for ways in layers(where, model, params)]


def _listed(source, kinds):
    """The weights of each layer, as (where, array), dealt in the only way, with biases and without, that fits."""
    names = ", ".join(one.name for one in kinds)
    dealt = {0: [(np.inf, ())]}  # by how many are dealt, the two best ways: the first misfit, and each layer's end
    for one in kinds:
        longer = defaultdict(list)
        for at, ways in dealt.items():
            for end in {at + len(one.shapes), at + len(one.shapes) - ("bias" in one.shapes)}:
                misfit = _misfit(one, source, at, end)
                longer[end] += [(min(first, misfit), (*before, end)) for first, before in ways]
        dealt = {end: sorted(ways, reverse=True)[:2] for end, ways in longer.items()}
    if len(source) not in dealt:
        biases = sum("bias" in one.shapes for one in kinds)
        raise ValueError(
            f"keras.load: source must be the {max(dealt)} weights of {names}, or up to {biases} fewer without biases, "
            f"but there are {len(source)}. Build the model that was trained."
        )
    (_, ends), *others = dealt[len(source)]
    if others and others[0][0] == np.inf:
        raise ValueError(
            f"keras.load: the weights must say which layers have biases, but {len(source)} fit {names} in several "
            "ways. Load each layer by itself, or a file."
        )
    weights = [(f"weights[{i}]", w) for i, w in enumerate(source)]
    return [weights[at:end] for at, end in zip((0, *ends), ends)]


def _misfit(one, source, at, end):
    """The first of the weights at ... end-1 that is not of the shape that a layer has there."""
    wrong = (at + i for i, (w, shape) in enumerate(zip(source[at:end], one.shapes.values())) if np.shape(w) != shape)
    return next(wrong, np.inf)


def _ours(one, weights):
    """The params of one layer from its weights; those of a missing bias are 0."""
    for (where, w), (name, shape) in zip(weights, one.shapes.items()):
        if np.shape(w) != shape:
            raise ValueError(
                f"keras.load: {where} must be the {name} of {one.name} with shape {shape}, but its shape is "
                f"{np.shape(w)}. Build the model that was trained."
            )
    arrays = [floating("keras.load", where, jnp.asarray(w)) for where, w in weights]
    return one.ours(*arrays, *(jnp.zeros(shape, arrays[0].dtype) for shape in [*one.shapes.values()][len(arrays) :]))
