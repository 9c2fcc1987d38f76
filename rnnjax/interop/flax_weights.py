"""Weights of a layer of Flax, of NNX or of Linen, and of a model of one layer."""

import functools
import operator

import jax

from rnnjax.interop.flax_layout import ours, theirs
from rnnjax.interop.layers import fits, layers, rebuilt

DIRECTIONS = "forward_rnn", "backward_rnn"


def load(where, flax, model):
    """The params of the model with the arrays of Flax's nested dict."""
    like = jax.eval_shape(model.init, jax.random.key(0))
    return rebuilt(
        like, [ours(where, _at(flax, path), own, _named(path)) for own, path in _cells(where, flax, model, like)]
    )


def dump(where, params, flax, model):
    """Flax's nested dict with the arrays of the params."""
    fits(where, model, params)
    for own, path in _cells(where, flax, model, params):
        flax = _put(flax, path, theirs(where, own, _at(flax, path), _named(path)))
    return flax


def _cells(where, flax, model, params):
    """The params of each direction of the model's one layer, with the path of its cell in Flax's."""
    found = layers(where, model, params)
    if len(found) != 1:
        raise TypeError(
            f"{where}: the model must be one layer, as Flax's is, but {model} has {len(found)}. Convert layer by layer."
        )
    (ways,) = found
    both = set(DIRECTIONS) <= set(flax)
    if both != (len(ways) == 2):
        raise TypeError(
            f"{where}: the model must be bidirectional where Flax's is, and of one cell where it is of one, but its "
            f"params are {' and '.join(type(own).__name__ for own in ways)}, and Flax's are of {', '.join(flax)}. "
            "Build both alike."
        )
    return [(own, _inward(flax, path)) for own, path in zip(ways, [(name,) for name in DIRECTIONS] if both else [()])]


def _inward(flax, path):
    """The path of the cell within what runs it."""
    return _inward(flax, (*path, "cell")) if "cell" in _at(flax, path) else path


def _at(flax, path):
    return functools.reduce(operator.getitem, path, flax)


def _named(path):
    return "".join(f"{name}." for name in path)


def _put(flax, path, cell):
    return {**flax, path[0]: _put(flax[path[0]], path[1:], cell)} if path else cell
