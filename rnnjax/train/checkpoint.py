"""A run's training on disk, by Orbax."""

from pathlib import Path

import jax

from rnnjax.train.processes import everywhere
from rnnjax.train.update import Training
from rnnjax.types import Location

try:
    from orbax.checkpoint import v1 as ocp
except ImportError:
    from orbax.checkpoint.experimental import v1 as ocp


class Checkpoints:
    """The checkpoints of one run in `directory`, each a whole `Training`; the newest `keep` are kept.

    Orbax writes each to a temporary name first, so that a run killed while saving still has the one before.
    """

    def __init__(self, directory: Location, *, keep: int = 2) -> None:
        latest = ocp.training.preservation_policies.LatestN(keep)
        self.orbax = ocp.training.Checkpointer(Path(directory).absolute(), preservation_policy=latest)  # pyright: ignore[reportArgumentType]

    def save(self, training: Training) -> None:
        """Write `training` under its step, unless it is there already."""
        step = int(training.step)
        if self.latest != step:
            self.orbax.save(step, _plain(training), force=True)

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint."""
        return self.orbax.latest and self.orbax.latest.step

    def load(self, like: Training) -> Training:
        """The newest checkpoint, with the structure of `like`, which holds arrays or (`jax.eval_shape`) their types.

        Raises `ValueError` if there is none, or none that fits.
        """
        if self.latest is None:
            raise ValueError(
                f"Checkpoints: there must be a checkpoint to load, but {self.orbax.directory} has none. Train first."
            )
        wanted, where = _plain(like), f"{self.orbax.directory}/{self.latest}"
        try:
            kept = self.orbax.metadata(self.latest).metadata
            fits = [(x.shape, x.dtype) for x in wanted] == [(tuple(x.shape), x.dtype) for x in kept]
            leaves = self.orbax.load(self.latest, wanted) if fits else None
        except Exception as error:  # Orbax has many, with whole arrays in their messages
            raise ValueError(
                f"Checkpoints: a checkpoint must be whole, but {where} cannot be read ({type(error).__name__}). "
                "Restore its files, or train anew."
            ) from error
        if not fits:
            raise ValueError(
                f"Checkpoints: a checkpoint must be of the model it is loaded for, but {where} has other arrays. "
                "Build the model that was trained."
            )
        return _like(like, leaves)

    def close(self) -> None:
        self.orbax.close()


def _is_key(x):
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _plain(training):
    """Leaves in order, random keys as their numbers: a list, which any Orbax reads back without our classes."""
    return [_placed(x) if isinstance(x, jax.ShapeDtypeStruct) else _numbers(x) for x in jax.tree.leaves(training)]


def _numbers(x):
    return jax.random.key_data(x) if _is_key(x) else x


def _placed(kind):
    """The type of an array to come, on the first device, or of several processes on all."""
    kind = jax.eval_shape(_numbers, kind)
    return jax.ShapeDtypeStruct(kind.shape, kind.dtype, sharding=everywhere())


def _like(training, leaves):
    was, tree = jax.tree.flatten(training)
    leaves = [jax.random.wrap_key_data(x) if _is_key(a) else x for a, x in zip(was, leaves, strict=True)]
    return jax.tree.unflatten(tree, leaves)
