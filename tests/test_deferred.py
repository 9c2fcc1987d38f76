"""The default loop against plain `lax.scan`: any cell, every derivative, and what the compiled loops hold."""

import functools

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward import AWKWARD
from hypothesis import strategies as st

import rnnjax as r
from conftest import CELLS, EXACT, B, T, inputs, m, n, normal, outcome, params_of, same, some, squared, state_of
from rnnjax.loops import products

each = pytest.mark.parametrize("name", AWKWARD)
KEEP = jnp.array([True, False, True, True, False, True, True])


def made(name, loop, **options):
    params, state, xs, step = AWKWARD[name]
    params, state, xs = jax.tree.map(jnp.asarray, (params, state, xs))
    cell = r.Cell(lambda key: params, lambda params: state, step)
    return r.scan(cell, loop, **options), (params, state, xs)


def moving(run, args):
    """`run` of the floating leaves of args, in a list, giving floating leaves; and those leaves."""
    leaves, tree = jax.tree.flatten(args)
    free = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]

    def function(moved):
        now = dict(zip(free, moved))
        out = run(*jax.tree.unflatten(tree, [now.get(i, leaf) for i, leaf in enumerate(leaves)]))
        return [leaf for leaf in jax.tree.leaves(out) if jnp.issubdtype(leaf.dtype, jnp.inexact)]

    return function, [leaves[i] for i in free]


def derivatives(run, args):
    """The value, all gradients, a directional derivative, and the change of the gradients along it."""
    function, at = moving(run, args)
    along = normal(at, seed=5)

    def gradients(at):
        value, pull = jax.vjp(function, at)
        return value, pull(normal(value, seed=99))[0]

    return jax.jit(lambda at: (jax.jvp(gradients, (at,), (along,)), jax.jvp(function, (at,), (along,))[1]))(at)


def agree(name, change=lambda model: model.step, keep=(), **options):
    found = []
    for loop in (r.deferred, r.rolled):
        model, args = made(name, loop, **options)
        found.append(derivatives(change(model), (*args, *keep)))
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        single = one.dtype == jnp.float32 or name == "half precision inside"
        np.testing.assert_allclose(one, other, **(dict(rtol=1e-4, atol=1e-4) if single else EXACT))


@each
def test_awkward(name):
    """First and second derivatives, forward and reverse mode, are those of `lax.scan`."""
    agree(name)


@pytest.mark.parametrize("name", some(AWKWARD, 1))
def test_awkward_reversed_and_masked(name):
    agree(name, keep=(KEEP,), reverse=True)


@pytest.mark.parametrize("name", some(AWKWARD, 0))
@pytest.mark.slow
def test_awkward_batched(name):
    """Under the library's `batch`, with the batch inside the loop."""

    def batched(model):
        run = r.batch(model, 2)

        def step(params, state, xs):
            two = functools.partial(jax.tree.map, lambda a: jnp.stack([a, a]))
            return run.step(params, two(state), jax.tree.map(lambda x: jnp.stack([x, x], 1), xs))

        return step

    agree(name, batched)


@each
@pytest.mark.slow
def test_awkward_ensembles(name):
    """Under `jax.vmap` over params, state and inputs, and `jax.checkpoint`."""

    def mapped(model):
        def step(params, state, xs):
            two = functools.partial(jax.tree.map, lambda a: jnp.stack([a, a]))
            return jax.checkpoint(jax.vmap(model.step))(two(params), two(state), two(xs))

        return step

    agree(name, mapped)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_backends(name, backend, monkeypatch):
    """What is chosen for a backend, a weight's size and a batch changes no value and no derivative."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(products, "LARGE", 0)
    params = params_of(CELLS[name])
    for size in (1, 3):
        xs = jnp.asarray(inputs(T, size, n))
        runs = [r.batch(r.scan(CELLS[name], loop), size) for loop in (r.deferred, r.rolled)]
        args = params, state_of(runs[0], params), xs
        one, other = (jax.jit(functools.partial(outcome, run.step))(*args) for run in runs)
        same(one, other, **EXACT)


@pytest.mark.parametrize("name", ["lstm", "gru", "mingru"])
def test_vmap_of_grad(name):
    """Gradients for each of a batch of examples, by the user's own vmap."""
    params, xs = params_of(CELLS[name]), jnp.asarray(inputs(B, T, n))

    def slope(loop, xs):
        model = r.scan(CELLS[name], loop)
        return jax.grad(lambda p: jnp.sin(model.step(p, model.start(p), xs)[1]).sum())(params)

    one, other = (jax.jit(jax.vmap(functools.partial(slope, loop)))(xs) for loop in (r.deferred, r.rolled))
    same(one, other, **EXACT)


def test_without_jit():
    """Also one operation after another, as in a debugger."""
    found = []
    for loop in (r.deferred, r.rolled):
        model, args = made("symbols", loop)
        function, at = moving(model.step, args)
        found.append(jax.grad(lambda at: sum(jnp.sin(y).sum() for y in function(at)))(at))
    same(*found, **EXACT)


def test_custom_vjp():
    """A step with a function that has its own reverse rule, mapped by the user in either order."""

    @jax.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, x), lambda x, slope: (jnp.clip(slope, -0.1, 0.1) * jnp.cos(x),))

    def objective(U, xs, loop):
        def step(U, h, x):
            h = clipped(jnp.tanh(h @ U + x))
            return h, h

        model = r.scan(r.Cell(lambda key: jnp.eye(m), lambda p: jnp.zeros(m), step), loop)
        return jnp.sin(model.step(U, jnp.ones(m), xs)[1]).sum()

    def both(loop):
        U, xs = jnp.asarray(inputs(m, m)), jnp.asarray(inputs(2, T, m))
        inner = jax.vmap(lambda xs: jax.grad(objective)(U, xs, loop))(xs)
        return inner, jax.grad(lambda U: jax.vmap(lambda xs: objective(U, xs, loop))(xs).sum())(U)

    same(jax.jit(lambda: both(r.deferred))(), jax.jit(lambda: both(r.rolled))(), **EXACT)


def test_side_effects():
    """A step that prints is run as it is written."""

    def step(params, h, x):
        jax.debug.callback(lambda h: seen.append(float(h)), h)
        return h + x * params, h

    seen = []
    model = r.scan(r.Cell(lambda key: jnp.ones(()), lambda p: jnp.zeros(()), step))
    jax.block_until_ready(model.step(jnp.ones(()), jnp.zeros(()), jnp.arange(3.0)))
    jax.effects_barrier()
    assert seen == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("start", [0.0, 0, np.zeros(m)])
def test_starts(start):
    """A state may start from a number of Python, of any dtype that `lax.scan` would promote."""

    def step(U, h, x):
        z = jnp.tanh(x @ U)
        h = 0.5 * h + (z if np.ndim(start) else z.sum())
        return h, h

    def slope(loop):
        run = functools.partial(loop, r.Cell(None, None, step))
        return jax.value_and_grad(lambda U: jnp.sin(run(U, start, jnp.asarray(inputs(T, m)))[1]).sum())(jnp.eye(m))

    same(slope(r.deferred), slope(r.rolled), **EXACT)


def test_clocks():
    """Floats in the state that nothing moves, where zero times an infinite slope would be no number."""

    def step(U, state, x):
        k = jax.lax.while_loop(lambda k: k < 1.0, lambda k: 2 * k, state["t"] + 0.1)
        h = jnp.tanh(state["h"] @ U + x * jnp.sqrt(state["t"]) * k)
        still = jnp.sqrt(jax.lax.stop_gradient(state["since"]))
        since = jnp.where(jnp.sign(h).sum() > 0, 0.0, state["since"] + 1)
        return {"h": h, "t": state["t"] + 1.0, "since": since}, h * still + jnp.floor(h)

    xs, U = jnp.asarray(inputs(T, m)), jnp.asarray(inputs(m, m))

    def derivatives(loop):
        def objective(U):
            start = {"h": jnp.zeros(m), "t": jnp.zeros(()), "since": jnp.zeros(())}
            return loop(r.Cell(None, None, step), U, start, xs)[1].sum()

        return jax.grad(objective)(U), jax.jvp(objective, (U,), (xs[:m],))

    same(jax.jit(lambda: derivatives(r.deferred))(), jax.jit(lambda: derivatives(r.rolled))(), **EXACT)


def test_left_to_scan():
    """What only `lax.scan` can run is run by it: decisions in Python on a param, callbacks that cannot be mapped."""

    def decided(params, h, x):
        h = jnp.tanh(h.reshape(int(params[0]), -1).sum(0).sum() + x * params[1])
        return h, h

    def called(params, h, x):
        told = jax.pure_callback(np.sin, jax.ShapeDtypeStruct((m,), x.dtype), x)
        h = jnp.tanh(h * params[1] + told)
        return h, h

    xs = jnp.asarray(inputs(T, m))

    def slope(step, loop):
        cell = r.Cell(None, lambda params: jnp.zeros(m), step)
        return jax.value_and_grad(lambda a: loop(cell, (2, a), jnp.ones(m), xs)[1].sum())(jnp.asarray(0.5))

    for step in (decided, called):
        same(slope(step, r.deferred), slope(step, r.rolled), **EXACT)


def test_straight_through():
    """A reverse rule on the params alone does not keep the rest from the fast loop."""

    @jax.custom_vjp
    def rounded(U):
        return jnp.round(4 * U) / 4

    rounded.defvjp(lambda U: (rounded(U), None), lambda _, slope: (slope,))

    def step(U, h, x):
        h = jnp.tanh(h @ rounded(U) + x)
        return h, h

    cell, xs, U = r.Cell(None, None, step), jnp.asarray(inputs(T, m)), jnp.asarray(inputs(m, m))

    def slope(loop):
        return lambda U: jax.grad(lambda U: loop(cell, U, jnp.zeros(m), xs)[1].sum())(U)

    same(slope(r.deferred)(U), slope(r.rolled)(U), **EXACT)
    assert (m, m) not in shapes_in_loops(slope(r.deferred), U)


def test_closed_over_tracers():
    """A step may close over values that are being differentiated."""

    def objective(U, loop):
        def step(params, h, x):
            return jnp.tanh(h @ U + x), h

        model = r.scan(r.Cell(lambda key: (), lambda p: jnp.zeros(m), step), loop)
        return jnp.sin(model.step((), jnp.ones(m), jnp.asarray(inputs(T, m)))[1]).sum()

    one, other = (
        jax.jit(jax.value_and_grad(lambda U, loop=loop: objective(U, loop)))(jnp.eye(m))
        for loop in (r.deferred, r.rolled)
    )
    same(one, other, **EXACT)


# what runs inside the loops


def jaxprs(jaxpr):
    """The bodies of all scans in a jaxpr, however deep."""
    for eqn in jaxpr.eqns:
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            if hasattr(inner, "eqns"):
                if eqn.primitive.name == "scan":
                    yield inner
                yield from jaxprs(inner)


def everything(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            if hasattr(inner, "eqns"):
                yield from everything(inner)


def shapes_in_loops(run, *args):
    bodies = jaxprs(jax.make_jaxpr(run)(*args).jaxpr)
    return {v.aval.shape for body in bodies for eqn in everything(body) for v in eqn.outvars}


@pytest.mark.parametrize(
    "name, weights", [("rnn", [(n, m), (m, m)]), ("lstm", [(n, 4 * m), (m, 4 * m)]), ("gru", [(n, 3 * m), (m, 3 * m)])]
)
def test_no_weight_gradient_in_a_loop(name, weights):
    """No array of a weight's shape, nor its transpose, is made inside a loop; `rolled` makes them."""
    params, xs = params_of(CELLS[name]), jnp.asarray(inputs(T, B, n))

    def slope(loop):
        model = r.batch(r.scan(CELLS[name], loop), B)
        return lambda p, xs: jax.grad(lambda p: model.step(p, model.start(p), xs)[1].sum())(p)

    sizes = {*weights, *(s[::-1] for s in weights)}
    assert not sizes & shapes_in_loops(slope(r.deferred), params, xs)
    assert set(weights) <= shapes_in_loops(slope(r.rolled), params, xs)


@pytest.mark.parametrize("backend, size, inside", [("cpu", B, 2), ("cpu", 1, 1), ("gpu", B, 1)])
def test_input_projection(backend, size, inside, monkeypatch):
    """x W runs ahead of the loop, but for more than one row on a CPU."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    model = r.batch(r.scan(r.lstm(n, m)), size)
    params, xs = params_of(model), jnp.asarray(inputs(T, size, n))
    (body,) = jaxprs(jax.make_jaxpr(lambda *args: model.step(*args))(params, model.start(params), xs).jaxpr)
    assert sum(eqn.primitive.name == "dot_general" for eqn in everything(body)) == inside


def test_gates_with_a_matrix_each():
    """Products of one thing with several weights of one shape are one product in the loop."""
    model, args = made("a matrix for each gate", r.deferred)
    bodies = jaxprs(jax.make_jaxpr(jax.grad(lambda p: model.step(p, *args[1:])[1].sum()))(args[0]).jaxpr)
    assert [sum(eqn.primitive.name == "dot_general" for eqn in everything(body)) for body in bodies] == [1, 1]


def test_low_precision_params():
    """bfloat16 weights with a float32 state: the gradient is closer to the exact one than what `lax.scan` adds up."""

    def step(params, h, x):
        W, U = params
        z = jnp.dot(x.astype(W.dtype), W, preferred_element_type=x.dtype)
        h = jnp.tanh(z + jnp.dot(h.astype(U.dtype), U, preferred_element_type=h.dtype))
        return h, h

    cell = r.Cell(lambda key: None, lambda params: jnp.zeros(m, jnp.float32), step)
    xs = jnp.asarray(inputs(50, n), jnp.float32)
    low = tuple(jnp.asarray(0.5 * inputs(*size), jnp.bfloat16) for size in ((n, m), (m, m)))

    def slope(params, loop):
        return jax.jit(jax.grad(lambda p: jnp.sin(r.scan(cell, loop).step(p, cell.start(p), xs)[1]).sum()))(params)

    exact = slope(jax.tree.map(lambda p: p.astype(jnp.float32), low), r.rolled)
    errors = {}
    for loop in (r.deferred, r.rolled):
        grads = slope(low, loop)
        assert {g.dtype for g in grads} == {jnp.dtype(jnp.bfloat16)}
        far = [jnp.abs(g.astype(jnp.float32) - e).max() / jnp.abs(e).max() for g, e in zip(grads, exact)]
        errors[loop] = max(map(float, far))
    assert errors[r.deferred] < 0.03 and errors[r.deferred] < errors[r.rolled]


@pytest.mark.parametrize("name, most", [("rnn", 1.05), ("lstm", 1.05), ("gru", 1.35)])
def test_memory(name, most):
    """The gradient takes no more temporary memory than through `lax.scan`; of the gru, 1.31 times with jaxlib 0.10."""
    jax.config.update("jax_disable_most_optimizations", False)
    build, steps, size = getattr(r, name), 100, 16
    cell = build(32, 32)
    params, xs = cell.init(jax.random.key(0)), jnp.zeros((steps, size, 32))

    def temporary(loop):
        model = r.batch(r.scan(cell, loop), size)
        slope = jax.grad(lambda p, xs: model.step(p, model.start(p), xs)[1].sum(), (0, 1))
        return jax.jit(slope).lower(params, xs).compile().memory_analysis().temp_size_in_bytes

    assert temporary(r.deferred) <= most * temporary(r.rolled)


@pytest.mark.parametrize("name", CELLS)
def test_lowers_for_every_platform(name):
    """The training step of every cell can be exported for CUDA and TPU from here."""
    model = r.batch(r.with_loss(r.scan(CELLS[name]), squared), B)
    params = params_of(model)
    y = jax.eval_shape(r.scan(CELLS[name]).step, params, CELLS[name].start(params), jnp.zeros((T, n)))[1]
    args = params, model.start(params), (jnp.zeros((T, B, n)), jnp.zeros((T, B, *y.shape[1:])))
    exported = jax.export.export(jax.jit(r.bptt(model)), platforms=("cpu", "cuda", "tpu"))(*args)
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_traces_few_times():
    """A step is traced a fixed number of times, whatever T is."""

    @chex.assert_max_traces(n=6)
    def step(U, h, x):
        h = jnp.tanh(h @ U + x)
        return h, h

    model = r.scan(r.Cell(lambda key: jnp.eye(m), lambda p: jnp.zeros(m), step))
    jax.jit(jax.grad(lambda U: model.step(U, jnp.zeros(m), jnp.ones((50, m)))[1].sum())).lower(jnp.eye(m))


# random cells

OPERATIONS = {
    "add": lambda a, b, p: a + b,
    "subtract": lambda a, b, p: a - b,
    "multiply": lambda a, b, p: a * b,
    "tanh": lambda a, b, p: jnp.tanh(a),
    "sigmoid": lambda a, b, p: jax.nn.sigmoid(a),
    "relu": lambda a, b, p: jax.nn.relu(a),
    "bell": lambda a, b, p: jnp.exp(-a * a),
    "weigh": lambda a, b, p: a @ p["U"],
    "weigh again": lambda a, b, p: p["U"] @ a,
    "weigh otherwise": lambda a, b, p: b @ p["V"],
    "scale": lambda a, b, p: p["a"] * a,
    "shift": lambda a, b, p: a + p["a"],
    "choose": lambda a, b, p: jnp.where(a > b, a, b * p["s"]),
    "cut": lambda a, b, p: jnp.concatenate(jnp.split(a, 2)[::-1]),
    "outer": lambda a, b, p: (a[:, None] * b[None]) @ a,
    "mean": lambda a, b, p: a - a.mean(),
    "divide": lambda a, b, p: a / (1 + b * b),
}


def random_cell(program, state, output):
    """A cell from a list of operations, each on two of the values so far."""

    def step(params, state, x):
        values = [*state, x, x @ params["V"]]
        for name, first, second in program:
            values.append(OPERATIONS[name](values[first % len(values)], values[second % len(values)], params))
        after = tuple(jnp.tanh(values[-1 - k % len(values)]) for k in state_at)
        return after, values[output % len(values)]

    state_at = state
    params = {
        "U": jnp.asarray(inputs(m, m)),
        "V": jnp.asarray(inputs(m, m, seed=4)),
        "a": jnp.asarray(inputs(m, seed=5)),
        "s": jnp.asarray(0.7),
    }
    return r.Cell(lambda key: params, lambda p: (jnp.full(m, 0.1),) * len(state), step)


steps_of = st.lists(
    st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=9
)


def check_random(program, state, output, reverse):
    cell = random_cell(program, state, output)
    params = cell.init(None)
    args = params, cell.start(params), jnp.asarray(inputs(T, m, seed=6))
    found = []
    for loop in (r.deferred, r.rolled):
        found.append(jax.jit(functools.partial(outcome, r.scan(cell, loop, reverse=reverse).step))(*args))
    scale = max(1.0, *(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(found[1])))
    same(*(jax.tree.map(lambda a: a / scale, its) for its in found), rtol=1e-9, atol=1e-11)


ARGUMENTS = dict(
    program=steps_of,
    state=st.lists(st.integers(0, 9), min_size=1, max_size=2),
    output=st.integers(0, 20),
    reverse=st.booleans(),
)


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True)
@hypothesis.given(**ARGUMENTS)
def test_random_cells(program, state, output, reverse):
    check_random(program, state, output, reverse)


@pytest.mark.slow
@hypothesis.settings(max_examples=400, deadline=None)
@hypothesis.given(**ARGUMENTS)
def test_more_random_cells(program, state, output, reverse):
    check_random(program, state, output, reverse)
