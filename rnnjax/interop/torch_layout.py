"""How PyTorch names, orders and shapes the weights of a module, and ours in it."""

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cell import kind
from rnnjax.cells.elman import RNNParams
from rnnjax.cells.gru import GRUParams
from rnnjax.cells.lstm import LSTMParams
from rnnjax.cells.projected import ProjectedParams
from rnnjax.cells.stateless import DenseParams
from rnnjax.interop.layers import layers, parts

GATES = {RNNParams: 1, GRUParams: 3, LSTMParams: 4, ProjectedParams: 4}
NAMES = {
    RNNParams: "nn.RNN",
    GRUParams: "nn.GRU",
    LSTMParams: "nn.LSTM",
    ProjectedParams: "nn.LSTM",
    DenseParams: "nn.Linear",
}
BIASES = "bias_ih", "bias_hh", "bias"


def modules(where, model, params, prefix):
    """Pairs of a prefix and a module: its layers in order, each the params of one direction or of two."""
    found = layers(where, model, params)
    for ways in found:
        if not all(map(_known, ways)) or len({str(jax.tree.map(np.shape, own)) for own in ways}) > 1:
            raise TypeError(
                f"{where}: the model's layers must be rnn, lstm, projected_lstm, gru, dense or embed, alike both ways, "
                f"but one is {', '.join(str(jax.tree.map(kind, own)) for own in ways)}. Convert such by themselves."
            )
    prefixes = (prefix,) if isinstance(prefix, str) else tuple(prefix)
    choices = _in_a_row(found), _by_parts(where, model, params), [[ways] for ways in found]
    made = next((made for made in choices if len(made) == len(prefixes)), None)
    if made is None:
        names = ", ".join(NAMES.get(type(module[0][0]), "nn.Embedding") for module in choices[0])
        raise ValueError(
            f"{where}: prefix must name each module of the model ({names}), but prefix is {prefix!r}. "
            "Give a tuple of as many."
        )
    return list(zip(prefixes, made))


def ends(module, cell):
    """Each direction's params with the end of its tensors' names, which is empty for a Cell and what is no RNN."""
    if cell or type(module[0][0]) not in GATES:
        return [("", module[0][0])]
    return [(f"_l{k}{way}", own) for k, ways in enumerate(module) for way, own in zip(("", "_reverse"), ways)]


def theirs(own):
    """The params of a direction, in NumPy, as PyTorch's tensors."""
    if isinstance(own, DenseParams):
        return dict(weight=own.W.T, bias=own.b)
    if type(own) not in GATES:
        return dict(weight=own)
    zeros = np.zeros_like(own.b)
    second = np.concatenate([zeros[len(own.d) :], own.d]) if isinstance(own, GRUParams) else zeros
    last = dict(weight_hr=own.P.T) if isinstance(own, ProjectedParams) else {}
    return dict(weight_ih=own.W.T, weight_hh=own.U.T, bias_ih=own.b, bias_hh=second) | last


def ours(like, tensors):
    """PyTorch's tensors, in NumPy, as the params of a direction of the type of `like`."""
    if type(like) not in GATES:
        made = DenseParams(tensors["weight"].T, tensors["bias"]) if isinstance(like, DenseParams) else tensors["weight"]
        return jax.tree.map(jnp.array, made)
    first, second = tensors["bias_ih"], tensors["bias_hh"]
    more = [tensors["weight_hr"].T] if isinstance(like, ProjectedParams) else []
    if isinstance(like, GRUParams):
        gates = 2 * len(second) // 3
        first, more = np.concatenate([first[:gates] + second[:gates], first[gates:]]), [second[gates:]]
    else:
        first = first + second
    # a copy, or the params would change as PyTorch trains
    return jax.tree.map(jnp.array, type(like)(tensors["weight_ih"].T, tensors["weight_hh"].T, first, *more))


def shapes(like):
    """The shape of each of PyTorch's tensors for a direction."""
    return {name: w.shape for name, w in theirs(jax.tree.map(lambda p: np.zeros(p.shape, p.dtype), like)).items()}


def _known(own):
    """Whether params are of a layer that PyTorch has; cells of other gates have the same types."""
    if type(own) not in GATES:
        return isinstance(own, DenseParams) or (hasattr(own, "ndim") and own.ndim == 2)
    m = own.P.shape[0] if isinstance(own, ProjectedParams) else own.U.shape[0]
    return own.W.ndim == 2 and own.U.shape[1] == own.W.shape[1] == GATES[type(own)] * m


def _in_a_row(found):
    """Modules of as many layers as can be."""
    made = []
    for ways in found:
        if made and _follows(made[-1][-1], ways):
            made[-1].append(ways)
        else:
            made.append([ways])
    return made


def _follows(before, ways):
    """Whether a layer can be of the module of the one before: of its kind, and fed by its outputs."""
    last, first = before[0], ways[0]
    if type(first) not in GATES or type(first) is not type(last):
        return False
    return (len(ways), first.U.shape) == (len(before), last.U.shape) and first.W.shape[0] == len(before) * last.U.shape[
        0
    ]


def _by_parts(where, model, params):
    """The same of each part of a stack by itself."""
    found = parts(model)
    if type(params) is not tuple or len(found) != len(params) or any(part.each is None for part in found):
        return []
    return [module for part, own in zip(found, params) for module in _in_a_row(layers(where, part, own))]
