"""Where a training runs, and who sees it: options of `rnnjax train` that may be others when a run goes on."""

import dataclasses

import jax
from jax.sharding import Mesh

from rnnjax.tasks.placed import placed
from rnnjax.tasks.recipe import Recipe
from rnnjax.train import processes
from rnnjax.train.mesh import mesh_of


@dataclasses.dataclass(frozen=True)
class Launch:
    """On how many devices, in how many processes, and what shows it."""

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
    tensorboard: bool = False
    """Show the metrics in TensorBoard too, from the folder board of the run."""

    def launch(self) -> dict:
        """These options alone."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(Launch)}

    def join(self) -> None:
        """Find the other processes, if there are to be any."""
        if self.distributed or (self.processes, self.process, self.coordinator) != (None, None, None):
            processes.join(self.processes, self.process, self.coordinator)

    def grid(self, batch: int) -> Mesh | None:
        """The mesh asked for: of many processes by default all devices, across data; None for one device."""
        text = self.mesh or (f"data={jax.device_count()}" if jax.process_count() > 1 else None)
        return None if text is None else mesh_of(text, batch=batch)

    def placed(self, recipe: Recipe, batch: int) -> Recipe:
        """The recipe on the devices asked for."""
        mesh = self.grid(batch)
        return recipe if mesh is None else placed(recipe, mesh, batch)
