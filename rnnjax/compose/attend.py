"""Attention: a decoder cell that at every step looks through what an encoder has said."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from rnnjax.cell import Cell, interned, kind, one_step, sizes
from rnnjax.compose.dropout import Noisy
from rnnjax.compose.memory import Memory, look
from rnnjax.compose.scores import Score, Scoring
from rnnjax.types import Initializer, Params, State
from rnnjax.weights import glorot


class AttendParams(NamedTuple):
    cell: Params
    score: Score
    W: Float[Array, "width m"] | tuple[()] = ()


class AttendState(NamedTuple):
    cell: State
    memory: Memory


def hidden(state: State) -> PyTree:
    """The h of a state, which a GRU is all of; in a stack, of the last cell that has one."""
    if isinstance(state, (Noisy, AttendState)):
        return hidden(state[0])
    if type(state) is not tuple:
        return getattr(state, "h", None if hasattr(state, "_fields") else state)
    return next((h for s in reversed(state) if (h := hidden(s)) is not None), None)


@interned
def bahdanau(cell: Cell, m: int, k: int, score: Scoring, *, query: Callable[[State], PyTree] = hidden) -> Cell:
    """Attention before the step: the cell's last h looks through the memory, and the cell is given what it finds.

        e_j = score(h, place_j),   weights = softmax(e),   context = Σ_j weights_j place_j
        state', y = cell(state, [x, context])

    An encoder's outputs are put into the state by `attend_to`; as `start` leaves it the memory has no places, and the
    context is 0. The paper's output layer reads the cell's state and the context, and so may what is stacked on this
    cell. Its first state is made of the encoder's: `state._replace(cell=...)`.

    Args:
        cell: a cell of one step, whose input is x and the context.
        m, k: sizes of the query, and of a place of the memory.
        score: how a query fits a place, `additive(a)`, `general`, `dot`, or your own.
        query: a function of the cell's state, by default its h, that of the last cell in a stack which has one.

    Params: `AttendParams(cell, score)`. State: `AttendState(cell, memory)`, where `memory.weights` (S,) is where the
    last step has looked. Input: x (n,). Output: the cell's y and the context, joined. Raises `ValueError` unless the
    query is (m,), `TypeError` for a cell over whole sequences.

    Example:
        >>> decoder = rnnjax.bahdanau(rnnjax.lstm(2 + 8, 5), 5, 8, rnnjax.additive(6))
        >>> params = decoder.init(jax.random.key(0))
        >>> state = rnnjax.attend_to(decoder.start(params), jax.random.normal(jax.random.key(1), (7, 8)))
        >>> state, ys = rnnjax.scan(decoder).step(params, state, jnp.ones((4, 2)))
        >>> ys.shape, state.memory.weights.shape, bool(jnp.isclose(state.memory.weights.sum(), 1))
        ((4, 13), (7,), True)

    Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473
    """

    def step(params, state, x):
        memory, context = look(params.score, _sized("bahdanau", query(state.cell), m), state.memory)
        inner, y = cell.step(params.cell, state.cell, jnp.concatenate([x, context]))
        return AttendState(inner, memory), jnp.concatenate([y, context])

    return _attending("bahdanau", cell, m, k, score, step, lambda key: ())


@interned
def luong(cell: Cell, m: int, k: int, score: Scoring, *, weight: Initializer = glorot) -> Cell:
    """Attention after the step: what the cell gives looks through the memory, and is joined with what it finds.

        state', h = cell(state, x)
        e_j = score(h, place_j),   weights = softmax(e),   context = Σ_j weights_j place_j
        y = tanh([context, h] W)

    This is the paper's global attention. Its input feeding, where y is joined to the next input, is
    `fed_back(luong(gru(n + m, m), m, k, general), m)`. An encoder's outputs are put into the state by `attend_to`.

    Args:
        cell: a cell of one step, or a stack of them.
        m, k: sizes of the cell's output, and of a place of the memory.
        score: how a query fits a place, `general`, `additive(a)`, `dot`, or your own.
        weight: initialiser of W (k + m, m).

    Params: `AttendParams(cell, score, W)`. State: `AttendState(cell, memory)`, where `memory.weights` (S,) is where
    the last step has looked. Input: the cell's. Output: y (m,). Raises `ValueError` unless the cell gives (m,),
    `TypeError` for a cell over whole sequences.

    Example:
        >>> decoder = rnnjax.luong(rnnjax.stack(rnnjax.gru(2, 5), rnnjax.gru(5, 5)), 5, 8, rnnjax.general)
        >>> params = decoder.init(jax.random.key(0))
        >>> state = rnnjax.attend_to(decoder.start(params), jnp.ones((7, 8)))
        >>> state, ys = rnnjax.scan(decoder).step(params, state, jnp.ones((4, 2)))
        >>> print(ys.shape, 7 * state.memory.weights)
        (4, 5) [1. 1. 1. 1. 1. 1. 1.]

    Luong et al. 2015, https://arxiv.org/abs/1508.04025
    """

    def step(params, state, x):
        inner, h = cell.step(params.cell, state.cell, x)
        memory, context = look(params.score, _sized("luong", h, m), state.memory)
        return AttendState(inner, memory), jnp.tanh(jnp.concatenate([context, h]) @ params.W)

    return _attending("luong", cell, m, k, score, step, lambda key: weight(key, (k + m, m)))


def _attending(where, cell, m, k, score, step, W):
    one_step(where, cell)
    sizes(where, m=m, k=k)

    def init(key):
        first, second, third = jax.random.split(key, 3)
        return AttendParams(cell.init(first), score(second, m, k), W(third))

    def start(params):
        dtype = jnp.result_type(*jax.tree.leaves(params))
        return AttendState(
            cell.start(params.cell), Memory(jnp.zeros((0, k), dtype), jnp.zeros(0, bool), jnp.zeros(0, dtype))
        )

    return Cell(init, start, step)


def _sized(where, query, m):
    if getattr(query, "shape", None) != (m,):
        found = kind(query) if hasattr(query, "shape") else "none"
        raise ValueError(
            f"{where}: the query must be of {m} numbers, but query is {found}. Give its size m, and a cell with an h, "
            "or to bahdanau query=lambda state: ...."
        )
    return query
