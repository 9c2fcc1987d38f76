"""One recurrent layer: what the contenders of `peers` compute, ours, and the floor. `others` has the other libraries.

Each is `build(cell, shape, backward) -> (Facts, go)`: what it computes, and a function that computes it once and waits.
The work is the outputs of all steps from a zero state; with `backward` also the gradients, of all weights and of the
inputs, of the sum of the outputs times fixed random numbers.
"""

import math
import time
from typing import NamedTuple

import numpy as np

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Facts(NamedTuple):
    """What was computed, to compare, and seconds to compile, bytes of temporary memory.

    `value`: of the objective, `dx`: norm of the inputs' gradient, `dw`: norm of all the matrices' gradients.
    """

    value: float
    dx: float | None = None
    dw: float | None = None
    compile: float | None = None
    memory: int | None = None


def problem(cell, shape):
    """Weights W, U, b (and d of the gru), inputs (T, B, n), and what the outputs are multiplied by, float32."""
    B, T, n, m = shape
    random, G = np.random.default_rng(0), GATES[cell]

    def draw(*size):
        return random.uniform(-(m**-0.5), m**-0.5, size).astype(np.float32)

    weights = [draw(n, G * m), draw(m, G * m), draw(G * m)] + ([np.zeros(m, np.float32)] if cell == "gru" else [])
    xs, times = (random.normal(size=(T, B, size)).astype(np.float32) for size in (n, m))
    return weights, xs, times


def compiled(run, params, xs, times, backward):
    """A contender from a JAX function `(params, xs) -> ys`."""
    import jax

    def both(params, xs, times):
        ys, pull = jax.vjp(run, params, xs)
        return (ys, *pull(times))

    args = jax.device_put((params, xs, times) if backward else (params, xs))
    began = time.perf_counter()
    program = jax.jit(both if backward else run).lower(*args).compile()
    took = time.perf_counter() - began
    out = program(*args)
    ys, grads, dx = out if backward else (out, [], None)
    facts = Facts(
        float(np.vdot(ys, times)),
        None if dx is None else norm([dx]),
        None if dx is None else norm(jax.tree.leaves(grads)),
        took,
        program.memory_analysis().temp_size_in_bytes,
    )
    return facts, lambda: jax.block_until_ready(program(*args))


def norm(arrays):
    """The norm of all the matrices (and inputs) among arrays: it does not depend on how a library lays them out."""
    matrices = [a for a in map(np.asarray, arrays) if a.ndim == 3 or (a.ndim == 2 and len(a) > 2)]
    return math.sqrt(sum(float(np.vdot(a, a)) for a in matrices))


def rnnjax(cell, shape, backward, loop="deferred", own=False):
    """This library: its own cell, or a user's in plain maths, with any loop."""
    import jax
    import jax.numpy as jnp

    import rnnjax

    weights, xs, times = problem(cell, shape)
    B, _, n, m = shape
    made = users(cell, n, m) if own else getattr(rnnjax, cell)(n, m)
    model = rnnjax.batch(rnnjax.scan(made, getattr(rnnjax, loop)), B)

    def run(params, xs):
        return model.step(params, model.start(params), xs)[1]

    tree = jax.tree.structure(jax.eval_shape(model.init, jax.random.key(0)))
    return compiled(run, jax.tree.unflatten(tree, map(jnp.asarray, weights)), xs, times, backward)


def users(cell, n, m):
    """The cells as a user writes them who has read about them a minute ago."""
    import jax.numpy as jnp
    from jax.nn import sigmoid

    from rnnjax import Cell

    def rnn(params, h, x):
        W, U, b = params
        h = jnp.tanh(b + h @ U + x @ W)
        return h, h

    def lstm(params, state, x):
        W, U, b = params
        h, c = state
        gates = x @ W + h @ U + b
        i, f, g, o = (gates[k * m : (k + 1) * m] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(params, h, x):
        W, U, b, d = params
        u, v = x @ W + b, h @ U
        r, z = sigmoid(u[:m] + v[:m]), sigmoid(u[m : 2 * m] + v[m : 2 * m])
        h = (1 - z) * jnp.tanh(u[2 * m :] + r * (v[2 * m :] + d)) + z * h
        return h, h

    steps = {"rnn": rnn, "lstm": lstm, "gru": gru}
    zeros, sizes = jnp.zeros(m), [(n, GATES[cell] * m), (m, GATES[cell] * m), (GATES[cell] * m,), (m,)]
    shapes = [jnp.zeros(s) for s in sizes[: 4 if cell == "gru" else 3]]
    return Cell(lambda key: shapes, lambda params: (zeros, zeros) if cell == "lstm" else zeros, steps[cell])


def floor(cell, shape, backward):
    """The matrix products alone, through XLA: each over all times as one, the recurrent ones in a bare loop."""
    import jax
    import jax.numpy as jnp

    (W, U, *_), xs, times = problem(cell, shape)
    T, G, m = shape[1], GATES[cell], shape[3]

    def forward(params, xs):
        W, U, times = params
        h, _ = jax.lax.scan(lambda h, _: ((h @ U)[:, :m], None), times[0], None, length=T)
        return xs @ W, h

    def both(params, xs):
        W, U, times = params
        dz, wide = jnp.tile(times, (1, 1, G)).reshape(-1, G * m), U.T
        d, _ = jax.lax.scan(lambda d, _: (d.at[:, :m].set(d @ wide), None), dz[: shape[0]], None, length=T)
        return forward(params, xs), d, dz @ W.T, xs.reshape(-1, shape[2]).T @ dz, times.reshape(-1, m).T @ dz

    args = jax.device_put(((W, U, times), xs))
    began = time.perf_counter()
    program = jax.jit(both if backward else forward).lower(*args).compile()
    facts = Facts(math.nan, None, None, time.perf_counter() - began, program.memory_analysis().temp_size_in_bytes)
    return facts, lambda: jax.block_until_ready(program(*args))
