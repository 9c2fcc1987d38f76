"""The package's imports point one way, its files are small, and what it offers is documented."""

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import rnnjax

ROOT = Path(rnnjax.__file__).parent
LAYERS = (
    "types",
    "calls",
    "cell",
    "contract",
    "weights",
    "cells",
    "loops",
    "compose",
    "apply",
    "interop",
    "gradients",
    "diagnostics",
    "data",
    "train",
    "tasks",
    "commands",
    "inspect",
    "cli",
    "__main__",
)
FILES = {".".join(("rnnjax", *path.relative_to(ROOT).with_suffix("").parts)): path for path in ROOT.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}


def imports(name):
    """The modules of the package that a module imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: write the full name of what is imported"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {module for module in found if module in MODULES and module != "rnnjax"}


def layer(name):
    return LAYERS.index(name.split(".")[1])


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"rnnjax"}))
def test_imports_point_down(name):
    """Only to the same layer or to one below."""
    assert name.split(".")[1] in LAYERS, "give every module a layer"
    for other in imports(name):
        assert layer(other) <= layer(name), f"{name} must not import {other}, which is above it"


def test_no_cycles():
    below, done = {name: imports(name) - {name} for name in MODULES}, set()
    while below.keys() - done:
        free = {name for name in below.keys() - done if below[name] <= done}
        assert free, f"a cycle among {sorted(below.keys() - done)}"
        done |= free


@pytest.mark.parametrize("name", sorted(MODULES))
def test_small_files(name):
    """Read in one go, found by name, and opened by a sentence."""
    source = MODULES[name].read_text()
    assert len(source.splitlines()) <= 150
    assert not {"utils", "util", "helpers", "misc", "common"} & set(name.split("."))
    assert ast.get_docstring(ast.parse(source))


def test_light():
    """`import rnnjax` brings in JAX and nothing heavy that only training and plotting need, and starts no backend."""
    heavy = "optax", "orbax", "matplotlib", "rich", "tyro", "torch", "flax", "keras", "pytest"
    program = (
        "import sys, rnnjax\n"
        f"print(sorted(set({heavy!r}) & set(sys.modules)))\n"
        "from jax._src import xla_bridge\n"
        "print(xla_bridge.backends_are_initialized())"
    )
    path = {"PYTHONPATH": str(ROOT.parent)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=path, check=False)
    assert run.stdout == "[]\nFalse\n", run.stderr


@pytest.mark.parametrize("name", rnnjax.__all__)
def test_documented(name):
    """Every public name says what it is and shows it in an example; a tuple's fields speak for themselves."""
    thing = getattr(rnnjax, name)
    if isinstance(thing, type) and issubclass(thing, tuple) and name != "Cell":
        return
    doc = inspect.getdoc(thing)
    assert doc and doc.splitlines()[0].strip()
    assert doctest.DocTestParser().get_examples(doc), f"{name} has no example"


def test_all_is_sorted_out():
    assert len(set(rnnjax.__all__)) == len(rnnjax.__all__)
    public = {k for k, v in vars(rnnjax).items() if not k.startswith("_") and not inspect.ismodule(v)}
    assert public == set(rnnjax.__all__)
