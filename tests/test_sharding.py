"""Batch-sharded inputs give what one device gives: Auto and Explicit axes, and inside `shard_map`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import rnnjax as r
from conftest import EXACT, T, inputs, n, params_of, same, squared

DEVICES, B, m = 8, 16, 4
NET = r.stack(r.deep(r.lstm, n, m, layers=2, dropout=0.5), r.dense(m, 2))
BOTH_WAYS = r.deep(r.gru, n, m, bidirectional=True)
AROUND = r.stack(r.layer_norm(n), r.skip(r.bidirectional(r.highway(r.gru(n, n), n), r.rnn(n, n), join=r.average)))
GRU = r.gru(n, m)._replace(start=lambda params: params.d)
EPISODES = r.with_loss(r.stack(r.lift(lambda x: (x, x[0] > 0.5)), r.resettable(GRU), r.dense(m, 2)), squared)
MODEL = r.with_loss(r.stack(r.scan(r.lstm(n, m)), r.dense(m, 2)), squared)
LENGTHS = np.stack([np.arange(B // 2), T - np.arange(B // 2)], 1).ravel()  # of each pair as many steps

APPLIES = {
    "apply": lambda xs, lengths, key: r.apply(NET, params_of(NET), xs),
    "apply, lengths": lambda xs, lengths, key: r.apply(NET, params_of(NET), xs, lengths=lengths),
    "apply, key": lambda xs, lengths, key: r.apply(NET, params_of(NET), xs, key=key),
    "apply, ways around": lambda xs, lengths, key: r.apply(AROUND, params_of(AROUND), xs, lengths=lengths),
    "apply, both ways": lambda xs, lengths, key: r.apply(BOTH_WAYS, params_of(BOTH_WAYS), xs, lengths=lengths),
}

# gradients of B streams, as a function of B
TRAINED = {
    "bptt": lambda B: (r.bptt, r.batch(MODEL, B)),
    "scan of batch": lambda B: (r.bptt, r.scan(r.batch(MODEL.each, B))),
    "checkpointed": lambda B: (r.bptt, r.batch(r.with_loss(r.deep(r.gru, n, 2, loop=r.checkpointed), squared), B)),
    "snapshots": lambda B: (
        r.bptt,
        r.batch(r.with_loss(r.deep(r.gru, n, 2, loop=r.checkpointed, snapshots=2), squared), B),
    ),
    "resets": lambda B: (r.bptt, r.batch(r.scan(EPISODES), B)),
    "rtrl": lambda B: (r.rtrl, r.batch(MODEL, B)),
    "both ways": lambda B: (r.bptt, r.batch(r.with_loss(r.deep(r.gru, n, 1, bidirectional=True), squared), B)),
    "bptt, masked": lambda B: (r.bptt, r.batch(MODEL, B)),
    "tbptt": lambda B: (functools.partial(r.tbptt, window=2), r.batch(MODEL, B)),
    "tbptt, masked": lambda B: (functools.partial(r.tbptt, window=2), r.batch(MODEL, B)),
    "tbptt, stride": lambda B: (functools.partial(r.tbptt, window=3, stride=2), r.batch(MODEL, B)),
}


def laid(x, *spec):
    return jax.tree.map(lambda x: jax.device_put(x, NamedSharding(jax.sharding.get_mesh(), P(*spec))), x)


def is_spread(x):
    return len({str(shard.index) for shard in x.addressable_shards}) == DEVICES


@functools.cache
def applied(name):
    return jax.device_get(jax.jit(APPLIES[name])(inputs(B, T, n), LENGTHS, jax.random.PRNGKey(0)))


@pytest.mark.parametrize("axes", [AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
@pytest.mark.parametrize("name", APPLIES)
def test_apply(axes, name):
    expected = applied(name)
    with jax.set_mesh(jax.make_mesh((DEVICES,), ("data",), axis_types=(axes,))):
        out = jax.jit(APPLIES[name])(laid(inputs(B, T, n), "data"), laid(LENGTHS, "data"), laid(jax.random.PRNGKey(0)))
    assert is_spread(out[1]), "the work should stay where the data is"
    same(jax.device_get(out), expected, **EXACT)


@pytest.mark.parametrize("name", [name for name in APPLIES if "key" not in name])
def test_apply_in_shard_map(name):
    """Each device its own sequences; their lengths too."""

    def own(xs, lengths):
        return APPLIES[name](xs, lengths, None)

    mesh = jax.make_mesh((DEVICES,), ("data",), axis_types=(AxisType.Auto,))
    spread = jax.shard_map(own, mesh=mesh, in_specs=P("data"), out_specs=P("data"))
    same(jax.device_get(jax.jit(spread)(inputs(B, T, n), LENGTHS)), applied(name), **EXACT)


def problem(name):
    _, model = TRAINED[name](B)
    params = params_of(model)
    keep = jnp.asarray(np.arange(T)[:, None] < LENGTHS) if "masked" in name else None
    return params, (jnp.asarray(inputs(T, B, n)), jnp.asarray(inputs(T, B, 2, seed=7))), keep


def train(name, B):
    gradient, model = TRAINED[name](B)
    return lambda params, xs, keep: gradient(model)(params, model.start(params), xs, *[keep] * (keep is not None))


@functools.cache
def trained(name):
    return jax.device_get(jax.jit(train(name, B))(*problem(name)))


@pytest.mark.parametrize("name", TRAINED)
def test_gradients(name):
    """Sharded gradients on Auto and Explicit axes."""
    reference = trained(name)
    params, *data = problem(name)
    for axes in AxisType.Auto, AxisType.Explicit:
        with jax.set_mesh(jax.make_mesh((DEVICES,), ("data",), axis_types=(axes,))):
            out = jax.jit(train(name, B))(laid(params), *laid(data, None, "data"))
            same(jax.device_get(out), reference, **EXACT)


@pytest.mark.parametrize("name", TRAINED)
def test_shard_map(name):
    """Each device its own streams; the gradient by replicated params is already summed over devices."""
    mesh = jax.make_mesh((DEVICES,), ("data",), axis_types=(AxisType.Auto,))
    run = train(name, B // DEVICES)

    def own(params, *data):
        loss, grads, state = run(params, *data)
        return jax.lax.pmean(loss, "data"), jax.tree.map(lambda g: g / DEVICES, grads), state

    specs = dict(in_specs=(P(), P(None, "data"), P(None, "data")), out_specs=(P(), P(), P("data")))
    same(jax.device_get(jax.jit(jax.shard_map(own, mesh=mesh, **specs))(*problem(name))), trained(name), **EXACT)


@pytest.mark.parametrize("loop", [r.deferred, r.rolled], ids=["deferred", "rolled"])
@pytest.mark.parametrize("constructor", [r.lstm, r.gru, r.rnn], ids=["lstm", "gru", "rnn"])
def test_units_across_devices(constructor, loop):
    """Params that lie by their columns, streams and units of the states across two axes: what one device gives."""
    model = r.batch(r.with_loss(r.stack(r.scan(constructor(n, m), loop), r.dense(m, 2)), squared), B)
    params, xs = params_of(model), (jnp.asarray(inputs(T, B, n)), jnp.asarray(inputs(T, B, 2, seed=7)))

    def run(params, xs):
        return r.bptt(model)(params, model.start(params), xs)

    expected = jax.device_get(jax.jit(run)(params, xs))
    with jax.set_mesh(jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)):
        spread = jax.tree.map(lambda p: laid(p, *[None] * (p.ndim - 1), "model"), params)
        out = jax.device_get(jax.jit(run)(spread, laid(xs, None, "data")))
    same(out, expected, **EXACT)


@pytest.mark.parametrize("lie", ["rows", "columns"])
def test_params_on_explicit_axes(lie):
    """Their columns across an axis of their own; their rows across that of the streams, once they are made whole."""
    model = r.batch(MODEL, B)
    params, xs, _ = problem("bptt")

    def run(params, xs):
        return r.bptt(model)(params, model.start(params), xs)

    def gathered(params, xs):
        return run(jax.tree.map(lambda p: jax.sharding.reshard(p, P()), params), xs)

    def spec(p):
        return P(*[None] * (p.ndim - 1), "model") if lie == "columns" else P("data" if p.shape[0] % 4 == 0 else None)

    with jax.set_mesh(jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Explicit,) * 2)):
        spread, xs = jax.tree.map(lambda p: laid(p, *spec(p)), params), laid(xs, None, "data")
        assert any(not p.sharding.is_fully_replicated for p in jax.tree.leaves(spread))
        out = jax.jit(run if lie == "columns" else gathered)(spread, xs)
        if lie == "rows":
            with pytest.raises(ValueError, match="Unmapped values passed to vmap cannot be sharded along"):
                jax.eval_shape(run, spread, xs)
    same(jax.device_get(out), trained("bptt"), **EXACT)
