"""Params and the whole training state are plain pytrees: Orbax saves them, and restores them onto another mesh."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import rnnjax as r
from conftest import SINGLE, T, inputs, n, same, squared
from rnnjax.train import Checkpoints, begin, update

B, m = 16, 8
MODEL = r.batch(r.with_loss(r.stack(r.scan(r.gru(n, m)), r.dropout(0.5), r.dense(m, 2)), squared), B)
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
STEP = update(r.bptt(MODEL), OPTIMIZER)


def mesh(*sizes):
    return jax.make_mesh(sizes, ("data", "model")[: len(sizes)], axis_types=(AxisType.Auto,) * len(sizes))


def over_data(mesh, path, x):
    """Streams across all devices of "data", all else on each."""
    return NamedSharding(mesh, P("data") if path[0].name == "state" and jnp.ndim(x) else P())


def over_both(mesh, path, x):
    """Beside it, the last axis of every matrix, and of its Adam moments, across "model"."""
    if path[0].name == "state":
        return over_data(mesh, path, x)
    return NamedSharding(mesh, P(None, "model") if jnp.ndim(x) == 2 else P())


def laid(training, mesh, over):
    return jax.tree.map_with_path(lambda path, x: jax.device_put(x, over(mesh, path, x)), training)


def types(training, mesh, over):
    def typed(path, x):
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=over(mesh, path, x))

    return jax.tree.map_with_path(typed, training)


def batches(mesh):
    data = inputs(3, T, B, n, dtype=np.float32), inputs(3, T, B, 2, seed=5, dtype=np.float32)
    return jax.device_put(data, NamedSharding(mesh, P(None, None, "data")))


def trained(training, batches):
    for k in range(len(batches[0])):
        training, metrics = STEP(training, jax.tree.map(lambda x: x[k], batches))
    return training, metrics


def fresh():
    training = begin(MODEL, OPTIMIZER, jax.random.key(0))
    return training._replace(state=r.seed(training.state, jax.random.PRNGKey(1), B))


@functools.cache
def on_eight():
    return trained(laid(fresh(), mesh(8), over_data), batches(mesh(8)))[0]


@functools.cache
def alone():
    """Twice as much training, on one device."""
    return jax.device_get(trained(trained(fresh(), batches(mesh(1)))[0], batches(mesh(1))))


def by_standard(path, training, wanted):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, training)
        checkpointer.wait_until_finished()
        return checkpointer.restore(path, wanted)


def by_checkpoints(path, training, wanted):
    checkpoints = Checkpoints(path)
    checkpoints.save(training)
    like = jax.tree.map(lambda x: jax.device_put(jnp.zeros(x.shape, x.dtype), x.sharding), wanted)
    loaded = checkpoints.load(like)
    checkpoints.close()
    return loaded


@pytest.mark.parametrize("kept", [by_standard, pytest.param(by_checkpoints, marks=pytest.mark.slow)])
def test_another_mesh(tmp_path, kept):
    """From eight devices of "data" to four by two: the same numbers lie elsewhere, and training goes on as on one."""
    four_by_two = mesh(4, 2)
    training = on_eight()
    wanted = types(jax.eval_shape(fresh), four_by_two, over_both)
    restored = kept(tmp_path / "training", training, wanted)
    same(jax.device_get(restored), jax.device_get(training), rtol=0, atol=0)
    jax.tree.map(lambda x, type_: np.testing.assert_equal(x.sharding, type_.sharding), restored, wanted)
    W = restored.params[0].W
    assert {shard.data.shape for shard in W.addressable_shards} == {(n, 3 * m // 2)}

    after, metrics = trained(restored, batches(four_by_two))
    same(jax.device_get((after, metrics)), alone(), **SINGLE)
