"""Every loop is the Python loop, in value and gradient, for every cell, both ways, with and without a mask."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import CELLS, EXACT, LOOPS, T, by_hand, inputs, m, mingru, n, normal, outcome, params_of, same, state_of

KEEP = np.array([False, True, True, False, True, True, False])
WAYS = {
    "forward": (False, None),
    "reversed, masked": (True, KEEP),
    "reversed": (True, None),
    "forward, masked": (False, KEEP),
}


def ways(name):
    """All four for one cell, two that cover them for the others, to keep the compiling short."""
    return dict(list(WAYS.items())[: 4 if name == "rnn" else 2])


def arguments(cell, steps=T):
    params = params_of(cell)
    return params, state_of(cell, params), inputs(steps, n)


@functools.cache
def expected(name):
    cell = CELLS[name]
    return {
        way: outcome(functools.partial(by_hand, cell, keep=keep, reverse=reverse), *arguments(cell))
        for way, (reverse, keep) in ways(name).items()
    }


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", CELLS)
def test_loop(name, loop):
    cell = CELLS[name]

    def all_ways(*args):
        out = {}
        for way, (reverse, keep) in ways(name).items():
            model = r.scan(cell, **LOOPS[loop], reverse=reverse)
            mask = () if keep is None else (jnp.asarray(keep),)
            out[way] = outcome(lambda *args: model.step(*args, *mask), *args)
        return out

    run = all_ways if loop == "python" else jax.jit(all_ways)
    same(run(*arguments(cell)), expected(name), **EXACT)


@pytest.mark.parametrize("loop", LOOPS)
def test_one_step(loop):
    """T = 1, from every loop that can have as many segments."""
    cell = CELLS["lstm"]
    options = {k: min(v, 1) if k == "segments" else v for k, v in LOOPS[loop].items()}
    args = arguments(cell, 1)
    same(outcome(r.scan(cell, **options).step, *args), outcome(functools.partial(by_hand, cell), *args), **EXACT)


@pytest.mark.parametrize("name", ["rolled", "checkpointed"])
def test_no_steps(name):
    """T = 0 leaves the state, gives it the whole gradient, and the params none."""
    model = r.scan(r.lstm(n, m), **LOOPS[name])
    params, state, xs = arguments(model, 0)
    (after, ys), (grads, slope, _) = outcome(model.step, params, state, xs)
    assert ys.shape == (0, m) and ys.dtype == jnp.float64
    same(after, state, **EXACT)
    same(slope, normal((after, ys), seed=99)[0], **EXACT)
    same(grads, jax.tree.map(jnp.zeros_like, params), **EXACT)


@pytest.mark.parametrize("options", LOOPS.values(), ids=LOOPS)
def test_stateless(options):
    """A cell without a state gives the same whatever the loop, also where all its steps run at once."""
    cell = r.stack(r.dense(n, m), r.lift(jnp.tanh))
    params, state, xs = arguments(cell)
    reference = outcome(functools.partial(by_hand, cell, keep=KEEP), params, state, xs)
    run = r.scan(cell, **options).step
    same(outcome(lambda *args: run(*args, jnp.asarray(KEEP)), params, state, xs), reference, **EXACT)


@pytest.mark.parametrize("options", LOOPS.values(), ids=LOOPS)
def test_pytrees(options):
    """x, y and the state may be any pytree."""

    def step(scale, state, x):
        left, right = state["left"], state["right"][0]
        after = {"left": jnp.tanh(scale * left + x["a"]), "right": (right * x["b"] + left.sum(),)}
        return after, (after["left"] * right, {"z": right})

    cell = r.Cell(lambda key: jnp.zeros(()), lambda p: {"left": jnp.zeros(n), "right": (jnp.zeros(()),)}, step)
    params = params_of(cell)
    args = params, state_of(cell, params), {"a": inputs(T, n), "b": inputs(T)}
    for reverse in False, True:
        reference = outcome(functools.partial(by_hand, cell, reverse=reverse), *args)
        same(outcome(r.scan(cell, **options, reverse=reverse).step, *args), reference, **EXACT)


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


def test_unroll():
    """`unroll` reaches `lax.scan`."""
    model = r.scan(r.rnn(n, m), unroll=3)
    params, state, xs = arguments(model)
    (loop,) = [e for e in jax.make_jaxpr(model.step)(params, state, xs).eqns if e.primitive.name == "scan"]
    assert loop.params["unroll"] == 3


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
