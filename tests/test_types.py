"""What is public says its types in full, they are true while a program runs, and a type checker finds no fault."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jaxtyping import Shaped, jaxtyped

import rnnjax as r
from rnnjax.gradients.lookback import Truncated
from rnnjax.gradients.online import Online

ROOT = Path(r.__file__).parent
OFFERED = "rnnjax", "data", "train", "diagnostics", "diagnostics.pictures", "weights", "interop.nnx", "interop.linen"
FILES = "interop.torch", "interop.keras", "interop.export", "interop.load", "types"
CALLED = "__init__", "__call__", "__len__", "__getitem__", "__repr__"
QUICK = "rnnjax.apply", "rnnjax.data.batches", "rnnjax.data.vocabulary", "rnnjax.compose.memory", "rnnjax.cells.gru"
QUICK += ("rnnjax.interop.torch",)
ARRAYS = "xs", "params", "state", "lengths", "keep", "key", "ids"


def public():
    """Everything that is offered, by its full name."""
    found = {"Online": Online, "Truncated": Truncated}
    for place in OFFERED:
        module = r if place == "rnnjax" else importlib.import_module(f"rnnjax.{place}")
        found |= {f"{place}.{name}": getattr(module, name) for name in module.__all__}
    for place in FILES:
        module = importlib.import_module(f"rnnjax.{place}")
        for name, thing in vars(module).items():
            if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__:
                found[f"{place}.{name}"] = thing
    return found


PUBLIC = public()
# values of which the module says the type, as `open_forget: Initializer`
MODULES = [module for name, module in sys.modules.items() if name.startswith("rnnjax")]
DECLARED = [getattr(module, name) for module in MODULES for name in inspect.get_annotations(module)]


def silent(function):
    """The parts of a function that do not say their type, or say of arrays no more than that they are something."""
    signature = inspect.signature(inspect.unwrap(function))
    named = {p.name: p.annotation for p in signature.parameters.values() if p.name not in ("self", "cls")}
    bare = [name for name in ARRAYS if named.get(name) in (Any, object)]
    return bare + [
        name for name, type_ in (named | {"return": signature.return_annotation}).items() if type_ is inspect._empty
    ]


def members(cls):
    """What a class offers to be called, or read as if it were a field."""
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        own = getattr(function, "__module__", "").startswith("rnnjax")
        if inspect.isfunction(function) and own and (not name.startswith("_") or name in CALLED):
            yield name, function


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_says_its_types(name):
    thing = PUBLIC[name]
    if inspect.isclass(thing):
        assert {member: silent(function) for member, function in members(thing) if silent(function)} == {}
        assert set(getattr(thing, "_fields", ())) <= set(thing.__annotations__)
    elif callable(thing) and not any(thing is value for value in DECLARED):
        assert silent(thing) == []


n, m, B = 3, 4, 5
CELLS = [
    *(make(n, m) for make in (
        r.rnn, r.lstm, r.gru, r.peephole_lstm, r.coupled_lstm, r.norm_lstm, r.janet, r.reset_first_gru, r.norm_gru,
        r.mgu, r.ugrnn, r.mingru, r.minlstm, r.qrnn, r.sru, r.lru, r.s5, r.antisymmetric, r.lipschitz, r.exprnn,
        r.cornn, r.lem, r.cfc, r.irnn, r.indrnn, r.dense,
    )),
    r.projected_lstm(n, m, 2), r.conv_lstm((6, 7), n, m), r.slstm(n, m, heads=2), r.mlstm(n, m, heads=2),
    r.rglru(m), r.gla(n, 2, m), r.stack_rnn(n, m, 2), r.ntm(n, m, 6, 7), r.jordan(n, m, 2), r.clockwork(n, m, (1, 2)),
    r.layer_norm(n), r.highway(r.rnn(m, m), m), r.bahdanau(r.gru(n + 8, m), m, 8, r.additive(6)),
    r.luong(r.gru(n, m), m, 8, r.general),
    r.dropout(0.5), r.variational(0.5), r.zoneout(r.lstm(n, m), 0.5), r.weight_drop(r.gru(n, m), 0.5),
]  # fmt: skip


def tuples(tree):
    """Every tuple with named fields in a tree, however deep."""
    if isinstance(tree, tuple):
        if hasattr(tree, "_fields"):
            yield tree
        for part in tree:
            yield from tuples(part)


CELLS[8:] = [pytest.param(cell, marks=pytest.mark.slow) for cell in CELLS[8:]]


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_fields_are_as_they_say(cell):
    """Of params, and of states of one stream and of a batch, with noise and without."""
    is_bearable = pytest.importorskip("beartype.door").is_bearable
    key = jax.random.key(0)
    params = cell.init(key)
    alone, batched = cell.start(params), r.batch(cell, B).start(params)
    for tree in (params, alone, batched, r.seed(alone, key), r.seed(batched, jax.random.PRNGKey(0), B)):
        for one in tuples(tree):
            for field, hint in typing.get_type_hints(type(one)).items():
                with jaxtyped("context"):
                    for name, size in dict(m=m, heads=2, stacks=2).items():
                        assert isinstance(np.zeros(size), Shaped[np.ndarray, name])
                    assert is_bearable(getattr(one, field), hint), f"{type(one).__name__}.{field} is not {hint}"


def run(*modules):
    pytest.importorskip("beartype")
    program = [sys.executable, Path(__file__).with_name("runtime_types.py"), *modules]
    path = {"PYTHONPATH": str(ROOT.parent)}
    return subprocess.run(program, capture_output=True, text=True, env=path, check=False)


def test_types_are_true():
    done = run(*QUICK)
    assert done.stdout == "[] []\n", done.stdout + done.stderr


@pytest.mark.slow
def test_types_are_true_of_every_example():
    found = [module.name for module in pkgutil.walk_packages([str(ROOT)], "rnnjax.") if "__main__" not in module.name]
    done = run("rnnjax", *found)
    assert done.stdout == "[] []\n", done.stdout + done.stderr


def test_a_type_checker_will_look():
    """The mark by which it knows that the package says its types is there."""
    assert (ROOT / "py.typed").exists()
