"""One model, built alike in rnnjax, Flax NNX and PyTorch: each a function `-> (facts, step)`.

Two recurrent layers and a dense readout, softmax cross entropy averaged over all steps and streams, BPTT, the gradient
clipped to global norm 1, Adam at 1e-3. `facts` are the loss and gradients at shared weights in rnnjax's layout (a dict
of arrays) for `step.py` to compare, and what compiling cost; `step()` trains one step and waits for it. rnnjax carries
the recurrent state on and measures the gradient's norm, since its `update` does; the others start from zeros.
Each library is imported by its own contender, so that a process holds one library's threads.
"""

import time
from typing import Any

import numpy as np

from benchmarks.problem import B, Facts, T, m, n, problem


def ours(cell, window=None, **loop):
    """rnnjax, by `bptt` or `tbptt(window)`, with any loop."""
    import jax
    import jax.numpy as jnp
    from optax import softmax_cross_entropy_with_integer_labels as cross_entropy

    import rnnjax
    from rnnjax.train import Training, update

    weights, *batch = problem(cell)
    model = rnnjax.stack(rnnjax.deep(getattr(rnnjax, cell), n, m, layers=2, **loop), rnnjax.dense(m, n))
    learner = rnnjax.batch(rnnjax.with_loss(model, cross_entropy), B)
    gradient = rnnjax.tbptt(learner, window=window) if window else rnnjax.bptt(learner)
    tree = jax.tree.structure(jax.eval_shape(model.init, jax.random.key(0)))
    params = jax.tree.unflatten(tree, [jnp.array(w) for w in weights.values()])
    batch, state = jax.device_put(tuple(batch)), learner.start(params)
    loss, grads, _ = jax.jit(gradient)(params, state, batch)
    grads = None if window and window < T else dict(zip(weights, map(np.asarray, jax.tree.leaves(grads))))
    training = Training(params, adam().init(params), state, jnp.int32(0))
    return compiled(update(gradient, adam()), training, batch, Facts(float(loss), grads))


def flax(cell):
    """Flax NNX: `nnx.RNN` over its fastest cell, split into a graph and a state once, which spares `nnx.jit`'s work."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    weights, *batch = problem(cell)
    batch, rngs = jax.device_put(tuple(batch)), nnx.Rngs(0)
    make = {"lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell}[cell]
    layers = nnx.List([nnx.RNN(make(width, m, rngs=rngs), time_major=True) for width in (n, m)])
    graph, params, rest = nnx.split(nnx.Sequential(*layers, nnx.Linear(m, n, rngs=rngs)), nnx.Param, ...)
    zeros = jnp.zeros((B, m))
    bias, start = {"lstm": ("dense_h", (zeros, zeros)), "gru": ("dense_i", zeros)}[cell]
    names = {"W": ("layers", 2, "kernel"), "b": ("layers", 2, "bias")}
    for k in range(2):
        at = ("layers", k, "cell")
        names |= {
            f"W{k}": (*at, "dense_i", "kernel"),
            f"U{k}": (*at, "dense_h", "kernel"),
            f"b{k}": (*at, bias, "bias"),
        }

    params = nnx.from_flat_state([(path, nnx.Param(jnp.array(weights[name]))) for name, path in names.items()])

    def objective(params, xs, targets):
        *layers, readout = nnx.merge(graph, params, rest).layers
        for layer in layers:
            xs = layer(xs, initial_carry=start)
        return optax.softmax_cross_entropy_with_integer_labels(readout(xs), targets).mean()

    def step(training, batch):
        params, optimizer = training
        loss, grads = jax.value_and_grad(objective)(params, *batch)
        updates, optimizer = adam().update(grads, optimizer, params)
        return (optax.apply_updates(params, updates), optimizer), loss

    loss, grads = jax.jit(jax.value_and_grad(objective))(params, *batch)
    grads = dict(nnx.to_flat_state(grads))
    grads = {name: np.asarray(grads[path][...]) for name, path in names.items()}
    return compiled(jax.jit(step, donate_argnums=0), (params, adam().init(params)), batch, Facts(float(loss), grads))


def adam():
    import optax

    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))


def compiled(step, training: Any, batch, facts):
    """Compile a jitted `training, batch -> training, told` ahead of time, and make it a contender."""
    import jax

    began = time.perf_counter()
    program = step.lower(training, batch).compile()
    took = time.perf_counter() - began

    def go():
        nonlocal training
        training, told = program(training, batch)
        jax.block_until_ready((training, told))

    return facts._replace(compile=took, memory=program.memory_analysis().temp_size_in_bytes), go


def torch(cell):
    """PyTorch: `nn.LSTM` or `nn.GRU` with two layers, eager. Its second bias starts at 0."""
    import torch

    weights, *batch = problem(cell)
    xs, targets = map(torch.from_numpy, batch)
    targets = targets.long().flatten()
    layers, readout = getattr(torch.nn, cell.upper())(n, m, num_layers=2), torch.nn.Linear(m, n)
    params = [*layers.parameters(), *readout.parameters()]
    names = {"W": readout.weight, "b": readout.bias}
    for k in range(2):
        names |= {s: getattr(layers, f"{a}_l{k}") for s, a in ((f"W{k}", "weight_ih"), (f"U{k}", "weight_hh"))}
        names |= {f"b{k}": getattr(layers, f"bias_ih_l{k}")}
        torch.nn.init.zeros_(getattr(layers, f"bias_hh_l{k}"))
    with torch.no_grad():
        for name, p in names.items():
            p.copy_(torch.from_numpy(weights[name].T))
    optimizer = torch.optim.Adam(params, lr=1e-3)

    def backward():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(readout(layers(xs)[0]).flatten(0, 1), targets)
        loss.backward()
        return loss.item()

    def step():
        backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()

    loss = backward()
    grads = {name: p.grad.numpy().T.copy() for name, p in names.items()}
    grads |= {f"d{k}": getattr(layers, f"bias_hh_l{k}").grad.numpy()[2 * m :] for k in range(2) if cell == "gru"}
    return Facts(loss, grads), step
