"""Where the weights of a cell of Flax, of NNX or of Linen, lie in those of `lstm`, `gru` and `rnn`."""

import jax
import jax.numpy as jnp

from rnnjax.cell import kind
from rnnjax.cells.elman import RNNParams
from rnnjax.cells.gru import GRUParams
from rnnjax.cells.lstm import LSTMParams


def _joined(leaf, *modules):
    """The arrays that are joined on the last axis: one leaf of several modules."""
    return [(module, leaf) for module in modules]


def _lstm(*inputs):
    recurrent = "hi", "hf", "hg", "ho"
    return dict(W=_joined("kernel", *inputs), U=_joined("kernel", *recurrent), b=_joined("bias", *recurrent))


def _dense(i, h, bias, **more):
    return dict(W=_joined("kernel", i), U=_joined("kernel", h), b=_joined("bias", bias), **more)


# for each kind of ours, what Flax's may be: for each field, the paths of its gates in our order
LAYOUTS = {
    LSTMParams: (
        _lstm("ii", "if", "ig", "io"),  # Linen
        _lstm("ii", "if_", "ig", "io"),  # nnx.LSTMCell
        _dense("dense_i", "dense_h", "dense_h"),  # nnx.OptimizedLSTMCell
    ),
    GRUParams: (
        dict(
            W=_joined("kernel", "ir", "iz", "in"),
            U=_joined("kernel", "hr", "hz", "hn"),
            b=_joined("bias", "ir", "iz", "in"),
            d=_joined("bias", "hn"),
        ),
        _dense("dense_i", "dense_h", "dense_i", d=[]),  # NNX's has none
    ),
    RNNParams: (_dense("i", "h", "i"), _dense("dense_i", "dense_h", "dense_i")),
}


def ours(where, flax, like, at):
    """Params of the type of `like` with the arrays of Flax's nested dict, which errors name after `at`."""
    fields, arrays = _checked(where, flax, like, at)

    def field(name, paths):
        if not paths:
            return jnp.zeros(getattr(like, name).shape, arrays[fields["b"][0]].dtype)
        return jnp.concatenate([arrays[path] for path in paths], axis=-1)

    return type(like)(**{name: field(name, paths) for name, paths in fields.items()})


def theirs(where, params, flax, at):
    """Flax's nested dict with the arrays of the params."""
    fields, _ = _checked(where, flax, params, at)
    out = {}
    for name, paths in fields.items():
        value = getattr(params, name)
        if not paths and value.any():
            raise ValueError(
                f"{where}: {name} must be 0, for Flax's cell {at.rstrip('.')} has no such bias, but {name} is "
                f"{kind(value)} with other numbers. Keep it at 0 in training, or dump into Linen's GRUCell."
            )
        for (module, leaf), piece in zip(paths, jnp.split(value, max(1, len(paths)), axis=-1)):
            out.setdefault(module, {})[leaf] = piece
    return out


def _checked(where, flax, like, at):
    """The layout that Flax's arrays have, and these by path, held to the shapes of `like`."""
    kept = type(like).__name__
    if type(like) not in LAYOUTS:
        raise TypeError(
            f"{where}: the model must be of lstm, gru or rnn, or bidirectional, but its params are {kept}. "
            "Load each cell of a stack by itself, or run Flax's cell as it is by cell."
        )
    arrays = {tuple(str(entry.key) for entry in path): a for path, a in jax.tree.leaves_with_path(flax)}
    layouts = [(fields, _shapes(fields, like)) for fields in LAYOUTS[type(like)]]
    fields, shapes = max(layouts, key=lambda layout: len(arrays.keys() & layout[1].keys()))
    missing, more = ([p for p in one if p not in other] for one, other in ((shapes, arrays), (arrays, shapes)))
    if missing:
        path = missing[0]
        raise ValueError(
            f"{where}: Flax's cell must have {at}{'.'.join(path)} of shape {shapes[path]} for {kept}, but it "
            f"is missing among {', '.join(at + '.'.join(p) for p in arrays)}. Give a cell of the same kind."
        )
    if more:
        raise ValueError(
            f"{where}: Flax's cell must have the arrays of {kept} only, but it has {at}{'.'.join(more[0])}, "
            f"{kind(arrays[more[0]])}. Give a cell of the same kind."
        )
    for path, shape in shapes.items():
        if arrays[path].shape != shape:
            raise ValueError(
                f"{where}: {at}{'.'.join(path)} must have the shape {shape} of the model's, but it is "
                f"{kind(arrays[path])}. Build both with the same sizes."
            )
    return fields, arrays


def _shapes(fields, like):
    """By path, the shape that Flax's array must have."""
    shapes = {}
    for name, paths in fields.items():
        *rows, width = getattr(like, name).shape
        shapes |= {path: (*rows, width // len(paths)) for path in paths}
    return shapes
