"""A user's program, after the README's tour: what a type checker makes of it (`basedpyright`), and it runs, too."""

import tempfile
from typing import Any, assert_type

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx
from jax import Array

import rnnjax
from rnnjax import data, diagnostics, interop, train, weights
from rnnjax.gradients.lookback import Truncated
from rnnjax.gradients.online import Online
from rnnjax.interop.load import load
from rnnjax.loops.newton.streams import Solution
from rnnjax.types import Gradient, Initializer


@rnnjax.interned
def mingru(n: int, m: int) -> rnnjax.Cell:
    def init(key: Array) -> tuple[Array, Array, Array]:
        W, U = jax.random.normal(key, (2, n, m)) / n**0.5
        return W, U, jnp.zeros(m)

    def step(params: tuple[Array, Array, Array], h: Array, x: Array) -> tuple[Array, Array]:
        W, U, b = params
        z = jax.nn.sigmoid(x @ W + b)
        h = (1 - z) * h + z * (x @ U)
        return h, h

    return rnnjax.Cell(init, lambda params: jnp.zeros(m), step)


def squared(y: Array, target: Array) -> Array:
    return optax.l2_loss(y, target).sum()


def wrong(params: Any) -> None:
    """What a checker must refuse: it says so of an `ignore` that has nothing to ignore."""
    rnnjax.lstm("3", 4)  # pyright: ignore[reportArgumentType]
    rnnjax.lstm(3)  # pyright: ignore[reportCallIssue]
    rnnjax.lstm(3, 4, bias=1.0)  # pyright: ignore[reportArgumentType]
    mingru(3, 4, 5)  # pyright: ignore[reportCallIssue]
    rnnjax.scan(rnnjax.lstm(3, 8), loop=len)  # pyright: ignore[reportArgumentType]
    rnnjax.apply(mingru(3, 4), params, jnp.ones((4, 20, 3)), lenghts=[20, 7, 1, 0])  # pyright: ignore[reportCallIssue]


# what makes a cell gives a Cell, and keeps its signature
key = jax.random.key(0)
assert_type(key, Array)
assert_type(rnnjax.lstm(3, 4), rnnjax.Cell)
assert_type(mingru(3, m=8), rnnjax.Cell)

# weights, loops, and cells made of cells
assert_type(weights.forget(1.0), Initializer)
assert_type(rnnjax.gru(3, 8, weight=weights.uniform(0.1), recurrent=jax.nn.initializers.orthogonal()), rnnjax.Cell)
for loop in (rnnjax.deferred, rnnjax.rolled, rnnjax.checkpointed, rnnjax.associative, rnnjax.chunked, rnnjax.newton):
    assert_type(rnnjax.scan(rnnjax.mingru(3, 8), loop), rnnjax.Cell)
rnnjax.scan(rnnjax.lstm(3, 8), rnnjax.checkpointed, segments=10)
deep = rnnjax.deep(rnnjax.lstm, 3, 8, layers=2, bidirectional=True, dropout=0.5)
assert_type(deep, rnnjax.Cell)
assert_type(rnnjax.deep(lambda n, m: rnnjax.projected_lstm(n, m, 2), 3, 8), rnnjax.Cell)
assert_type(rnnjax.bidirectional(rnnjax.lstm(3, 8), rnnjax.gru(3, 8), join=rnnjax.average), rnnjax.Cell)
assert_type(rnnjax.bahdanau(rnnjax.gru(2 + 8, 5), 5, 8, rnnjax.additive(6)), rnnjax.Cell)
model = rnnjax.stack(rnnjax.scan(rnnjax.gru(3, 8)), rnnjax.residual(rnnjax.scan(mingru(8, 8))), rnnjax.dense(8, 2))

# a run: params, states and outputs are trees of any kind
params = deep.init(key)
assert_type(params, Any)
state, ys = rnnjax.apply(deep, params, jnp.ones((4, 20, 3)), lengths=jnp.array([20, 7, 1, 0]), key=key)
rnnjax.apply(deep, params, np.ones((4, 20, 3), np.float32), lengths=[20, 7, 1, 0])
lstm = rnnjax.LSTMState(jnp.zeros(4), jnp.zeros(4))
assert_type(lstm.h, Array)
cell = rnnjax.mingru(3, 8)
found = rnnjax.solve(cell, cell.init(key), jnp.zeros(8), jnp.ones((5, 3)))
assert_type(found, Solution)
assert_type(found.converged, Array)

# gradients
cell = rnnjax.batch(rnnjax.with_loss(model, squared), 4)
xs = (jnp.ones((20, 4, 3)), jnp.zeros((20, 4, 2)))
params = cell.init(key)
assert_type(rnnjax.bptt(cell), Gradient)
assert_type(rnnjax.tbptt(cell, window=5), Truncated)
assert_type(rnnjax.rtrl(cell), Online)
loss, grads, state = rnnjax.bptt(cell)(params, cell.start(params), xs)
assert_type(loss, Array)
loss, grads, state = rnnjax.tbptt(cell, window=5)(params, cell.start(params), xs, keep=jnp.ones((20, 4), bool))
assert_type(loss, Array)
learner = rnnjax.uoro(cell)
credited = learner.start(params, jax.tree.map(lambda x: x[0], xs))
assert_type(credited, rnnjax.Credited)

# training, on windows of a text
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
one_step = train.update(rnnjax.tbptt(cell, window=5), optimizer)
training = train.begin(cell, optimizer, key)
assert_type(training, train.Training)
for training, metrics in train.fit(one_step, training, lambda step: (xs,), steps=2):
    assert_type(metrics, train.Metrics)
    assert_type(metrics.loss, Array)
    assert_type(train.evaluate(cell, training.params, [xs]), float)
vocabulary = data.characters("In the beginning God created the heaven and the earth.")
ids = vocabulary.encode("the earth")
first, _, last = data.split(ids, valid=0.2, test=0.2)
assert_type(vocabulary.decode(first), str)
inputs, targets = data.windows(ids, batch=2, length=2)[0]
for b in data.batches([[3, 1], [4], [1, 5, 9]], [0, 1, 0], batch=3):
    assert_type(b, data.Batch)

# a diagnosis, and weights of others
lstm = rnnjax.lstm(3, 8)
params = lstm.init(key)
flow = diagnostics.gradient_flow(lstm, params, lstm.start(params), jnp.ones((9, 3)))
assert_type(flow.jacobian, Array)
gates = diagnostics.saturation(diagnostics.activations(lstm, params, lstm.start(params), jnp.ones((9, 3))))
for advice in diagnostics.advise(flow, gates, diagnostics.lyapunov(lstm, params, lstm.start(params), jnp.ones((9, 3)))):
    assert_type(advice.remedy, str)
assert_type(diagnostics.memory_length(flow), float)
weights_of_torch = interop.torch.dump(params, lstm)
assert_type(interop.torch.load(weights_of_torch, lstm), Any)
assert_type(interop.keras.load(interop.keras.dump(params, lstm), lstm), Any)
flax_lstm = nnx.LSTMCell(3, 8, rngs=nnx.Rngs(0))
assert_type(interop.nnx.cell(flax_lstm), rnnjax.Cell)
assert_type(interop.nnx.load(flax_lstm, lstm), Any)
assert_type(interop.nnx.dump(params, lstm, flax_lstm), None)
layer = interop.nnx.Recurrent(lstm, params=params, return_carry=True, rngs=nnx.Rngs(0))
assert_type(layer, interop.nnx.Recurrent)
layer(jnp.ones((4, 20, 3)), seq_lengths=jnp.array([20, 7, 1, 0]))
assert_type(interop.linen.cell(linen.LSTMCell(8), 3), rnnjax.Cell)
variables = linen.RNN(linen.LSTMCell(8)).init(key, jnp.ones((4, 20, 3)))
assert_type(interop.linen.load(variables, lstm), Any)
assert_type(interop.linen.dump(params, lstm, variables), dict[str, Any])
interop.linen.Recurrent(lstm).init(key, jnp.ones((4, 20, 3)))
with tempfile.TemporaryDirectory() as folder:
    interop.export.export(f"{folder}/lstm", lstm, params, jnp.ones(3), platforms=["cpu"])
    served, start, step = load(f"{folder}/lstm")
    assert_type(served, dict[str, Array])
    step(served, start(served, B=2), jnp.ones((2, 3)))
