"""Where credit goes: how far back the gradient of the last step reaches, and how states depend on earlier ones."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from rnnjax.cell import Cell, single
from rnnjax.diagnostics.jacobians import dense, iterated, norm
from rnnjax.diagnostics.path import look, pack, path, real, spans
from rnnjax.types import AnyArray, Params, State, Steps


class Flow(NamedTuple):
    """How credit flows through T steps. Trees are like the state, with None for what is no float.

    - `credit` (T,): ‖∂L_T/∂s_t‖ for t = 0 ... T-1; `credit_parts`: of each part of the state, as h, c, or a layer;
    - `lags` (K,): the lags k, increasing;
    - `jacobian` (K,): ‖∂s_T/∂s_{T-k}‖, the spectral norm, 1 at lag 0; `jacobian_parts`: of each part by itself,
      ‖∂p_T/∂p_{T-k}‖ for a part p.
    """

    credit: Float[Array, " T"]
    credit_parts: PyTree
    lags: Int[np.ndarray, " K"]
    jacobian: Float[Array, " K"]
    jacobian_parts: PyTree


def gradient_flow(
    cell: Cell,
    params: Params,
    state: State,
    xs: Steps,
    *,
    lags: Int[AnyArray, " K"] | Sequence[int | np.integer] | None = None,
    exact: int = 1024,
) -> Flow:
    """How much the last step's loss, and the last state, depend on each state before.

        s_t, y_t = step(params, s_{t-1}, x_t)   for t = 1 ... T,   L_T = sum(y_T)
        ∂L_T/∂s_t = ∂L_T/∂s_{T-1} ∂s_{T-1}/∂s_{T-2} ... ∂s_{t+1}/∂s_t

    Args:
        cell: of one step or over whole sequences, in the order of xs; with a loss (`with_loss`; xs is (inputs,
            targets)) L_T is the loss of the last step alone, without one the sum of the last output.
        params, state, xs: as for a run of the cell, xs time-leading (T, ...). For ‖∂s_t/∂s_{t-k}‖ give xs[:t].
        lags: the k of the Jacobians, each from 0 to T; all of these by default.
        exact: up to so many floats in the state Jacobians are multiplied out; beyond it norms are found by an
            iteration without Jacobians, as a rule to rounding, at worst about 0.1 % too small.

    L_T waits for s_{T-1}, not for s_T, so credit ends there. Norms are of the state's dtype, at least float32; what
    leaves its range becomes 0, inf or nan. Raises `ValueError` for lags out of range, a state without floats, or no
    steps; `TypeError` for a complex state or a cell without a single step (`bidirectional`).

    Example:
        >>> from rnnjax.diagnostics import gradient_flow
        >>> leaky = rnnjax.Cell(lambda key: jnp.float32(0.5), lambda a: jnp.zeros(2), lambda a, h, x: (a * h + x, h))
        >>> flow = gradient_flow(leaky, jnp.float32(0.5), jnp.zeros(2), jnp.ones((3, 2)))
        >>> print(flow.jacobian)
        [1.    0.5   0.25  0.125]

    Bengio et al. 1994, https://doi.org/10.1109/72.279181; Pascanu et al. 2013, https://arxiv.org/abs/1211.5063
    """
    T, d = look("gradient_flow", state, xs)
    lags = np.arange(T + 1) if lags is None else np.unique(np.asarray(lags, int))
    if not (lags.size and 0 <= lags[0] and lags[-1] <= T):
        raise ValueError(f"gradient_flow: lags must be from 0 to the {T} steps, but lags is {lags}. Give others.")
    credit, parts, jacobian, blocks = _flow(single(cell), d <= exact, params, state, xs, lags)
    return Flow(credit, parts, lags, jacobian, blocks)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _flow(cell, multiply, params, state, xs, lags):
    before, step = path("gradient_flow", cell, params, state, xs)
    where, tree = spans(state), jax.tree.structure(state)
    blocks = list(dict.fromkeys([(0, sum(b - a for a, b in filter(None, where))), *filter(None, where)]))

    def judged(vector, state, x):
        vector, y = step(vector, state, x)
        return vector, sum(y.sum() for y in map(jnp.asarray, jax.tree.leaves(y)) if real(y))

    def back(credit, now):
        before, x, last = now
        (_, loss), pull = jax.vjp(lambda v: judged(v, before, x), pack(before))
        (credit,) = pull((credit, jnp.asarray(last, jnp.result_type(loss))))
        return credit, credit

    T = jax.tree.leaves(xs)[0].shape[0]
    nothing = jnp.zeros_like(pack(state))
    _, credit = jax.lax.scan(back, nothing, (before, xs, jnp.arange(T) == T - 1), reverse=True)
    norms = (dense if multiply else iterated)(lambda v, s, x: step(v, s, x)[0], before, xs, lags, blocks)

    def like(of):
        return jax.tree.unflatten(tree, [None if span is None else of(span) for span in where])

    parts = like(lambda span: norm(credit[:, slice(*span)]))
    return norm(credit), parts, norms[0], like(lambda span: norms[blocks.index(span)])


def memory_length(flow: Flow, share: float = 0.01) -> float:
    """The effective memory: the first lag from which on ‖∂s_T/∂s_{T-k}‖ stays below `share` (at lag 0 it is 1).

    A number of steps, one of `flow.lags`, or `math.inf` if the norm is not below at the longest lag.

        >>> from rnnjax.diagnostics import Flow, memory_length
        >>> memory_length(Flow(None, None, np.arange(5), np.array([1, 0.5, 0.009, 0.2, 0.001]), None))
        4
    """
    above = np.flatnonzero(~(np.asarray(flow.jacobian) < share))
    beyond = above[-1] + 1 if len(above) else 0
    return int(flow.lags[beyond]) if beyond < len(flow.lags) else math.inf
