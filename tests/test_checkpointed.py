"""The binomial schedule is the best there is, and the loop that follows it keeps and runs what the schedule says."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward import AWKWARD
from jax.flatten_util import ravel_pytree
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from test_deferred import KEEP, made, moving

import rnnjax as r
from conftest import EXACT, LENGTHS, B, T, inputs, m, n, normal, outcome, params_of, same, squared, state_of
from rnnjax.loops.treeverse import advances, repeats, schedule

FEW = dict(snapshots=2), dict(segments=4, snapshots=1)  # T = 7: seven segments of a step; three of two and a rest


# the schedule


@functools.cache
def fewest(N, S):
    """The least number of segments run on the way to others, by trying every place for the next snapshot."""
    if N == 1:
        return 0
    if S == 0:
        return math.inf
    return min(k + fewest(N - k, S - 1) + fewest(k, S) for k in range(1, N))


@pytest.mark.parametrize("S", range(1, 8))
def test_fewest_runs(S):
    """Griewank's formula, its r, and the schedule are what a search finds."""
    for N in range(1, 50):
        assert repeats(N, S) == next(k for k in range(N) if math.comb(S + k, S) >= N)
        legs, _ = schedule(N, S)
        assert (legs[:, 2] - legs[:, 1]).sum() == advances(N, S) == fewest(N, S)


@pytest.mark.parametrize("N, S", [(1, 1), (2, 1), (9, 1), (8, 2), (35, 3), (36, 3), (5, 7), (1000, 10), (3003, 9)])
def test_snapshots(N, S):
    """Followed by hand: the state that is wanted is there, in one of S slots or at work, and r runs do."""
    legs, turns = schedule(N, S)
    slots, runs, done = {0: 0}, np.zeros(N, int), 0
    first = turns[-1][0]
    for segment in reversed(range(N)):
        start, end, slot = turns[segment]
        for source, begin, stop, target in legs[done:end]:
            assert slots[source] == begin < stop
            runs[begin:stop] += 1
            slots[target] = stop
        assert slots[slot] == segment and start == (first if segment == N - 1 else done)
        done = end
    assert done == len(legs) and set(slots) <= {*range(S + 1)}
    assert runs.max() == repeats(N, S) and runs.sum() == advances(N, S)
    sweep = legs[:first]
    assert first == 0 or (sweep[0, 1], sweep[-1, 2]) == (0, N - 1), "the first sweep goes to the last segment"
    assert (sweep[1:, 1] == sweep[:-1, 2]).all()


# the loop


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("N, S", [(24, 1), (24, 3), (6, 2), (8, 3)])
def test_runs(N, S, reverse):
    """The steps that run are those of the schedule: each in the forward pass, and then what is run on the way to
    others, the sweep of the forward pass being one such, and each for its own reversal."""
    calls = []

    def step(w, h, x):
        jax.debug.callback(calls.append, x)
        h = jnp.tanh(w * h + x)
        return h, h

    cell = r.Cell(lambda key: jnp.ones(()), jnp.zeros_like, step)
    run = r.scan(cell, r.checkpointed, segments=N, snapshots=S, reverse=reverse).step
    jax.grad(lambda w: run(w, jnp.zeros(()), jnp.arange(24.0))[0])(0.5)
    jax.effects_barrier()
    times = np.bincount(np.array(calls, int), minlength=24)
    assert times.sum() == 24 // N * (N + advances(N, S) + 1)
    assert times.max() <= repeats(N, S) + 1


def slope_of(T, m=m, **options):
    model = r.scan(r.lstm(n, m), r.checkpointed, **options)
    params = params_of(model)
    return (
        jax.grad(lambda params, xs: model.step(params, model.start(params), xs)[0].h.sum()),
        params,
        jnp.zeros((T, n)),
    )


def test_program():
    """The program is of one size, however long the run and however many its snapshots."""

    def is_program(p):
        return hasattr(p, "eqns")

    def size(jaxpr):
        inner = [p for eqn in jaxpr.eqns for p in jax.tree.leaves(list(eqn.params.values()), is_leaf=is_program)]
        return len(jaxpr.eqns) + sum(size(getattr(p, "jaxpr", p)) for p in inner if is_program(p))

    sizes = set()
    for steps, S in (64, 4), (4096, 4), (4096, 16):
        slope, *args = slope_of(steps, snapshots=S)
        sizes.add(size(jax.make_jaxpr(slope)(*args).jaxpr))
    assert len(sizes) == 1 and sizes.pop() > 100


def test_memory():
    """With about log₂ T snapshots, 64 times the steps take less than twice the memory."""

    def memory(T, **options):
        slope, *args = slope_of(T, 8, **options)
        return jax.jit(slope).lower(*args).compile().memory_analysis().temp_size_in_bytes

    short, long = (memory(T, snapshots=round(math.log2(T))) for T in (400, 25600))
    assert long < 2 * short
    assert long < memory(25600) / 4
    assert memory(102400, snapshots=15) < 1.1 * long


@pytest.mark.parametrize("options", [*FEW, dict(snapshots=3, reverse=True)])
@pytest.mark.parametrize("steps", [0, 1, 2, 23, 64])
def test_lengths(steps, options):
    """Any number of steps, also none, also where segments leave a rest."""
    cell = r.gru(n, m)
    if "segments" in options:
        options = options | dict(segments=max(1, min(steps, 4)))
    params = params_of(cell)
    args = params, state_of(cell, params), jnp.asarray(inputs(steps, n))
    few, plain = r.scan(cell, r.checkpointed, **options), r.scan(cell, r.rolled, reverse="reverse" in options)
    same(*(jax.jit(functools.partial(outcome, model.step))(*args) for model in (few, plain)), **EXACT)


# whatever the cell


def second(run, args):
    """The value, all gradients, and their change along a direction."""
    function, at = moving(run, args)

    def gradients(at):
        value, pull = jax.vjp(function, at)
        return value, pull(normal(value, seed=99))[0]

    return jax.jit(lambda at: jax.jvp(gradients, (at,), (normal(at, seed=5),)))(at)


def mapped(run):
    """`run` under `jax.vmap` of everything, and `jax.checkpoint`."""
    two = functools.partial(jax.tree.map, lambda a: jnp.stack([a, a]))
    return lambda *args: jax.checkpoint(jax.vmap(run))(*map(two, args))


QUICK = "integers and keys in the state", "symbols"
WAYS = {
    "plain": ((), {}, lambda run: run),
    "reversed and masked": ((KEEP,), dict(reverse=True), lambda run: run),
    "mapped": ((), {}, mapped),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in AWKWARD]
)
def test_awkward(name, way):
    """First derivatives and forward over reverse are those of `lax.scan` for every cell that users thought of."""
    keep, options, change = WAYS[way]
    found = []
    for loop, more in (r.rolled, {}), *((r.checkpointed, few) for few in FEW):
        model, args = made(name, loop, **options, **more)
        found.append(jax.tree.leaves(second(change(model.step), (*args, *keep))))
    for its in found[1:]:
        for one, other in zip(its, found[0], strict=True):
            single = one.dtype == jnp.float32 or name == "half precision inside"
            np.testing.assert_allclose(one, other, **(dict(rtol=1e-4, atol=1e-4) if single else EXACT))


def test_models():
    """Batched, stacked, in both directions, with dropout between, under masks."""

    def gradients(**loop):
        deep = r.deep(r.lstm, n, m, layers=2, bidirectional=True, dropout=0.5, **loop)
        noisy = r.scan(r.stack(r.dropout(0.5), r.dense(2 * m, 2)), **loop)
        model = r.batch(r.with_loss(r.stack(deep, noisy), squared), B)
        params = params_of(model)
        state = r.seed(model.start(params), jax.random.key(0), B)
        xs = jnp.asarray(inputs(T, B, n)), jnp.asarray(inputs(T, B, 2, seed=7))
        loss, grads, _ = r.bptt(model)(params, state, xs, jnp.arange(T)[:, None] < jnp.asarray(LENGTHS)[None])
        return loss, grads

    reference = jax.jit(functools.partial(gradients, loop=r.rolled))()
    for few in FEW:
        same(jax.jit(functools.partial(gradients, loop=r.checkpointed, **few))(), reference, **EXACT)


def test_closed_over():
    """A step may close over values that are traced, of floats and of integers, inside a program and mapped."""

    def total(scale, k, loop, **options):
        def step(w, h, x):
            h = jnp.tanh(w * h + x.sum() * scale + k.astype(x.dtype))
            return h, h

        model = r.scan(r.Cell(None, None, step), loop, **options)
        return model.step(jnp.float64(0.3), jnp.float64(0.1), jnp.asarray(inputs(T, n)))[1].sum()

    def slopes(loop, **options):
        one = jax.jit(functools.partial(total, loop=loop, **options))
        many = jax.jit(lambda scale: jax.vmap(one, (None, 0))(scale, jnp.arange(3)).sum())
        each = jax.vmap(jax.grad(one))(jnp.arange(3.0), jnp.arange(3))
        return jax.grad(many)(0.5), each, jax.hessian(many)(0.5)

    for few in FEW:
        same(slopes(r.checkpointed, **few), slopes(r.rolled), **EXACT)


def test_numbers_of_python():
    """A state may start as a number, as in `lax.scan`."""
    cell = r.Cell(None, None, lambda w, s, x: ((s[0] + w * x, s[1] + 1), s[0] * w))

    def slope(loop, **options):
        run = r.scan(cell, loop, **options).step
        return jax.value_and_grad(lambda w: run(w, (0, 0), jnp.asarray(inputs(T)))[1].sum())(0.5)

    for few in FEW:
        same(slope(r.checkpointed, **few), slope(r.rolled), **EXACT)


def test_derivatives():
    """Hessians are forward mode over reverse; forward mode alone is refused unless every segment has a snapshot."""

    def objective(loop, **options):
        model = r.scan(r.rnn(2, 2), loop, **options)
        at, unravel = ravel_pytree(params_of(model))
        xs = jnp.asarray(inputs(5, 2))
        return lambda vector: model.step(unravel(vector), jnp.zeros(2), xs)[1][-1].sum(), at

    few, at = objective(r.checkpointed, segments=5, snapshots=2)
    plain, _ = objective(r.rolled)
    same(jax.jit(jax.hessian(few))(at), jax.jit(jax.hessian(plain))(at), **EXACT)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(few, (at,), (at,))
    enough, _ = objective(r.checkpointed, segments=5, snapshots=5)
    same(jax.jvp(enough, (at,), (at,)), jax.jvp(plain, (at,), (at,)), **EXACT)


@pytest.mark.parametrize("axes", ["Auto", "Explicit", "shard_map"])
def test_sharded(axes):
    """Inputs that lie across devices, on axes of either kind, and inside `shard_map`."""

    def slopes(streams):
        model = r.scan(r.batch(r.gru(n, m), streams), r.checkpointed, segments=4, snapshots=2)
        return jax.grad(lambda params, xs: (model.step(params, model.start(params), xs)[1] ** 2).sum(), (0, 1))

    args = params_of(r.gru(n, m)), jnp.asarray(inputs(T, 8, n))
    reference = jax.device_get(jax.jit(slopes(8))(*args))
    kind = AxisType.Explicit if axes == "Explicit" else AxisType.Auto
    mesh, specs = jax.make_mesh((8,), ("data",), axis_types=(kind,)), (P(), P(None, "data"))
    if axes == "shard_map":
        found = jax.jit(jax.shard_map(slopes(1), mesh=mesh, in_specs=specs, out_specs=specs))(*args)
    else:
        with jax.set_mesh(mesh):
            laid = [jax.device_put(arg, NamedSharding(jax.sharding.get_mesh(), spec)) for arg, spec in zip(args, specs)]
            found = jax.jit(slopes(8))(*laid)
    same(jax.device_get(found), reference, **EXACT)
