"""What random gradients draw."""

import jax
import jax.numpy as jnp

from rnnjax.compose.dropout import Noise


def sign(where, noise, like):
    """Random signs of this step in the shapes and dtypes of a tree, and the `Noise` of the next."""
    leaves, shape = jax.tree.flatten(like)
    keys = jax.random.split(jax.random.fold_in(needed(where, noise), noise.step), len(leaves))
    signs = [jax.random.rademacher(key, x.shape, x.dtype) * jnp.ones_like(x) for key, x in zip(keys, leaves)]
    return jax.tree.unflatten(shape, signs), Noise(noise.key, noise.step + 1)


def needed(where, noise):
    """The key, refused if there is none."""
    if noise.key is None:
        raise ValueError(
            f"{where}: what it draws must come from a key, but there is none. Give key=jax.random.key(0), or go on "
            "from rnnjax.seed(gradient.start(params, x), key)."
        )
    return noise.key
