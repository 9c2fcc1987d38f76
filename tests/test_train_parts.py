"""A gradient in parts, in few bits, and in the memory of what it replaces."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rnnjax as r
from conftest import SINGLE, same
from rnnjax.tasks.asked import asked
from rnnjax.tasks.language import Config
from rnnjax.tasks.recipe import whole
from rnnjax.train import accumulate, begin, mixed, update

V, B, T = 6, 8, 12
cross_entropy = optax.softmax_cross_entropy_with_integer_labels
LAYERS = r.stack(r.embed(V, 5), r.dropout(0.3), r.scan(r.lstm(5, 7)), r.dense(7, V))
MODEL = r.with_loss(LAYERS, cross_entropy)
IDS = np.random.default_rng(0).integers(0, V, (2, T, B)).astype(np.int32)
KEEP = np.arange(T)[:, None] < np.array([T, 4, 9, 1, 1, 9, 4, T])  # all parts keep as much


def tbptt(B):
    return r.tbptt(r.batch(MODEL, B), window=5)


def problem():
    cell = r.batch(MODEL, B)
    params = cell.init(jax.random.key(0))
    return params, r.seed(cell.start(params), jax.random.key(1), B), (IDS[0], IDS[1])


def plain(tree):
    """Random keys as their numbers."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, tree)


@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("keep", [(), (KEEP,)], ids=["all", "masked"])
def test_parts_are_the_whole(parts, keep):
    """Loss, gradient, and the state of every stream in its place; with dropout, and with a mask."""
    arguments = *problem(), *keep
    expected = jax.jit(tbptt(B))(*arguments)
    found = jax.jit(accumulate(tbptt(B // parts), parts))(*arguments)
    same(plain(found), plain(expected), **SINGLE)


def test_parts_of_sequences():
    """The batch on axis 0, and the key goes from part to part."""
    model = r.stack(r.scan(r.gru(3, 4)), r.dense(4, 2))

    def loss(params, key, xs, ys):
        return ((r.apply(model, params, xs)[1] - ys) ** 2).mean()

    xs, ys = np.ones((6, 5, 3), np.float32).cumsum(0), np.ones((6, 5, 2), np.float32)
    params, key = model.init(jax.random.key(0)), jax.random.key(2)
    expected = whole(loss)(params, key, (xs, ys))
    found = jax.jit(accumulate(whole(loss), 3, streams=False))(params, key, (xs, ys))
    same(found[:2], expected[:2], **SINGLE)
    thrice = functools.reduce(lambda key, _: jax.random.split(key)[0], range(3), key)
    assert (jax.random.key_data(found[2]) == jax.random.key_data(thrice)).all()


def test_parts_take_turns_in_memory():
    cell = r.batch(MODEL, 64)
    params, xs = cell.init(jax.random.key(0)), (np.zeros((96, 64), np.int32),) * 2
    arguments = params, r.seed(cell.start(params), jax.random.key(1), 64), xs

    def temporary(parts):
        gradient = accumulate(r.bptt(r.batch(MODEL, 64 // parts)), parts)
        return jax.jit(gradient).lower(*arguments).compile().memory_analysis().temp_size_in_bytes

    assert temporary(8) < 0.25 * temporary(1)


def test_parts_that_do_not_divide():
    with pytest.raises(ValueError, match=r"^accumulate: the batch must divide into the parts, but it has 8 and parts"):
        accumulate(tbptt(2), 3)(*problem())
    with pytest.raises(ValueError, match=r"^accumulate: parts must be at least 1, but parts is 0"):
        accumulate(tbptt(2), 0)
    with pytest.raises(ValueError, match=r"^train: accumulate must divide batch, but accumulate is 3 and batch is 32"):
        Config(accumulate=3)


# few bits


def rounded(x):
    return np.asarray(jnp.asarray(x, jnp.bfloat16), np.float32)


def test_products_are_rounded_and_sums_are_not():
    x, W = np.random.default_rng(1).normal(size=(2, 16, 16)).astype(np.float32)
    found = jax.jit(mixed(lambda x, W: jnp.tanh(x @ W) + x))(x, W)
    np.testing.assert_allclose(found, np.tanh(rounded(x) @ rounded(W)) + x, rtol=1e-5, atol=1e-5)
    assert abs(found - (np.tanh(x @ W) + x)).max() > 1e-3, "it does round"


@pytest.mark.parametrize("loop", [r.deferred, r.rolled, r.checkpointed, r.associative], ids=lambda loop: loop.__name__)
def test_every_product_of_a_gradient(loop):
    """Of all loops, forward and back: no product of float32 is left on an accelerator; dtypes are as they were."""
    cell = r.mingru(5, 7) if loop is r.associative else r.lstm(5, 7)
    model = r.with_loss(r.stack(r.embed(V, 5), r.scan(cell, loop=loop), r.dense(7, V)), cross_entropy)
    gradient, params = r.bptt(r.batch(model, B)), model.init(jax.random.key(0))
    arguments = params, r.batch(model, B).start(params), (IDS[0], IDS[1])
    few = jax.jit(mixed(gradient))
    for platform in "cuda", "tpu":
        text = jax.export.export(few, platforms=[platform])(*arguments).mlir_module()
        products = re.findall(r"stablehlo\.dot_general.*: \((.*?)\) -> (\S*)", text)
        assert len(products) > 3
        assert all(ins.count("bf16") == 2 and "f32" in out for ins, out in products), products
    found, exact = few(*arguments), jax.jit(gradient)(*arguments)
    assert [x.dtype for x in jax.tree.leaves(found)] == [x.dtype for x in jax.tree.leaves(exact)]
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(exact)):
        assert abs(a - b).max() < 0.03 * abs(b).max() + 1e-4
    assert any((a != b).any() for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(exact)))


def test_learns_in_few_bits():
    """To copy what it reads, as well as in float32."""

    def learned(gradient):
        optimizer = optax.adam(0.02)
        training, step = begin(r.batch(MODEL, B), optimizer, jax.random.key(0)), update(gradient, optimizer)
        for _ in range(150):
            training, metrics = step(training, (IDS[0], IDS[0]))
        return float(metrics.loss)

    assert learned(mixed(tbptt(B))) < 0.05 and learned(tbptt(B)) < 0.05


def test_of_a_task():
    """The options of a run reach its gradient."""
    options = dict(m=8, batch=8, steps=2, every=2)
    one = asked("language", Config(**options))
    params = one.init(jax.random.key(0))
    arguments = params, one.start(params), one.batch_at(0)
    expected = jax.jit(one.gradient)(*arguments)
    same(jax.jit(asked("language", Config(accumulate=4, **options)).gradient)(*arguments), expected, **SINGLE)
    few = jax.jit(asked("language", Config(precision="bfloat16", **options)).gradient)(*arguments)
    assert 0 < abs(few[0] - expected[0]) < 0.01


# donated


@pytest.mark.parametrize("skip", [False, True])
def test_nothing_is_copied(skip):
    """All of a training is written over the one it replaces, and the update needs no room for a second one: no more
    than its gradient, and as much again for the optimizer's steps."""
    model = r.with_loss(r.stack(r.embed(V, 5), r.scan(r.lstm(5, 128)), r.dense(128, V)), cross_entropy)
    cell, optimizer = r.batch(model, 2), optax.adam(1e-3)
    training, xs = begin(cell, optimizer, jax.random.key(0)), (IDS[0, :2, :2], IDS[1, :2, :2])

    def memory(jitted, *arguments):
        return jitted.lower(*arguments).compile().memory_analysis()

    own = memory(update(r.bptt(cell), optimizer, skip=skip), training, xs)
    gradient = memory(jax.jit(r.bptt(cell)), training.params, training.state, xs)
    held, params = (sum(x.nbytes for x in jax.tree.leaves(tree)) for tree in (training, training.params))
    assert own.alias_size_in_bytes >= held
    assert own.output_size_in_bytes - own.alias_size_in_bytes <= 256, "the loss, a norm, and a table of places"
    assert own.temp_size_in_bytes - gradient.temp_size_in_bytes <= 2.1 * params
