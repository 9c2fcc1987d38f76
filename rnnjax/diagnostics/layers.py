"""The layers of a model, found by taking it apart as `batch` does."""

import jax

from rnnjax.cell import Cell, single


def layers(cell: Cell) -> tuple[Cell, ...]:
    """The cells of one step that a model over whole sequences is made of, in order; any other cell is one layer.

    >>> from rnnjax.diagnostics import layers
    >>> layers(rnnjax.stack(rnnjax.embed(66, 8), rnnjax.deep(rnnjax.gru, 8, 16, layers=2), rnnjax.dense(16, 66)))
    (embed(66, 8), gru(8, 16), gru(16, 16), dense(16, 66))
    """
    found = []

    def note(part):
        if part.remade is not None:
            return part.remade(note)
        found.append(part if part.each is None else part.each)
        return part

    note(cell)
    return tuple(found)


def marked(cell: Cell) -> Cell:
    """The same model of one step, its layers traced under the names `rnnjax0`, `rnnjax1`, ..."""
    count = iter(range(10**6))

    def mark(part):
        return part.remade(mark) if part.remade is not None else _named(part, f"rnnjax{next(count)}")

    made = mark(cell)
    return single(made)


def _named(cell, name):
    return cell._replace(
        step=jax.named_scope(name)(cell.step), each=None if cell.each is None else _named(cell.each, name)
    )
