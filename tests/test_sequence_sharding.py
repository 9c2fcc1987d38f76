"""Time across devices: what one device gives, in value and gradient, for an exchange that does not grow with time."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from test_associative import real

import rnnjax as r
from conftest import EXACT, inputs, m, n, outcome, params_of, same, squared, state_of

DEVICES, T = 8, 16
CELLS = {cell.name.partition("(")[0]: cell for cell in (r.mingru(n, m), r.lru(n, m), r.gla(n, 2, m, rank=2))}
AXES = {"auto": AxisType.Auto, "explicit": AxisType.Explicit}
over_time = functools.partial(r.scan, loop=r.associative, axis="time")
each_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
each_kind = pytest.mark.parametrize("axes", AXES.values(), ids=AXES.keys())


def mesh(axes=AxisType.Auto, **sizes):
    sizes = sizes or dict(time=DEVICES)
    return jax.set_mesh(jax.make_mesh(tuple(sizes.values()), tuple(sizes), axis_types=(axes,) * len(sizes)))


def problem(cell, steps=T):
    params = params_of(cell)
    return params, state_of(cell, params), jnp.asarray(inputs(steps, n))


def results(model, args, keep=()):
    run = real(lambda *args: model.step(*args, *keep))
    return jax.device_get(jax.jit(functools.partial(outcome, run))(*args))


DENSE = r.dense(m, n)


def two_layers(scan, B=None, between=DENSE):
    """Two layers with one between, and a loss."""
    layers = scan(CELLS["mingru"]), between, scan(CELLS["gla"])
    model = r.with_loss(r.stack(*layers), squared)
    return model if B is None else r.batch(model, B)


def task(model, steps=T, B=()):
    params = params_of(model)
    return params, state_of(model, params), (jnp.asarray(inputs(steps, *B, n)), jnp.asarray(inputs(steps, *B, m)))


@pytest.mark.parametrize(
    "axes, reverse, holes",
    [
        (AxisType.Auto, True, True),
        (AxisType.Explicit, False, True),
        pytest.param(AxisType.Auto, False, False, marks=pytest.mark.slow),
        pytest.param(AxisType.Explicit, True, False, marks=pytest.mark.slow),
    ],
)
@each_cell
def test_equals_one_device(cell, axes, reverse, holes):
    """From any state, with holes and devices that have no real step, in value and in the gradient by all there is."""
    t = jnp.arange(T)
    keep = ((t % 3 > 0) & (t // 2 != 3) & (t < 12),) if holes else ()
    expected = results(r.scan(cell, r.rolled, reverse=reverse), problem(cell), keep)
    with mesh(axes):
        same(results(over_time(cell, reverse=reverse), problem(cell), keep), expected, **EXACT)


@pytest.mark.parametrize("devices, steps", [(8, 8), (1, 3)])
def test_few_steps(devices, steps):
    """One step a device, and one device."""
    cell = CELLS["lru"]
    expected = results(r.scan(cell, r.rolled), problem(cell, steps))
    with mesh(time=devices):
        same(results(over_time(cell), problem(cell, steps)), expected, **EXACT)


@each_kind
def test_batch_and_time(axes):
    """Streams across one axis of the mesh and time across another; training of a deep model with lengths."""
    B, lengths = 4, np.array([T, 0, 5, 11])
    # jax 0.10 does not sum the gradient of a dense layer over two Explicit axes
    between = DENSE if axes == AxisType.Auto else r.lift(lambda h: h[:n])
    model, reference = (two_layers(run, B, between) for run in (over_time, functools.partial(r.scan, loop=r.rolled)))
    params, state, xs = task(model, B=(B,))
    keep = jnp.asarray(np.arange(T)[:, None] < lengths)
    expected = jax.device_get(jax.jit(r.bptt(reference))(params, state, xs, keep))
    with mesh(axes, data=2, time=4):
        xs, keep = jax.device_put((xs, keep), jax.NamedSharding(jax.sharding.get_mesh(), P("time", "data")))
        out = jax.jit(r.bptt(model))(params, state, xs, keep)
        losses = jax.eval_shape(model.step, params, state, xs, keep)[1]
    same(jax.device_get(out), expected, **EXACT)
    assert axes == AxisType.Auto or losses.sharding.spec == P("time", "data")


@pytest.mark.parametrize("sizes", [pytest.param(dict(time=8), marks=pytest.mark.slow), dict(data=2, time=4)])
def test_within_shard_map(sizes):
    """A device's own part of time, and of the streams; the gradient by what all share is summed over them."""
    B = 4
    own = two_layers(over_time, B // sizes.get("data", 1))
    reference = two_layers(functools.partial(r.scan, loop=r.rolled), B)
    params, state, xs = task(reference, B=(B,))
    streams = P("data" if "data" in sizes else None)
    along = P("time", *streams)

    def sharded(params, state, xs):
        specs = dict(in_specs=(P(), streams, along), out_specs=(streams, along))
        return jax.shard_map(own.step, **specs)(params, state, xs)

    expected = jax.device_get(jax.jit(functools.partial(outcome, reference.step))(params, state, xs))
    with mesh(**sizes):
        same(jax.device_get(jax.jit(functools.partial(outcome, sharded))(params, state, xs)), expected, **EXACT)


def test_derivatives_and_vmap():
    """Forward over reverse, vmap, and without jit."""
    cell = CELLS["mingru"]
    params, state, xs = problem(cell, 4)

    def objective(loop, bias, xs):
        return jnp.sin(r.scan(cell, **loop).step(params._replace(b=bias), state, xs)[1]).sum()

    def derivatives(**loop):
        run = functools.partial(objective, loop)
        many = jax.vmap(jax.grad(run), (None, 0))(params.b, jnp.stack([xs, 2 * xs]))
        return jax.hessian(run)(params.b, xs), many

    expected = jax.device_get(jax.jit(lambda: derivatives(loop=r.rolled))())
    slope = jax.grad(functools.partial(objective, dict(loop=r.rolled)))(params.b, xs)
    with mesh(time=2):
        same(jax.device_get(jax.jit(lambda: derivatives(loop=r.associative, axis="time"))()), expected, **EXACT)
        plain = jax.grad(functools.partial(objective, dict(loop=r.associative, axis="time")))(params.b, xs)
    same(jax.device_get(plain), jax.device_get(slope), **EXACT)


COLLECTIVE = re.compile(r"= (.*?) (all-to-all|all-reduce|all-gather|reduce-scatter|collective-permute)\(")


def exchanged(run, *args):
    """The shapes that the collectives of a compiled program give, by their kind."""
    found = {}
    for shapes, kind in COLLECTIVE.findall(jax.jit(run).lower(*args).compile().as_text()):
        found.setdefault(kind, []).extend(
            tuple(map(int, filter(None, dims.split(",")))) for dims in re.findall(r"\w\d+\[([\d,]*)\]", shapes)
        )
    return found


def numbers(shapes):
    return sum(map(math.prod, shapes))


def test_exchange():
    """Two totals of a state from each device, the last state, and as much back: whatever T is, and nothing of T."""
    cell = r.mingru(n, 5)
    params, state, _ = problem(cell)

    def run(params, xs):
        return over_time(cell).step(params, state, xs)

    def slope(params, xs):
        return jax.grad(lambda params: (run(params, xs)[1] ** 2).sum())(params)

    with mesh():
        for steps in 64, 256:
            xs = laid(jnp.asarray(inputs(steps, n)))
            found = exchanged(run, params, xs)
            assert found.keys() == {"all-to-all", "all-reduce"}
            assert numbers(found["all-to-all"]) == 2 * DEVICES * 5 and numbers(found["all-reduce"]) == 5
            found = exchanged(slope, params, xs)
            assert found.keys() == {"all-to-all", "all-reduce"}
            assert 3 * DEVICES * 5 <= numbers(found["all-to-all"]) <= 5 * DEVICES * 5
            assert numbers(found["all-reduce"]) <= sum(p.size for p in jax.tree.leaves(params)) + 2 * 5


def test_stays_across_time():
    """Of a deep model nothing that is as long as time is gathered or sent, there or back, and ys lies where xs does."""
    steps = 8 * 11
    model = r.stack(over_time(CELLS["mingru"]), r.dense(m, n), r.lift(jnp.tanh), over_time(CELLS["lru"]))
    params, state, xs = problem(model, steps)
    with mesh():
        xs = laid(xs)
        ys = jax.jit(model.step)(params, state, xs)[1]
        slope = jax.grad(lambda params, xs: (model.step(params, state, xs)[1] ** 2).sum(), (0, 1))
        found = exchanged(slope, params, xs)
        by_xs = jax.jit(slope)(params, xs)[1]
    assert ys.sharding.spec[0] == by_xs.sharding.spec[0] == "time"
    assert not [shape for shapes in found.values() for shape in shapes if not {steps, 11}.isdisjoint(shape)]


def laid(xs):
    return jax.device_put(xs, jax.NamedSharding(jax.sharding.get_mesh(), P("time")))


def test_memory():
    """What a device needs for the gradient falls with their number."""
    cell = r.mingru(n, 16)
    params = params_of(cell)

    def slope(params, xs):
        return jax.grad(lambda params: (over_time(cell).step(params, jnp.zeros(16), xs)[1] ** 2).sum())(params)

    def temporary(devices):
        with mesh(time=devices):
            compiled = jax.jit(slope).lower(params, laid(jnp.zeros((2**9, n)))).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary(8) < 1.1 / 8 * temporary(1)


def test_exported():
    """A training step across devices lowers for CUDA and TPU from here."""
    B = 4
    model = two_layers(over_time, B)
    with mesh(data=2, time=4):
        exported = jax.export.export(jax.jit(r.bptt(model)), platforms=("cpu", "cuda", "tpu"))(*task(model, B=(B,)))
    assert exported.platforms == ("cpu", "cuda", "tpu") and exported.nr_devices == DEVICES


def test_refused():
    cell = CELLS["mingru"]
    args = problem(cell, 12)
    with pytest.raises(ValueError, match=r"^associative: axis must be .*, but axis is 'time' and the mesh is not"):
        over_time(cell).step(*args)
    with mesh(data=8), pytest.raises(ValueError, match=r"but axis is 'time' and the mesh has 'data'\. Set one, as jax"):
        over_time(cell).step(*args)
    with mesh():
        with pytest.raises(
            ValueError,
            match=r"^associative: the steps must divide among the 8 devices of axis 'time', but xs has 12 steps\. "
            r"Pad xs to 16 steps and leave the others out with the mask keep\.$",
        ):
            over_time(cell).step(*args)
        with pytest.raises(TypeError, match=r"^associative: the cell must promise affine, but lstm\(3, 4\) does not"):
            lstm = r.lstm(n, m)
            over_time(lstm).step(*problem(lstm, 8))
        own = jax.shard_map(over_time(cell).step, in_specs=(P(), P("time"), P("time")), out_specs=(P(), P("time")))
        with pytest.raises(ValueError, match=r"same on all devices of axis 'time', but state is each device's own"):
            own(args[0], jnp.zeros(8 * m), jnp.zeros((8, n)))
