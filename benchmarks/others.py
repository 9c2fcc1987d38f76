"""The same layer in the other libraries, as each of them runs it best. Contenders of `peers`, see `layers`."""

import os

import numpy as np

from benchmarks.layers import Facts, compiled, norm, problem


def flax(cell, shape, backward):
    """Flax NNX: `nnx.RNN` over its fastest cell, time-major, split into a graph and a state once."""
    import jax.numpy as jnp
    from flax import nnx

    (W, U, b, *_), xs, times = problem(cell, shape)
    B, _, n, m = shape
    kind = {"rnn": nnx.SimpleCell, "lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell}[cell]
    graph, params, rest = nnx.split(nnx.RNN(kind(n, m, rngs=nnx.Rngs(0)), time_major=True), nnx.Param, ...)
    laid = {("dense_i", "kernel"): W, ("dense_h", "kernel"): U}
    flat = nnx.to_flat_state(params)
    params = nnx.from_flat_state([(path, nnx.Param(jnp.asarray(laid.get(path[-2:], b)))) for path, _ in flat])
    zeros = jnp.zeros((B, m))

    def run(params, xs):
        return nnx.merge(graph, params, rest)(xs, initial_carry=(zeros, zeros) if cell == "lstm" else zeros)

    return compiled(run, params, xs, times, backward)


def haiku(cell, shape, backward):
    """Haiku: `dynamic_unroll`. Its RNN has ReLU, and its GRU resets before the product."""
    import haiku as hk
    import jax.numpy as jnp

    (W, U, b, *_), xs, times = problem(cell, shape)
    B, _, _, m = shape

    def net(xs):
        core = {"rnn": hk.VanillaRNN, "lstm": hk.LSTM, "gru": hk.GRU}[cell](m)
        return hk.dynamic_unroll(core, xs, core.initial_state(B))[0]

    if cell == "lstm":  # its order of gates is i g f o, and its forget gate's bias has 1 added
        i, f, g, o = np.split(np.concatenate([W, U, b[None]]), 4, 1)
        w, b = np.split(np.concatenate([i, g, f, o], 1), [len(W) + m])
        b[:, 2 * m : 3 * m] -= 1
        params = {"lstm/linear": {"w": w, "b": b[0]}}
    elif cell == "gru":
        params = {"gru": {"w_i": W, "w_h": U, "b": b}}
    else:
        params = {"vanilla_rnn/linear": {"w": W, "b": b}, "vanilla_rnn/linear_1": {"w": U, "b": 0 * b}}
    params = {name: {k: jnp.asarray(v) for k, v in layer.items()} for name, layer in params.items()}
    return compiled(hk.without_apply_rng(hk.transform(net)).apply, params, xs, times, backward)


def equinox(cell, shape, backward):
    """Equinox: `vmap` of a `lax.scan` over its cell, as its documentation shows. It has no vanilla cell."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    (W, U, b, *d), xs, times = problem(cell, shape)
    _, _, n, m = shape
    kind = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}[cell]
    params, static = eqx.partition(kind(n, m, key=jax.random.key(0)), eqx.is_array)

    def leaves(cell):
        return (cell.weight_ih, cell.weight_hh, cell.bias, *((cell.bias_n,) if d else ()))

    params = eqx.tree_at(leaves, params, tuple(map(jnp.asarray, (W.T, U.T, b, *d))))
    start = (jnp.zeros(m), jnp.zeros(m)) if cell == "lstm" else jnp.zeros(m)

    def run(params, xs):
        layer = eqx.combine(params, static)

        def step(state, x):
            state = layer(x, state)
            return state, state[0] if cell == "lstm" else state

        return jax.vmap(lambda xs: jax.lax.scan(step, start, xs)[1], 1, 1)(xs)

    return compiled(run, params, xs, times, backward)


def keras(cell, shape, backward):
    """Keras 3 on JAX, batch-major as it wants, its state-less call."""
    os.environ["KERAS_BACKEND"] = "jax"
    import jax.numpy as jnp
    import keras

    (W, U, b, *_), xs, times = problem(cell, shape)
    _, _, n, m = shape
    kind = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    layer = kind(m, return_sequences=True)
    layer.build((None, None, n))
    if cell == "gru":  # its order of gates is z r n
        W, U, b = (np.concatenate([np.split(w, 3, -1)[k] for k in (1, 0, 2)], -1) for w in (W, U, b))
        b = np.stack([b, 0 * b])
    rest = [v.value for v in layer.non_trainable_variables]

    def run(params, xs):
        return layer.stateless_call(params, rest, xs)[0]

    xs, times = xs.swapaxes(0, 1).copy(), times.swapaxes(0, 1).copy()
    return compiled(run, [jnp.asarray(w) for w in (W, U, b)], xs, times, backward)


def torch(cell, shape, backward, dtype="float32"):
    """PyTorch's `nn.RNN`, `nn.LSTM` or `nn.GRU`: oneDNN or ATen on a CPU, cuDNN on a GPU."""
    import torch

    (W, U, b, *_), xs, times = problem(cell, shape)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layer = getattr(torch.nn, cell.upper())(*shape[2:])
    with torch.no_grad():
        for p, w in zip(layer.parameters(), (W.T, U.T, b, 0 * b)):
            p.copy_(torch.from_numpy(w))
    layer = layer.to(device, getattr(torch, dtype))
    xs, times = (torch.from_numpy(a).to(device, getattr(torch, dtype)) for a in (xs, times))
    xs.requires_grad_(backward)

    def go():
        layer.zero_grad()
        xs.grad = None
        with torch.set_grad_enabled(backward):
            ys = layer(xs)[0]
        if backward:
            ys.backward(times)
        if device == "cuda":
            torch.cuda.synchronize()
        return ys

    value = float((go().detach() * times).sum())
    if not backward:
        return Facts(value), go
    grads = [p.grad.float().cpu().numpy() for p in layer.parameters()]
    return Facts(value, norm([xs.grad.float().cpu().numpy()]), norm(grads)), go


def cudnn(cell, shape, backward):
    """`jax.experimental.rnn`: cuDNN's LSTM from JAX, on an NVIDIA GPU."""
    import jax
    import jax.numpy as jnp
    from jax.experimental import rnn

    _, xs, times = problem(cell, shape)
    B, T, n, m = shape
    weights = rnn.init_lstm_weight(jax.random.key(0), n, m, 1, False)
    lengths, zeros = jnp.full(B, T, jnp.int32), jnp.zeros((1, B, m))

    def run(weights, xs):
        return rnn.lstm(xs, zeros, zeros, weights, lengths, n, m, 1, 0.0, False)[0]

    xs, times = xs.swapaxes(0, 1).copy(), times.swapaxes(0, 1).copy()
    return compiled(run, weights, xs, times, backward)
