"""The layers of a model as other libraries count them, found in its params."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from rnnjax.cell import Cell, kind, single


def layers(where, model: Cell | None, params: PyTree) -> list[tuple]:
    """The params of each layer that has any, in order: a tuple of one direction, or of two, forward first.

    What runs both ways is told from two layers in a row by how the model is made: `params` may be alike. Raises
    `TypeError` for a cell whose params are a matrix alone, and which is no table, as that of `embed`.

        >>> from rnnjax.interop.layers import layers
        >>> for model in rnnjax.deep(rnnjax.gru, 4, 4, layers=2), rnnjax.bidirectional(*2 * [rnnjax.gru(4, 4)]):
        ...     params = model.init(jax.random.key(0))
        ...     print([len(ways) for ways in layers("here", model, params)])
        [1, 1]
        [2]
    """
    if type(params) is not tuple:
        if model is not None and len(getattr(params, "shape", ())) == 2 and not _table(single(model), params):
            raise TypeError(
                f"{where}: a matrix alone must be the table of embed, but {model} has {kind(params)} and looks up no "
                "row of it. Convert such a cell by itself."
            )
        return [(params,)]
    of = parts(model)
    if len(of) == 1 and _like(of[0], params):
        return layers(where, of[0], params)
    if model is not None and model.each is not None and len(of) == 2 and all(part.each is None for part in of):
        return [params]
    return [layer for part, own in zip(of or [None] * len(params), params) for layer in layers(where, part, own)]


def rebuilt(like: PyTree, found: list) -> PyTree:
    """The params of `layers`, each direction in turn, in the structure of `like`."""
    tree = jax.tree.structure(like, is_leaf=lambda p: type(p) is not tuple)
    return jax.tree.unflatten(tree, found)


def fits(where, model: Cell, params: PyTree) -> None:
    """Refuse params of another structure or shape than the model's."""
    if not _like(model, params):
        raise TypeError(
            f"{where}: params must be those of {model}, but params are {jax.tree.structure(params)}. "
            "Give what its init gives."
        )
    like = jax.eval_shape(model.init, jax.random.key(0))
    for (path, p), own in zip(jax.tree.leaves_with_path(params), jax.tree.leaves(like), strict=True):
        if jnp.shape(p) != own.shape:
            raise ValueError(
                f"{where}: params must be those of {model}, but params{jax.tree_util.keystr(path)} is {kind(p)} "
                f"in place of {kind(own)}. Give what its init gives."
            )


def _table(cell, params):
    """Whether a cell without numbers in its state gives a row of its params for one integer."""

    def row(params):
        state = cell.start(params)
        return state, cell.step(params, state, jnp.int32(0))[1]

    try:
        state, y = jax.eval_shape(row, params)
    except Exception:  # of any type, from a user's cell that takes no integer
        return False
    numbers = [s for s in jax.tree.leaves(state) if jnp.issubdtype(s.dtype, jnp.number)]
    return not numbers and getattr(y, "shape", None) == params.shape[1:]


def _like(model, params):
    return jax.tree.structure(jax.eval_shape(model.init, jax.random.key(0))) == jax.tree.structure(params)


def parts(model: Cell | None) -> list[Cell]:
    """The cells that a model over whole sequences is made of; none if it does not say."""
    found = []

    def note(part):
        found.append(part)
        return part

    if model is not None and model.remade is not None:
        model.remade(note)
    return found
