"""Run an exported model, token by token, with JAX alone: a file to copy, which needs nothing else of rnnjax."""

import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

DTYPES = {"BOOL": "bool", "BF16": "bfloat16", "C64": "complex64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
DTYPES |= {f"F{bits}": f"float{bits}" for bits in (16, 32, 64)}
DTYPES |= {
    f"{letter}{bits}": f"{name}{bits}" for letter, name in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)
}


def load(path: str | os.PathLike[str], program: str = "step") -> tuple[dict[str, jax.Array], Callable, Callable]:
    """Give `(params, start, run)` of a folder written by `rnnjax.interop.export`.

    - `params`: {name: array};
    - `start: params, B=1 -> state`, of B streams before their first step, {name: array (B, ...)};
    - `run: params, state, x -> (state, y)`, one step of each stream, x (B, ...); or of the program "sequence", all
      steps, xs (B, T, ...) -> ys (B, T, ...). The states of both are the same.

    Raises `ValueError` for a program that was not exported, files that are not as they were written, float64
    without `jax_enable_x64`, and, when run, for arguments that are not of the exported shapes and dtypes.
    """
    folder = Path(path)
    about = _about(folder)
    found = [name for name in about["programs"] if name != "start"]
    if program not in found:
        raise ValueError(f"load: the program must be of {found}, but it is {program!r}. Export it too.")
    files = {name: _whole(folder / name, digest) for name, digest in about["sha256"].items()}
    first, exported = (jax.export.deserialize(bytearray(files[f"{name}.jax"])) for name in ("start", program))

    @functools.partial(jax.jit, static_argnames="B")
    def start(params, B=1):
        _fit("start", first, params)
        return jax.tree.map(lambda s: jnp.broadcast_to(s, (B, *s.shape)), first.call(params))

    @jax.jit
    def run(params, state, x):
        _fit(program, exported, params, state, x)
        return exported.call(params, state, x)

    return jax.tree.map(_held, arrays(files["params.safetensors"])), start, run


def arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays {name: array} in the bytes of a safetensors file: a length, a header in JSON, and their numbers."""
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    header.pop("__metadata__", None)
    found = {}
    for name, about in header.items():
        if about["dtype"] not in DTYPES:
            raise ValueError(
                f"load: the dtype of {name} must be of {', '.join(DTYPES)}, but it is {about['dtype']}. Cast it."
            )
        first, last = about["data_offsets"]
        numbers = np.frombuffer(content[begin + first : begin + last], jnp.dtype(DTYPES[about["dtype"]]))
        found[name] = numbers.reshape(about["shape"])
    return found


def _about(folder):
    try:
        return json.loads((folder / "model.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"load: path must be an exported model, but {folder}/model.json cannot be read ({type(error).__name__}). "
            "Export it again."
        ) from error


def _whole(path, digest):
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"load: the files must be as they were exported, but {path} is not. Export or copy it again.")
    return content


def _held(array):
    """On the default device, in its own dtype."""
    if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
        raise ValueError(
            f"load: the params are {array.dtype}, but JAX has jax_enable_x64 off. Turn it on before anything else."
        )
    return jnp.asarray(array)


def _fit(program, exported, *args):
    """Refuse arguments that are not of the types that a program was exported for, while it is traced."""
    expected, _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    sizes = {}
    for what, wanted, given in zip(("params", "state", "x"), expected, args):
        names, found = jax.tree.structure(wanted), jax.tree.structure(given)
        if names != found:
            raise ValueError(f"{program}: {what} must be {names}, as exported, but it is {found}. See model.json.")
        for (path, a), b in zip(jax.tree.leaves_with_path(wanted), jax.tree.leaves(given)):
            if a.dtype != b.dtype or not _same(a.shape, b.shape, sizes):
                bound = "".join(f" and {dim} is {size}" for dim, size in sizes.items())
                raise ValueError(
                    f"{program}: {what}{jax.tree_util.keystr(path)} must be {_kind(a)}, as exported, but it is "
                    f"{_kind(b)}{bound}. See model.json."
                )


def _same(wanted, given, sizes):
    """Whether a shape is of the exported one, where a letter stands for the same size everywhere."""
    if len(wanted) != len(given):
        return False
    return all(
        size == (dim if isinstance(dim, int) else sizes.setdefault(str(dim), size)) for dim, size in zip(wanted, given)
    )


def _kind(x):
    return f"{x.dtype}[{','.join(map(str, x.shape))}]"
