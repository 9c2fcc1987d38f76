"""A chunk of time at once: what the steps one after another give, in value and every derivative, in less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import EXACT, LENGTHS, B, by_hand, inputs, m, mingru, n, outcome, params_of, same, squared, state_of

T = 7


def exp_forget(f):
    return f


CELLS = {
    "mlstm": r.mlstm(n, m),
    "mlstm, two heads, exp": r.mlstm(n, m, heads=2, forget=exp_forget),
    "gla": r.gla(n, 2, m, rank=2),
    "mingru": mingru(n, m),
}
CHUNK = "mlstm", "gla", pytest.param("mlstm, two heads, exp", marks=pytest.mark.slow)
HOLES = np.arange(T) % 3 > 0
MASKS = HOLES, np.zeros(T, bool), np.ones(T, bool)


def problem(cell, *shape, fresh=False):
    """Params, a state (of `fresh` the cell's start, where p is -∞), and inputs."""
    params = params_of(cell)
    state = cell.start(params) if fresh else state_of(cell, params)
    if not fresh and hasattr(state, "d"):
        state = state._replace(d=1 + jnp.abs(state.d))
    return params, state, jnp.asarray(inputs(*shape, n))


def outcomes(runs, *args):
    """What each of them gives, with all gradients, in one program."""
    return jax.jit(lambda *args: [outcome(run, *args) for run in runs])(*args)


@pytest.mark.parametrize("name", CELLS)
def test_equals_the_steps(name):
    """In chunks of 1 and 3 steps and of more than there are, reversed, and whatever the mask and the first state."""
    cell = CELLS[name]

    def run(loop, reverse, **size):
        return lambda params, state, xs, keep: r.scan(cell, loop, reverse=reverse, **size).step(params, state, xs, keep)

    ways = (False, {}), (True, {}), (False, dict(size=1)), (False, dict(size=T + 2)), (True, dict(size=3))
    runs = [run(r.chunked if size else r.rolled, reverse, **size) for reverse, size in ways]
    compiled = jax.jit(lambda keep, *args: [outcome(lambda *args: its(*args, keep), *args) for its in runs])
    for fresh in False, True:
        for keep in MASKS:
            ahead, behind, *found = compiled(jnp.asarray(keep), *problem(cell, T, fresh=fresh))
            for its, plain in zip(found, (ahead, ahead, behind)):
                same(its, plain, **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_by_hand(name):
    """A Python loop over `step`, and nothing else of the library."""
    args = problem(CELLS[name], T)
    jitted = CELLS[name]._replace(step=jax.jit(CELLS[name].step))
    for reverse in False, True:
        found = jax.jit(r.scan(CELLS[name], r.chunked, size=3, reverse=reverse).step)(*args)
        same(found, by_hand(jitted, *args, reverse=reverse), **EXACT)


@pytest.mark.parametrize("name", CHUNK)
def test_long(name):
    """Chunks of 40 steps, more than `gla` has in a block, and a rest."""
    cell = CELLS[name]
    args = problem(cell, 90, fresh=True)
    one, other = outcomes([r.scan(cell, r.rolled).step, r.scan(cell, r.chunked, size=40).step], *args)
    same(other, one, **EXACT)


@pytest.mark.parametrize("name", CELLS)
def test_batches_and_bptt(name):
    """A padded batch of a model with a loss: the promise survives the batch and the mask; each row alone agrees."""
    cell = CELLS[name]
    params, state, xs = problem(cell, T, B)
    width = jax.eval_shape(cell.step, params, state, xs[0, 0])[1].shape[0]
    states = jax.tree.map(lambda s: jnp.stack([s] * B), state)
    data, keep = (xs, jnp.asarray(inputs(T, B, width, seed=7))), jnp.arange(T)[:, None] < jnp.asarray(LENGTHS)[None]
    models = [r.batch(r.with_loss(r.scan(cell, *loop), squared), B) for loop in ((), (r.chunked,))]
    one, other = jax.jit(lambda *args: [r.bptt(model)(*args) for model in models])(params, states, data, keep)
    same(other, one, **EXACT)
    padded = jax.jit(r.batch(r.scan(cell, r.chunked, size=3), B).step)(params, states, xs, keep)
    for b, length in enumerate(LENGTHS):
        if length:
            alone = by_hand(cell._replace(step=jax.jit(cell.step)), params, state, xs[:length, b])
            same((jax.tree.map(lambda s: s[b], padded[0]), padded[1][:length, b]), alone, **EXACT)


@pytest.mark.parametrize("name", ["mlstm", "gla"])
def test_second_derivatives(name):
    """Forward over reverse of the value and all gradients, from the cell's start, with holes."""
    cell = CELLS[name]
    params, state, xs = problem(cell, T, fresh=True)

    def change(loop, **options):
        run = r.scan(cell, loop, **options).step
        gradients = jax.grad(lambda params, xs: jnp.sin(run(params, state, xs, jnp.asarray(HOLES))[1]).sum(), (0, 1))
        directions = params_of(cell, seed=5), jnp.asarray(inputs(T, n, seed=6))
        return jax.jvp(gradients, (params, xs), directions)

    one, other = jax.jit(lambda: (change(r.rolled), change(r.chunked, size=3)))()
    same(other, one, **EXACT)


@pytest.mark.parametrize("dtype, close", [(np.float64, EXACT), (np.float32, dict(rtol=2e-3, atol=1e-4))])
def test_extreme_gates(dtype, close):
    """Gates of exp(-50) and exp(40), and of these a few the other way: finite, and what the steps give."""
    cell = r.mlstm(n, m)
    params, state, xs = jax.tree.map(lambda a: a.astype(dtype), problem(cell, 40, fresh=True))
    params = params._replace(g=jnp.asarray([40, -50], dtype), G=params.G * np.asarray([5, 60], dtype)[None])
    i, f = np.asarray(xs @ params.G).T + np.asarray(params.g)[:, None]
    assert i.max() > 40 and f.min() < -50 and f.max() > 0
    one, other = outcomes([r.scan(cell, r.rolled).step, r.scan(cell, r.chunked, size=16).step], params, state, xs)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(other))
    same(other, one, **close)


def test_extreme_decay():
    """A key that fades to nothing within a chunk is read as the steps read it: no ratio of what underflows."""
    cell = r.gla(n, 2, m, rank=2, temperature=0.1)
    params, state, xs = problem(cell, 40)
    params = params._replace(b=jnp.asarray([-20.0, 20.0]))
    one, other = outcomes([r.scan(cell, r.rolled).step, r.scan(cell, r.chunked, size=40).step], params, state, xs)
    same(other, one, **EXACT)


def gradient(cell, loop, T, **options):
    params = cell.init(jax.random.key(0))
    model = r.scan(cell, loop, **options)
    return jax.grad(lambda params, xs: model.step(params, model.start(params), xs)[1].sum()), params, jnp.ones((T, n))


@pytest.mark.parametrize("cell", [r.mlstm(n, 16), r.gla(n, 16, 16)], ids=["mlstm", "gla"])
def test_memory(cell):
    """A matrix state a chunk is kept, not one a step: of no array in the program are there as many as steps."""

    def memory(loop, **options):
        slope, *args = gradient(cell, loop, 1024, **options)
        return jax.jit(slope).lower(*args).compile().memory_analysis().temp_size_in_bytes

    assert memory(r.chunked, size=64) < memory(r.rolled) / 5
    slope, *args = gradient(cell, r.chunked, 1024, size=64)
    assert largest(jax.make_jaxpr(slope)(*args).jaxpr) < 1024 * 16 * 16
    slope, *args = gradient(cell, r.rolled, 1024)
    assert largest(jax.make_jaxpr(slope)(*args).jaxpr) >= 1024 * 16 * 16


def largest(jaxpr):
    """The most numbers in one array of a program, however deep."""
    inner = [p for eqn in jaxpr.eqns for p in jax.tree.leaves(list(eqn.params.values()), is_leaf=is_program)]
    sizes = [v.aval.size for eqn in jaxpr.eqns for v in eqn.outvars]
    return max([0, *sizes, *(largest(getattr(p, "jaxpr", p)) for p in inner if is_program(p))])


def is_program(p):
    return hasattr(p, "eqns")


@pytest.mark.parametrize("name", CHUNK)
def test_check(name):
    """The promise is equal to step, batched and masked too, and one that is not is found."""
    cell, x = CELLS[name], jnp.asarray(inputs(n))
    cell = cell._replace(step=jax.jit(cell.step), chunk=jax.jit(cell.chunk))
    r.check(cell, x)
    r.check(r.batch(r.batch(cell, 2), B), jnp.asarray(inputs(B, 2, n)))
    r.check(r.masked(cell), (x, jnp.array(True)))

    def other_y(params, state, xs, *keep):
        state, ys = cell.chunk(params, state, xs, *keep)
        return state, ys + 1

    def no_state(params, state, xs, *keep):
        return cell.chunk(params, cell.start(params), xs, *keep)

    def deaf(params, state, xs, *keep):
        return cell.chunk(params, state, xs)

    for wrong in other_y, no_state, deaf:
        with pytest.raises(ValueError, match=r"^check: chunk must equal step, but it gives another state or y\."):
            r.check(cell._replace(chunk=wrong), x)


def test_promises_are_dropped():
    """Where a step is changed, what was promised of it is gone."""
    cell = r.mlstm(n, m)
    for changed in r.stack(cell), r.dilated(cell, 2), r.with_loss(cell, squared), r.resettable(cell):
        assert changed.chunk is None
    assert r.batch(cell, 2).chunk and r.masked(cell).chunk
    assert r.batch(mingru(n, m), 2).chunk is None and r.masked(mingru(n, m)).chunk is None


def test_refused():
    cell = r.lstm(n, m)
    with pytest.raises(
        TypeError,
        match=r"^chunked: the cell must promise chunk or affine, but lstm\(3, 4\) does neither\. Use deferred",
    ):
        r.scan(cell, r.chunked).step(*problem(cell, T))
    with pytest.raises(ValueError, match=r"^chunked: size must be a positive int, but size is 0\."):
        r.scan(r.mlstm(n, m), r.chunked, size=0).step(*problem(r.mlstm(n, m), T))


@pytest.mark.parametrize("build", [lambda: r.mlstm(8, 8, heads=2), lambda: r.gla(8, 8, 8)])
def test_sixteen_bits(build):
    """In bfloat16, where sums of logarithms would not be told apart: as near to float64 as the steps, or nearer."""
    cell = build()
    params, xs = params_of(cell), jnp.asarray(inputs(64, 8))

    def run(loop, dtype, **options):
        at = jax.tree.map(lambda a: a.astype(dtype), params)
        return r.scan(cell, loop, **options).step(at, cell.start(at), xs.astype(dtype))[1].astype(float)

    exact = run(r.rolled, jnp.float64)
    off = [
        jnp.abs(run(loop, jnp.bfloat16, **o) - exact).mean() for loop, o in ((r.chunked, dict(size=64)), (r.rolled, {}))
    ]
    assert off[0] < 1.5 * off[1]


@pytest.mark.parametrize("name", ["mlstm", "gla"])
def test_nothing_comes_out_of_holes(name):
    """NaN and infinity at masked steps do no harm, as they do none step by step."""
    cell = {"mlstm": r.mlstm(n, m), "gla": r.gla(n, 3, m)}[name]
    params, keep = params_of(cell), jnp.arange(T) % 3 > 0
    xs = jnp.where(keep[:, None], jnp.asarray(inputs(T, n)), jnp.nan)
    one, other = (r.scan(cell, loop).step(params, cell.start(params), xs, keep) for loop in (r.chunked, r.rolled))
    same(one, other, **EXACT)
