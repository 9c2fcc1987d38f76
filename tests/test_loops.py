"""Every loop is the Python loop, in value and gradient, for every cell, forward, and reversed under a mask."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import (
    CELLS,
    EXACT,
    LOOPS,
    T,
    by_hand,
    crossed,
    inputs,
    m,
    mingru,
    n,
    normal,
    outcome,
    params_of,
    same,
    state_of,
)

KEEP = np.array([False, True, True, False, True, True, False])
WAYS = (False, None), (True, KEEP)  # reverse, keep: the other two are in test_laws.py


def arguments(cell, steps=T):
    params = params_of(cell)
    return params, state_of(cell, params), inputs(steps, n)


def outcomes(runs, *args):
    """All the outcomes of several functions of the same arguments, in one program."""
    return jax.jit(lambda *args: [outcome(run, *args) for run in runs])(*args)


def in_ways(run):
    return [functools.partial(run, reverse=reverse, keep=keep) for reverse, keep in WAYS]


@functools.cache
def expected(name):
    return outcomes(in_ways(functools.partial(by_hand, CELLS[name])), *arguments(CELLS[name]))


@pytest.mark.parametrize("name, loop", crossed(LOOPS))
def test_loop(name, loop):
    def run(*args, reverse, keep):
        mask = () if keep is None else (jnp.asarray(keep),)
        return r.scan(CELLS[name], **LOOPS[loop], reverse=reverse).step(*args, *mask)

    same(outcomes(in_ways(run), *arguments(CELLS[name])), expected(name), **EXACT)


def test_one_step():
    """T = 1, from every loop that can have as many segments."""
    cell = CELLS["lstm"]
    options = [{k: min(v, 1) if k == "segments" else v for k, v in row.items()} for row in LOOPS.values()]
    runs = [r.scan(cell, **row).step for row in options]
    reference, *found = outcomes([functools.partial(by_hand, cell), *runs], *arguments(cell, 1))
    for its in found:
        same(its, reference, **EXACT)


@pytest.mark.parametrize("name", ["deferred", "rolled", "checkpointed"])
def test_no_steps(name):
    """T = 0 leaves the state, gives it the whole gradient, and the params none."""
    model = r.scan(r.lstm(n, m), **LOOPS[name])
    params, state, xs = arguments(model, 0)
    (after, ys), (grads, slope, _) = outcome(model.step, params, state, xs)
    assert ys.shape == (0, m) and ys.dtype == jnp.float64
    same(after, state, **EXACT)
    same(slope, normal((after, ys), seed=99)[0], **EXACT)
    same(grads, jax.tree.map(jnp.zeros_like, params), **EXACT)


def test_stateless():
    """A cell without a state gives the same whatever the loop, also where all its steps run at once."""
    cell = r.stack(r.dense(n, m), r.lift(jnp.tanh))

    def masked(options):
        return lambda *args: r.scan(cell, **options).step(*args, jnp.asarray(KEEP))

    runs = [functools.partial(by_hand, cell, keep=KEEP), *map(masked, LOOPS.values())]
    reference, *found = outcomes(runs, *arguments(cell))
    for its in found:
        same(its, reference, **EXACT)


@pytest.mark.parametrize("loop", ["deferred", "rolled", "checkpointed, three segments"])
def test_pytrees(loop):
    """x, y and the state may be any pytree."""

    def step(scale, state, x):
        left, right = state["left"], state["right"][0]
        after = {"left": jnp.tanh(scale * left + x["a"]), "right": (right * x["b"] + left.sum(),)}
        return after, (after["left"] * right, {"z": right})

    cell = r.Cell(lambda key: jnp.zeros(()), lambda p: {"left": jnp.zeros(n), "right": (jnp.zeros(()),)}, step)
    params = params_of(cell)
    args = params, state_of(cell, params), {"a": inputs(T, n), "b": inputs(T)}
    ahead, behind = (r.scan(cell, **LOOPS[loop], reverse=reverse).step for reverse in (False, True))
    hands = [functools.partial(by_hand, cell, reverse=reverse) for reverse in (False, True)]
    one, other, *reference = outcomes([ahead, behind, *hands], *args)
    same([one, other], reference, **EXACT)


def memory(options, steps):
    """Bytes of temporaries in the compiled gradient."""
    model = r.scan(r.lstm(n, 8), **options)
    params = params_of(model)
    xs = jnp.zeros((steps, n))
    slope = jax.grad(lambda params: model.step(params, model.start(params), xs)[0].h.sum())
    return jax.jit(slope).lower(params).compile().memory_analysis().temp_size_in_bytes


def test_memory():
    """A long run's gradient takes far less memory with checkpoints, and grows with √T rather than T."""
    short, long = 400, 6400
    rolled = memory(LOOPS["rolled"], long)
    few, many = memory(LOOPS["checkpointed"], short), memory(LOOPS["checkpointed"], long)
    assert many < rolled / 5
    assert many < 8 * few, "16 times the steps should take about 4 times the memory"


@pytest.mark.parametrize("steps, segments", [(7, 1), (7, 2), (7, 4), (7, 5), (7, 7), (99, 50), (100, 10)])
def test_segments(steps, segments):
    """No more states are kept than there are segments asked for, also where they do not divide T."""
    model = r.scan(r.rnn(n, m), r.checkpointed, segments=segments)
    params, state, xs = arguments(model, steps)
    program = jax.make_jaxpr(model.step)(params, state, xs)
    outer = [e for e in program.eqns if e.primitive.name == "scan"]
    rest = [e for e in program.eqns if e.primitive.name in ("remat2", "checkpoint", "remat")]
    assert len(outer) == 1
    assert outer[0].params["length"] + len(rest) <= segments


@pytest.mark.parametrize("loop", [r.deferred, r.rolled])
def test_unroll(loop):
    """`unroll` reaches `lax.scan`."""
    model = r.scan(r.rnn(n, m), loop, unroll=3)
    params, state, xs = arguments(model)
    assert "unroll=3" in str(jax.make_jaxpr(model.step)(params, state, xs))


def test_own_loop():
    """A loop is any function, and its keywords are the options of `scan`."""

    def twice_as_slow(cell, params, state, xs, *, times):
        for _ in range(times):
            state, ys = r.rolled(cell, params, state, xs)
        return state, ys

    cell = r.gru(n, m)
    params, state, xs = arguments(cell)
    after, ys = r.scan(cell, twice_as_slow, times=2).step(params, state, xs)
    half, _ = by_hand(cell, params, state, xs)
    same((after, ys), by_hand(cell, params, half, xs), **EXACT)


def test_promise_is_kept():
    """The affine promise of a user's own cell holds along a whole run."""
    cell = mingru(n, m)
    params, h, xs = arguments(cell)
    _, hs = by_hand(cell, params, h, xs)
    for x, after in zip(xs, hs):
        a, b = cell.affine(params, x)
        h = a * h + b
        same(h, after, **EXACT)
