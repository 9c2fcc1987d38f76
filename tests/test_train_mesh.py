"""Training across devices: what is asked for, how arrays lie, and that it learns what one device learns."""

import dataclasses
import functools
import shlex

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P
from running import quick

from rnnjax import cli
from rnnjax.tasks import kept, language, memory
from rnnjax.tasks.asked import asked
from rnnjax.tasks.placed import placed
from rnnjax.train import Checkpoints, begin, fit, layout, update
from rnnjax.train.layout import Layout
from rnnjax.train.mesh import mesh_of

B, STEPS = 16, 4
CONFIGS = {
    "language": language.Config(m=16, embed=8, steps=STEPS, dropout=0.2, reset=0.3, window=6, batch=B),
    "memory": memory.Config(lag=5, m=16, steps=STEPS, batch=B),
}
MESHES = "data=8", "fsdp=8", "data=4,model=2", "data=2,fsdp=2,model=2", "model=4"
ALWAYS = ("language", "data=2,fsdp=2,model=2")


@pytest.fixture(autouse=True, scope="module")
def small():
    """What is large begins early, and compiles are quick."""
    before, layout.LARGE = layout.LARGE, 256
    with quick():
        yield
    layout.LARGE = before


@functools.cache
def recipe(name):
    return kept.module(name).recipe(CONFIGS[name])


def learned(recipe, steps, training=None):
    """Losses, the training after them, and the name under which the step is compiled."""
    training = begin(recipe, recipe.optimizer, jax.random.key(0)) if training is None else training
    one_step, losses = update(recipe.gradient, recipe.optimizer), []
    for now, metrics in fit(one_step, training, lambda n: (recipe.batch_at(n),), steps, restart=recipe.restart):
        training, losses = now, [*losses, float(metrics.loss)]
    return losses, training, one_step.__name__


@functools.cache
def alone(name):
    losses, training, _ = learned(recipe(name), STEPS)
    return losses, plain(training)


def plain(training):
    numbers = jax.tree.map(
        lambda x: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x, training
    )
    return jax.device_get(numbers)


def close(training, expected):
    for one, other in zip(jax.tree.leaves(plain(training)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("text, sizes", [
    ("data=8", (8, 1, 1)), ("model=2,data=4", (4, 1, 2)), ("fsdp=2", (1, 2, 1)), ("data=2,fsdp=2,model=2", (2, 2, 2)),
])  # fmt: skip
def test_mesh(text, sizes):
    mesh = mesh_of(text, batch=B)
    assert mesh.axis_names == ("data", "fsdp", "model") and mesh.devices.shape == sizes
    assert set(mesh.axis_types) == {jax.sharding.AxisType.Auto}
    assert mesh.devices.ravel().tolist() == jax.devices()[: mesh.size]


@pytest.mark.parametrize(
    "text, message",
    [
        ("dat=8", r"a mesh must be of the axes data, fsdp, model, but 'dat=8' has 'dat'\. Write as data=4,model=2\."),
        ("", r"a mesh must be of the axes .*, but '' has ''\. Write"),
        ("data=2,data=4", r"each axis of a mesh must come once, but 'data=2,data=4' has data twice\. Name it once\."),
        ("data=two", r"size of an axis must be a number of devices, but 'data=two' has 'data=two'\. Write as data=4,"),
        ("data=0", r"must be a number of devices, but 'data=0' has 'data=0'"),
        ("data=-1", r"must be a number of devices, but"),
        ("data", r"must be a number of devices, but 'data' has 'data'"),
        ("data=4,", r"but 'data=4,' has ''"),
        ("data=8,model=2", r"have at most the 8 devices there are, but data=8,model=2 has 16\. Make it smaller, or"),
        ("data=3", r"must divide the batch .*, but batch is 16 and they are 3\. Give --batch 18, or another mesh\."),
        ("data=3,fsdp=2", r"must divide the batch .*, but batch is 16 and they are 6\. Give --batch 18"),
    ],
)  # fmt: skip
def test_mesh_refuses(text, message):
    with pytest.raises(ValueError, match="^train: .*" + message):
        mesh_of(text, batch=B)


def test_layout():
    lay = Layout(mesh_of("data=2,fsdp=2,model=2", batch=B), B, 1)
    rules = {
        lay.param: {(64, 16): P("fsdp", "model"), (16, 63): P("fsdp", None), (15, 63): P(None, None),
                    (64,): P(None), (4, 4): P(None, None), (): P(), (2, 8, 32): P(None, "fsdp", "model"),
                    (512,): P("fsdp")},
        lay.used: {(64, 16): P(None, "model"), (16, 63): P(None, None), (512,): P(None), (): P()},
        lay.state: {(B, 8): P(("data", "fsdp"), "model"), (B, 7): P(("data", "fsdp"), None), (B,): P(("data", "fsdp")),
                    (8,): P(), (): P(), (B, 3, 8): P(("data", "fsdp"), None, "model")},
        lay.given: {(6, B): P(None, ("data", "fsdp")), (B, 6): P(), (6,): P(), (6, B, 3): P(None, ("data", "fsdp"))},
    }  # fmt: skip
    for rule, cases in rules.items():
        assert {shape: rule(shape) for shape in cases} == cases
    assert Layout(lay.mesh, B).given((B, 6)) == P(("data", "fsdp"))


@pytest.mark.parametrize("name, text", [
    pytest.param(name, text, marks=() if (name, text) == ALWAYS else pytest.mark.slow)
    for name in CONFIGS for text in MESHES
])  # fmt: skip
def test_learns_what_one_device_learns(name, text, caplog):
    """Losses, params, moments, states and keys, in one compile, each where the rules say."""
    there = placed(recipe(name), mesh_of(text, batch=B), B)
    with jax.log_compiles():
        losses, training, step = learned(there, STEPS)
    compiles = [said for said in caplog.messages if said.startswith(f"Compiling jit({step})")]
    np.testing.assert_allclose(losses, alone(name)[0], rtol=1e-5)
    close(training, alone(name)[1])
    assert len(compiles) == 1, "what comes out of a step must lie as what goes in"
    lay = Layout(mesh_of(text, batch=B), B)
    for tree, rule in (((training.params, training.optimizer), lay.param), (training.state, lay.state)):
        for x in jax.tree.leaves(tree):
            assert x.sharding.is_equivalent_to(jax.NamedSharding(lay.mesh, rule(x.shape)), x.ndim)
    gates = [x for x in jax.tree.leaves(training.params) if x.shape == (16, 64)]
    split = lay.mesh.shape["fsdp"] * lay.mesh.shape["model"]
    assert gates and all(x.addressable_shards[0].data.size == x.size // split for x in gates)
    found = there.measure(training.params, "valid")
    assert found == pytest.approx(
        recipe(name).measure(jax.tree.map(jnp.asarray, alone(name)[1].params), "valid"), rel=1e-4
    )


@pytest.mark.parametrize("options", [
    dict(accumulate=2),
    pytest.param(dict(precision="bfloat16"), marks=pytest.mark.slow),
    pytest.param(dict(precision="bfloat16", accumulate=2), marks=pytest.mark.slow),
], ids=lambda options: ", ".join(options))  # fmt: skip
def test_in_parts_and_few_bits(options):
    """Across devices what the same is on one; but sums in another order are now and then rounded to other bits."""
    here = asked("memory", dataclasses.replace(CONFIGS["memory"], **options))
    tolerance = dict(rtol=2e-2, atol=2e-2) if "precision" in options else dict(rtol=2e-5, atol=2e-6)
    losses, training, _ = learned(placed(here, mesh_of("data=4", batch=B), B), STEPS)
    ours, there, _ = learned(here, STEPS)
    np.testing.assert_allclose(losses, ours, **tolerance)
    for one, other in zip(jax.tree.leaves(plain(training)), jax.tree.leaves(plain(there)), strict=True):
        np.testing.assert_allclose(one, other, **tolerance)
    if "precision" in options:
        assert losses != alone("memory")[0], "fewer bits must tell"
    assert losses[0] == pytest.approx(alone("memory")[0][0], rel=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("before, after", [("data=4,model=2", "fsdp=8"), ("data=8", None), (None, "data=2,fsdp=2")])
def test_goes_on_elsewhere(before, after, tmp_path):
    """A checkpoint made on one mesh, loaded on another."""

    def on(text):
        return recipe("language") if text is None else placed(recipe("language"), mesh_of(text, batch=B), B)

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(learned(on(before), STEPS // 2)[1])
    there = on(after)
    training = checkpoints.load(begin(there, there.optimizer, jax.random.key(1)))
    checkpoints.close()
    losses, training, _ = learned(there, STEPS, training)
    np.testing.assert_allclose(losses, alone("language")[0][STEPS // 2 :], rtol=1e-5)
    close(training, alone("language")[1])


def test_command(tmp_path, monkeypatch, capsys):
    """A run on a mesh, that goes on on another; and what cannot be is said before there is a run."""
    monkeypatch.chdir(tmp_path)

    def run(line):
        return cli.main(shlex.split(line))

    assert run("train memory --smoke --name a --mesh data=4,model=2") == 0
    assert run("train --resume runs/a --mesh data=2") == 0
    assert run("train --resume runs/a") == 0
    assert "mesh" not in (tmp_path / "runs/a/config.json").read_text()
    assert run("train memory --smoke --name b --mesh data=3") == 2
    assert "the mesh must divide the batch" in capsys.readouterr().err and not (tmp_path / "runs/b").exists()
    assert run("train --resume runs/a --m 3 --mesh data=2") == 2
    assert "--resume must stand alone" in capsys.readouterr().err
