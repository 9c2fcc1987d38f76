"""PyTorch's weights, both ways: `nn.RNN`, `nn.LSTM`, `nn.GRU`, their Cells, and what stands around them."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Shaped

from rnnjax.cell import Cell
from rnnjax.cells.projected import ProjectedParams
from rnnjax.interop.layers import fits, rebuilt
from rnnjax.interop.tensors import array, described, floating, read, size
from rnnjax.interop.torch_layout import BIASES, ends, modules, ours, shapes, theirs
from rnnjax.types import Location, Params


def load(state_dict: Mapping[str, Any] | Location, model: Cell, *, prefix: str | tuple[str, ...] = "") -> Params:
    """The params of `model` that hold the weights of a PyTorch module.

        W = weight_ih.T,  U = weight_hh.T,  P = weight_hr.T,  b = bias_ih + bias_hh
        of a GRU  b = bias_ih + [bias_hr bias_hz 0],  d = bias_hn

    Args:
        state_dict: `module.state_dict()`, or the same with arrays, or a path to one in `.safetensors` (of which
            the floating-point tensors are read, without torch) or in PyTorch's own format (by torch).
        model: of `rnn`, `lstm`, `projected_lstm` or `gru`, by `deep`, `scan`, `bidirectional`, `stack`, or one such
            cell. `dense` is `nn.Linear`, and `embed` is `nn.Embedding`.
        prefix: which keys: those that start so, of a module in a bigger one, as "lstm."; of a model of several
            modules, one for each. Other keys are not looked at. Layers in a row of one kind, each fed by all outputs
            of the one before, are one module, unless there are as many prefixes as parts of the stack, or layers.

    Weights alone are read: outputs and gradients are PyTorch's if the model does around them what the module does. A
    reversed scan, `residual`, `zoneout`, a function between layers, or a `join` that is no concatenation is the
    model's own.

    A module without biases gives biases of 0. Dtypes stay, as far as JAX is set to have them (float64 by
    `jax_enable_x64`). A `state_dict` does not say of an `nn.RNN` whether it is of tanh or relu: the model does. Each of
    PyTorch's two biases takes its own step in training, and so their sum twice that of our one.

    Raises `ValueError` if a tensor is missing, left over, of another shape or of integers, `TypeError` if the model has
    other layers, `ImportError` if torch is missing.

    Example:
        >>> from rnnjax import interop
        >>> weights = {"weight_ih_l0": jnp.ones((4, 3)), "weight_hh_l0": jnp.ones((4, 4))}  # as nn.RNN's state_dict()
        >>> params = interop.torch.load(weights, rnnjax.scan(rnnjax.rnn(3, 4)))
        >>> params.W.shape, params.U.shape, params.b.shape
        ((3, 4), (4, 4), (4,))
    """
    where = "interop.torch.load"
    state = read(where, state_dict)
    like = jax.eval_shape(model.init, jax.random.key(0))
    found, used = [], set()
    parts = modules(where, model, like, prefix)
    for start, module in parts:
        wanted = _wanted(state, start, module)
        bias = any(key in state for _, each in wanted for name, (key, _) in each.items() if name in BIASES)
        found += [ours(own, _taken(where, state, start, each, bias)) for own, each in wanted]
        used |= {key for _, each in wanted for key, _ in each.values()}
    for key in state:
        if key not in used and str(key).startswith(tuple(start for start, _ in parts)):
            raise ValueError(
                f"{where}: state_dict must hold what the model holds, but {key} is {size(state[key])} and has no place "
                f"in {model}. Build the model as the module was. {described(state, parts[0][0])}"
            )
    return rebuilt(like, found)


def dump(
    params: Params, model: Cell, *, prefix: str | tuple[str, ...] = "", bias: bool = True
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The `state_dict`, as NumPy arrays, of the PyTorch module with the weights of `model`, which are all it holds.

    Of PyTorch's two biases bias_ih holds our b, and bias_hh zeros (of a GRU, [0 0 d]), so that `load` gives back the
    same params. A cell of one step is an `nn.LSTMCell` (or its like), a cell over whole sequences an `nn.LSTM`.

    Args:
        params, model, prefix: as in `load`.
        bias: False leaves out the biases, for a module built with `bias=False`.

    Raises `TypeError` and `ValueError` if params are not the model's, if the model has other layers than `load` knows,
    or if biases to be left out are not 0.

    Example:
        >>> from rnnjax import interop
        >>> model = rnnjax.deep(rnnjax.lstm, 3, 4, bidirectional=True)
        >>> weights = interop.torch.dump(model.init(jax.random.key(0)), model)
        >>> list(weights)[:4], weights["weight_ih_l0_reverse"].shape
        (['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0'], (16, 3))

    `module.load_state_dict({key: torch.from_numpy(w) for key, w in weights.items()})` takes them; of bfloat16, which
    `from_numpy` does not know, `torch.from_numpy(w.astype("float32"))`, which the module casts back.
    """
    where = "interop.torch.dump"
    fits(where, model, params)
    made = {}
    for start, module in modules(where, model, params, prefix):
        cell = model.each is None and len(module) == 1 and not isinstance(module[0][0], ProjectedParams)
        for end, own in ends(module, cell):
            for name, w in theirs(jax.tree.map(np.asarray, own)).items():
                if bias or name not in BIASES:
                    made[f"{start}{name}{end}"] = np.array(w, order="C")
                elif w.any():
                    raise ValueError(
                        f"{where}: biases must be 0 to be left out, but {start}{name}{end} is not. Give bias=True."
                    )
    return made


def _wanted(state, start, module):
    """For each direction, its params and what they are made of: the key and shape of each tensor by its name."""
    cell = len(module) == len(module[0]) == 1 and f"{start}weight_ih" in state
    return [
        (own, {name: (f"{start}{name}{end}", shape) for name, shape in shapes(own).items()})
        for end, own in ends(module, cell)
    ]


def _taken(where, state, start, wanted, bias):
    """The tensors of one direction as arrays, each of the shape wanted; the biases of a module without are 0."""
    found = {}
    for name, (key, shape) in wanted.items():
        if name in BIASES and not bias:
            found[name] = np.zeros(shape, next(iter(found.values())).dtype)
        elif size(state.get(key)) == shape:
            found[name] = floating(where, key, array(state[key]))
        else:
            came = size(state[key]) if key in state else "missing"
            raise ValueError(
                f"{where}: {key} must be of shape {shape}, but {key} is {came}. Build the model as the module was. "
                f"{described(state, start)}"
            )
    return found
