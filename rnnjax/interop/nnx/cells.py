"""A cell of Flax NNX as a cell here."""

import functools
from collections.abc import Callable

from flax import nnx

from rnnjax.calls import alike
from rnnjax.cell import Cell


def cell(flax_cell: nnx.Module | Callable[..., nnx.Module]) -> Cell:
    """A cell of Flax NNX, such as `nnx.LSTMCell`, as a `Cell`, for every loop and gradient here.

    Args:
        flax_cell: an `nnx` cell, whose weights at the time `init` gives whatever the key; or how to make one,
            `functools.partial(nnx.LSTMCell, 3, 4)`, which `init` calls with `rngs=nnx.Rngs(key)`.

    Params are the nested dict of its `nnx.Param`s (`nnx.update(flax_cell, params)` takes them back), the state is its
    carry. The same way to make one gives the same `Cell`; a cell that is there gives a new one with each call, of its
    structure then. Raises `TypeError` for a cell with other variables than params, for these change from step to step.

        >>> from functools import partial
        >>> from flax import nnx
        >>> from rnnjax.interop.nnx import cell
        >>> gru = cell(partial(nnx.GRUCell, 3, 4))
        >>> params = gru.init(jax.random.key(0))
        >>> h, ys = rnnjax.scan(gru, rnnjax.checkpointed).step(params, gru.start(params), jnp.ones((7, 3)))
        >>> gru, ys.shape
        (nnx.cell(GRUCell(3, 4)), (7, 4))
    """
    return _cell(flax_cell) if isinstance(flax_cell, nnx.Module) else _remembered(alike(flax_cell))


def _cell(flax_cell):
    def made(key):
        return flax_cell if isinstance(flax_cell, nnx.Module) else flax_cell(rngs=nnx.Rngs(key))

    module = made(0)
    graph, _, rest = nnx.split(module, nnx.Param, ...)
    for path, variable in nnx.to_flat_state(rest):
        raise TypeError(
            f"nnx.cell: {type(module).__name__} must have params only, but {'.'.join(map(str, path))} is "
            f"{type(variable).__name__}. Leave keys and statistics out of the cell."
        )
    if not hasattr(module, "in_features"):
        raise TypeError(
            f"nnx.cell: {type(module).__name__} must know the size of its input, as Flax's own cells do, but it has no "
            "in_features. Set it in __init__."
        )

    def init(key):
        return nnx.to_pure_dict(nnx.state(made(key), nnx.Param))

    def start(params):
        return nnx.merge(graph, params).initialize_carry((module.in_features,), nnx.Rngs(0))

    def step(params, carry, x):
        return nnx.merge(graph, params)(carry, x)

    sizes = [str(getattr(module, name)) for name in ("in_features", "hidden_features") if hasattr(module, name)]
    return Cell(init, start, step, name=f"nnx.cell({type(module).__name__}({', '.join(sizes)}))")


_remembered = functools.lru_cache(maxsize=4096)(_cell)
