"""The stack RNN and the neural Turing machine: each is its paper's equations, keeps the laws, and does its task."""

import equations_memory as eq
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import (
    EXACT,
    T,
    differences,
    holds_to,
    inputs,
    n,
    normal,
    outcome,
    padded_is_alone,
    params_of,
    same,
    state_of,
)
from rnnjax.cell import kind

m = 4

FAMILY = {
    "stack_rnn": (r.stack_rnn(n, m, depth=5), eq.stack_rnn),
    "stack_rnn, three stacks": (r.stack_rnn(n, m, 3, depth=3, read=1), lambda *args: eq.stack_rnn(*args, read=1)),
    "ntm": (r.ntm(n, m, slots=5, width=2), eq.ntm),
    "ntm, gru": (r.ntm(n, m, slots=3, width=2, controller=r.gru), lambda *args: eq.ntm(*args, eq.by_gru)),
}
CELLS = {name: cell for name, (cell, _) in FAMILY.items()}
each_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def begun(cell, params):
    """A state as it comes about: numbers of any kind, and weights of heads that sum to 1."""
    state = state_of(cell, params)
    return state._replace(w=jax.nn.softmax(state.w)) if hasattr(state, "w") else state


@pytest.mark.parametrize("name", FAMILY)
def test_equations(name):
    cell, reference = FAMILY[name]
    params = params_of(cell)
    holds_to(reference, cell, params, begun(cell, params), inputs(4, n))


@each_cell
def test_contract(cell):
    """The step keeps its state's type; a wrong input is refused; all stays float32 or bfloat16 where that is so."""
    r.check(cell, jnp.asarray(inputs(n)))
    params = cell.init(jax.random.key(0))
    with pytest.raises(ValueError, match=rf": x must be one step with {n} features"):
        cell.step(params, cell.start(params), jnp.ones(n + 1))
    for dtype in jnp.float32, jnp.bfloat16:
        cast = jax.tree.map(lambda p: p.astype(dtype), params)
        state = jax.eval_shape(cell.start, cast)
        after, y = jax.eval_shape(cell.step, cast, state, jnp.ones(n, dtype))
        assert y.dtype == dtype and jax.tree.map(kind, after) == jax.tree.map(kind, state)
        assert all(s.dtype == dtype for s in jax.tree.leaves(state))


@each_cell
def test_loops(cell):
    """The loop that takes the step apart is the plain one, in value and gradient."""
    params = params_of(cell)
    args = params, begun(cell, params), inputs(T, n)

    def loops(*args):
        return outcome(r.scan(cell).step, *args), outcome(r.scan(cell, r.rolled).step, *args)

    same(*jax.jit(loops)(*args), **EXACT)


@each_cell
def test_lengths(cell):
    """A batch of padded sequences is each of them alone, at lengths 0, 1 and T."""
    padded_is_alone(cell)


def test_stack_actions():
    """With actions that are certain it is a stack: it gives back what was pushed, last first, and -1 below that."""
    cell = r.stack_rnn(4, 1, depth=4, read=1)
    zero = jax.tree.map(jnp.zeros_like, params_of(cell))
    h, push, pop, stay = jnp.ones(1), *jnp.split(jnp.eye(3) * 1e3, 3)

    def act(stack, action, value=0.0):
        params = zero._replace(W=jnp.full((4, 1), 1e3), A=action, D=jnp.full((1, 1), value))
        return cell.step(params, r.StackRNNState(h, stack), jnp.ones(4))[0].stack

    stack = cell.start(zero).stack
    np.testing.assert_array_equal(stack, np.full((4, 1), -1.0))
    for value in (-1.0, 0.0, 1.0):
        stack = act(stack, push, value)
    σ = [1 / (1 + np.exp(-a)) for a in (1.0, 0.0, -1.0)]
    np.testing.assert_allclose(stack[:, 0], [*σ, -1], **EXACT)
    np.testing.assert_allclose(act(stack, stay), stack, **EXACT)
    np.testing.assert_allclose(act(act(stack, pop), pop)[:, 0], [σ[2], -1, -1, -1], **EXACT)
    np.testing.assert_allclose(act(act(stack, push), push)[:, 0], [0.5, 0.5, *σ[:2]], **EXACT)


def test_head_weights():
    """However large what is asked of it, a head's weights are positive and sum to 1; the heads begin on slot 0."""
    cell = r.ntm(n, m, slots=6, width=3)
    params = cell.init(jax.random.key(0))
    np.testing.assert_array_equal(cell.start(params).w, np.eye(6)[[0, 0]])
    for scale in 1e-3, 1.0, 1e3:
        large = normal(params, scale=scale)
        _, states = jax.lax.scan(lambda s, x: (cell.step(large, s, x)[0],) * 2, cell.start(params), inputs(40, n))
        np.testing.assert_allclose(states.w.sum(-1), 1, rtol=1e-12)
        assert (states.w >= 0).all()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_finite(dtype):
    """From a memory of exact zeros, keys of zero, and saturated gates there is a gradient, and it is a number."""
    cell = r.ntm(n, m, slots=6, width=3)
    params = jax.tree.map(lambda p: p.astype(dtype), cell.init(jax.random.key(0)))
    asked = jnp.concatenate([jnp.full(9, 1e4), jnp.full(9, -1e4), jnp.zeros(6)]).astype(dtype)
    cases = {
        "key of zero": params._replace(W=jnp.zeros_like(params.W)),
        "saturated": params._replace(b=asked),
        "saturated the other way": params._replace(b=-asked),
    }

    def loss(params, M, xs):
        state = cell.start(params)._replace(M=M)
        state, ys = r.scan(cell).step(params, state, xs)
        return (ys**2).sum() + (state.M**2).sum()

    slope = jax.jit(jax.grad(loss, (0, 1, 2)))
    for name, case in cases.items():
        for M in jnp.zeros((6, 3), dtype), jnp.full((6, 3), 1e-6, dtype):
            assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(slope(case, M, inputs(5, n, dtype=dtype)))), name


def test_cosine():
    """A key finds its row whatever the row's length, and the gradient is there at the start, where M is nearly 0."""
    cell = r.ntm(n, m, slots=4, width=2)
    params = params_of(cell)
    params = params._replace(W=0 * params.W, b=jnp.zeros(20).at[:5].set([1.0, 2.0, 50.0, 50.0, 50.0]).at[6].set(50.0))
    M = jnp.tanh(jnp.array([[1.0, 2.0], [2.0, 1.0], [-1.0, -2.0], [1.0, -1.0]])) * jnp.array(
        [[1e-3], [9.0], [9.0], [1]]
    )
    state, _ = cell.step(params, cell.start(params)._replace(M=M), jnp.ones(n))
    np.testing.assert_allclose(state.w[0], [1, 0, 0, 0], atol=1e-8)

    @jax.jit
    def near(M):
        state, _ = cell.step(params_of(cell), cell.start(params)._replace(M=M.reshape(4, 2)), jnp.ones(n))
        return (state.w[0] * jnp.arange(4.0)).sum()

    at = 1e-6 * (1 + np.random.default_rng(0).uniform(size=8))
    np.testing.assert_allclose(jax.grad(near)(jnp.asarray(at)), differences(near, at, 1e-10), rtol=1e-4)


def test_refused():
    with pytest.raises(ValueError, match=r"stack_rnn: no more can be read than a stack holds, but read is 3 .*less\.$"):
        r.stack_rnn(n, m, depth=2, read=3)
    with pytest.raises(ValueError, match=r"ntm: a shift must lead to three slots, but slots is 2\. Give at least 3\.$"):
        r.ntm(n, m, slots=2, width=2)
    with pytest.raises(ValueError, match=r"ntm: width must be a positive int, but width is 0"):
        r.ntm(n, m, slots=4, width=0)
