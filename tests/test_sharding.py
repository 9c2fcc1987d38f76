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
LENGTHS = np.arange(B) % (T + 1)

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


def problem(name):
    _, model = TRAINED[name](B)
    params = params_of(model)
    return params, (jnp.asarray(inputs(T, B, n)), jnp.asarray(inputs(T, B, 2, seed=7)))


def train(name, B):
    gradient, model = TRAINED[name](B)
    keep = (jnp.asarray(np.arange(T)[:, None] < LENGTHS),) if "masked" in name else ()
    return lambda params, xs: gradient(model)(params, model.start(params), xs, *keep)


@functools.cache
def trained(name):
    return jax.device_get(jax.jit(train(name, B))(*problem(name)))


@pytest.mark.parametrize("name", TRAINED)
def test_gradients(name):
    """Sharded gradients on Auto and Explicit axes."""
    reference = trained(name)
    params, xs = problem(name)
    for axes in AxisType.Auto, AxisType.Explicit:
        with jax.set_mesh(jax.make_mesh((DEVICES,), ("data",), axis_types=(axes,))):
            out = jax.jit(train(name, B))(laid(params), laid(xs, None, "data"))
            same(jax.device_get(out), reference, **EXACT)


@pytest.mark.parametrize("name", [name for name in TRAINED if "masked" not in name])
def test_shard_map(name):
    """Each device its own streams; the gradient by replicated params is already summed over devices."""
    mesh = jax.make_mesh((DEVICES,), ("data",), axis_types=(AxisType.Auto,))
    run = train(name, B // DEVICES)

    def own(params, xs):
        loss, grads, state = run(params, xs)
        return jax.lax.pmean(loss, "data"), jax.tree.map(lambda g: g / DEVICES, grads), state

    specs = dict(in_specs=(P(), P(None, "data")), out_specs=(P(), P(), P("data")))
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
