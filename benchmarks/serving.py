"""One stream through the same LSTMs in each library, as it serves them. Contenders of `stream`.

Each is `build(model, folder) -> (ys, step)`: the first outputs, to compare, and a function that takes one step on a
NumPy x, keeps the state, and gives y as NumPy. `model` is "layer", one LSTM, or "characters", a language model.
"""

import functools
import itertools

import numpy as np

m, SYMBOLS, STEPS = 256, 65, 20


def problem(model):
    """Embedding (or None), [(W, U, b) of each layer], readout (W, b) (or None), and a cycle of inputs."""
    random, layers = np.random.default_rng(0), 1 if model == "layer" else 2

    def draw(*shape):
        return random.uniform(-(m**-0.5), m**-0.5, shape).astype(np.float32)

    weights = [(draw(m, 4 * m), draw(m, 4 * m), draw(4 * m)) for _ in range(layers)]
    if model == "layer":
        return None, weights, None, random.normal(size=(STEPS, 1, m)).astype(np.float32)
    symbols = random.integers(0, SYMBOLS, (STEPS, 1)).astype(np.int32)
    return 10 * draw(SYMBOLS, m), weights, (draw(m, SYMBOLS), draw(SYMBOLS)), symbols


def streamed(xs, advance):
    """A contender from `advance: x -> y`, which keeps its state."""
    ys = np.stack([advance(x) for x in xs])
    forever = itertools.cycle(xs)
    return ys, lambda: advance(next(forever))


def ours(model):
    """rnnjax's model and params."""
    import jax
    import jax.numpy as jnp

    import rnnjax

    E, layers, readout, _ = problem(model)
    cells = [rnnjax.lstm(m, m) for _ in layers]
    leaves = list(itertools.chain.from_iterable(layers))
    if model == "characters":
        cells, leaves = [rnnjax.embed(SYMBOLS, m), *cells, rnnjax.dense(m, SYMBOLS)], [E, *leaves, *readout]
    network = rnnjax.stack(*cells)
    tree = jax.tree.structure(jax.eval_shape(network.init, jax.random.key(0)))
    return network, jax.tree.unflatten(tree, map(jnp.asarray, leaves))


def written(model, folder):
    """Export it."""
    from rnnjax.interop.export import export

    export(folder, *ours(model), problem(model)[-1][0][0])
    return None, lambda: None


def jitted(model, folder):
    """rnnjax as it is: the step under `jax.jit`."""
    import jax

    network, params = ours(model)
    state = jax.tree.map(lambda s: s[None], network.start(params))
    return _kept(model, jax.jit(jax.vmap(network.step, (None, 0, 0))), params, state)


def exported(model, folder, fixed=False):
    """The exported step, in a process without rnnjax; the params are its arguments, or `fixed` in its program."""
    import sys

    import jax

    sys.path.insert(0, str(folder))
    sys.modules.pop("load", None)
    from load import load

    params, start, step = load(folder)
    state = start(params)
    if fixed:
        step = jax.jit(functools.partial(step, params))
        return _kept(model, lambda _, state, x: step(state, x), None, state)
    return _kept(model, step, params, state)


def _kept(model, step, params, state):
    def advance(x):
        nonlocal state
        state, y = step(params, state, x)
        return np.asarray(y)

    return streamed(problem(model)[-1], advance)


def torch(model, folder, cells=False, trace=False):
    """PyTorch in inference mode: `nn.LSTM` for one step or `nn.LSTMCell`s, eager or traced by `torch.jit`."""
    import torch
    from torch import nn

    E, layers, readout, xs = problem(model)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(SYMBOLS, m) if readout else nn.Identity()
            self.lstm = nn.ModuleList(nn.LSTMCell(m, m) for _ in layers) if cells else nn.LSTM(m, m, len(layers))
            self.readout = nn.Linear(m, SYMBOLS) if readout else nn.Identity()

        def forward(self, x, h, c):
            x = self.embed(x)
            if not cells:
                ys, (h, c) = self.lstm(x[None], (h, c))
                return self.readout(ys[0]), h, c
            states = []
            for k, cell in enumerate(self.lstm):
                states.append(cell(x, (h[k], c[k])))
                x = states[-1][0]
            return self.readout(x), *map(torch.stack, zip(*states))

    network = Network().eval()
    named = {"embed.weight": E, "readout.weight": readout[0].T, "readout.bias": readout[1]} if readout else {}
    for k, (W, U, b) in enumerate(layers):
        held = {"weight_ih": W.T, "weight_hh": U.T, "bias_ih": b, "bias_hh": 0 * b}
        named |= {f"lstm.{k}.{part}" if cells else f"lstm.{part}_l{k}": array for part, array in held.items()}
    network.load_state_dict({name: torch.tensor(array) for name, array in named.items()})
    state = (torch.zeros(len(layers), 1, m),) * 2
    with torch.inference_mode():
        if trace:
            network = torch.jit.freeze(torch.jit.trace(network, (torch.from_numpy(xs[0]), *state)))

    def advance(x):
        nonlocal state
        with torch.inference_mode():
            y, *state = network(torch.from_numpy(x), *state)
        return y.numpy()

    return streamed(xs, advance)


def onnx(model, folder):
    """ONNX Runtime: its LSTM operators in one graph."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    E, layers, readout, xs = problem(model)
    kept, names = (
        {"E": E, "0": np.array([0]), "1": np.array([1])},
        [f"{s}{k}" for k in range(len(layers)) for s in "hc"],
    )
    nodes = [helper.make_node("Gather", ["E", "x"], ["e"])] if model == "characters" else []
    nodes.append(helper.make_node("Unsqueeze", ["e" if nodes else "x", "0"], ["y0"]))
    for k, weights in enumerate(layers):
        i, f, g, o = zip(*(np.split(w.T, 4) for w in weights))
        kept[f"W{k}"], kept[f"U{k}"], b = (np.concatenate(parts)[None] for parts in zip(i, o, f, g))  # ONNX's order
        kept[f"b{k}"] = np.concatenate([b, 0 * b], 1)
        taken = [f"y{k}", f"W{k}", f"U{k}", f"b{k}", "", f"h{k}", f"c{k}"]
        nodes.append(helper.make_node("LSTM", taken, [f"ys{k}", f"h{k}'", f"c{k}'"], hidden_size=m))
        nodes.append(helper.make_node("Squeeze", [f"ys{k}", "1"], [f"y{k + 1}"]))
    nodes.append(helper.make_node("Squeeze", [f"y{len(layers)}", "0"], ["h"]))
    if readout:
        kept["W"], kept["b"] = readout
        nodes.append(helper.make_node("Gemm", ["h", "W", "b"], ["y"]))

    def typed(name, shape, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, shape)

    y = typed(nodes[-1].output[0], (1, SYMBOLS if readout else m))
    x = typed("x", xs[0].shape, TensorProto.INT32 if readout else TensorProto.FLOAT)
    states = [[typed(name + mark, (1, 1, m)) for name in names] for mark in ("", "'")]
    kept = [numpy_helper.from_array(a, name) for name, a in kept.items() if a is not None]
    graph = helper.make_graph(nodes, model, [x, *states[0]], [y, *states[1]], kept)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    state = [np.zeros((1, 1, m), np.float32)] * len(names)

    def advance(x):
        nonlocal state
        y, *state = session.run(None, {"x": x} | dict(zip(names, state)))
        return y

    return streamed(xs, advance)
