"""What is told of a step whose loss or gradient is not finite, and what must never be saved."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.train.leaves import is_key, whole
from rnnjax.train.update import Training


@jax.jit
def sound(training: Training) -> jax.Array:
    """Whether all params are finite, and no other number of a training is NaN: a state may well begin at -inf."""
    numbers = [x for x in jax.tree.leaves(training[1:]) if jnp.issubdtype(x.dtype, jnp.inexact)]
    params = [x for x in jax.tree.leaves(training.params) if jnp.issubdtype(x.dtype, jnp.inexact)]
    each = [jnp.isfinite(x).all() for x in params] + [~jnp.isnan(x).any() for x in numbers]
    return jnp.array(each).all()


def named(tree) -> dict[str, np.ndarray]:
    """The leaves of a tree by their paths, as plain arrays."""
    return {
        jax.tree_util.keystr(path): whole(jax.random.key_data(x) if hasattr(x, "dtype") and is_key(x) else x)
        for path, x in jax.tree.leaves_with_path(tree)
    }


def norms(tree) -> str:
    """The norm of each leaf in words, the largest (NaN before all) first, at most five."""
    found = {path: float(np.linalg.norm(x.astype(np.float64).ravel())) for path, x in named(tree).items()}
    order = sorted(found, key=lambda path: np.nan_to_num(-found[path], nan=-np.inf))
    return ", ".join(f"{path} {found[path]:.3g}" for path in order[:5])


def keep_batch(path, batch: dict[str, Any]) -> None:
    """Write a batch, as `named` gives it, to an .npz file, for `np.load(path)`."""
    path.parent.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {**batch}
    np.savez(path, **arrays)
