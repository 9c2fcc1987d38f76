"""At home in Flax: in the place of its own loops, with its own cells, and with its weights, in value and gradient."""

import functools
import gc
import os
import subprocess
import sys
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

pytest.importorskip("flax")

from flax import linen as nn
from flax import nnx

import rnnjax as r
from conftest import EXACT, B, T, inputs, m, n, normal, outcome, same, squared
from rnnjax.interop import linen
from rnnjax.interop import nnx as ours

LENGTHS = np.array([T, 2, 3, 1, T])  # Flax has no sequences of length 0
DOUBLE = dict(dtype=float, param_dtype=float)

KINDS = {"LSTMCell": r.lstm, "OptimizedLSTMCell": r.lstm, "GRUCell": r.gru, "SimpleCell": r.rnn}


def in_nnx(name, n=n, m=m, seed=0):
    """Flax's cell, with random numbers in its biases too."""
    cell = getattr(nnx, name)(n, m, **DOUBLE, rngs=nnx.Rngs(0))
    nnx.update(cell, normal(nnx.state(cell, nnx.Param), seed, 0.6))
    return cell


def in_linen(name, n=n, m=m):
    cell = getattr(nn, name)(m, **DOUBLE)
    return cell, normal(linen.cell(cell, n).init(jax.random.key(0)), scale=0.6)


def flags(reverse, keep_order, time_major, padded):
    given = dict(reverse=reverse, keep_order=keep_order, time_major=time_major, return_carry=True)
    xs = jnp.asarray(inputs(*((T, B) if time_major else (B, T)), n))
    return given | (dict(seq_lengths=jnp.asarray(LENGTHS)) if padded else {}), xs


def real(ys, time_major, padded):
    """What Flax promises of its outputs: not the padding."""
    keep = (np.arange(T) < LENGTHS[:, None]) | (not padded)
    return jnp.where((keep.T if time_major else keep)[..., None], ys, 0)


FLAGS = [
    (reverse, keep_order, time_major, padded)
    for reverse, keep_order in ((False, False), (True, False), (True, True))
    for time_major in (False, True)
    for padded in (False, True)
]


def few(rows, *quick):
    """All rows of a table, of which only the quick ones are always run."""
    return [pytest.param(row, marks=() if row in quick else pytest.mark.slow) for row in rows]


@pytest.mark.parametrize("at", few(FLAGS, FLAGS[6], FLAGS[11]))
def test_in_the_place_of_nnx_rnn(at):
    """Every flag, in the call or in the constructor, with a carry to go on from: carry, outputs, and gradients."""
    given, xs = flags(*at)
    flax = in_nnx("LSTMCell")
    graph, params = nnx.split(flax)
    called, built = (given, {}) if "seq_lengths" in given else ({}, given)
    mine = ours.Recurrent(ours.cell(flax), **built, rngs=nnx.Rngs(0))
    carry = normal((jnp.zeros((B, m)), jnp.zeros((B, m))), 5)

    def by_flax(params, xs, carry):
        carry, ys = nnx.RNN(nnx.merge(graph, params))(xs, initial_carry=carry, **given)
        return carry, real(ys, *at[2:])

    def by_ours(params, xs, carry):
        module = nnx.clone(mine)
        nnx.update(module, {"params": params})
        return module(xs, initial_carry=carry, **called)

    pure = nnx.to_pure_dict(params)
    want, (slopes, *more) = jax.jit(functools.partial(outcome, by_flax))(params, xs, carry)
    got = jax.jit(functools.partial(outcome, by_ours))(pure, xs, carry)
    same(got, (want, (nnx.to_pure_dict(slopes), *more)), **EXACT)


@pytest.mark.parametrize("at", few(FLAGS, FLAGS[5]))
def test_in_the_place_of_linen_rnn(at):
    given, xs = flags(*at)
    cell, params = in_linen("LSTMCell")
    theirs, mine = nn.RNN(cell), linen.Recurrent(linen.cell(cell, n))

    def by_flax(params, xs):
        carry, ys = theirs.apply({"params": {"cell": params}}, xs, **given)
        return carry, real(ys, *at[2:])

    def by_ours(params, xs):
        return mine.apply({"params": {"cell": params}}, xs, **given)

    want, got = (jax.jit(functools.partial(outcome, run))(params, xs) for run in (by_flax, by_ours))
    same(got, want, **EXACT)


def test_any_axes_of_a_batch():
    """None, two, and inputs that are no vectors; a sequence of no step keeps its carry."""
    module = ours.Recurrent(r.gru(n, m), rngs=nnx.Rngs(0))
    xs = jnp.asarray(inputs(2, 3, T, n))
    lengths = jnp.array([[T, 1, 0], [0, 1, T]])
    carry, ys = module(xs, seq_lengths=lengths, return_carry=True)
    for i in range(2):
        for j in range(3):
            k = int(lengths[i, j])
            alone = module(xs[i, j, :k], return_carry=True) if k else (jnp.zeros(m), jnp.zeros((0, m)))
            same((carry[i, j], ys[i, j, :k]), alone, **EXACT)
            assert not ys[i, j, k:].any()
    swapped = module(jnp.moveaxis(xs, 2, 0), seq_lengths=lengths, time_major=True)
    same(jnp.moveaxis(swapped, 0, 2), ys, **EXACT)
    model = r.stack(r.embed(5, n), r.gru(n, m))
    tokens = linen.Recurrent(model, num_feature_axes=0)
    words = jnp.array([[1, 4, 0], [2, 2, 3]])
    variables = tokens.init(jax.random.key(0), words)
    table, gru = (variables["params"]["cell"][place] for place in "01")
    params = table, type(r.gru(n, m).init(jax.random.key(0)))(**gru)
    same(tokens.apply(variables, words), r.apply(model, params, words)[1], **EXACT)
    images, model = jnp.asarray(inputs(2, 3, 4, 5, 1)), r.conv_lstm((4, 5), 1, 2)
    module = ours.Recurrent(model, num_feature_axes=3, rngs=nnx.Rngs(0))
    same(module(images), r.apply(model, module.weights(), images)[1], **EXACT)


@pytest.mark.parametrize("time_major", [False, True])
def test_trees_of_inputs(time_major):
    """The pair of `resettable`, in both modules; an axis that is not there in all arrays is told."""
    model, lengths = r.resettable(r.gru(n, m)), jnp.asarray(LENGTHS)
    xs, resets = jnp.asarray(inputs(B, T, n)), jnp.asarray(inputs(B, T) > 0.5)
    params = model.init(jax.random.key(0))
    carry, ys = r.apply(model, params, (xs, resets), lengths=lengths)
    assert not np.allclose(ys, r.apply(r.gru(n, m), params, xs, lengths=lengths)[1])
    module = ours.Recurrent(model, params=params, time_major=time_major, return_carry=True, rngs=nnx.Rngs(0))
    layer = linen.Recurrent(model, time_major=time_major, return_carry=True)
    variables = {"params": {"cell": params._asdict()}}
    turn = functools.partial(jax.tree.map, lambda x: jnp.swapaxes(x, 0, 1) if time_major else x)
    same(module(turn((xs, resets)), seq_lengths=lengths), (carry, turn(ys)), **EXACT)
    same(layer.apply(variables, turn((xs, resets)), seq_lengths=lengths), (carry, turn(ys)), **EXACT)
    back = module(turn((xs, resets)), reverse=True)
    same(back[1], turn(r.apply(model, params, (xs[:, ::-1], resets[:, ::-1]))[1]), **EXACT)
    refused(ValueError, r"nnx.Recurrent: inputs must have a time axis .* \('float64\[5,7,3\]', 'bool\[5,6\]'\)\. Add",
            module, (xs, resets[:, :-1]))  # fmt: skip
    refused(ValueError, r"nnx.Recurrent: inputs must have a time axis .* but inputs is \(\)", module, ())


def test_whole_models_and_flaxs_bidirectional():
    """A model over whole sequences, reversed too; and two modules in Flax's Bidirectional are `bidirectional`."""
    xs, lengths = jnp.asarray(inputs(B, T, n)), jnp.asarray(LENGTHS)
    ahead, behind = (ours.Recurrent(r.gru(n, m), rngs=nnx.Rngs(seed)) for seed in (0, 1))
    model = r.bidirectional(r.gru(n, m), r.gru(n, m))
    params = ahead.weights(), behind.weights()
    want = r.apply(model, params, xs, lengths=lengths)
    both = nnx.Bidirectional(ahead, behind, return_carry=True)
    same(both(xs, seq_lengths=lengths), want, **EXACT)
    whole = ours.Recurrent(model, params=params, rngs=nnx.Rngs(0))
    same(whole(xs, seq_lengths=lengths), want[1], **EXACT)
    turned = whole(xs, seq_lengths=lengths, reverse=True, keep_order=True)
    for i, k in enumerate(LENGTHS):
        _, alone = r.apply(model, params, xs[i : i + 1, :k][:, ::-1])
        same(turned[i, :k], alone[0, ::-1], **EXACT)
    layer = nn.Bidirectional(linen.Recurrent(r.gru(n, m)), linen.Recurrent(r.gru(n, m)), return_carry=True)
    trees = [{"cell": p._asdict()} for p in params]
    variables = {"params": dict(zip(("forward_rnn", "backward_rnn"), trees))}
    same(layer.apply(variables, xs, seq_lengths=lengths), want, **EXACT)


def test_nnx_transforms(tmp_path):
    """split, merge, jit, grad, an optimizer's step, and a checkpoint, all on plain `nnx.Param`s."""
    import orbax.checkpoint as ocp

    model, xs = r.stack(r.scan(r.lstm(n, m)), r.dense(m, 2)), jnp.asarray(inputs(B, T, n))
    module = ours.Recurrent(model, rngs=nnx.Rngs(0))
    params = module.weights()
    assert jax.tree.structure(params) == jax.tree.structure(model.init(jax.random.key(0)))

    def loss(params):
        return (r.apply(model, params, xs)[1] ** 2).sum()

    slopes = jax.grad(loss)(params)
    optimizer = nnx.Optimizer(module, optax.sgd(0.01), wrt=nnx.Param)

    @nnx.jit
    def learn(module, optimizer):
        value, grads = nnx.value_and_grad(lambda module: (module(xs) ** 2).sum())(module)
        optimizer.update(module, grads)
        return value

    same(learn(module, optimizer), loss(params), **EXACT)
    same(module.weights(), jax.tree.map(lambda p, g: p - 0.01 * g, params, slopes), **EXACT)
    graph, state = nnx.split(module)
    same(nnx.merge(graph, state)(xs), module(xs), **EXACT)
    assert graph == nnx.split(ours.Recurrent(model, rngs=nnx.Rngs(1)))[0]
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", nnx.to_pure_dict(state))
        checkpointer.wait_until_finished()
        saved = checkpointer.restore(tmp_path / "state", nnx.to_pure_dict(state))
    fresh = ours.Recurrent(model, rngs=nnx.Rngs(2))
    nnx.update(fresh, saved)
    same(fresh.weights(), module.weights(), **EXACT)


@pytest.mark.parametrize("held", [list, tuple, lambda p: dict(enumerate(p)), lambda p: {"a": [p], "b": ()}])
def test_any_pytree_of_params(held):
    """As the cell has it, after a split and a merge too."""
    gru = r.gru(n, m)
    cell = r.Cell(lambda key: held(gru.init(key)), lambda params: jnp.zeros(m), gru.step)
    module = ours.Recurrent(cell, rngs=nnx.Rngs(0))
    want = cell.init(nnx.Rngs(0).params())
    same(module.weights(), want, **EXACT)
    same(nnx.merge(*nnx.split(module)).weights(), want, **EXACT)


def test_dropout():
    """Silent in eval, else with a key of `rngs.dropout` a call; the carry has no keys, whichever."""
    model, xs = r.stack(r.lstm(n, m), r.dropout(0.5), r.gru(m, m)), jnp.asarray(inputs(B, T, n))
    module = ours.Recurrent(model, return_carry=True, rngs=nnx.Rngs(params=0, dropout=1))
    stream = nnx.Rngs(params=0, dropout=1).dropout.fork()
    params = module.weights()
    for _ in range(2):
        carry, ys = module(xs)
        same(ys, r.apply(model, params, xs, key=stream())[1], **EXACT)
    carry, ys = module(xs, rngs=nnx.Rngs(dropout=7))
    same(ys, r.apply(model, params, xs, key=nnx.Rngs(dropout=7).dropout())[1], **EXACT)
    module.eval()
    same(module(xs), r.apply(model, params, xs), **EXACT)
    assert jax.tree.structure(module(xs, initial_carry=carry)[0]) == jax.tree.structure(carry)
    same(nnx.view(module, deterministic=False)(xs, rngs=nnx.Rngs(dropout=7))[1], ys, **EXACT)
    same(module(xs, deterministic=False, rngs=nnx.Rngs(dropout=7))[1], ys, **EXACT)
    module.train()
    learn = nnx.jit(nnx.value_and_grad(lambda module: module(xs)[1].sum()))
    (one, _), (other, _) = learn(module), learn(module)
    assert one != other
    assert not jax.tree.leaves(nnx.state(ours.Recurrent(r.lstm(n, m), rngs=nnx.Rngs(0)), nnx.RngState))

    layer = linen.Recurrent(model)
    variables = layer.init(jax.random.key(0), xs)
    assert [variables["params"]["cell"][k] for k in "1"] == [{}]
    one, again, other = (layer.apply(variables, xs, rngs={"dropout": jax.random.key(k)}) for k in (1, 1, 2))
    same(one, again, **EXACT)
    assert (one != other).any(axis=(1, 2)).all()
    same(
        layer.apply(variables, xs, deterministic=True),
        linen.Recurrent(model, deterministic=True).apply(variables, xs),
        **EXACT,
    )


def test_the_same_program_as_the_bare_scan():
    """The gradient through a module has as many products and loops as that of `apply`, and of `scan`."""
    xs = jnp.asarray(inputs(B, T, n))
    cell = r.lstm(n, m)
    module, layer = ours.Recurrent(cell, rngs=nnx.Rngs(0)), linen.Recurrent(cell)
    params, variables = module.weights(), layer.init(jax.random.key(0), xs)
    run = r.batch(r.scan(cell), B)
    programs = (
        jax.jit(jax.grad(lambda p: run.step(p, run.start(p), jnp.swapaxes(xs, 0, 1))[1].sum())).lower(params),
        nnx.jit(nnx.grad(lambda module: module(xs).sum())).lower(module),
        jax.jit(jax.grad(lambda variables: layer.apply(variables, xs).sum())).lower(variables),
    )
    bare, *modules = ([p.as_text().count(op) for op in ("dot_general", "stablehlo.while")] for p in programs)
    assert bare[0] and bare[1] and modules == [bare, bare]


LOOPS = {
    "deferred": {},
    "checkpointed": dict(loop=r.checkpointed, segments=3),
    "newton": dict(loop=r.newton, tolerance=1e-14),
}


@pytest.mark.parametrize(
    "at",
    few(
        [(name, loop) for name in KINDS for loop in LOOPS],
        ("LSTMCell", "newton"),
        ("GRUCell", "checkpointed"),
        ("SimpleCell", "deferred"),
    ),
)
def test_flaxs_cells_in_every_loop(at):
    """As in Flax's own loop: carry, outputs, and the gradients of both by params and inputs."""
    (name, loop), xs = at, jnp.asarray(inputs(T, n))
    module = in_nnx(name)
    graph, state = nnx.split(module)

    def by_nnx(params, xs):
        return nnx.RNN(nnx.merge(graph, params))(xs, return_carry=True)

    flax, params = in_linen(name)
    for theirs, cell, params in (
        (by_nnx, ours.cell(module), nnx.to_pure_dict(state)),
        (lambda p, xs: nn.RNN(flax).apply({"params": {"cell": p}}, xs, return_carry=True), linen.cell(flax, n), params),
    ):
        model = r.scan(cell, **LOOPS[loop])
        got = jax.jit(functools.partial(outcome, lambda p, xs: model.step(p, model.start(p), xs)))(params, xs)
        same(got, jax.jit(functools.partial(outcome, theirs))(params, xs), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", few(["LSTMCell", "GRUCell"], "GRUCell"))
def test_flaxs_cells_in_every_gradient(name):
    """`bptt` and `rtrl` on a batch with masks are the gradient through Flax's loop."""
    module, xs, targets = in_nnx(name), inputs(B, T, n), inputs(B, T, m, seed=4)
    cell = r.batch(r.with_loss(ours.cell(module), squared), B)
    params = cell.init(jax.random.key(0))
    keep = jnp.asarray(np.arange(T)[:, None] < LENGTHS)
    graph, state = nnx.split(module)

    def by_flax(params):
        ys = nnx.RNN(nnx.merge(graph, params))(jnp.asarray(xs))
        return jnp.where(keep.T[..., None], 0.5 * (ys - targets) ** 2, 0).sum() / float(LENGTHS.sum())

    want = nnx.to_pure_dict(jax.jit(jax.grad(by_flax))(state))
    data = jnp.asarray(np.swapaxes(xs, 0, 1)), jnp.asarray(np.swapaxes(targets, 0, 1))
    for gradient in r.bptt, r.rtrl:
        _, got, _ = jax.jit(gradient(cell))(params, cell.start(params), data, keep)
        same(got, want, **EXACT)


def test_flaxs_cells_from_a_key():
    """How to make one draws anew by each key, as Flax does; one that is there gives the weights it has."""
    make = functools.partial(nnx.LSTMCell, n, m)
    cell = ours.cell(make)
    assert cell == ours.cell(functools.partial(nnx.LSTMCell, n, m)) and repr(cell) == "nnx.cell(LSTMCell(3, 4))"
    for seed in 0, 1:
        key = jax.random.key(seed)
        same(cell.init(key), nnx.to_pure_dict(nnx.state(make(rngs=nnx.Rngs(key)))), **EXACT)
    fresh = ours.Recurrent(cell, rngs=nnx.Rngs(3))
    same(fresh.weights(), cell.init(nnx.Rngs(3).params()), **EXACT)
    lstm = in_nnx("LSTMCell")
    same(ours.cell(lstm).init(jax.random.key(7)), nnx.to_pure_dict(nnx.state(lstm)), **EXACT)
    before = ours.cell(lstm)
    lstm.gate_fn = nnx.relu  # of which a cell from before knows nothing, and one from now does
    params, xs = before.init(jax.random.key(0)), jnp.asarray(inputs(B, T, n))
    changed = nnx.RNN(lstm)(xs)
    same(r.apply(ours.cell(lstm), params, xs)[1], changed, **EXACT)
    assert not np.allclose(r.apply(before, params, xs)[1], changed)
    lstm = in_nnx("LSTMCell")
    held = weakref.ref(lstm)
    assert ours.cell(lstm) != ours.cell(lstm)
    del lstm
    gc.collect()
    assert held() is None
    lstm = in_nnx("LSTMCell")
    assert linen.cell(nn.LSTMCell(m), n) is linen.cell(nn.LSTMCell(m), n)
    for cell in ours.cell(lstm), linen.cell(nn.LSTMCell(m, **DOUBLE), n):
        r.check(cell, jnp.ones(n))
    image = linen.cell(nn.ConvLSTMCell(2, (3, 3), **DOUBLE), (4, 5, 1))
    r.check(image, jnp.ones((4, 5, 1)))


@pytest.mark.parametrize("sizes", few([(n, m), (1, 1), (2, 7)], (n, m)))
@pytest.mark.parametrize("name", KINDS)
def test_weights(name, sizes):
    """Ours with Flax's weights: outputs, carry, and gradients by weights and inputs; and back the same weights."""
    model, xs = KINDS[name](*sizes), jnp.asarray(inputs(B, T, sizes[0]))
    module, (flax, params) = in_nnx(name, *sizes), in_linen(name, *sizes)
    graph, state = nnx.split(module)
    run = jax.jit(functools.partial(outcome, lambda p, xs: r.apply(model, p, xs)[1]))
    for theirs, given, load in (
        (lambda p, xs: nnx.RNN(nnx.merge(graph, p))(xs), state, lambda p: ours.load(p, model)),
        (
            lambda p, xs: nn.RNN(flax).apply({"params": {"cell": p}}, xs),
            params,
            lambda p: linen.load({"params": p}, model),
        ),
    ):
        ys, (slopes, by_xs) = run(load(given), xs)
        want, (their_slopes, their_by_xs) = jax.jit(functools.partial(outcome, theirs))(given, xs)
        same((ys, by_xs), (want, their_by_xs), **EXACT)
        mapped = load(their_slopes)
        if name == "GRUCell" and given is state:  # a bias that Flax has not
            slopes = slopes._replace(d=mapped.d)
        same(slopes, mapped, **EXACT)
    blank = in_nnx(name, *sizes, seed=8)
    ours.dump(ours.load(module, model), model, blank)
    same(nnx.to_pure_dict(nnx.state(blank)), nnx.to_pure_dict(state), **EXACT)
    same(
        linen.dump(linen.load({"params": params}, model), model, {"params": params, "more": 1}),
        {"params": params, "more": 1},
        **EXACT,
    )


def test_weights_of_whole_layers():
    """`RNN` of one cell and `Bidirectional` of two, of different kinds, NNX's and Linen's."""
    xs = jnp.asarray(inputs(B, T, n))
    model = r.bidirectional(r.lstm(n, m), r.gru(n, 2))
    layer = nnx.Bidirectional(nnx.RNN(in_nnx("LSTMCell")), nnx.RNN(in_nnx("GRUCell", n, 2)))
    params = ours.load(layer, model)
    same(r.apply(model, params, xs)[1], layer(xs), **EXACT)
    ours.dump(jax.tree.map(lambda p: p / 2, params), model, layer)
    same(ours.load(layer, model), jax.tree.map(lambda p: p / 2, params), **EXACT)
    same(ours.load(layer.forward_rnn, r.scan(r.lstm(n, m))), jax.tree.map(lambda p: p / 2, params[0]), **EXACT)

    layer = nn.Bidirectional(nn.RNN(nn.OptimizedLSTMCell(m, **DOUBLE)), nn.RNN(nn.GRUCell(2, **DOUBLE)))
    variables = normal(layer.init(jax.random.key(0), xs), scale=0.6)
    params = linen.load(variables, model)
    same(r.apply(model, params, xs)[1], layer.apply(variables, xs), **EXACT)
    half = jax.tree.map(lambda p: p / 2, params)
    same(linen.dump(half, model, variables), jax.tree.map(lambda p: p / 2, variables), **EXACT)


def test_two_in_a_row_or_both_ways():
    """Layers as wide as their inputs have params of one structure and shape: the model says which they are."""
    row, pair = r.deep(r.gru, m, m, layers=2), r.bidirectional(r.gru(m, m), r.gru(m, m))
    layer = nnx.Bidirectional(nnx.RNN(in_nnx("GRUCell", m, m)), nnx.RNN(in_nnx("GRUCell", m, m, seed=1)))
    variables = nn.Bidirectional(nn.RNN(nn.GRUCell(m, **DOUBLE)), nn.RNN(nn.GRUCell(m, **DOUBLE))).init(
        jax.random.key(0), jnp.ones((B, T, m))
    )
    params = ours.load(layer, pair)
    told = r"the model must be one layer, as Flax's is, but deep\(gru, 4, 4, layers=2\) has 2\. Convert layer by layer"
    for run, args in (
        (ours.load, (layer, row)),
        (ours.dump, (params, row, layer)),
        (linen.load, (variables, row)),
        (linen.dump, (params, row, variables)),
    ):
        refused(TypeError, told, run, *args)
    same(linen.load(linen.dump(params, pair, variables), pair), params, **EXACT)
    one = r.deep(r.gru, m, m)
    same(ours.load(layer.forward_rnn, one), (params[0],), **EXACT)
    ours.dump((params[1],), one, layer.forward_rnn)
    same(ours.load(layer, pair)[0], params[1], **EXACT)
    refused(TypeError, r"^nnx.dump: params must be those of gru\(4, 4\)", ours.dump, params, r.gru(m, m), layer)


def test_the_door():
    """Of `interop` alone, in a process that has imported none of them; and what is not there is told as ever."""
    program = (
        "import sys\nfrom rnnjax import interop\nimport rnnjax as r\nassert 'flax' not in sys.modules\n"
        "from rnnjax.interop import *\nassert nnx is interop.nnx\n"
        "print(interop.nnx.load.__module__, interop.linen.cell.__module__, interop.export.export.__module__)\n"
        "interop.onnx"
    )
    args, path = [sys.executable, "-c", program], {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(args, capture_output=True, text=True, check=False, env=path)
    assert run.stdout == "rnnjax.interop.nnx.weights rnnjax.interop.linen.cells rnnjax.interop.export\n", run.stderr
    assert "AttributeError: module rnnjax.interop has no attribute onnx" in run.stderr


def refused(error, match, run, *args, **kwargs):
    with pytest.raises(error, match=match):
        run(*args, **kwargs)


def test_errors_of_modules():
    xs = jnp.ones((B, T, n))
    module = ours.Recurrent(r.lstm(n, m), rngs=nnx.Rngs(0))
    zeros = jnp.zeros((B, m))
    refused(TypeError, r"nnx.Recurrent: a loop must be given with a cell of one step, but scan\(lstm\(3, 4\)\)",
            ours.Recurrent, r.scan(r.lstm(n, m)), loop=r.rolled, rngs=nnx.Rngs(0))  # fmt: skip
    refused(TypeError, "linen.Recurrent: a loop must be given", linen.Recurrent(r.scan(r.lstm(n, m)), r.rolled).init,
            jax.random.key(0), xs)  # fmt: skip
    refused(
        ValueError, r"inputs must have a time axis and 1 axes of features, but inputs is float64\[3\]", module, xs[0, 0]
    )
    refused(TypeError, r"initial_carry must be a state of scan\(lstm\(3, 4\)\).* but initial_carry is PyTreeDef\(\(\*,",
            module, xs, initial_carry=(zeros, zeros))  # fmt: skip
    refused(ValueError, r"initial_carry.c must have the shape \(5, 4\), but it is float64\[4\]", module, xs,
            initial_carry=module(xs, return_carry=True)[0]._replace(c=zeros[0]))  # fmt: skip
    refused(ValueError, r"seq_lengths must be \(5,\) integers, one a sequence, but seq_lengths is int64\[2\]",
            module, xs, seq_lengths=jnp.array([1, 2]))  # fmt: skip
    refused(ValueError, "lengths must be in 0 ... 7", module, xs, seq_lengths=np.array([1, 2, 3, 4, 8]))

    class Noisy(nnx.LSTMCell):
        def __init__(self, *sizes, rngs):
            super().__init__(*sizes, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

    class Sizeless(nnx.Module):
        def __init__(self, *, rngs):
            self.dense = nnx.Linear(n, m, rngs=rngs)

    refused(TypeError, "nnx.cell: Sizeless must know the size of its input, .* has no in_features", ours.cell, Sizeless)
    refused(TypeError, "nnx.cell: Noisy must have params only, but dropout.rngs.count is RngCount",
            ours.cell, Noisy(n, m, rngs=nnx.Rngs(0)))  # fmt: skip

    class Counting(nn.LSTMCell):
        @nn.compact
        def __call__(self, carry, x):
            self.variable("counts", "steps", lambda: jnp.zeros(()))
            return super().__call__(carry, x)

    refused(TypeError, "linen.cell: Counting must have params only, but it has counts too",
            linen.cell(Counting(m), n).init, jax.random.key(0))  # fmt: skip


def test_errors_of_weights():
    """By path and shape; and nothing is changed."""
    lstm, gru = in_nnx("LSTMCell"), in_nnx("GRUCell")
    refused(ValueError, r"nnx.load: ii.kernel must have the shape \(3, 2\) of the model's, but it is float64\[3,4\]",
            ours.load, lstm, r.lstm(n, 2))  # fmt: skip
    refused(ValueError, r"load: Flax's cell must have cell.(i|h).\w+ of shape .* for RNNParams, but it is missing",
            ours.load, nnx.RNN(lstm), r.rnn(n, m))  # fmt: skip
    refused(ValueError, r"Flax's cell must have dense_h.bias of shape \(16,\) for LSTMParams, but it is missing",
            ours.load, gru, r.lstm(n, m))  # fmt: skip
    _, params = in_linen("GRUCell")
    refused(ValueError, r"must have the arrays of GRUParams only, but it has hr.bias, float64\[4\]",
            linen.load, {"params": params | {"hr": params["hr"] | {"bias": jnp.zeros(m)}}}, r.gru(n, m))  # fmt: skip
    missing = {"params": params | {"hn": {"kernel": params["hn"]["kernel"]}}}
    refused(
        ValueError,
        r"must have hn.bias of shape \(4,\) for GRUParams, but it is missing",
        linen.load,
        missing,
        r.gru(n, m),
    )
    refused(
        TypeError, "linen: variables must have a collection params, but it has hn", linen.load, {"hn": 1}, r.gru(n, m)
    )
    refused(TypeError, "the model must be of lstm, gru or rnn, or bidirectional, but its params are MinGRUParams",
            ours.load, gru, r.mingru(n, m))  # fmt: skip
    refused(TypeError, "the model must be of lstm, gru or rnn, .* but its params are ClockworkParams",
            ours.load, in_nnx("SimpleCell"), r.clockwork(n, m))  # fmt: skip
    pair = r.bidirectional(r.lstm(n, m), r.lstm(n, m))
    refused(
        TypeError,
        "must be bidirectional where Flax's is, .* params are LSTMParams and LSTMParams, and",
        ours.load,
        lstm,
        pair,
    )
    both = nnx.Bidirectional(nnx.RNN(lstm), nnx.RNN(gru))
    refused(TypeError, "must be bidirectional where Flax's is, .* params are LSTMParams", ours.load, both, r.lstm(n, m))
    residual = nnx.SimpleCell(n, m, residual=True, rngs=nnx.Rngs(0))
    refused(ValueError, "nnx.load: SimpleCell must be plain, but residual is True", ours.load, residual, r.rnn(n, m))
    hard = nnx.RNN(nnx.GRUCell(n, m, gate_fn=nnx.hard_sigmoid, rngs=nnx.Rngs(0)))
    refused(
        ValueError,
        "nnx.dump: GRUCell must be plain, but gate_fn is",
        ours.dump,
        ours.load(gru, r.gru(n, m)),
        r.gru(n, m),
        hard,
    )

    model, before = r.bidirectional(r.lstm(n, m), r.gru(n, m)), nnx.to_pure_dict(nnx.state(both, nnx.Param))
    first, second = ours.load(lstm, r.lstm(n, m)), ours.load(gru, r.gru(n, m))
    changed = jax.tree.map(jnp.zeros_like, first), second._replace(d=second.d + 1)
    refused(
        ValueError,
        "nnx.dump: d must be 0, for Flax's cell backward_rnn.cell has no such bias",
        ours.dump,
        changed,
        model,
        both,
    )
    wrong = jax.tree.map(jnp.zeros_like, first), ours.load(in_nnx("GRUCell", n, 2), r.gru(n, 2))
    refused(
        ValueError,
        r"backward_rnn.cell.dense_i.kernel must have the shape \(3, 6\)",
        ours.dump,
        wrong,
        r.bidirectional(r.lstm(n, m), r.gru(n, 2)),
        both,
    )
    same(nnx.to_pure_dict(nnx.state(both, nnx.Param)), before, **EXACT)
