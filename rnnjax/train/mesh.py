"""A mesh of devices, from the words of a command."""

import math

import jax
from jax.sharding import AxisType, Mesh

AXES = "data", "fsdp", "model"


def mesh_of(text: str, *, batch: int) -> Mesh:
    """The mesh of `text`, as "data=8", "fsdp=8" or "data=4,model=2", over the first devices there are; all its axes are
    Auto, and an axis that is not named has size 1.

    - `data`: the batch lies across it, and every device of it has all params.
    - `fsdp`: the batch lies across it, and the large params and what the optimizer knows of them do too.
    - `model`: the columns of the params lie across it, and so the units of the states.

    Raises `ValueError` if `text` is no such list, asks for more devices than there are, or for fewer than several
    processes have, or if the devices of `data` and `fsdp` do not divide `batch`.

        >>> mesh_of("data=4,model=2", batch=32).shape
        OrderedDict({'data': 4, 'fsdp': 1, 'model': 2})
    """
    sizes = dict.fromkeys(AXES, 1) | _sizes(text)
    asked, there = math.prod(sizes.values()), jax.device_count()
    if asked > there:
        raise ValueError(
            f"train: the mesh must have at most the {there} devices there are, but {text} has {asked}. "
            "Make it smaller, or start on more devices."
        )
    if jax.process_count() > 1 and asked < there:
        raise ValueError(
            f"train: the mesh must have all {there} devices of all processes, but {text} has {asked}. "
            "Make it larger, or start fewer processes."
        )
    divides(batch, sizes["data"] * sizes["fsdp"])
    shape, types = tuple(sizes.values()), (AxisType.Auto,) * len(AXES)
    return jax.make_mesh(shape, AXES, axis_types=types, devices=jax.devices()[:asked])


def divides(batch, devices):
    """Refuse a batch of which devices would have unlike shares."""
    if batch % devices:
        raise ValueError(
            f"train: the mesh must divide the batch among its devices of data and fsdp, but batch is {batch} and they "
            f"are {devices}. Give --batch {batch + -batch % devices}, or another mesh."
        )


def _sizes(text):
    sizes = {}
    for part in text.split(","):
        name, _, size = part.partition("=")
        if name not in AXES:
            raise ValueError(
                f"train: a mesh must be of the axes {', '.join(AXES)}, but {text!r} has {name!r}. "
                "Write as data=4,model=2."
            )
        if name in sizes:
            raise ValueError(f"train: each axis of a mesh must come once, but {text!r} has {name} twice. Name it once.")
        if not (size.isascii() and size.isdecimal() and int(size)):
            raise ValueError(
                f"train: the size of an axis must be a number of devices, but {text!r} has {part!r}. "
                "Write as data=4,model=2."
            )
        sizes[name] = int(size)
    return sizes
