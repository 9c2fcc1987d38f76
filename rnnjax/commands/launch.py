"""Where a training runs, and how it is looked after: options of `rnnjax train` that are no part of a run."""

import dataclasses
from typing import Literal

import jax
from jax.sharding import Mesh

from rnnjax.tasks.options import Options
from rnnjax.tasks.placed import placed
from rnnjax.tasks.recipe import Recipe
from rnnjax.train import processes
from rnnjax.train.mesh import mesh_of


@dataclasses.dataclass(frozen=True)
class Launch:
    """On how many devices, in how many processes, what is kept, and what shows it."""

    mesh: str | None = None
    """Devices to train on, as data=8, fsdp=8 or data=4,model=2: the batch across data and fsdp, large params across
    fsdp, the units of large layers across model."""
    processes: int | None = None
    """Train one model in so many processes, each started with the same options but for --process."""
    process: int | None = None
    """Which of them this is, from 0."""
    coordinator: str | None = None
    """HOST:PORT of process 0, for all to meet."""
    distributed: bool = False
    """Train in the processes of a Slurm job (or of another scheduler that JAX knows)."""
    keep: int = 2
    """How many of the newest checkpoints are kept; the best is kept besides."""
    nonfinite: Literal["stop", "skip"] = "stop"
    """At a loss or gradient that is not finite: stop, or skip the step (ten in a row stop too)."""
    tensorboard: bool = False
    """Show the metrics in TensorBoard too, from the folder board of the run."""

    def launch(self) -> dict:
        """These options alone."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(Launch)}

    def check(self) -> None:
        """Refuse what makes no sense."""
        if self.keep < 1:
            raise ValueError(f"train: keep must be at least 1, but keep is {self.keep}. Give more.")

    def join(self) -> None:
        """Find the other processes, if there are to be any."""
        if self.distributed or (self.processes, self.process, self.coordinator) != (None, None, None):
            processes.join(self.processes, self.process, self.coordinator)

    def grid(self, batch: int) -> Mesh | None:
        """The mesh asked for: of many processes by default all devices, across data; None for one device."""
        text = self.mesh or (f"data={jax.device_count()}" if jax.process_count() > 1 else None)
        return None if text is None else mesh_of(text, batch=batch)

    def placed(self, recipe: Recipe, options: Options) -> Recipe:
        """The recipe on the devices asked for."""
        mesh = self.grid(options.micro)
        return recipe if mesh is None else placed(recipe, mesh, options.batch)
