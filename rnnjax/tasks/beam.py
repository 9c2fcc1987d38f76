"""The likeliest sequences that a generating cell can say, by beam search."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, sizes, wide


class Beams(NamedTuple):
    """The K best sequences of each of B searches, the best first.

    - `symbols`: int32 (B, K, L), the end symbol from each end on.
    - `lengths`: int32 (B, K), of each without its end symbol; L where it has not ended in L steps.
    - `scores`: (B, K), by which they are ordered; -inf where there is no such sequence.
    """

    symbols: jax.Array
    lengths: jax.Array
    scores: jax.Array


class Search(NamedTuple):
    """After t steps, of K sequences each: what moves in their states, and (B, K): their last symbol, log p and so on.

    `counts` are of their symbols, with the end.
    """

    t: jax.Array
    moving: list
    last: jax.Array
    symbols: jax.Array
    logp: jax.Array
    scores: jax.Array
    counts: jax.Array
    ended: jax.Array


@functools.partial(jax.jit, static_argnames=("cell", "begin", "end", "width", "longest", "normalise"))
def beam(
    cell: Cell, params: Any, state: Any, *, begin: int, end: int, width: int, longest: int, normalise: float = 0.0
) -> Beams:
    """Search for the sequences of the highest score, keeping K = `width` at every step.

        score = Σ_t log p(symbol_t | symbols before) / L^normalise

    where L counts the symbols, with the end where there is one. What has ended stays as it is, and goes only for
    something better. With a width of 1 the search is greedy: the likeliest symbol at each step.

    Args:
        cell: a cell of one step, from a symbol to the logits of the next one.
        params: the cell's.
        state: to begin from, with a leading axis B, as `batch(cell, B).start` or `attend_to` gives it; of a cell
            without a state there is one search. What a step leaves as it was, as what a decoder attends to, is kept
            once for all sequences of a search.
        begin: the symbol that the first step reads.
        end: the symbol that ends a sequence.
        width: how many sequences to keep.
        longest: steps after which a sequence is given as it is.
        normalise: 0 for the probability itself, by which short sequences win; 1 for its mean a symbol.

    It runs until all sequences have ended, in one loop on the device, and is compiled once for each cell and shape.
    What a search finds does not hang on the others of its batch. Raises `ValueError` unless width and longest are
    positive ints.

    Example:
        >>> from rnnjax.tasks.beam import beam
        >>> chain = jnp.log(jnp.array([[0.0, 0.6, 0.4], [0.4, 0.3, 0.3], [0.9, 0.0, 0.1]]))
        >>> found = beam(rnnjax.embed(3, 3), chain, (), begin=0, end=0, width=2, longest=4)
        >>> print(found.symbols[0], found.lengths[0], (100 * jnp.exp(found.scores[0])).round())
        [[2 0 0 0]
         [1 0 0 0]] [1 1] [36. 24.]

    Sutskever et al. 2014, https://arxiv.org/abs/1409.3215; with an exponent for the length as Wu et al. 2016 have (of
    (5 + L) / 6), https://arxiv.org/abs/1609.08144
    """
    sizes("beam", width=width, longest=longest)
    leaves, tree = jax.tree.flatten(state)
    moves, dtype = _moves(cell, params, state)
    still = [leaf for leaf, moved in zip(leaves, moves) if not moved]

    def step(moving, still, symbol):
        """One step of one sequence: what has moved, and log p of each next symbol."""
        moving, still = iter(moving), iter(still)
        state = jax.tree.unflatten(tree, [next(moving if moved else still) for moved in moves])
        state, logits = cell.step(params, state, symbol)
        after = [leaf for leaf, moved in zip(jax.tree.leaves(state), moves) if moved]
        return after, jax.nn.log_softmax(logits.astype(dtype))

    def grown(search):
        """The best of all sequences with all symbols after them."""
        after, next_logp = jax.vmap(jax.vmap(step, (0, None, 0)), (0, 0, 0))(search.moving, still, search.last)
        V = next_logp.shape[-1]
        stays = jnp.where(jnp.arange(V) == end, 0, -jnp.inf).astype(dtype)
        logp = search.logp[..., None] + jnp.where(search.ended[..., None], stays[None, None], next_logp)
        counts = search.counts + ~search.ended
        scores = logp / counts[..., None].astype(dtype) ** normalise
        scores, places = jax.lax.top_k(scores.reshape(len(scores), -1), width)
        parents, symbols = places // V, (places % V).astype(jnp.int32)

        def kept(a):
            return jax.vmap(lambda a, parents: a[parents])(a, parents)

        said = kept(search.symbols).at[..., search.t].set(symbols)
        logp = jnp.take_along_axis(logp.reshape(len(logp), -1), places, 1)
        ended = kept(search.ended) | (symbols == end)
        return Search(search.t + 1, [*map(kept, after)], symbols, said, logp, scores, kept(counts), ended)

    def goes_on(search):
        return (search.t < longest) & (~search.ended & (search.logp > -jnp.inf)).any()

    rows = len(leaves[0]) if leaves else 1, width
    moving = [leaf for leaf, moved in zip(leaves, moves) if moved]
    moving = [jnp.broadcast_to(leaf[:, None], (*rows, *leaf.shape[1:])) for leaf in moving]
    alone = jnp.where(jnp.arange(width) == 0, 0, -jnp.inf).astype(dtype)  # at first there is one sequence, of nothing
    alone, zeros = jnp.broadcast_to(alone, rows), jnp.zeros(rows, jnp.int32)
    said = jnp.full((*rows, longest), end, jnp.int32)
    search = Search(jnp.int32(0), moving, zeros + begin, said, alone, alone, zeros, jnp.zeros(rows, bool))
    search = jax.lax.while_loop(goes_on, grown, search)
    return Beams(search.symbols, search.counts - search.ended, search.scores)


def _moves(cell, params, state):
    """Which leaves of the state a step changes, and the dtype of log p."""
    one = jax.tree.map(lambda leaf: leaf[0], state)

    def step(state, symbol):
        state, logits = cell.step(params, state, symbol)
        return jax.tree.leaves(state), logits

    jaxpr = jax.make_jaxpr(step)(one, jnp.int32(0)).jaxpr
    moves = [before is not after for before, after in zip(jaxpr.invars, jaxpr.outvars[:-1])]
    return moves, wide(jaxpr.outvars[-1].aval.dtype)
