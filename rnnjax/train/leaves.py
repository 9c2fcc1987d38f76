"""A training as a plain list of arrays, which any Orbax reads back without our classes, and the sums of their bytes."""

import json
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from rnnjax.train.processes import everywhere


def plain(training):
    """Leaves in order, random keys as their numbers; of the types of arrays, those to come."""
    return [_placed(x) if isinstance(x, jax.ShapeDtypeStruct) else _numbers(x) for x in jax.tree.leaves(training)]


def again(like, leaves):
    """What `plain` took apart, with the structure of `like`."""
    was, tree = jax.tree.flatten(like)
    leaves = [jax.random.wrap_key_data(x) if is_key(a) else x for a, x in zip(was, leaves, strict=True)]
    return jax.tree.unflatten(tree, leaves)


def is_key(x) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def types(leaves) -> list[str]:
    """Shapes and dtypes in words."""
    return [f"{np.dtype(x.dtype).name}{list(map(int, x.shape))}" for x in leaves]


def sums(leaves) -> list[int]:
    """The CRC-32 of the bytes of each leaf: the same on every mesh, and on any number of processes."""
    return [zlib.crc32(np.ascontiguousarray(whole(x)).view(np.uint8)) for x in leaves]


def sum_of(note: dict) -> int:
    """The CRC-32 of plain data."""
    return zlib.crc32(json.dumps(note, sort_keys=True).encode())


def size(training) -> int:
    """Bytes of all leaves together."""
    return sum(x.nbytes for x in plain(training))


def whole(x) -> np.ndarray:
    """An array of this process; of one that lies across several, all must ask together."""
    if isinstance(x, jax.Array) and not (x.is_fully_addressable or x.is_fully_replicated):
        return multihost_utils.process_allgather(x, tiled=True)
    return np.asarray(x)


def _numbers(x):
    return jax.random.key_data(x) if is_key(x) else x


def _placed(kind):
    """The type of an array to come: where its type says, or on the first device, or of several processes on all."""
    sharding = kind.sharding or everywhere()
    kind = jax.eval_shape(_numbers, kind)
    return jax.ShapeDtypeStruct(kind.shape, kind.dtype, sharding=sharding)
