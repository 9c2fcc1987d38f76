"""What the README shows is what happens."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from rnnjax import cli
from rnnjax.commands.train import Train

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_python_examples_run_and_give_the_shapes_they_name(tmp_path, monkeypatch):
    """In a folder of their own, where a file that is served can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "served")
    monkeypatch.delitem(sys.modules, "load", raising=False)
    with jax.enable_x64(False), jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        names = {}
        for block in blocks("python"):
            importlib.invalidate_caches()
            exec(compile(block, "README.md", "exec"), names)
            if "state (4, 8), ys (4, 20, 8)" in block:
                assert names["state"].shape == (4, 8) and names["ys"].shape == (4, 20, 8)
        assert names["metrics"].loss < names["loss"] / 2 and names["training"].step == 100
        assert jnp.allclose(names["ys"], names["same"], atol=1e-6)
        assert names["logits"].shape == (5, 66) and Path(sys.modules.pop("load").__file__).parent == tmp_path / "served"


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines() if line])
def test_every_command_can_be_read(line):
    words = shlex.split(line, comments=True)
    start = next(
        i for i, w in enumerate(words) if w.split("/")[-1] in ("rnnjax", "pytest") or w.startswith("benchmarks")
    )
    if words[start].startswith("benchmarks."):
        assert (Path(__file__).parent.parent / f"{words[start].replace('.', '/')}.py").exists()
    elif words[start].endswith("rnnjax"):
        assert isinstance(cli.parse(words[start + 1 :]), (Train, *list(cli.COMMANDS.values())[1:]))


def test_every_file_it_links_exists():
    links = re.findall(r"\]\(((?!http)[^)]+)\)", README)
    assert links and all((Path(__file__).parent.parent / link).exists() for link in links)
