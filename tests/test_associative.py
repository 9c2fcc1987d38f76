"""Time in parallel: what the steps one after another give, in value and every derivative."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import EXACT, B, T, by_hand, inputs, m, mingru, n, outcome, params_of, same, squared, state_of


def turning():
    """Complex numbers that turn: a does not wait for x."""

    def affine(params, x):
        λ, W = params
        return jnp.exp(jax.lax.complex(-jnp.exp(λ[0]), λ[1])), (x @ W).astype(complex)

    def step(params, h, x):
        a, b = affine(params, x)
        return a * h + b, (a * h + b).imag

    def init(key):
        return jnp.zeros((2, m)), jnp.zeros((n, m))

    return r.Cell(init, lambda params: jnp.zeros(m, complex), step, affine=affine)


def outer():
    """A matrix state, kept row by row at its own rate, and read by the input."""

    def affine(params, x):
        W, V = params
        return jax.nn.sigmoid(x @ W)[:, None], (x @ V)[:, None] * x[None]

    def step(params, S, x):
        a, b = affine(params, x)
        S = a * S + b
        return S, S @ x

    def init(key):
        return jnp.zeros((n, m)), jnp.zeros((n, m))

    return r.Cell(init, lambda params: jnp.zeros((m, n)), step, affine=affine)


AFFINE = {"mingru": mingru(n, m), "turning": turning(), "outer": outer()}


FAMILY = {
    cell.name: cell
    for cell in (
        r.minlstm(n, m), r.qrnn(n, m), r.sru(n, m), r.lru(n, m), r.s5(n, m), r.rglru(n), r.gla(n, 2, m, rank=2)
    )
}  # fmt: skip


def problem(cell, *shape):
    params = params_of(cell)
    return params, state_of(cell, params), jnp.asarray(inputs(*shape, n))


def real(run):
    """What a function gives, complex numbers as pairs."""
    return lambda *args: jax.tree.map(lambda y: jnp.stack([y.real, y.imag]) if jnp.iscomplexobj(y) else y, run(*args))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [T, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2, 64))])
@pytest.mark.parametrize("name", AFFINE)
def test_equals_the_steps(name, steps, reverse):
    """In both directions, from any state, in value and gradient; with masks: holes, none left, all left."""
    cell = AFFINE[name]
    args = problem(cell, steps)
    model = r.scan(cell, r.associative, reverse=reverse)
    rolled = r.scan(cell, r.rolled, reverse=reverse)
    if steps == T:
        same(jax.jit(model.step)(*args), by_hand(cell, *args, reverse=reverse), **EXACT)
    for keep in (), (jnp.arange(steps) % 3 > 0,), (jnp.zeros(steps, bool),), (jnp.ones(steps, bool),):
        if steps == 64 and keep:
            continue
        pair = (
            jax.jit(functools.partial(outcome, real(lambda *a: its.step(*a, *keep))))(*args) for its in (model, rolled)
        )
        same(*pair, **EXACT)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", FAMILY)
def test_family(name, reverse):
    """The library's own linear recurrences, in value and gradient, with and without a mask."""
    cell, args = FAMILY[name], problem(FAMILY[name], T)
    for keep in (), (jnp.arange(T) % 3 > 0,):
        models = (r.scan(cell, loop, reverse=reverse) for loop in (r.associative, r.rolled))
        same(
            *(jax.jit(functools.partial(outcome, real(lambda *a: its.step(*a, *keep))))(*args) for its in models),
            **EXACT,
        )


@pytest.mark.parametrize("name", AFFINE)
def test_batches_and_bptt(name):
    """The promise survives a batch and a mask; gradients of a model with a loss are those of the default loop."""
    cell = AFFINE[name]
    width = jax.eval_shape(cell.step, *jax.tree.map(lambda x: x, problem(cell)))[1].shape[0]
    params, state, _ = problem(cell)
    states = jax.tree.map(lambda s: jnp.stack([s * k for k in range(B)]), state)
    xs = jnp.asarray(inputs(T, B, n)), jnp.asarray(inputs(T, B, width, seed=7))
    keep = jnp.asarray(np.arange(T)[:, None] < np.array([T, 0, 3, 1, T]))
    one, other = (
        jax.jit(r.bptt(r.batch(r.with_loss(r.scan(cell, loop), squared), B)))(params, states, xs, keep)
        for loop in (r.associative, r.deferred)
    )
    same(one, other, **EXACT)
    r.check(r.batch(cell, B), xs[0][0])


def test_second_derivatives():
    """Forward over reverse, reverse over reverse, and forward mode."""
    cell = AFFINE["mingru"]
    params, state, xs = problem(cell, T)

    def objective(loop, W):
        return jnp.sin(r.scan(cell, loop).step((W, *params[1:]), state, xs)[1]).sum()

    W = params[0]
    for derivative in (jax.jacfwd, jax.hessian, lambda f: jax.jacrev(jax.jacrev(f))):
        one, other = (jax.jit(derivative(functools.partial(objective, loop)))(W) for loop in (r.associative, r.rolled))
        same(one, other, **EXACT)


def test_depth_and_memory():
    """No loop over time is left in the program, and the gradient keeps a few copies of the states, whatever T is."""
    cell = mingru(n, 16)
    params = params_of(cell)

    def gradient(params, xs):
        return jax.grad(lambda params: r.scan(cell, r.associative).step(params, jnp.zeros(16), xs)[1].sum())(params)

    def memory(steps):
        xs = jnp.zeros((steps, n))
        return jax.jit(gradient).lower(params, xs).compile().memory_analysis().temp_size_in_bytes / steps

    program = str(jax.make_jaxpr(gradient)(params, jnp.zeros((64, n))))
    assert "scan[" not in program and "while[" not in program
    assert memory(16_384) < 1.1 * memory(512)


def test_refused():
    with pytest.raises(
        TypeError, match=r"^associative: the cell must promise affine, but lstm\(3, 4\) does not\. Use deferred"
    ):
        r.scan(r.lstm(n, m), r.associative).step(
            params_of(r.lstm(n, m)), state_of(r.lstm(n, m), params_of(r.lstm(n, m))), inputs(T, n)
        )
