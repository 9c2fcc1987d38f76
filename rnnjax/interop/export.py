"""A trained model as a folder of programs and params that JAX runs without rnnjax."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree, Shaped

import rnnjax.interop.load as load
from rnnjax.cell import Cell, sizes
from rnnjax.interop.layers import fits
from rnnjax.interop.plain import named, plain_programs
from rnnjax.types import AnyArray, Location, Params

CODES = {jnp.dtype(name): code for code, name in load.DTYPES.items()}


def export(
    path: Location,
    model: Cell,
    params: Params,
    x: PyTree,
    *,
    programs: Sequence[str] = ("step",),
    B: int | None = None,
    T: int | None = None,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
) -> None:
    """Write a model to the new folder `path`, for a process without rnnjax to run on streams.

    - `params.safetensors`: the params by name, as "1.W";
    - `start.jax`: params -> state, of one stream;
    - `step.jax`: params, state, x (B, ...) -> state, y (B, ...), one step of B streams, which is `model.each` for a
      model over whole sequences;
    - `sequence.jax`, if asked for: params, state, xs (B, T, ...) -> state, ys (B, T, ...), as `apply`;
    - `model.json`: names, shapes, dtypes, platforms, the version of JAX, and a digest of every file;
    - `load.py`: a function `load(path) -> (params, start, step)` that imports JAX and NumPy alone.

    Programs are StableHLO from `jax.export`, which newer versions of JAX run too. Params and state are dicts by name
    there, and so are x and y, unless they are a single array. Noise is silent, as in `apply`.

    Args:
        model: a cell of one step, or over whole sequences.
        params: from `model.init(key)`, trained; they may be of another dtype.
        x: the input of one step of one stream, an array or its `jax.ShapeDtypeStruct`, or a pytree of these.
        programs: of "step" and "sequence".
        B, T: the number of streams and of steps; by default any. The loops `associative`, `checkpointed` and
            `chunked` need a T.
        platforms: on which the programs run.

    Needs the package flatbuffers, as `jax.export` does. Raises `ValueError` if `path` exists, or if params are not of
    the model's shapes; `TypeError` if they are not of its structure, if it has no single step, because it is
    bidirectional, or if a dtype has no place in safetensors.

    Example:
        >>> import tempfile
        >>> from rnnjax.interop.export import export
        >>> from rnnjax.interop.load import load
        >>> model = rnnjax.stack(rnnjax.embed(9, 3), rnnjax.scan(rnnjax.lstm(3, 4)), rnnjax.dense(4, 9))
        >>> path = tempfile.mkdtemp() + "/lstm"
        >>> export(path, model, model.init(jax.random.key(0)), jnp.int32(0))
        >>> params, start, step = load(path)                            # in another process
        >>> state = start(params, B=5)
        >>> for symbols in jnp.ones((7, 5), jnp.int32):
        ...     state, logits = step(params, state, symbols)
        >>> sorted(state), logits.shape
        (['1.c', '1.h'], (5, 9))

    https://docs.jax.dev/en/latest/export/export.html, https://huggingface.co/docs/safetensors
    """
    path = Path(path)
    if path.exists():
        raise ValueError(f"export: path must be new, but {path} exists. Choose another.")
    if unknown := set(programs) - {"step", "sequence"}:
        raise ValueError(f'export: programs must be of "step" and "sequence", but {min(unknown)!r} is not. Give these.')
    sizes("export", **{name: size for name, size in dict(B=B, T=T).items() if size is not None})
    fits("export", model, params)
    files = {"params.safetensors": safetensors(named(params))}
    traced = plain_programs(model, jax.tree.map(_type, params), jax.tree.map(_type, x), programs, B, T)
    exported = {}
    for name, run, args in traced:
        try:
            exported[name] = jax.export.export(jax.jit(run), platforms=platforms)(*args)
        except Exception as error:  # of many types, where a loop counts its steps; with a T it raises its own
            if name != "sequence" or T is not None:
                raise
            raise ValueError(
                f"export: the program 'sequence' must run for any T, but that of {model} cannot "
                f"({type(error).__name__}). Give T, or use the loop deferred or rolled."
            ) from error
    files |= {f"{name}.jax": program.serialize() for name, program in exported.items()}
    about = dict(
        model=repr(model),
        jax=jax.__version__,
        platforms=platforms,
        programs={name: _described(program) for name, program in exported.items()},
        sha256={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    )
    files |= {"load.py": Path(load.__file__).read_bytes(), "model.json": json.dumps(about, indent=2).encode()}
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_bytes(content)


def _type(x):
    return x if isinstance(x, jax.ShapeDtypeStruct) else jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x))


def _described(program):
    """The types of what a program takes and gives, by name."""
    taken, given = program.in_tree.unflatten(program.in_avals)[0], program.out_tree.unflatten(program.out_avals)
    return jax.tree.map(lambda x: f"{x.dtype}[{','.join(map(str, x.shape))}]", dict(takes=taken, gives=given))


def safetensors(arrays: Mapping[str, Shaped[AnyArray, "..."]]) -> bytes:
    """The bytes of a safetensors file of {name: array}: a length, a header in JSON, and the numbers."""
    header, numbers, end = {}, [], 0
    for name, array in arrays.items():
        array = np.asarray(array)
        if array.dtype not in CODES:
            raise TypeError(f"export: {name} is {array.dtype}, which safetensors has no code for. Cast it.")
        numbers.append(array.tobytes())
        begin, end = end, end + array.nbytes
        header[name] = dict(dtype=CODES[array.dtype], shape=array.shape, data_offsets=(begin, end))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(numbers)
