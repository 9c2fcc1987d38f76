"""What has a derivative in a tree, as real arrays or as one vector, for algorithms that write Jacobians as matrices."""

import jax
import jax.numpy as jnp


def numbers(tree):
    """The floating arrays among the leaves of a tree, and the function from a list of such arrays to such a tree.

    Integers, booleans and random keys stay what they are. A complex array (...) is a real one (2, ...).
    """
    leaves, shape = jax.tree.flatten(tree)
    leaves = [x if isinstance(x, jax.Array) else jnp.asarray(x) for x in leaves]
    moving = [i for i, x in enumerate(leaves) if jnp.issubdtype(x.dtype, jnp.inexact)]

    def back(parts):
        now = list(leaves)
        for i, part in zip(moving, parts, strict=True):
            now[i] = jax.lax.complex(part[0], part[1]) if jnp.iscomplexobj(leaves[i]) else part
        return jax.tree.unflatten(shape, now)

    return [_real(leaves[i]) for i in moving], back


def vector(tree):
    """The same as one vector, in the highest precision that occurs, and the function back."""
    parts, back = numbers(tree)
    dtype = max((p.dtype for p in parts), key=lambda d: d.itemsize, default=jnp.result_type(float))
    sizes = [p.size for p in parts]

    def whole(values):
        pieces = jax.lax.split(values, sizes) if sizes else []
        return back([piece.reshape(p.shape).astype(p.dtype) for piece, p in zip(pieces, parts)])

    return jnp.concatenate([jnp.zeros(0, dtype), *(p.astype(dtype).ravel() for p in parts)]), whole


def _real(x):
    return jnp.stack([x.real, x.imag]) if jnp.iscomplexobj(x) else x
