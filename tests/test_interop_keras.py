"""Keras' weights, both ways: outputs, states and all gradients are those of Keras on its JAX backend, in float64."""

import contextlib
import functools
import json
import os
import subprocess
import sys
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import EXACT, LENGTHS, SINGLE, B, T, inputs, m, mingru, n, normal, outcome, params_of, same
from rnnjax.interop.keras import dump, load

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
KEEP = np.arange(T) < LENGTHS[:, None]


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "jax":
        pytest.skip("Keras runs on another backend")
    was = keras.config.floatx()
    keras.config.set_floatx("float64")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.src.backend.numpy, "tanh", jnp.tanh)  # Keras' own rounds float64 to float32
        yield keras
    keras.config.set_floatx(was)


@contextlib.contextmanager
def promoting():
    """JAX's own promotion, which Keras is written for."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def theirs(layer, keep=None):
    """A layer of Keras as a function of its weights and input: ys, zero on the padding, and its states."""

    def run(weights, xs):
        mask = {} if keep is None else dict(mask=jnp.asarray(keep))
        with promoting():
            outs, _ = layer.stateless_call(weights, [v.value for v in layer.non_trainable_variables], xs, **mask)
        ys, *states = outs if isinstance(outs, list | tuple) else (outs,)
        return [ys if keep is None else jnp.where(keep[..., None], ys, 0), *states]

    return run


def ours(model, lengths=None, states=True):
    """The same of a model here, through `load`, so that its gradients are by the weights of Keras."""

    def run(weights, xs):
        state, ys = r.apply(model, load(weights, model), xs, lengths=lengths)
        return [ys, *jax.tree.leaves(state)] if states else [ys]

    return run


def built(layer, *shape):
    """A layer with random weights, biases too."""
    with promoting():
        layer.build((None, T, *shape))
    drawn = normal([jax.ShapeDtypeStruct(w.shape, w.dtype) for w in layer.get_weights()], 1, 0.6)
    layer.set_weights(drawn)
    return drawn


def both(layer, name, **options):
    """`Bidirectional` of a layer of Keras, which is made for sequences and their states."""
    return lambda L: L.Bidirectional(getattr(L, name)(m, **SEQUENCES, **options), merge_mode=layer)


SEQUENCES = dict(return_sequences=True, return_state=True)
LAYERS = {
    "rnn": (lambda L: L.SimpleRNN(m, **SEQUENCES), r.rnn(n, m)),
    "relu": (lambda L: L.SimpleRNN(m, activation="relu", **SEQUENCES), r.rnn(n, m, jax.nn.relu)),
    "lstm": (lambda L: L.LSTM(m, **SEQUENCES), r.lstm(n, m)),
    "gru": (lambda L: L.GRU(m, **SEQUENCES), r.gru(n, m)),
    "reset first": (lambda L: L.GRU(m, reset_after=False, **SEQUENCES), r.reset_first_gru(n, m)),
    "rnn, no bias": (lambda L: L.SimpleRNN(m, use_bias=False, **SEQUENCES), r.rnn(n, m)),
    "lstm, no bias": (lambda L: L.LSTM(m, use_bias=False, **SEQUENCES), r.lstm(n, m)),
    "gru, no bias": (lambda L: L.GRU(m, use_bias=False, **SEQUENCES), r.gru(n, m)),
    "reset first, no bias": (
        lambda L: L.GRU(m, reset_after=False, use_bias=False, **SEQUENCES),
        r.reset_first_gru(n, m),
    ),
    "both ways": (both("concat", "LSTM"), r.bidirectional(r.lstm(n, m), r.lstm(n, m))),
    "both ways, sum": (both("sum", "GRU"), r.bidirectional(r.gru(n, m), r.gru(n, m), join=jnp.add)),
    "both ways, ave": (both("ave", "SimpleRNN"), r.bidirectional(r.rnn(n, m), r.rnn(n, m), join=r.average)),
    "both ways, reset first": (
        both("mul", "GRU", reset_after=False),
        r.bidirectional(r.reset_first_gru(n, m), r.reset_first_gru(n, m), join=jnp.multiply),
    ),
    "two kinds": (
        lambda L: L.Bidirectional(L.LSTM(m, **SEQUENCES), backward_layer=L.GRU(2, go_backwards=True, **SEQUENCES)),
        r.bidirectional(r.lstm(n, m), r.gru(n, 2)),
    ),
}

LONGER = "rnn, no bias", "lstm, no bias", "reset first, no bias", "relu", "both ways, ave", "both ways"


@pytest.mark.parametrize("lengths", [pytest.param(None, marks=pytest.mark.slow), LENGTHS])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONGER else name for name in LAYERS]
)
def test_layer(keras, name, lengths):
    """Outputs, final states, and gradients by every weight and input, with and without a mask."""
    make, model = LAYERS[name]
    weights = built(layer := make(keras.layers), n)
    keep = None if lengths is None else KEEP
    xs = jnp.asarray(inputs(B, T, n))
    expected = jax.jit(functools.partial(outcome, theirs(layer, keep)))(weights, xs)
    same(jax.jit(functools.partial(outcome, ours(model, lengths)))(weights, xs), expected, **EXACT)


@pytest.mark.parametrize("lengths", [pytest.param(None, marks=pytest.mark.slow), LENGTHS])
@pytest.mark.parametrize("name", ["lstm", pytest.param("gru", marks=pytest.mark.slow)])
def test_loops(keras, name, lengths):
    """`rolled` too."""
    make, cell = LAYERS[name]
    weights = built(layer := make(keras.layers), n)
    xs = jnp.asarray(inputs(B, T, n))
    expected = jax.jit(functools.partial(outcome, theirs(layer, None if lengths is None else KEEP)))(weights, xs)
    run = ours(r.scan(cell, r.rolled), lengths)
    same(jax.jit(functools.partial(outcome, run))(weights, xs), expected, **EXACT)


def test_as_it_is(keras):
    """In single precision, with Keras' own tanh."""
    model = MODELS["in a row"][1]
    with jax.enable_x64(False), promoting():
        layers = [keras.layers.GRU(n, return_sequences=True, dtype="float32") for _ in range(2)]
        network = keras.Sequential([keras.Input((T, n), dtype="float32"), *layers])
        weights, xs = [jnp.asarray(w) for w in network.get_weights()], jnp.asarray(inputs(B, T, n, dtype=np.float32))
        run = ours(model, states=False)
        expected = jax.jit(functools.partial(outcome, theirs(network)))(weights, xs)
        same(jax.jit(functools.partial(outcome, run))(weights, xs), expected, **SINGLE)


def test_backwards(keras):
    """A layer that goes backwards is a reversed scan, which leaves the outputs in the order of time."""
    weights = built(layer := keras.layers.GRU(m, go_backwards=True, **SEQUENCES), n)
    xs = jnp.asarray(inputs(B, T, n))

    def flipped(weights, xs):
        ys, *states = theirs(layer)(weights, xs)
        return [ys[:, ::-1], *states]

    run = ours(r.scan(r.gru(n, m), reverse=True))
    one, other = (jax.jit(functools.partial(outcome, run))(weights, xs) for run in (run, flipped))
    same(one, other, **EXACT)


# models of layers: those of Keras as a Sequential, ours, whether x is a symbol

MODELS = {
    "deep": (
        lambda L: [
            L.Masking(),
            L.Bidirectional(L.LSTM(m, return_sequences=True)),
            L.Dropout(0.5),
            L.Bidirectional(L.LSTM(m, return_sequences=True)),
        ],
        r.deep(r.lstm, n, m, layers=2, bidirectional=True, dropout=0.5),
    ),
    "in a row": (
        lambda L: [L.Masking(), *(L.GRU(n, return_sequences=True, dropout=0.5) for _ in range(2))],
        r.deep(r.gru, n, n, layers=2),
    ),
    "mixed": (
        lambda L: [
            L.Masking(),
            L.SimpleRNN(m, return_sequences=True),
            L.Dense(2, use_bias=False),
            L.Bidirectional(L.GRU(m, return_sequences=True, reset_after=False), merge_mode="sum"),
            L.LSTM(2, return_sequences=True),
            L.GRU(m, return_sequences=True, use_bias=False),
            L.LSTM(m, return_sequences=True),
            L.Dense(3),
        ],
        r.stack(
            r.rnn(n, m),
            r.dense(m, 2),
            r.bidirectional(r.reset_first_gru(2, m), r.reset_first_gru(2, m), join=jnp.add),
            r.scan(r.lstm(m, 2)),
            r.gru(2, m),
            r.lstm(m, m),
            r.dense(m, 3),
        ),
    ),
    "symbols": (
        lambda L: [L.Embedding(6, n, mask_zero=True), L.GRU(m, return_sequences=True), L.Dense(6)],
        r.stack(r.embed(6, n), r.scan(r.gru(n, m)), r.dense(m, 6)),
    ),
}


def sequential(keras, name):
    """A Sequential with random weights, the weights, and what it runs on: padding is 0, which it masks itself."""
    layers = MODELS[name][0](keras.layers)
    symbols = name == "symbols"
    with promoting():
        model = keras.Sequential([keras.Input((T,) if symbols else (T, n)), *layers])
    weights = built(model, *() if symbols else (n,))
    xs = np.random.default_rng(5).integers(1, 6, (B, T)) if symbols else inputs(B, T, n)
    return model, weights, jnp.asarray(np.where(KEEP if symbols else KEEP[..., None], xs, 0))


@pytest.mark.parametrize("name", [pytest.param("deep", marks=pytest.mark.slow), "in a row", "mixed", "symbols"])
def test_model(keras, name):
    """Layers in a row, with the mask that Keras finds itself against the lengths that we are given."""
    network, weights, xs = sequential(keras, name)
    run = ours(MODELS[name][1], LENGTHS, states=False)

    def keras_run(weights, xs):
        return [jnp.where(KEEP[..., None], theirs(network)(weights, xs)[0], 0)]

    expected = jax.jit(functools.partial(outcome, keras_run))(weights, xs)
    same(jax.jit(functools.partial(outcome, run))(weights, xs), expected, **EXACT)


@pytest.mark.parametrize("name", MODELS)
def test_files(keras, name, tmp_path):
    """A `.weights.h5` and a `.keras` give what the arrays give."""
    network, weights, _ = sequential(keras, name)
    model = MODELS[name][1]
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)  # whose own arrays are in the file too
    network.save_weights(tmp_path / "model.weights.h5")
    network.save(tmp_path / "model.keras")
    for file in "model.weights.h5", "model.keras":
        same(load(str(tmp_path / file), model), load(weights, model), 0, 0)
        same(load(tmp_path / file, model), load(network.get_weights(), model), 0, 0)


def test_many(keras, tmp_path):
    """Eleven layers of one class, of which a file has the names in no order, and a Functional."""
    with promoting():
        x = first = keras.Input((T, m))
        for _ in range(11):
            x = keras.layers.SimpleRNN(m, return_sequences=True)(x)
        network = keras.Model(first, keras.layers.Dense(2)(x))
    weights = built(network, m)
    model = r.stack(r.deep(r.rnn, m, m, layers=11), r.dense(m, 2))
    network.save_weights(tmp_path / "model.weights.h5")
    network.save(tmp_path / "model.keras")
    for file in "model.weights.h5", "model.keras":
        same(load(tmp_path / file, model), load(weights, model), 0, 0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_dtypes(keras, dtype, tmp_path):
    """Weights stay as exact as they are."""
    with promoting():
        network = keras.Sequential([keras.Input((T, m)), keras.layers.Dense(m, dtype=dtype)])
    network.save_weights(tmp_path / "model.weights.h5")
    W, b = network.get_weights()
    for source in tmp_path / "model.weights.h5", [W]:
        same(load(source, r.dense(m, m)), r.DenseParams(jnp.asarray(W), jnp.asarray(b)), 0, 0)
        assert load(source, r.dense(m, m)).b.dtype == dtype


def test_without_keras(keras, tmp_path):
    """In a process that has neither Keras nor TensorFlow, and in single precision."""
    network, weights, xs = sequential(keras, "symbols")
    network.save_weights(tmp_path / "model.weights.h5")
    network.save(tmp_path / "model.keras")
    program = (
        "import sys, json, jax, rnnjax as r, numpy as np\n"
        "from rnnjax.interop import keras\n"
        "model = r.stack(r.embed(6, 3), r.scan(r.gru(3, 4)), r.dense(4, 6))\n"
        "xs = np.array(json.loads(sys.argv[1]))\n"
        "for path in sys.argv[2:]:\n"
        "    print(json.dumps(r.apply(model, keras.load(path, model), xs)[1].tolist()))\n"
        "assert not {'keras', 'tensorflow', 'torch'} & sys.modules.keys()\n"
    )
    files = [str(tmp_path / file) for file in ("model.weights.h5", "model.keras")]
    args = [sys.executable, "-c", program, json.dumps(np.asarray(xs).tolist()), *files]
    run = subprocess.run(args, capture_output=True, text=True, check=False, env=os.environ)
    assert run.returncode == 0, run.stderr
    ((expected,), _) = outcome(ours(MODELS["symbols"][1], states=False), weights, xs)
    for line in run.stdout.splitlines():
        np.testing.assert_allclose(json.loads(line), expected, rtol=1e-5, atol=1e-6)
    assert len(run.stdout.splitlines()) == 2


# and back


@pytest.mark.parametrize("name", LAYERS)
def test_back(name):
    """What is dumped loads as it was, with a bias or without."""
    model = LAYERS[name][1]
    params = params_of(model)
    same(load(dump(params, model), model), params, 0, 0)
    bare = jax.tree.map_with_path(lambda path, p: p * 0 if path[-1].name in "bd" else p, params)
    arrays = dump(bare, model, bias=False)
    assert len(arrays) == 2 * len(dump(bare, model)) // 3
    same(load(arrays, model), bare, 0, 0)


@pytest.mark.parametrize("without", [(0,), (1, 2), (0, 3), (2, 4)])
def test_some_biases(without):
    """Which layers have none is told by the shapes."""
    parts = r.lstm(n, m), r.gru(m, 2), r.rnn(2, m), r.gru(m, m), r.dense(m, 2)
    model = r.stack(*map(r.scan, parts))
    params = params_of(model)
    lists, bare = [dump(own, part) for own, part in zip(params, parts)], list(params)
    for k in without:
        lists[k].pop()
        bare[k] = jax.tree.map_with_path(lambda path, p: p * 0 if path[-1].name in "bd" else p, params[k])
    same(load([w for weights in lists for w in weights], model), tuple(bare), 0, 0)


@pytest.mark.parametrize("name", ["symbols", "in a row"])
def test_set(keras, name):
    """Keras computes with the weights we give it what we compute with ours."""
    network, _, xs = sequential(keras, name)
    model = MODELS[name][1]
    params = params_of(model)
    network.set_weights(dump(params, model))
    _, ys = r.apply(model, params, xs, lengths=LENGTHS)
    (out,) = jax.jit(theirs(network))([v.value for v in network.trainable_variables], xs)
    np.testing.assert_allclose(ys, np.where(KEEP[..., None], out, 0), **EXACT)


# what does not fit


def drawn(*shapes):
    return [np.ones(shape) for shape in shapes]


LSTM, GRU = drawn((3, 16), (4, 16), (16,)), drawn((3, 12), (4, 12), (2, 12))
UNFIT = {
    "shape": (
        drawn((3, 16), (5, 16), (16,)), r.lstm(3, 4),
        r"weights\[1\] must be the recurrent_kernel of LSTM\(4\) with shape \(4, 16\), but its shape is \(5, 16\)\.",
    ),
    "kind": (
        LSTM, r.gru(3, 4),
        r"weights\[0\] must be the kernel of GRU\(4\) with shape \(3, 12\), but its shape is \(3, 16\)\.",
    ),
    "reset first": (
        GRU, r.reset_first_gru(3, 4),
        r"weights\[2\] must be the bias of GRU\(4, reset_after=False\) with shape \(12,\), but its shape is \(2, 12\)",
    ),
    "reset after": (
        drawn((3, 12), (4, 12), (12,)), r.gru(3, 4),
        r"weights\[2\] must be the bias of GRU\(4\) with shape \(2, 12\), but its shape is \(12,\)",
    ),
    "one direction": (
        LSTM, r.bidirectional(r.lstm(3, 4), r.lstm(3, 4)),
        r"source must be the 6 weights of LSTM\(4\), LSTM\(4\), or up to 2 fewer without biases, but there are 3\.",
    ),
    "more": (LSTM + LSTM, r.lstm(3, 4), r"source must be the 3 weights .* but there are 6\. Build"),
    "fewer": (LSTM[:1], r.lstm(3, 4), r"source must be the 3 weights .* but there are 1\."),
    "a missing bias": (
        LSTM + drawn((4, 7)), r.stack(r.scan(r.lstm(3, 4)), r.dense(4, 6)),
        r"weights\[3\] must be the kernel of Dense\(6\) with shape \(4, 6\), but its shape is \(4, 7\)\.",
    ),
    "two ways": (
        drawn((3, 6), (2, 6), (2, 6), (2, 6), (2, 6)), r.deep(r.gru, 3, 2, layers=2),
        r"the weights must say which layers have biases, but 5 fit GRU\(2\), GRU\(2\) in several ways\. Load each",
    ),
    "integers": (
        [w.astype(np.int8) for w in LSTM], r.lstm(3, 4),
        r"weights\[0\] must be of floating-point numbers, but weights\[0\] is int8\.",
    ),
    "embedding": (drawn((6, 2)), r.embed(6, 3), r"weights\[0\] must be the embeddings of Embedding\(6, 3\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_unfit(name):
    source, model, message = UNFIT[name]
    with pytest.raises(ValueError, match=f"^keras.load: {message}"):
        load(source, model)


@pytest.mark.parametrize(
    "cell",
    [
        r.peephole_lstm(3, 4),
        r.coupled_lstm(3, 4),
        r.mgu(3, 4),
        r.conv_lstm((5,), 3, 4),
        mingru(3, 4),
        r.clockwork(3, 4),
    ],
)
def test_no_such_layer(cell):
    """Cells that Keras has not, some of which have params of the same type."""
    with pytest.raises(TypeError, match=r"^keras.load: model must be made of rnn, .* has .* Keras has no such layer\."):
        load(LSTM, cell)


def test_refused():
    model = r.gru(3, 4)
    params = params_of(model)
    with pytest.raises(
        TypeError, match=r"^keras.load: source must be a list of arrays or a path, but source is dict\."
    ):
        load({}, model)
    with pytest.raises(TypeError, match=r"^keras.dump: params must be those of gru\(3, 4\)"):
        dump(params_of(r.lstm(3, 4)), model)
    with pytest.raises(ValueError, match=r"^keras.dump: params must be those of gru\(3, 4\), but params\.W is float64"):
        dump(params_of(r.gru(2, 4)), model)
    with pytest.raises(ValueError, match=r"^keras.dump: biases must be 0 to be left out, but GRU\(4\) has others\."):
        dump(params, model, bias=False)


def test_no_h5py(tmp_path, monkeypatch):
    (tmp_path / "model.weights.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"^keras.load: a file must be read by h5py, .* install 'rnnjax\[keras\]'"):
        load(tmp_path / "model.weights.h5", r.gru(3, 4))


FILES = {
    "shape": (
        lambda L: [L.LSTM(4)], r.lstm(2, 4),
        r"layers/lstm/cell/vars/0 must be the kernel of LSTM\(4\) with shape \(2, 16\), but its shape is \(3, 16\)",
    ),
    "of a direction": (
        lambda L: [L.Bidirectional(L.LSTM(4))], r.bidirectional(r.lstm(3, 4), r.gru(3, 4)),
        r"layers/bidirectional/backward_layer/cell/vars/0 must be the kernel of GRU\(4\) with shape \(3, 12\), but",
    ),
    "kind": (lambda L: [L.LSTM(4)], r.gru(3, 4), r".* must hold the layers gru, but it holds lstm\. Build the model"),
    "in a row": (
        lambda L: [L.Bidirectional(L.GRU(3))], r.deep(r.gru, 3, 3, layers=2),
        r".* must hold the layers gru, gru_1, but it holds bidirectional\.",
    ),
    "fewer": (
        lambda L: [L.LSTM(4)], r.stack(r.scan(r.lstm(3, 4)), r.dense(4, 2)),
        r".* must hold the layers lstm, dense, but it holds lstm\.",
    ),
    "none": (lambda L: [L.Dropout(0.5)], r.lstm(3, 4), r".* must hold the layers lstm, but it holds none\."),
    "another layer": (
        lambda L: [L.LSTM(4), L.LayerNormalization()], r.lstm(3, 4),
        r".* must hold the layers lstm, but it holds lstm, layer_normalization\.",
    ),
    "a layer of layers": (
        lambda L: [L.RNN([L.LSTMCell(4), L.LSTMCell(4)])], r.deep(r.lstm, 3, 4, layers=2),
        r"layers must be SimpleRNN, .* but layers/rnn/cell/cells/lstm_cell/vars/0 is the weight of another, of shape",
    ),
}  # fmt: skip
CONFIGS = {
    "order": (
        lambda L: [L.LSTM(3, return_sequences=True), L.GRU(3)], r.stack(r.scan(r.gru(3, 3)), r.lstm(3, 3)),
        r".* must hold the layers gru, lstm, but it holds lstm, gru\.",
    ),
    "activation": (
        lambda L: [L.Bidirectional(L.LSTM(4, recurrent_activation="hard_sigmoid"))],
        r.bidirectional(r.lstm(3, 4), r.lstm(3, 4)),
        r"layers/bidirectional of .* must be made with recurrent_activation='sigmoid', as LSTM\(4\) of the model is, "
        r"but it was made with 'hard_sigmoid'\. Build",
    ),
    "backwards": (
        lambda L: [L.LSTM(4, go_backwards=True)], r.scan(r.lstm(3, 4)),
        r"layers/lstm of .* must be made with go_backwards=False, as LSTM\(4\) of the model is, but it was made with "
        r"True\. Build a model of cells that compute so, or scan\(cell, reverse=True\) with get_weights\(\)\.",
    ),
    "backwards, vanilla": (
        lambda L: [L.SimpleRNN(4, go_backwards=True)], r.rnn(3, 4),
        r"layers/simple_rnn of .* must be made with go_backwards=False, as SimpleRNN\(4\) of the model is",
    ),
    "both ways, turned": (
        lambda L: [L.Bidirectional(L.GRU(4, go_backwards=True), backward_layer=L.GRU(4))],
        r.bidirectional(r.gru(3, 4), r.gru(3, 4)),
        r"layers/bidirectional of .* must be made with go_backwards=False, as GRU\(4\) of the model is",
    ),
    "activation of the second": (
        lambda L: [L.Bidirectional(L.LSTM(4), backward_layer=L.LSTM(4, go_backwards=True, activation="relu"))],
        r.bidirectional(r.lstm(3, 4), r.lstm(3, 4)),
        r"layers/bidirectional of .* must be made with activation='tanh', as LSTM\(4\) of the model is, but it was "
        r"made with 'relu'",
    ),
    "reset": (
        lambda L: [L.GRU(4, use_bias=False, reset_after=False)], r.gru(3, 4),
        r"layers/gru of .* must be made with reset_after=True, as GRU\(4\) of the model is, but it was made with False",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*FILES, *CONFIGS])
def test_unfit_file(keras, name, tmp_path):
    """Which weight of the file does not fit; and what only a `.keras` says."""
    make, model, message = (FILES | CONFIGS)[name]
    with promoting():
        network = keras.Sequential([keras.Input((T, 3)), *make(keras.layers)])
    network.save_weights(tmp_path / "model.weights.h5")
    network.save(tmp_path / "model.keras")
    for file in ["model.keras"] + ["model.weights.h5"] * (name in FILES):
        with pytest.raises(ValueError, match=f"^keras.load: {message}"):
            load(tmp_path / file, model)
    if name in CONFIGS:
        load(tmp_path / "model.weights.h5", model)


def test_no_such_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "model.weights.h5"
    with pytest.raises(FileNotFoundError):
        load(path, r.gru(3, 4))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"^keras.load: .* must be a .weights.h5 or a .keras, but it is no HDF5 \("):
        load(path, r.gru(3, 4))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match=r"^keras.load: .* but it is an archive without model.weights.h5\. Save with"):
        load(path, r.gru(3, 4))
    with h5py.File(path, "w") as file:
        file["model_weights/gru/kernel"] = np.ones(3)
    with pytest.raises(
        ValueError, match=r"^keras.load: .* must hold the group layers, .* but it holds model_weights\."
    ):
        load(path, r.gru(3, 4))
    with h5py.File(path, "w") as file:
        file["layers/gru/cell/vars/0"] = np.ones((3, 12))
    with pytest.raises(
        ValueError,
        match=r"^keras.load: layers/gru/cell/vars must hold kernel, recurrent_kernel, bias of GRU\(4\), but it holds 1",
    ):
        load(path, r.gru(3, 4))
