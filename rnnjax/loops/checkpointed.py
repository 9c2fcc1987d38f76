"""BPTT in less memory: keep a state every segment and compute the steps between anew in the reverse pass."""

import math

import jax

from rnnjax.cell import Cell, sizes
from rnnjax.loops.carry import checked, placed, steps, typed
from rnnjax.loops.deferred import deferred
from rnnjax.loops.segments import even, segmented
from rnnjax.loops.treeverse import treeverse
from rnnjax.types import Params, State, Steps


def checkpointed(
    cell: Cell,
    params: Params,
    state: State,
    xs: Steps,
    *,
    reverse: bool = False,
    segments: int | None = None,
    snapshots: int | None = None,
) -> tuple[State, Steps]:
    """Run `cell` over time-leading `xs` as `deferred` does, keeping a few states for the gradient and no more.

    The reverse pass runs steps forward anew, a segment at a time, and holds the activations of one. Of T steps

    - in `segments` S it keeps S states, holds T/S steps' activations, and runs each step once more. By default S is
      about √T, where that memory is least, O(√T): a divisor of T if one is near, for steps left over are run apart,
      and joining the outputs copies them;
    - with `snapshots` S it keeps at most S states, beside those at work, and runs each step at most r + 1 times, the
      first among them: r is the least with C(S + r, S) >= segments, and no schedule makes do with fewer runs. There
      are `segments` segments, or by default as many as make them S steps long, so that activations and states are
      alike in size. That memory is O(S) whatever T is: O(log T) at S = log₂ T, where r is at most log₂ T too. S = 10
      and r = 7 do for 10⁵ steps.

    With as many snapshots as segments or more, or none asked for, there are derivatives of any order, as those of
    `deferred`. With fewer there is reverse mode, once, and forward mode over it (`jax.hessian`), but no forward mode
    alone: use `segments` for that.

        >>> rnnjax.scan(rnnjax.lstm(3, 4), rnnjax.checkpointed, segments=10)
        scan(lstm(3, 4), loop=checkpointed, segments=10)
        >>> cell = rnnjax.scan(rnnjax.rnn(1, 4), rnnjax.checkpointed, snapshots=3)
        >>> params = cell.init(jax.random.key(0))
        >>> slope = jax.grad(lambda xs: cell.step(params, cell.start(params), xs)[0].sum())(jnp.ones((90, 1)))
        >>> slope.shape
        (90, 1)

    Griewank 1992, https://doi.org/10.1080/10556789208805505; Chen et al. 2016, https://arxiv.org/abs/1604.06174
    """
    T = steps("checkpointed", xs)
    given = dict(segments=segments, snapshots=snapshots)
    sizes("checkpointed", **{name: number for name, number in given.items() if number is not None})
    if segments is None:
        segments = max(1, even(T, math.isqrt(T)) if snapshots is None else math.ceil(T / even(T, snapshots)))
    if segments > max(T, 1):
        raise ValueError(
            f"checkpointed: segments must be at most the {T} steps, but segments is {segments}. Give fewer."
        )
    size = max(1, math.ceil(T / segments))
    body = checked("checkpointed", cell, params)
    state = placed(body, state, xs, params)

    def run(state, xs):
        return deferred(cell, params, state, xs, reverse=reverse)

    segment = jax.checkpoint(run, prevent_cse=False)

    def over(state, xs):
        if snapshots is None or T // size <= snapshots or not jax.tree.leaves(state):
            return jax.lax.scan(segment, state, xs, reverse=reverse)
        state = typed(body, state, jax.tree.map(lambda x: x[0, 0], xs))
        return treeverse(run, state, xs, snapshots=snapshots, reverse=reverse)

    return segmented(over, segment, state, xs, size, reverse=reverse)
