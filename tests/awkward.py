"""Users' cells in plain maths, each with something that a loop which rewrites steps could get wrong.

Each is `name: (params, state, x of T steps, step)`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softmax, softplus

from conftest import T, inputs, m, n


class Made(NamedTuple):
    params: object
    state: object
    xs: object
    step: object


AWKWARD = {}


def cell(params, state, xs):
    """Enter a step in the table, with params and state of these shapes (or values), and xs."""

    def fill(shapes, seed):
        leaves, tree = jax.tree.flatten(
            shapes, is_leaf=lambda s: isinstance(s, tuple) and all(type(i) is int for i in s)
        )
        draw = [0.5 * inputs(*s, seed=seed + i) if isinstance(s, tuple) else s for i, s in enumerate(leaves)]
        return jax.tree.unflatten(tree, draw)

    def enter(step):
        AWKWARD[step.__name__.replace("_", " ")] = Made(fill(params, 10), fill(state, 30), xs, step)
        return step

    return enter


X, SQUARE = inputs(T, n), inputs(T, m)
WEIGHTS = [(n, m), (m, m), (m,)]


@cell([(n, m), (m, m)], {"h": (m,), "c": (m,)}, X)
def params_used_twice(params, state, x):
    W, U = params
    c = jnp.tanh(x @ W + state["h"] @ U)
    h = sigmoid(x @ W + c @ U) * c + (U * U).sum()
    return {"h": h, "c": c}, h + state["c"] @ U


@cell([(n, m), (m, m)], (m,), X)
def transposed(params, h, x):
    W, U = params
    h = jnp.tanh(W.T @ x + h @ U.T + U @ h)
    return h, h


@cell([(m, m)], (m,), SQUARE)
def tied(params, h, x):
    (W,) = params
    h = jnp.tanh(x @ W + h @ W)
    return h, h


@cell([(m,), (m, m)], (m,), SQUARE)
def params_in_conditions(params, h, x):
    p, U = params
    h = jnp.where(p > 0, jnp.tanh(h @ U), jnp.where(h > x, p * h, x))
    return h, jnp.where(U.sum() > 0, h, -h)


@cell([(m, m)] * 3, (m, m), SQUARE)
def fast_weights(params, S, x):
    q, k, v = (x @ P for P in params)
    S = sigmoid(k)[:, None] * S + k[:, None] * v[None]
    return S, jnp.tanh(q @ S) @ S


@cell(WEIGHTS, ((m,), (m, m)), X)
def two_states_multiplied(params, state, x):
    W, U, b = params
    h, S = state
    h = jnp.tanh(x @ W + h @ S + b)
    S = jnp.tanh(S @ U + h[:, None])
    return (h, S), h


@cell(WEIGHTS, (m,), X)
def nested_scan(params, h, x):
    W, U, b = params

    def inner(h, k):
        h = jnp.tanh(h @ U + k * (x @ W) + b)
        return h, h.sum()

    h, sums = jax.lax.scan(inner, h, np.arange(3.0))
    return h, sums


@cell(WEIGHTS, (m,), X)
def branches_and_loops(params, h, x):
    W, U, b = params
    h = jax.lax.cond(h.sum() > 0, lambda h: jnp.tanh(h @ U), lambda h: h * b, h)
    h = jax.lax.fori_loop(0, 2, lambda i, h: jnp.sin(h + x @ W), h)
    return h, h


@cell([(6, m), (m, m)], (m,), np.arange(T) % 6)
def symbols(params, h, x):
    E, U = params
    h = jnp.tanh(E[x] + h @ U)
    return h, h @ E.T


@cell(WEIGHTS, {"h": (m,), "n": jnp.int32(0), "key": jax.random.key(0), "odd": jnp.array(False)}, X)
def integers_and_keys_in_the_state(params, state, x):
    W, U, b = params
    key, now = jax.random.split(state["key"])
    noise = jax.random.normal(now, (m,), x.dtype)
    h = jnp.tanh(x @ W + state["h"] @ U + b * noise) * jnp.where(state["odd"], 1.0, 0.5)
    return {"h": h, "n": state["n"] + 1, "key": key, "odd": state["n"] % 2 == 0}, (h, state["n"])


@cell([(m, m)], {"last": (m,), "sum": (m,), "still": (m,), "param": (m, m)}, SQUARE)
def states_that_do_not_wait(params, state, x):
    (W,) = params
    after = {"last": x @ W, "sum": state["sum"] + state["last"], "still": state["still"], "param": W}
    return after, (state["last"], x, W, jnp.ones(2), (W * W).sum(0) * x, state["still"])


@cell([(m,), ()], (m,), SQUARE)
def elementwise_params(params, h, x):
    a, s = params
    h = sigmoid(a) * h + s * x * jnp.tanh(a * h + s)
    return h, s * h - a


@cell([(n, m), (2, m // 2, m // 2), (m,)], (m,), X)
def heads(params, h, x):
    W, U, b = params
    z = jnp.einsum("hi,hij->hj", h.reshape(2, -1), U).reshape(-1)
    h = jnp.tanh(x @ W + z + b)
    return h, h


@cell([(3, 1, 1), (m,)], (m,), SQUARE)
def convolution(params, h, x):
    kernel, b = params
    z = jax.lax.conv_general_dilated(h[None, :, None], kernel, (1,), "SAME", dimension_numbers=("NHC", "HIO", "NHC"))
    h = jnp.tanh(z[0, :, 0] + x * b)
    return h, h


@cell(WEIGHTS, (m,), X)
def normalised(params, h, x):
    W, U, b = params
    z = x @ W + h @ U
    z = (z - z.mean()) * jax.lax.rsqrt(((z - z.mean()) ** 2).mean() + 1e-5) * b
    return jax.nn.gelu(z), softplus(z)


@cell([(m, m)], (m,), inputs(T, 5, m))
def attention(params, h, memory):
    (U,) = params
    weights = softmax(memory @ (h @ U))
    h = jnp.tanh(weights @ memory + h)
    return h, weights


@cell([(n, 3 * m), (m, 3 * m)], (m,), X)
def cut_and_joined(params, h, x):
    W, U = params
    z = x @ W + h @ U - 0.5
    a, b, c = z[:m], z[m : 2 * m], z[2 * m :]
    h = jnp.concatenate([jnp.tanh(a[2:]), jnp.maximum(b[:2], -0.3)]) * jnp.exp(-c * c) + 0.1 * z.reshape(3, m).sum(0)
    return h, jnp.stack([a, b])


@cell([(m,), (n, m), (m, 2)], (m,), X)
def rotating(params, h, x):
    angle, B, C = params
    z = jax.lax.complex(h, jnp.roll(h, 1)) * jnp.exp(jax.lax.complex(0 * angle, angle)) + (x @ B).astype(complex)
    h = z.real * 0.9 + jnp.abs(z)
    return h, (z @ C.astype(complex)).imag


@cell([(m, m)], (m,), SQUARE)
def state_picks(params, h, x):
    (U,) = params
    h = jnp.tanh(h[jnp.argsort(h)] @ U) + jax.lax.dynamic_slice(x, (jnp.argmax(h) % 2,), (2,)).sum()
    return h, jax.lax.stop_gradient(h) * x


@cell([(m, m), (m, m)], (m,), SQUARE)
def used_again(params, h, x):
    U, W = params
    h = jnp.tanh(jnp.dot(0.9, h) + jnp.sin(x @ W) * jnp.cos(x @ W) + (h @ U) * (h @ W) + jnp.sin(h @ U) / 3)
    return h, 2 / (3 + h * h) + (x @ W)


@cell([(m, m)], ((5, m), jnp.int32(0)), SQUARE)
def ring_buffer(params, state, x):
    (U,) = params
    buffer, i = state
    h = jnp.tanh(buffer[(i + 2) % 5] @ U + x)
    return (buffer.at[i].set(h).at[(i + 1) % 5].add(0.1 * h), (i + 1) % 5), h


@cell([[(n, m)] * 4, [(m, m)] * 4, [(m,)] * 4], {"h": (m,), "c": (m,)}, X)
def a_matrix_for_each_gate(params, state, x):
    i, f, g, o = (x @ W + state["h"] @ U + b for W, U, b in zip(*params))
    c = sigmoid(f) * state["c"] + sigmoid(i) * jnp.tanh(g)
    h = sigmoid(o) * jnp.tanh(c)
    return {"h": h, "c": c}, h


CONSTANT = np.random.default_rng(5).normal(size=(m, m))


@cell([(m, m)], (m,), (SQUARE, None, {"t": np.arange(1.0, T + 1)}))
def constants_and_pytrees(params, h, x):
    (U,) = params
    x, _, more = x
    mixed = jax.jit(lambda a: jax.jit(jnp.tanh)(a @ U))(h)
    h = mixed / more["t"] + CONSTANT @ x + jax.nn.relu(h) * 2
    return h, {"h": h, "none": None}


@cell([(m, m), (m, m)], (m,), SQUARE)
def half_precision_inside(params, h, x):
    W, U = params
    low = (x.astype(jnp.float32) @ W.astype(jnp.float32)).astype(x.dtype)
    h = jnp.tanh(low + h @ U)
    return h, h.astype(jnp.float32)
