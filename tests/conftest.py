"""The tables that every law runs over, the exact configuration, and what the tests share.

A new cell, loop or gradient is one row here and gets every law.
"""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import rnnjax as r
from rnnjax.loops.numbers import numbers

n, m, T, B = 3, 4, 7, 5
LENGTHS = np.array([T, 0, 3, 1, T])

EXACT = dict(rtol=1e-10, atol=1e-12)
SINGLE = dict(rtol=1e-5, atol=1e-6)

# Tests of the programs run in single precision and with JAX's own promotion, as a user runs them.
collect_ignore = ["runtime_types.py", "typed_use.py"]  # programs, run by test_types in processes of their own
PROGRAMS = "test_data", "test_ngram", "test_train", "test_task", "test_sampling", "test_cli", "test_fuzz"


@pytest.fixture(autouse=True, scope="module")
def exact(request):
    """float64, strict dtype promotion, rank promotion an error, for a module at a time; and quick compiles."""
    if request.module.__name__.rpartition(".")[2].startswith(PROGRAMS):
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.enable_x64(True))
        stack.enter_context(jax.numpy_dtype_promotion("strict"))
        stack.enter_context(jax.numpy_rank_promotion("raise"))
        jax.config.update("jax_disable_most_optimizations", True)
        stack.callback(jax.config.update, "jax_disable_most_optimizations", False)
        yield


def pytest_terminal_summary(terminalreporter):
    """How many inputs the tests of `test_fuzz.py` have tried, in whatever process."""
    found = {each.nodeid: dict(each.user_properties) for each in terminalreporter.stats.get("", [])}
    inputs = [each["inputs"] for each in found.values() if "inputs" in each]
    if inputs:
        terminalreporter.write_line(f"fuzzed: {sum(inputs):,} inputs tried, by {len(inputs)} tests")


# cells of one step, all of n inputs


@r.interned
def mingru(n, m):
    """A user's own cell in its three lines (Feng et al. 2024), with the promise that it is affine in its state."""

    def gates(params, x):
        W, U, b = params
        z = jax.nn.sigmoid(x @ W + b)
        return 1 - z, z * (x @ U)

    def step(params, h, x):
        a, b = gates(params, x)
        h = a * h + b
        return h, h

    def init(key):
        W, U = jax.random.normal(key, (2, n, m))
        return W, U, jnp.zeros(m)

    return r.Cell(init, lambda params: jnp.zeros(m, params[0].dtype), step, affine=gates)


CELLS = {
    "rnn": r.rnn(n, m),
    "relu": r.rnn(n, m, jax.nn.relu),
    "lstm": r.lstm(n, m),
    "gru": r.gru(n, m),
    "mingru": mingru(n, m),
    "stack": r.stack(r.dense(n, 2), r.gru(2, m), r.lift(jnp.tanh), r.rnn(m, 2)),
    "residual": r.residual(r.stack(r.rnn(n, m), r.dense(m, n))),
    "highway": r.skip(r.highway(r.rnn(n, n), n)),
}

LOOPS = {
    "deferred": {},
    "deferred, unrolled": dict(unroll=3),
    "rolled": dict(loop=r.rolled),
    "rolled, unrolled": dict(loop=r.rolled, unroll=3),
    "checkpointed": dict(loop=r.checkpointed),
    "checkpointed, one segment": dict(loop=r.checkpointed, segments=1),
    "checkpointed, three segments": dict(loop=r.checkpointed, segments=3),
    "checkpointed, T segments": dict(loop=r.checkpointed, segments=T),
    "checkpointed, two snapshots": dict(loop=r.checkpointed, snapshots=2),
    "checkpointed, one snapshot of four segments": dict(loop=r.checkpointed, segments=4, snapshots=1),
    "python": dict(loop=r.python),
}

# gradients that are exact on T steps
GRADIENTS = {
    "bptt": r.bptt,
    "window of T": functools.partial(r.tbptt, window=T),
    "window beyond T, stride 3": functools.partial(r.tbptt, window=T + 2, stride=3),
    "rtrl": r.rtrl,
    "snap of 3": functools.partial(r.snap, n=3),
}


BRIEF = "rnn", "lstm"
ALWAYS = "deferred", "rolled", "checkpointed, three segments", "python", "bptt", "window of T"


def crossed(rows):
    """Every cell with every row of another table; what neither is brief nor always run is left to `pytest -m slow`."""
    pairs = [(cell, row) for cell in CELLS for row in rows]
    quick = [cell in BRIEF or row in ALWAYS for cell, row in pairs]
    return [pytest.param(*pair, marks=() if run else pytest.mark.slow) for pair, run in zip(pairs, quick)]


def some(rows, part):
    """Every second of the rows, from `part` (0 or 1) on; the others are left to `pytest -m slow`."""
    return [pytest.param(row, marks=() if i % 2 == part else pytest.mark.slow) for i, row in enumerate(rows)]


# random numbers, in the shapes and dtypes of a tree: biases too, which the initialisers would leave at zero


def normal(like, seed=0, scale=1.0):
    draw = np.random.default_rng(seed)

    def numbers(a):
        real = draw.normal(size=a.shape)
        return real + 1j * draw.normal(size=a.shape) if jnp.issubdtype(a.dtype, jnp.complexfloating) else real

    return jax.tree.map(lambda a: jnp.asarray(scale * numbers(a), a.dtype), like)


def params_of(cell, seed=1):
    return normal(jax.eval_shape(cell.init, jax.random.key(0)), seed, 0.6)


def state_of(cell, params, seed=2):
    return normal(jax.eval_shape(cell.start, params), seed, 0.5)


def inputs(*shape, seed=3, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# what a function does, and what is the same


def outcome(run, *args):
    """What `run` gives, and the gradient by every argument of a random projection of all that it gives."""
    value, pull = jax.vjp(run, *args)
    return value, pull(normal(value, seed=99))


def same(one, other, rtol, atol):
    """Hold two trees to the same structure, dtypes, and values."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for (path, a), b in zip(jax.tree.leaves_with_path(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), (
            f"{jax.tree_util.keystr(path)}: {a.dtype}{a.shape} {b.dtype}{b.shape}"
        )
        if a.dtype != jax.dtypes.float0:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=jax.tree_util.keystr(path))


def by_hand(cell, params, state, xs, keep=None, reverse=False):
    """What `scan` means: a Python loop, with nothing of the library but `cell.step`. `keep` holds Python's bools."""
    order = range(len(jax.tree.leaves(xs)[0]))
    ys = [None] * len(order)
    for t in reversed(order) if reverse else order:
        after, y = cell.step(params, state, jax.tree.map(lambda x: x[t], xs))
        if keep is None or keep[t]:
            state, ys[t] = after, y
        else:
            ys[t] = jax.tree.map(jnp.zeros_like, y)
    return state, jax.tree.map(lambda *y: jnp.stack(y), *ys)


def squared(y, target):
    """A loss of one step: one number."""
    return 0.5 * ((y - target) ** 2).sum()


def differences(function, at, eps=1e-6):
    """The gradient of a scalar function of a vector by central differences."""
    steps = eps * np.eye(len(at))
    return np.array([(float(function(at + d)) - float(function(at - d))) / (2 * eps) for d in steps])


def holds_to(reference, cell, params, state, xs):
    """Hold a scan's values to a NumPy reference at 1e-10, and its gradients to the reference's central differences.

    Of a complex number, both parts are held to NumPy's, each with a gradient of its own.
    """
    at, back = numbers((params, state, jnp.asarray(xs)))

    def run(at):
        return numbers(r.scan(cell).step(*back(at)))[0]

    def by_numpy(at):
        return joined(numbers(jax.tree.map(jnp.asarray, reference(*jax.tree.map(np.asarray, back(at)))))[0])

    outs, (slope,) = jax.jit(lambda at: outcome(run, at))(at)
    np.testing.assert_allclose(joined(outs), by_numpy(at), **EXACT)
    weights, (vector, unravel) = joined(normal(outs, seed=99)), ravel_pytree(at)
    numeric = differences(lambda vector: weights @ by_numpy(unravel(jnp.asarray(vector))), np.asarray(vector))
    np.testing.assert_allclose(joined(slope), numeric, rtol=1e-6, atol=1e-7)


def padded_is_alone(cell):
    """Hold a batch of padded sequences of a cell to each of them alone, at lengths 0, 1 and T."""
    params, xs, lengths = params_of(cell), inputs(3, T, n), np.array([0, 1, T])
    model = r.scan(cell)

    def run(params, xs):
        padded = r.apply(model, params, xs, lengths=lengths)
        return padded, [model.step(params, cell.start(params), xs[b, :length]) for b, length in enumerate(lengths)]

    (state, ys), alone = jax.jit(run)(params, xs)
    for b, length in enumerate(lengths):
        same((jax.tree.map(lambda s: s[b], state), ys[b, :length]), alone[b], **EXACT)
        assert not ys[b, length:].any()


def joined(tree):
    """All numbers of a tree in one vector."""
    return np.concatenate([np.ravel(a) for a in jax.tree.leaves(tree)])
