"""What the README shows is what happens."""

import re
import shlex
from pathlib import Path

import jax
import pytest

from rnnjax import cli, commands

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_python_examples_run_and_give_the_shapes_they_name():
    with jax.enable_x64(False), jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        names = {}
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), names)
            if "state (4, 8), ys (4, 20, 8)" in block:
                assert names["state"].shape == (4, 8) and names["ys"].shape == (4, 20, 8)
        assert names["metrics"].loss < names["loss"] / 2 and names["training"].step == 100


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines() if line])
def test_every_command_can_be_read(line):
    words = shlex.split(line, comments=True)
    start = next(
        i for i, w in enumerate(words) if w.split("/")[-1] in ("rnnjax", "pytest") or w.startswith("benchmarks")
    )
    if words[start].startswith("benchmarks."):
        assert (Path(__file__).parent.parent / f"{words[start].replace('.', '/')}.py").exists()
    elif words[start].endswith("rnnjax"):
        assert isinstance(cli.parse(words[start + 1 :]), (commands.Train, *list(cli.COMMANDS.values())[1:]))


def test_every_file_it_links_exists():
    links = re.findall(r"\]\(((?!http)[^)]+)\)", README)
    assert links and all((Path(__file__).parent.parent / link).exists() for link in links)
