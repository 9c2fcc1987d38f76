"""Exported models run, token by token, in a process without rnnjax, and give what `apply` gives."""

import json
import os
import subprocess
import sys

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import rnnjax as r
from conftest import CELLS, EXACT, by_hand, inputs, n, normal, params_of, same
from rnnjax.interop.export import export
from rnnjax.interop.export import safetensors as written
from rnnjax.interop.load import arrays, load

SYMBOLS, m, LONG = 9, 4, 11
TOLERANCE = dict(rtol=1e-6, atol=1e-6)
TOKEN, VECTOR = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((n,), jnp.float32)
LANGUAGE = r.stack(r.embed(SYMBOLS, n), r.scan(r.lstm(n, m)), r.scan(r.lstm(m, m)), r.dense(m, SYMBOLS))


@r.interned
def two_inputs():
    """A cell of a tree of inputs, a tree of outputs, and a state that begins as a number of Python."""

    def step(params, state, x):
        total = state["total"] + params["w"] * x["a"] + x["b"][0]
        return {"total": total}, (total, {"twice": 2 * total})

    return r.Cell(lambda key: {"w": jnp.ones((), jnp.float32)}, lambda params: {"total": 0.0}, step)


MODELS = {
    "language": (LANGUAGE, TOKEN),
    "gru": (r.gru(n, m), VECTOR),
    "dilated": (r.stack(r.gru(n, m), r.dilated(r.gru(m, m), 3)), VECTOR),
    "stateless": (r.stack(r.dense(n, m), r.lift(jnp.tanh)), VECTOR),
    "noise, silent": (r.stack(r.deep(r.lstm, n, m, layers=2, dropout=0.5), r.zoneout(r.rnn(m, m), 0.1)), VECTOR),
    "whole": (r.qrnn(n, m), VECTOR),
    "many layers": (r.stack(*[r.rnn(n, n)] * 12), VECTOR),
    "trees": (
        two_inputs(),
        {"a": jax.ShapeDtypeStruct((), jnp.float32), "b": (jax.ShapeDtypeStruct((), jnp.float32),)},
    ),
}

SERVER = """
import sys
for name in "rnnjax", "flax", "torch", "safetensors", "optax", "orbax":
    sys.modules[name] = None
folder, *models = sys.argv[1:]
sys.path.insert(0, folder + "/" + models[0])
import numpy as np
from load import load, jax
for model in models:
    params, start, step = load(folder + "/" + model)
    _, _, sequence = load(folder + "/" + model, "sequence")
    given, told = np.load(folder + "/" + model + "-xs.npz"), {}
    for B in 1, 5:
        xs = {name: given[name][:B] for name in given}
        at = lambda where: xs["x"][:, where] if "x" in xs else {name: x[:, where] for name, x in xs.items()}
        states, outs = [start(params, B)], []
        for t in range(11):
            state, y = step(params, states[-1], at(t))
            states.append(state)
            outs.append(y)
        told[f"steps {B}"] = states[11], jax.tree.map(lambda *y: np.stack(y, 1), *outs)
        for T in 3, 11:
            told[f"sequence {B} {T}"] = sequence(params, states[0], at(slice(T)))
        told[f"on {B}"] = sequence(params, states[8], at(slice(8, 11)))
    leaves = {name: jax.tree.leaves(tree) for name, tree in told.items()}
    np.savez(folder + "/" + model + "-ys.npz", **{f"{k}: {i}": x for k, v in leaves.items() for i, x in enumerate(v)})
"""


def drawn(model, seed=1):
    """Params in single precision."""
    kinds = jax.eval_shape(model.init, jax.random.key(0))
    return normal(jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, jnp.float32), kinds), seed, 0.6)


def sequences(x, B=5, T=LONG):
    """Random xs (B, T, ...) of the type of one x."""
    symbols = np.random.default_rng(4).integers(0, SYMBOLS, (B, T)).astype(np.int32)
    return jax.tree.map(lambda x: symbols if x.dtype == jnp.int32 else inputs(B, T, *x.shape, dtype=np.float32), x)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """What another process says of all models: {model: {"steps B", "sequence B T", "on B": leaves of (state, ys)}}."""
    folder = tmp_path_factory.mktemp("exported")
    for name, (model, x) in MODELS.items():
        export(folder / name, model, drawn(model), x, programs=("step", "sequence"))
        xs = sequences(x)
        named = {"a": xs["a"], "b.0": xs["b"][0]} if isinstance(xs, dict) else {"x": xs}
        np.savez(folder / f"{name}-xs.npz", **named)
    program = sys.executable, "-c", SERVER, folder, *MODELS
    quick = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    ran = subprocess.run(program, capture_output=True, text=True, check=False, env=quick)
    assert ran.returncode == 0, ran.stderr
    return {name: dict(np.load(folder / f"{name}-ys.npz")) for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_served(served, name):
    """Step by step, all at once for two lengths, and one after the other, at two batch sizes from one artifact."""
    model, x = MODELS[name]
    params = drawn(model)
    for B in 1, 5:
        xs = jax.tree.map(lambda x: x[:B], sequences(x))
        state, ys = r.apply(model, params, xs)
        early = r.apply(model, params, jax.tree.map(lambda x: x[:, :3], xs))
        late = state, jax.tree.map(lambda y: y[:, 8:], ys)
        for run, expected in {
            f"steps {B}": (state, ys),
            f"sequence {B} 3": early,
            f"sequence {B} 11": (state, ys),
            f"on {B}": late,
        }.items():
            expected = by_name(expected)
            found = [x for key, x in served[name].items() if key.startswith(f"{run}: ")]
            assert len(found) == len(expected)
            for a, b in zip(found, expected):
                assert a.dtype == b.dtype == np.float32
                np.testing.assert_allclose(a, b, **TOLERANCE)


def by_name(pair):
    """The leaves of (state, ys) in the order of their names, which is that of the dicts of a program."""

    def named(tree):
        return {
            jax.tree_util.keystr(path, simple=True, separator="."): x for path, x in jax.tree.leaves_with_path(tree)
        }

    return [np.asarray(leaf) for tree in pair for _, leaf in sorted(named(tree).items())]


@pytest.fixture
def exported(tmp_path):
    export(tmp_path / "gru", r.gru(n, m), drawn(r.gru(n, m)), VECTOR)
    return tmp_path / "gru"


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_every_cell(tmp_path, name):
    """In double precision, against a loop of its steps."""
    cell, params = CELLS[name], params_of(CELLS[name])
    export(tmp_path / "a", cell, params, jnp.ones(n), programs=("step", "sequence"))
    loaded, start, step = load(tmp_path / "a")
    _, _, sequence = load(tmp_path / "a", "sequence")
    xs, state, ys = inputs(2, LONG, n), start(loaded, 2), []
    for t in range(LONG):
        state, y = step(loaded, state, xs[:, t])
        ys.append(y)
    expected = jnp.stack([by_hand(cell, params, cell.start(params), xs[k])[1] for k in range(2)])
    np.testing.assert_allclose(jnp.stack(ys, 1), expected, **EXACT)
    np.testing.assert_allclose(sequence(loaded, start(loaded, 2), xs)[1], expected, **EXACT)


def test_both_ways(tmp_path):
    """A bidirectional model has whole sequences alone; a loop that must know T has it."""
    for model, T in (r.deep(r.gru, n, m, bidirectional=True), None), (r.scan(r.gru(n, m), r.checkpointed), LONG):
        folder = tmp_path / str(T)
        export(folder, model, drawn(model), VECTOR, programs=("sequence",), T=T)
        params, start, run = load(folder, "sequence")
        state, ys = run(params, start(params, 5), sequences(VECTOR))
        expected = r.apply(model, drawn(model), sequences(VECTOR))
        for a, b in zip([*state.values(), ys], jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, **TOLERANCE)


def test_described(exported):
    """What model.json says."""
    about = json.loads((exported / "model.json").read_text())
    assert about["model"] == "gru(3, 4)" and about["platforms"] == ["cpu", "cuda", "tpu"]
    assert about["programs"]["step"]["takes"][1:] == [{"value": "float32[B,4]"}, "float32[B,3]"]
    assert about["programs"]["step"]["gives"] == [{"value": "float32[B,4]"}, "float32[B,4]"]


def test_fixed_sizes(tmp_path):
    export(tmp_path / "a", r.gru(n, m), drawn(r.gru(n, m)), VECTOR, B=2)
    params, start, step = load(tmp_path / "a")
    step(params, start(params, 2), jnp.ones((2, n), jnp.float32))
    with pytest.raises(
        ValueError, match=r"^step: state\['value'\] must be float32\[2,4\], .* but it is float32\[3,4\]"
    ):
        step(params, start(params, 3), jnp.ones((3, n), jnp.float32))


def test_dtypes(tmp_path):
    """Params of few bits and integers come back as they were, and the package safetensors agrees on the file."""
    dtypes = "bfloat16", "float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool", "complex64"
    kinds = {dtype: jnp.arange(6).reshape(2, 3).astype(dtype) for dtype in (*dtypes, "float8_e4m3fn")}
    kinds["scalar"], kinds["empty"] = jnp.bfloat16(1.5), jnp.zeros((0, 3), jnp.float32)

    def step(params, state, x):
        return params["int32"] + state, x * params["bfloat16"][0, 1]

    cell = r.Cell(lambda key: kinds, lambda params: jnp.zeros((2, 3), jnp.int32), step)
    export(tmp_path / "a", cell, kinds, jnp.bfloat16(1))
    params, start, run = load(tmp_path / "a")
    assert params.keys() == kinds.keys()
    for name, array in kinds.items():
        assert (params[name].dtype, params[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(params[name], array)
    state, y = run(params, start(params, 2), jnp.full(2, 3, jnp.bfloat16))
    state, y = run(params, state, y)
    np.testing.assert_array_equal(state["value"], 2 * np.broadcast_to(kinds["int32"], (2, 2, 3)))
    assert y.dtype == jnp.bfloat16 and y.tolist() == [3.0, 3.0]

    content = (tmp_path / "a" / "params.safetensors").read_bytes()
    for name, told in safetensors.deserialize(content):
        array = np.asarray(kinds[name])
        assert tuple(told["shape"]) == array.shape and bytes(told["data"]) == array.tobytes()
    theirs = {"a": np.arange(3.0), "b": np.ones((2, 2), np.int16)}
    mine = arrays(safetensors.numpy.save(theirs, metadata={"by": "safetensors"}))
    assert {k: v.tolist() for k, v in mine.items()} == {k: v.tolist() for k, v in theirs.items()}
    assert arrays(written(theirs))["b"].dtype == np.int16


def test_half_precision(tmp_path):
    """Params cast after training: the state is of their dtype."""
    cell = r.lstm(n, m)
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), drawn(cell))
    export(tmp_path / "a", cell, params, jax.ShapeDtypeStruct((n,), jnp.bfloat16))
    loaded, start, step = load(tmp_path / "a")
    x = jnp.asarray(inputs(5, n), jnp.bfloat16)
    state, y = step(loaded, start(loaded, 5), x)
    assert state["h"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(y, r.apply(cell, params, x[:, None])[1][:, 0])


@pytest.mark.parametrize("name", ["params.safetensors", "start.jax", "step.jax"])
def test_other_files(exported, name):
    """A bit turned, an end cut off, a file gone."""
    whole = (exported / name).read_bytes()
    for content in whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:], whole[:-9], None:
        (exported / name).unlink() if content is None else (exported / name).write_bytes(content)
        with pytest.raises(
            ValueError, match=rf"^load: the files must be as they were exported, but .*{name} is not\. "
        ):
            load(exported)


def test_refused_by_load(exported):
    with pytest.raises(
        ValueError, match=r"^load: the program must be of \['step'\], but it is 'sequence'\. Export it too"
    ):
        load(exported, "sequence")
    double = exported.parent / "double"
    export(double, r.dense(n, m), r.dense(n, m).init(jax.random.key(0)), jnp.ones(n))
    with jax.enable_x64(False), pytest.raises(ValueError, match=r"^load: the params are float64, but .* Turn it on"):
        load(double)
    about = exported / "model.json"
    about.write_text(about.read_text()[:-9])
    with pytest.raises(
        ValueError, match=r"^load: path must be an exported model, but .*model\.json cannot be read \(J"
    ):
        load(exported)
    with pytest.raises(ValueError, match=r"^load: path must be .*model\.json cannot be read \(FileNotFoundError\)\. "):
        load(exported.parent)


def test_refused_when_run(exported):
    params, start, step = load(exported)
    state, x = start(params, 5), jnp.ones((5, n), jnp.float32)
    for args, told in (
        (
            (params | {"W": params["W"][:, 1:]}, state, x),
            r"params\['W'\] must be float32\[3,12\], .* float32\[3,11\]\.",
        ),
        ((params, state, x[:2]), r"x must be float32\[B,3\], as exported, but it is float32\[2,3\] and B is 5\. See"),
        ((params, state, x.astype(int)), r"x must be float32\[B,3\], as exported, but it is int64\[5,3\]"),
        ((params, state, x[0]), r"x must be float32\[B,3\], as exported, but it is float32\[3\]"),
        ((params, {"h": x}, x), r"state must be PyTreeDef\({'value': \*}\), as exported, but it is .*'h'"),
    ):
        with pytest.raises(ValueError, match="^step: " + told):
            step(*args)
    with pytest.raises(ValueError, match=r"^start: params must be .*, as exported, but it is PyTreeDef"):
        start({}, 5)


def test_refused_by_export(tmp_path):
    """And nothing is written."""
    gru, params, path = r.gru(n, m), drawn(r.gru(n, m)), tmp_path / "new"
    both, twice = r.bidirectional(gru, gru), {"a.b": jnp.ones(2), "a": {"b": jnp.ones(2)}}
    for error, told, args, options in (
        (ValueError, rf"^export: path must be new, but {tmp_path} exists\. Ch", (tmp_path, gru, params, VECTOR), {}),
        (
            ValueError,
            r"^export: programs must be .* 'steps' is not",
            (path, gru, params, VECTOR),
            {"programs": ["steps"]},
        ),
        (ValueError, r"^export: B must be a positive int, but B is 0\.", (path, gru, params, VECTOR), {"B": 0}),
        (
            TypeError,
            r"^export: params must be those of gru\(3, 4\), but params are PyTree",
            (path, gru, drawn(r.lstm(n, m)), VECTOR),
            {},
        ),
        (
            ValueError,
            r"^export: params must be those of .* params\.W is float32\[2,12\] in place of float64\[3,12\]\. Give what",
            (path, gru, drawn(r.gru(2, m)), VECTOR),
            {},
        ),
        (
            ValueError,
            r"^gru: x must be one step with 3 features, but x is .*\[5\]",
            (path, gru, params, jnp.ones(5)),
            {},
        ),
        (
            TypeError,
            r"^bidirectional: there must be a single step, but .* has none, .* 'sequence' of an export",
            (path, both, drawn(both), VECTOR),
            {},
        ),
        (
            ValueError,
            r"^export: the program 'sequence' must run for any T, but that of scan\(gru\(3, 4\), loop=checkpointed\) c",
            (path, r.scan(gru, r.checkpointed), params, VECTOR),
            {"programs": ["sequence"]},
        ),
        (
            TypeError,
            r"^export: W is complex128, which safetensors has no code for\. Cast it\.",
            (path, r.dense(n, m), jax.tree.map(lambda p: p.astype(complex), drawn(r.dense(n, m))), VECTOR),
            {},
        ),
        (
            ValueError,
            r"^export: names must differ, but of \['a\.b'\] some stand twice\. Rename a key\.",
            (path, r.Cell(lambda key: twice, lambda params: (), gru.step), twice, VECTOR),
            {},
        ),
    ):
        with pytest.raises(error, match=told):
            export(*args, **options)
    assert not path.exists()


def test_gradient_of_any_length():
    """The fast loop is differentiated before the number of steps is known."""
    model, (B, T) = r.scan(r.lstm(n, m)), jax.export.symbolic_shape("B, T")
    params = params_of(model)

    def slope(params, xs):
        def loss(params):
            return (jax.vmap(lambda xs: model.step(params, model.start(params), xs)[1])(xs) ** 2).sum()

        return jax.grad(loss)(params)

    program = jax.export.export(jax.jit(slope))(params, jax.ShapeDtypeStruct((B, T, n), jnp.float64))
    for sizes in (1, 3), (5, LONG):
        same(program.call(params, inputs(*sizes, n)), slope(params, inputs(*sizes, n)), **EXACT)
