"""A state_dict as NumPy arrays, from PyTorch's tensors, from arrays, or from a file."""

import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from rnnjax.interop.load import arrays

KINDS = {1: "RNN", 3: "GRU", 4: "LSTM"}  # by their gates


def read(where, state_dict) -> Mapping:
    """The mapping itself, or that of a file: `.safetensors`, of which the floating-point tensors, or PyTorch's own."""
    what = "it"
    if isinstance(state_dict, str | os.PathLike):
        path = Path(state_dict)
        if path.suffix == ".safetensors":
            found = arrays(path.read_bytes())
            return {name: w for name, w in found.items() if jnp.issubdtype(w.dtype, jnp.floating)}
        state_dict, what = _torch(where, path).load(path, map_location="cpu", weights_only=True), f"{path.name}"
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"{where}: state_dict must be a mapping or a path to one, but {what} is {type(state_dict).__name__}. "
            "Give module.state_dict()."
        )
    return state_dict


def array(tensor) -> np.ndarray:
    """A tensor of PyTorch, or an array, in NumPy and its own dtype."""
    if not hasattr(tensor, "detach"):
        return np.asarray(tensor)
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # which PyTorch does not give to NumPy
        return tensor.float().numpy().astype(jnp.bfloat16)
    return tensor.numpy()


def floating(where, key, array):
    """The array, refused unless it is of floating-point numbers."""
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(
            f"{where}: {key} must be of floating-point numbers, but {key} is {array.dtype}. "
            "Give the weights as they were before they were quantized or converted."
        )
    return array


def size(tensor):
    """The shape of a tensor as errors print it, or that it is none."""
    return tuple(tensor.shape) if hasattr(tensor, "shape") else f"no tensor but {type(tensor).__name__}"


def described(state: Mapping, prefix: str) -> str:
    """What module a state_dict looks like it is of, for an error, or what its keys are."""
    layers = len([key for key in state if re.fullmatch(re.escape(prefix) + r"weight_ih_l\d+", str(key))])
    end, cell = ("_l0", "") if layers else ("", "Cell")
    W, U, P = (np.shape(state.get(f"{prefix}weight_{name}{end}")) for name in ("ih", "hh", "hr"))
    m = P[1] if len(P) == 2 else U[-1] if U else 1
    kind = KINDS.get(U[0] / m) if len(W) == len(U) == 2 else None
    if kind is None:
        keys = ", ".join(repr(key) for key in itertools.islice(state, 8))
        return f"The state_dict has {keys}{', ...' * (len(state) > 8)}."
    sizes = [str(W[1]), str(m)] + [f"num_layers={layers}"] * (layers > 1)
    sizes += ["bidirectional=True"] * (f"{prefix}weight_ih_l0_reverse" in state) + [f"proj_size={p}" for p in P[:1]]
    return f"The state_dict is of nn.{kind}{cell}({', '.join(sizes)})."


def _torch(where, path):
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{where}: {path.name} must be read by torch, but torch is not installed. "
            "pip install 'rnnjax[torch]', or give the arrays themselves."
        ) from error
    return torch
