"""PyTorch's weights here, and ours there: outputs, final states and all gradients are the same."""

import functools
import itertools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import rnnjax as r
from conftest import EXACT, SINGLE, B, T, inputs, m, n, normal, outcome, params_of, same
from rnnjax import interop
from rnnjax.interop.export import safetensors
from rnnjax.interop.tensors import array
from rnnjax.interop.torch import dump, load

torch = pytest.importorskip("torch")


def relu(n, m):
    return r.rnn(n, m, jax.nn.relu)


def halved(n, m):
    return r.projected_lstm(n, m, m // 2)


# name -> the constructor, the module, and its options for m
KINDS = {
    "rnn": (r.rnn, "RNN", lambda m: {}),
    "relu": (relu, "RNN", lambda m: dict(nonlinearity="relu")),
    "lstm": (r.lstm, "LSTM", lambda m: {}),
    "gru": (r.gru, "GRU", lambda m: {}),
    "projected": (halved, "LSTM", lambda m: dict(proj_size=m // 2)),
}
SHAPES = {"two layers without biases": (2, False, False), "both ways": (1, True, True)}


def twins(kind, layers=1, bidirectional=False, bias=True, n=n, m=m, dtype=torch.float64, loop=r.deferred):
    """A module of PyTorch with random weights, and the model for it."""
    torch.manual_seed(0)
    make, name, options = KINDS[kind]
    options = dict(num_layers=layers, bidirectional=bidirectional, bias=bias, dtype=dtype) | options(m)
    module = getattr(torch.nn, name)(n, m, batch_first=True, **options)
    return module, r.deep(make, n, m, layers=layers, bidirectional=bidirectional, loop=loop)


def tensor(a):
    return torch.tensor(np.asarray(a), requires_grad=True)


def flat(h, c=None):
    """PyTorch's final states (layers * directions, B, m) in the order of the leaves of ours."""
    return list(h) if c is None else list(itertools.chain(*zip(h, c)))


def by_torch(module, xs, state, seeds, lengths=None):
    """Final states and outputs of a module, and the gradients of all its weights, its initial states, its inputs."""
    xs, parts = tensor(xs), [tensor(s) for s in jax.tree.leaves(state)]
    h = [torch.stack(parts[k::2]) for k in (0, 1)] if module.mode == "LSTM" else torch.stack(parts)
    if lengths is None:
        ys, after = module(xs, h)
    else:
        pack = torch.nn.utils.rnn.pack_padded_sequence(xs, torch.tensor(lengths), True, enforce_sorted=False)
        ys, after = module(pack, h)
        ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys, batch_first=True, total_length=xs.shape[1])
    outs = [*(flat(*after) if module.mode == "LSTM" else after), ys]
    module.zero_grad()
    sum((a * torch.tensor(np.asarray(seed))).sum() for a, seed in zip(outs, seeds, strict=True)).backward()
    weights = {key: p.grad.numpy() for key, p in module.named_parameters()}
    return [a.detach().numpy() for a in outs], weights, [s.grad.numpy() for s in parts], xs.grad.numpy()


def by_weights(grads, model, bias):
    """Our gradients as PyTorch's, of whose two biases each has that of the sum."""
    found = dump(grads, model)
    for key in [key for key in found if "bias_hh" in key]:
        summed = found[key.replace("hh", "ih")]
        apart = len(summed) // 3 if found[key].any() else 0  # of a GRU, d
        found[key] = np.concatenate([summed[: len(summed) - apart], found[key][len(summed) - apart :]])
    return {key: w for key, w in found.items() if bias or "bias" not in key}


def held(module, model, B=B, T=T, lengths=None, tolerance=EXACT, dtype=np.float64):
    """Hold a model with a module's weights to the module; lengths are traced."""
    params = load(module.state_dict(), model)
    xs = jnp.asarray(inputs(B, T, module.input_size, dtype=dtype))
    begin = normal(jax.eval_shape(jax.vmap(lambda _: model.start(params)), xs), seed=4)

    @jax.jit
    def ours(params, state, xs, lengths):
        def run(params, state, xs):
            return r.apply(model, params, xs, state=state, lengths=lengths)

        return outcome(run, params, state, xs)

    (last, ys), (grads, state, slope) = ours(params, begin, xs, lengths)
    seeds = jax.tree.leaves(normal((last, ys), seed=99))
    outs, weights, by_state, by_xs = by_torch(module, xs, begin, seeds, lengths)
    same([*jax.tree.leaves(last), ys], outs, **tolerance)
    same(by_weights(grads, model, module.bias), weights, **tolerance)
    same(jax.tree.leaves(state), by_state, **tolerance)
    same(slope, by_xs, **tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_modules(kind, shape):
    """Loaded weights give PyTorch's outputs, final states, and gradients."""
    held(*twins(kind, *SHAPES[shape]))


@pytest.mark.parametrize("kind", KINDS)
def test_packed(kind):
    """Lengths in any order are packed sequences: of two layers, both ways."""
    held(*twins(kind, 2, True), lengths=np.array([3, T, 1, 6, 2]))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("kind", KINDS)
def test_single_precision(kind):
    held(*twins(kind, dtype=torch.float32), tolerance=SINGLE, dtype=np.float32)


SIZES = dict(
    kind=some.sampled_from(list(KINDS)),
    layers=some.integers(1, 3),
    bidirectional=some.booleans(),
    bias=some.booleans(),
    n=some.integers(1, 6),
    m=some.integers(2, 7),
    B=some.integers(1, 5),
    T=some.integers(1, 9),
    packed=some.booleans(),
    loop=some.sampled_from([r.deferred, r.rolled]),
    seed=some.integers(0, 99),
)


def any_size(kind, layers, bidirectional, bias, n, m, B, T, packed, loop, seed):
    lengths = np.random.default_rng(seed).integers(1, T + 1, B) if packed else None
    held(*twins(kind, layers, bidirectional, bias, n, m, loop=loop), B, T, lengths)


test_any_size = settings(max_examples=4, deadline=None)(given(**SIZES)(any_size))
test_many_sizes = pytest.mark.slow(settings(max_examples=80, deadline=None)(given(**SIZES)(any_size)))


def test_empty_sequences():
    """A length of 0, which PyTorch refuses, leaves its state as it was, and the others as they are without it."""
    module, model = twins("lstm", 2, True)
    params, lengths = load(module.state_dict(), model), np.array([2, 0, T])
    xs = jnp.asarray(inputs(3, T, n))
    begin = normal(jax.eval_shape(jax.vmap(lambda _: model.start(params)), xs), seed=4)

    def run(state, xs):
        return r.apply(model, params, xs, state=state, lengths=lengths)

    def empty(tree):
        return jax.tree.map(lambda s: s[1], tree)

    def others(tree):
        return jax.tree.map(lambda s: s[np.array([0, 2])], tree)

    (last, ys), (state, slope) = jax.jit(lambda *args: outcome(run, *args))(begin, xs)
    seeds = normal((last, ys), seed=99)
    same(empty((last, state)), empty((begin, seeds[0])), 0, 0)
    assert not ys[1].any() and not slope[1].any()
    outs, _, by_state, by_xs = by_torch(
        module, others(xs), others(begin), jax.tree.leaves(others(seeds)), others(lengths)
    )
    same(jax.tree.leaves(others((last, ys))), outs, **EXACT)
    same((jax.tree.leaves(others(state)), others(slope)), (by_state, by_xs), **EXACT)


def test_one_compile():
    """Other lengths, traced or not, compile nothing again."""
    traces, cell = [], r.gru(n, m)

    def step(params, h, x):
        traces.append(1)
        return cell.step(params, h, x)

    model = r.bidirectional(cell._replace(step=step), cell._replace(step=step))
    params, xs = params_of(model), jnp.asarray(inputs(B, T, n))

    @jax.jit
    def traced(lengths):
        return r.apply(model, params, xs, lengths=lengths)

    found = []
    for lengths in np.array([[T, 0, 3, 1, T], [1, 2, 3, 4, 5], [0, 0, T, T, 0]]):
        same(traced(lengths), r.apply(model, params, xs, lengths=lengths), **EXACT)
        found.append(len(traces))
    assert found[0] == found[1] == found[2] > 0


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["rnn", "relu", "lstm", "gru"])
def test_cells(kind, bias):
    """A Cell's weights, step by step, with all gradients; and back into it."""
    make, name, options = KINDS[kind]
    torch.manual_seed(0)
    module, model = getattr(torch.nn, f"{name}Cell")(n, m, bias, dtype=torch.float64, **options(m)), make(n, m)
    params = load(module.state_dict(), model)
    xs = inputs(B, T, n)

    begin = normal(jax.eval_shape(jax.vmap(lambda _: model.start(params)), xs), seed=4)
    parts = [np.asarray(s) for s in jax.tree.leaves(begin)]

    def by_cell():
        """The final state and all outputs, and the gradients of their squares by weights, first state, and inputs."""
        module.zero_grad()
        x, h = tensor(xs), [tensor(s) for s in parts]
        states = [tuple(h)]
        for step in x.unbind(1):
            after = module(step, states[-1] if kind == "lstm" else states[-1][0])
            states.append(after if kind == "lstm" else (after,))
        ys = torch.stack([state[0] for state in states[1:]], 1)
        sum((a**2).sum() for a in (*states[-1], ys)).backward()
        weights = {key: p.grad.numpy() for key, p in module.named_parameters()}
        return [a.detach().numpy() for a in (*states[-1], ys)], weights, [s.grad.numpy() for s in h], x.grad.numpy()

    def squares(params, begin, xs):
        out = r.apply(model, params, xs, state=begin)
        return sum((a**2).sum() for a in jax.tree.leaves(out)), out

    (grads, by_state, by_xs), out = jax.jit(jax.grad(squares, (0, 1, 2), has_aux=True))(params, begin, jnp.asarray(xs))
    ours = jax.tree.leaves(out), by_weights(grads, model, bias), jax.tree.leaves(by_state), by_xs
    same(ours, by_cell(), **EXACT)
    accepted(module, dump(params, model, bias=bias))
    same(ours, by_cell(), **EXACT)
    same(load(module.state_dict(), model), params, 0, 0)
    same(load(module.state_dict(), r.scan(model)), params, 0, 0)


def accepted(module, weights):
    """PyTorch takes the weights without a warning."""
    module.load_state_dict({key: torch.from_numpy(w) for key, w in weights.items()}, strict=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_round_trip(kind, shape):
    """Our params, there and back, are the same to the bit, and the module that took them computes the same."""
    module, model = twins(kind, *SHAPES[shape])
    params = params_of(model)
    if not module.bias:
        params = tuple(p._replace(**{k: jnp.zeros_like(getattr(p, k)) for k in "bd" if hasattr(p, k)}) for p in params)
    weights = dump(params, model, bias=module.bias)
    same(load(weights, model), params, 0, 0)
    accepted(module, weights)
    same(load(module.state_dict(), model), params, 0, 0)
    xs = inputs(B, T, n)
    np.testing.assert_allclose(r.apply(model, params, xs)[1], module(torch.tensor(xs))[0].detach(), **EXACT)


def test_copies():
    """What PyTorch does to its weights afterwards does nothing to ours, and the other way around."""
    module, model = tagger(), r.stack(r.embed(9, n), r.dense(2 * m, 5))
    prefix = "embedding.", "head."
    params = load(module.state_dict(), model, prefix=prefix)
    before = jax.tree.map(np.array, params)
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(2)
    for w in dump(params, model, prefix=prefix).values():
        w *= 3
    same(params, before, 0, 0)


def test_two_in_a_row_or_both_ways():
    """Layers as wide as their inputs have params of one structure and shape: the model says which they are."""
    both = r.bidirectional(r.gru(m, m), r.gru(m, m))
    row = r.deep(r.gru, m, m, layers=2)
    params = params_of(row)
    assert [key for key in dump(params, row) if "weight_ih" in key] == ["weight_ih_l0", "weight_ih_l1"]
    assert [key for key in dump(params, both) if "weight_ih" in key] == ["weight_ih_l0", "weight_ih_l0_reverse"]


WITHIN = {  # one GRU of two layers, however it is put together
    "dropout": r.deep(r.gru, n, m, layers=2, dropout=0.5),
    "loop": r.deep(r.gru, n, m, layers=2, loop=r.checkpointed),
    "scan of a stack": r.scan(r.stack(r.gru(n, m), r.dropout(0.5), r.gru(m, m))),
    "stack of scans": r.stack(r.scan(r.gru(n, m)), r.lift(jnp.tanh), r.scan(r.gru(m, m))),
    "a stack": r.stack(r.gru(n, m), r.gru(m, m)),
    "weights dropped": r.weight_drop(r.deep(r.gru, n, m, layers=2), 0.5),
    "weights of a step dropped": r.scan(r.stack(r.weight_drop(r.gru(n, m), 0.5), r.gru(m, m))),
    "within": r.stack(r.stack(r.deep(r.gru, n, m)), r.residual(r.scan(r.gru(m, m)))),
    "zoneout": r.deep(lambda n, m: r.zoneout(r.gru(n, m), 0.1), n, m, layers=2),
}


@pytest.mark.parametrize("name", WITHIN)
def test_structures(name):
    module, plain = twins("gru", 2)
    params = load(module.state_dict(), WITHIN[name])
    jax.eval_shape(WITHIN[name].start, params)
    same(jax.tree.leaves(params), jax.tree.leaves(load(module.state_dict(), plain)), 0, 0)
    assert jax.tree.structure(params) == jax.tree.structure(WITHIN[name].init(jax.random.key(0)))
    assert dump(params, WITHIN[name]).keys() == module.state_dict().keys()


def tagger():
    """A module of PyTorch with others around its LSTM."""

    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(9, n, dtype=torch.float64)
            self.lstm = torch.nn.LSTM(n, m, 2, batch_first=True, bidirectional=True, dtype=torch.float64)
            self.head = torch.nn.Linear(2 * m, 5, dtype=torch.float64)

        def forward(self, xs):
            return self.head(self.lstm(self.embedding(xs))[0])

    torch.manual_seed(0)
    return Tagger()


def test_whole_module():
    module, lstm = tagger(), r.deep(r.lstm, n, m, layers=2, bidirectional=True)
    model, prefix = r.stack(r.embed(9, n), lstm, r.dense(2 * m, 5)), ("embedding.", "lstm.", "head.")
    params = load(module.state_dict(), model, prefix=prefix)
    xs = np.random.default_rng(0).integers(0, 9, (B, T))
    np.testing.assert_allclose(r.apply(model, params, xs)[1], module(torch.tensor(xs)).detach(), **EXACT)
    same(load(module.state_dict(), lstm, prefix="lstm."), params[1], 0, 0)
    accepted(module, dump(params, model, prefix=prefix))
    headless = {key: w for key, w in module.state_dict().items() if key != "head.bias"}  # as of bias=False
    assert not load(headless, model, prefix=prefix)[2].b.any()
    same(load(module.state_dict(), model, prefix=prefix), params, 0, 0)
    with pytest.raises(ValueError, match=r"must name each module of the model \(nn.Embedding, nn.LSTM, nn.Linear\)"):
        load(module.state_dict(), model, prefix="lstm.")
    with pytest.raises(
        ValueError, match=r"lstm.weight_ih_l1 must be of shape \(16, 4\), but .* is \(16, 8\).*layers=2"
    ):
        load(module.state_dict(), r.deep(r.lstm, n, m, layers=2), prefix="lstm.")


def test_modules_in_a_row():
    """Of one kind and size: two of two layers each, or four of one, as many as are named."""

    class Row(torch.nn.Module):
        def __init__(self, layers, times):
            super().__init__()
            for k in range(times):
                setattr(self, f"lstm{k}", torch.nn.LSTM(m, m, layers, batch_first=True, dtype=torch.float64))

        def forward(self, xs):
            for lstm in self.children():
                xs, _ = lstm(xs)
            return xs

    pair = r.deep(r.lstm, m, m, layers=2)
    xs = inputs(B, T, m)
    for module, model in (
        (Row(1, 2), pair),
        (Row(1, 4), r.stack(pair, pair)),
        (Row(2, 2), r.stack(pair, r.dropout(0.5), pair)),
    ):
        prefix = tuple(f"{name}." for name, _ in module.named_children())
        params = load(module.state_dict(), model, prefix=prefix)
        np.testing.assert_allclose(r.apply(model, params, xs)[1], module(torch.tensor(xs)).detach(), **EXACT)
        accepted(module, dump(params, model, prefix=prefix))
        same(load(module.state_dict(), model, prefix=prefix), params, 0, 0)
    with pytest.raises(ValueError, match=r"must name each module of the model \(nn.LSTM\), but prefix is \('', '', ''"):
        dump(params, model, prefix=("", "", ""))


def test_one_module_is_fed_by_all_outputs():
    """Layers that read a sum of two directions, or more than the layer before gives, are modules by themselves."""
    summed = r.deep(r.gru, n, m, layers=2, bidirectional=True, join=jnp.add)
    wider = r.stack(r.scan(r.gru(m, m)), r.lift(lambda x: jnp.concatenate([x, x], -1)), r.scan(r.gru(2 * m, m)))
    for model, directions, width in (summed, 2, m), (wider, 1, 2 * m):
        params = params_of(model)
        with pytest.raises(
            ValueError, match=r"must name each module of the model \(nn.GRU, nn.GRU\), but prefix is ''"
        ):
            dump(params, model)
        weights = dump(params, model, prefix=("first.", "second."))
        second = torch.nn.GRU(width, m, bidirectional=directions == 2, dtype=torch.float64)
        accepted(second, {key.removeprefix("second."): w for key, w in weights.items() if key.startswith("second.")})


# files and dtypes


def test_files(tmp_path):
    """From PyTorch's own file, and from safetensors, of whatever precision."""
    save = pytest.importorskip("safetensors.torch").save_file
    for dtype in torch.float64, torch.float32, torch.float16, torch.bfloat16:
        module, model = twins("gru", 2, True, dtype=dtype)
        weights = module.state_dict()
        torch.save(weights, tmp_path / "gru.pt")
        save(weights | {"steps": torch.tensor(3)}, str(tmp_path / "gru.safetensors"))
        params = load(weights, model)
        assert {str(p.dtype) for p in jax.tree.leaves(params)} == {str(dtype).removeprefix("torch.")}
        same(load(str(tmp_path / "gru.pt"), model), params, 0, 0)
        same(load(tmp_path / "gru.safetensors", model), params, 0, 0)
        wide = jax.tree.map(lambda p: p.astype(jnp.float64), params)
        first, second = module.bias_ih_l1, module.bias_hh_l1
        np.testing.assert_array_equal(wide[1][0].b[: 2 * m], (first + second)[: 2 * m].detach().double())
        np.testing.assert_array_equal(wide[0][1].W, module.weight_ih_l0_reverse.T.detach().double())
        halved = jax.tree.map(lambda p: p / 2, params)
        given = {key: torch.from_numpy(w.astype("float32")) for key, w in dump(halved, model).items()}
        if dtype != torch.float64:  # as the README says of bfloat16
            module.load_state_dict(given)
            same(load(module.state_dict(), model), halved, 0, 0)


def test_light(tmp_path):
    """A safetensors file is read in a process that has no torch, and importing interop brings in none of its kind."""
    model = r.deep(r.lstm, n, m)
    params = jax.tree.map(lambda p: p.astype(jnp.float32), params_of(model))
    (tmp_path / "lstm.safetensors").write_bytes(safetensors(dump(params, model)))
    program = (
        "import sys\nfrom rnnjax import interop\nimport rnnjax as r\n"
        "print(sorted({'torch', 'flax', 'keras', 'safetensors'} & set(sys.modules)))\n"
        "sys.modules['torch'] = sys.modules['safetensors'] = None\n"
        f"print(interop.torch.load('lstm.safetensors', r.deep(r.lstm, {n}, {m}))[0].W.sum())"
    )
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=paths, cwd=tmp_path, check=False
    )
    assert run.stdout.splitlines()[:1] == ["[]"], run.stderr
    np.testing.assert_allclose(float(run.stdout.splitlines()[1]), params[0].W.sum(), **SINGLE)


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"a.pt must be read by torch, but torch is not .* 'rnnjax\[torch\]'"):
        load("a.pt", r.gru(n, m))


def test_other_files(tmp_path):
    """PyTorch's own format holds anything, and safetensors numbers of a few bits."""
    torch.save([torch.ones(3)], tmp_path / "a.pt")
    with pytest.raises(TypeError, match=r"must be a mapping or a path to one, but a.pt is list\. Give module.state"):
        load(tmp_path / "a.pt", r.gru(n, m))
    header = b'{"scale": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}'
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"0")
    with pytest.raises(ValueError, match=r"^load: the dtype of scale must be of BOOL, .*, but it is F4\. Cast it\."):
        load(tmp_path / "a.safetensors", r.gru(n, m))


def test_precision_is_that_of_jax():
    weights = twins("lstm")[0].state_dict()
    with jax.enable_x64(False):
        params = load(weights, r.scan(r.lstm(n, m)))
    assert {p.dtype for p in params} == {jnp.float32.dtype}


# errors

LSTM = twins("lstm")[0].state_dict()
WRONG = {  # the state_dict, the model, and the message
    "kind": (
        LSTM,
        r.scan(r.gru(n, m)),
        r"weight_ih_l0 must be of shape \(12, 3\), but .* is \(16, 3\).*of nn.LSTM\(3, 4\)",
    ),
    "inputs": (LSTM, r.scan(r.lstm(5, m)), r"weight_ih_l0 must be of shape \(16, 5\), but weight_ih_l0 is \(16, 3\)"),
    "projection": (
        LSTM,
        r.scan(halved(n, m)),
        r"weight_hh_l0 must be of shape \(16, 2\), but weight_hh_l0 is \(16, 4\)",
    ),
    "few layers": (LSTM, r.deep(r.lstm, n, m, layers=2), r"weight_ih_l1 must be of shape \(16, 4\), but .* is missing"),
    "one way": (
        LSTM,
        r.deep(r.lstm, n, m, bidirectional=True),
        r"weight_ih_l0_reverse must be of shape \(16, 3\), but .* is missing",
    ),
    "many layers": (
        twins("rnn", 2)[0].state_dict(),
        r.scan(r.rnn(n, m)),
        r"weight_ih_l1 is \(4, 4\) and has no place in scan\(rnn\(3, 4\)\).*of nn.RNN\(3, 4, num_layers=2\)",
    ),
    "both ways": (
        twins("gru", 1, True)[0].state_dict(),
        r.scan(r.gru(n, m)),
        r"weight_ih_l0_reverse is \(12, 3\) and has no place.*bidirectional=True",
    ),
    "a bias": (
        {key: w for key, w in LSTM.items() if key != "bias_hh_l0"},
        r.scan(r.lstm(n, m)),
        r"bias_hh_l0 must be of shape \(16,\), but bias_hh_l0 is missing",
    ),
    "a projection left": (
        twins("projected")[0].state_dict() | {"weight_hh_l0": np.zeros((16, 4))},
        r.scan(r.lstm(n, m)),
        r"weight_hr_l0 is \(2, 4\) and has no place",
    ),
    "a cell": (
        {"weight_ih": np.zeros((12, 3)), "weight_hh": np.zeros((12, 4))},
        r.lstm(n, m),
        r"of nn.GRUCell\(3, 4\)",
    ),
    "a bigger module": (
        {f"lstm.{key}": w for key, w in LSTM.items()},
        r.scan(r.lstm(n, m)),
        r"weight_ih_l0 is missing.*The state_dict has 'lstm.weight_ih_l0', ",
    ),
    "other gates": (
        {"weight_ih_l0": np.zeros((8, 3)), "weight_hh_l0": np.zeros((8, 4))},
        r.scan(r.lstm(n, m)),
        r"\(8, 3\).*has 'weight_ih_l0', 'weight_hh_l0'\.$",
    ),
    "a checkpoint": ({"model": np.zeros(2), 1: np.zeros(2)}, r.scan(r.lstm(n, m)), r"has 'model', 1\.$"),
    "integers": (
        LSTM | {"weight_hh_l0": torch.ones((16, 4), dtype=torch.int8)},
        r.scan(r.lstm(n, m)),
        r"weight_hh_l0 must be of floating-point numbers, but weight_hh_l0 is int8\. Give the weights as they were",
    ),
    "complex numbers": (
        LSTM | {"bias_ih_l0": np.ones(16, complex)},
        r.scan(r.lstm(n, m)),
        r"bias_ih_l0 must be of floating-point numbers, but bias_ih_l0 is complex128",
    ),
    "no tensor": ({"weight_ih_l0": 3}, r.scan(r.lstm(n, m)), "weight_ih_l0 is no tensor but int"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name):
    """Which key, which shape was expected and which came; nothing is changed."""
    state_dict, model, message = WRONG[name]
    before = {key: np.array(array(w)) for key, w in state_dict.items()}
    with pytest.raises(ValueError, match=rf"^interop.torch.load: .*{message}"):
        load(state_dict, model)
    assert state_dict.keys() == before.keys()
    same([array(w) for w in state_dict.values()], list(before.values()), 0, 0)


def test_refused_models():
    for model in r.scan(r.coupled_lstm(n, m)), r.reset_first_gru(n, m), r.deep(r.mgu, n, m), r.clockwork(n, m):
        with pytest.raises(TypeError, match=r"must be rnn, lstm, projected_lstm, gru, dense or embed, .* but one is "):
            load(LSTM, model)
    for model in r.scan(r.lru(n, m)), r.scan(r.clockwork(n, m)):
        with pytest.raises(TypeError, match=r"must be rnn, lstm, projected_lstm, gru, dense or embed, .* but one is "):
            dump(params_of(model), model)
    matrix = r.Cell(lambda key: jnp.ones((m, m)), lambda params: jnp.zeros(m), lambda U, h, x: (h @ U + x, h))
    for model in matrix, r.scan(matrix), r.stack(r.embed(9, n), r.scan(matrix)):
        with pytest.raises(
            TypeError,
            match=r"^interop.torch.dump: a matrix alone must be the table of embed, .* has float64\[4,4\] and",
        ):
            dump(model.init(jax.random.key(0)), model)
    table = r.embed(9, n)
    for model in table, r.frozen(table), r.scan(table):
        assert list(dump(params_of(model), model)) == ["weight"]
    for model in r.bidirectional(r.lstm(n, m), r.gru(n, m)), r.bidirectional(r.lstm(n, m), r.lstm(n, 5)):
        with pytest.raises(TypeError, match=r"alike both ways, but one is LSTMParams\(W='float64\[3,16\]'"):
            dump(params_of(model), model)
    with pytest.raises(TypeError, match=r"must be a mapping or a path to one, but it is LSTM\. Give module\.st"):
        load(twins("lstm")[0], r.scan(r.lstm(n, m)))


def test_refused_params():
    params = params_of(r.scan(r.lstm(n, m)))
    with pytest.raises(TypeError, match=r"interop.torch.dump: params must be those of gru\(3, 4\), but params are "):
        dump(params, r.gru(n, m))
    with pytest.raises(ValueError, match=r"but params.W is float64\[3,16\] in place of float64\[5,16\]"):
        dump(params, r.lstm(5, m))
    with pytest.raises(ValueError, match=r"biases must be 0 to be left out, but bias_ih is not"):
        dump(params, r.lstm(n, m), bias=False)


# the PyTorch user's door


def test_tutorial():
    """The tutorial's lines, and the shapes that PyTorch prints."""
    torch.manual_seed(0)
    rnn = torch.nn.RNN(input_size=5, hidden_size=8, num_layers=2, batch_first=True, bidirectional=True)
    x = torch.randn(1, 10, 5)
    out, h_n = rnn(x)

    model = r.deep(r.rnn, 5, 8, layers=2, bidirectional=True)
    params = load(rnn.state_dict(), model)
    state, ys = r.apply(model, params, x.numpy())
    h = jnp.stack(jax.tree.leaves(state))
    assert ys.shape == tuple(out.shape) == (1, 10, 16)
    assert h.shape == tuple(h_n.shape) == (4, 1, 8)
    same((ys, h), (out.detach().numpy(), h_n.detach().numpy()), **SINGLE)


def test_the_door_of_other_modules():
    """The lines of the README's table that an `nn.LSTM` has not."""
    double = dict(batch_first=True, dtype=torch.float64)
    x, h_0 = inputs(B, T, n), inputs(2, B, m, seed=1)
    for make, module in (
        (r.gru, torch.nn.GRU(n, m, 2, bias=False, **double)),
        (r.rnn, torch.nn.RNN(n, m, 2, **double)),
        (lambda n, m: r.rnn(n, m, jax.nn.relu), torch.nn.RNN(n, m, 2, nonlinearity="relu", **double)),
    ):
        model = r.deep(make, n, m, layers=2)
        params = load(module.state_dict(), model)
        # hx, h_n
        begin = jax.tree.unflatten(jax.tree.structure(model.start(params)), list(h_0))
        state, ys = r.apply(model, params, x, state=begin)
        out, h_n = module(torch.tensor(x), torch.tensor(h_0))
        same((ys, jnp.stack(jax.tree.leaves(state))), (out.detach().numpy(), h_n.detach().numpy()), **EXACT)
        # bias=False
        assert dump(params, model, bias=module.bias).keys() == module.state_dict().keys()
    # proj_size
    module = torch.nn.LSTM(n, m, proj_size=2, **double)
    model = r.deep(functools.partial(r.projected_lstm, p=2), n, m)
    _, ys = r.apply(model, load(module.state_dict(), model), x)
    same(ys, module(torch.tensor(x))[0].detach().numpy(), **EXACT)
    # nn.LSTMCell
    module, cell = torch.nn.LSTMCell(n, m, dtype=torch.float64), r.lstm(n, m)
    h, c = inputs(m, seed=1), inputs(m, seed=2)
    state, y = cell.step(load(module.state_dict(), cell), r.LSTMState(jnp.asarray(h), jnp.asarray(c)), x[0, 0])
    want = [a.detach().numpy() for a in module(torch.tensor(x[0, 0]), (torch.tensor(h), torch.tensor(c)))]
    same((list(state), y), (want, want[0]), **EXACT)


def test_the_door():
    """Each line of the README's table."""
    module = torch.nn.LSTM(n, m, 2, dropout=0.5, bidirectional=True, dtype=torch.float64).eval()  # time leading
    model = r.deep(r.lstm, n, m, layers=2, dropout=0.5, bidirectional=True)
    params = load(module.state_dict(), model)
    h_0, c_0, x = inputs(4, B, m, seed=1), inputs(4, B, m, seed=2), inputs(T, B, n)
    with torch.no_grad():
        out, (h_n, c_n) = module(torch.tensor(x), (torch.tensor(h_0), torch.tensor(c_0)))
        alone, _ = module(torch.tensor(x[:, 0]))
    # hx
    leaves = [s for layer in zip(h_0, c_0) for s in layer]
    begin = jax.tree.unflatten(jax.tree.structure(model.start(params)), leaves)
    # batch_first=False
    state, ys = r.apply(model, params, jnp.swapaxes(x, 0, 1), state=begin)
    np.testing.assert_allclose(jnp.swapaxes(ys, 0, 1), out, **EXACT)
    state, ys = r.batch(model, B).step(params, begin, x)
    np.testing.assert_allclose(ys, out, **EXACT)
    # h_n, c_n
    s = jax.tree.leaves(state)
    np.testing.assert_allclose(jnp.stack(s[::2]), h_n, **EXACT)
    np.testing.assert_allclose(jnp.stack(s[1::2]), c_n, **EXACT)
    # a sequence without a batch
    np.testing.assert_allclose(model.step(params, model.start(params), x[:, 0])[1], alone, **EXACT)
    # module.train()
    noisy = r.apply(model, params, jnp.swapaxes(x, 0, 1), state=begin, key=jax.random.key(0))[1]
    assert not np.allclose(jnp.swapaxes(noisy, 0, 1), out)
    # dtype, device
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    half = jax.device_put(half, jax.devices()[1])
    _, ys = r.apply(model, half, jax.device_put(jnp.ones((B, T, n), jnp.bfloat16), jax.devices()[1]))
    assert ys.dtype == jnp.bfloat16 and ys.devices() == {jax.devices()[1]}
    # reset_parameters
    uniform = r.weights.uniform(m**-0.5)
    lstm = functools.partial(r.lstm, weight=uniform, recurrent=uniform, bias=uniform)
    drawn = jax.tree.leaves(r.deep(lstm, n, m, layers=2).init(jax.random.key(0)))
    assert all(0.3 < abs(p).max() <= 0.5 for p in drawn)
    assert interop.torch.load is load
