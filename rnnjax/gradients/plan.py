"""What an influence has to hold, and what of a step's Jacobians it takes, from their sparsity."""

from typing import NamedTuple

import numpy as np

from rnnjax.gradients.pattern import dependencies

NONE, NOWHERE = -1, -2


class Plan(NamedTuple):
    """For a state of m numbers, all in NumPy:

    - `rows`, for each param (r, ...): which numbers of the state each of its numbers reaches, filled up with NONE; an
      axis along which all reach the same has length 1;
    - `own` (S, m), `direct` (D, m): ones at the rows of the step's Jacobians, by the state and by the params, that are
      pulled back together, as no column has two of them;
    - `source`, for each param (D, ...): the one row that each of its numbers then has, or NOWHERE;
    - `pattern` (m, m): where the Jacobian by the state can be other than zero.
    """

    rows: list
    own: np.ndarray
    direct: np.ndarray
    source: list
    pattern: np.ndarray


def plan(function, s, θ, reach):
    """The plan for `function: s, *θ -> s'`, and what can be reached in so many steps (None: in any number)."""
    found = dependencies(function, s, *θ)
    pattern, direct = found[:, : s.size].toarray(), found[:, s.size :]
    # params that enter alike are one group
    marks = np.random.default_rng(0).integers(1, 2**40, s.size)
    _, first, group = np.unique(direct.T.astype(np.int64) @ marks, return_index=True, return_inverse=True)
    entered = direct[:, first].toarray()
    reached, colors = _reached(pattern, entered, reach), _colors(entered)
    r = reached.sum(0)
    table = np.full((len(r), max(r, default=0)), NONE)
    for g, rows in enumerate(reached.T):
        table[g, : r[g]] = np.flatnonzero(rows)
    source = np.full((len(r), len(colors)), NOWHERE)
    for c, rows in enumerate(colors):
        g, row = np.nonzero(entered.T & rows)
        source[g, c] = row
    groups = [g.reshape(p.shape) for g, p in zip(np.split(group.ravel(), np.cumsum([p.size for p in θ])[:-1]), θ)]
    return Plan(
        [_narrowed(table[g][..., : max(r[g.ravel()], default=0)]) for g in groups],
        _colors(pattern),
        colors,
        [_narrowed(source[g]) for g in groups],
        pattern,
    )


def _reached(pattern, entered, reach):
    reached = entered
    for _ in range(len(pattern) if reach is None else reach - 1):
        further = entered | (pattern.astype(np.float32) @ reached.astype(np.float32) > 0)
        if (further == reached).all():
            break
        reached = further
    return reached


def _colors(pattern):
    """Rows of a boolean matrix in as few sets as a greedy choice finds, none with two rows that share a column."""
    clash = pattern.astype(np.float32) @ pattern.T.astype(np.float32) > 0
    sets = [[]]
    for row in np.flatnonzero(pattern.any(1)):
        free = next((rows for rows in sets if not clash[row, rows].any()), None)
        if free is None:
            sets.append(free := [])
        free.append(row)
    colors = np.zeros((len(sets), len(pattern)), bool)
    for c, rows in enumerate(sets):
        colors[c, rows] = True
    return colors


def _narrowed(table):
    """(..., r) as (r, ...), an axis along which nothing changes cut to length 1."""
    rows = np.moveaxis(table, -1, 0)
    for axis in range(1, rows.ndim):
        if rows.shape[axis] and (rows == rows.take([0], axis)).all():
            rows = rows.take([0], axis)
    return rows
