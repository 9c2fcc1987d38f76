"""The same seed gives the same bits: in another process, which compiles for itself and hashes otherwise."""

import pytest
import running
from test_cli import final, log

from rnnjax.data import bible
from rnnjax.train.run import Run

OPTIONS = dict(m=8, embed=4, layers=2, dropout=0.2, batch=4, window=8, steps=60, every=30, reset=0.1)
ALONE = {"JAX_ENABLE_COMPILATION_CACHE": "false", "PYTHONHASHSEED": "2"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """`{name: run}`: one, again in a process of its own, and of another seed."""
    folder = tmp_path_factory.mktemp("bits")
    (folder / "text.txt").write_text(bible()[:6000], encoding="utf-8")
    options = [f"--{key}={value}" for key, value in OPTIONS.items()]
    for name, seed, more in (("once", 3, {"PYTHONHASHSEED": "1"}), ("again", 3, ALONE), ("other", 4, {})):
        asked = ["train", "--text", "text.txt", "--name", name, "--seed", seed, *options]
        code, _, err = running.run(*asked, cwd=folder, **more)
        assert (code, err) == (0, "")
    return {name: Run(folder / "runs" / name) for name in ("once", "again", "other")}


def test_the_same_seed_gives_the_same_bits(runs):
    once, again = final(runs["once"]), final(runs["again"])
    assert len(once) > 20 and any(".optimizer" in name for name in once)
    assert once == again
    assert log(runs["once"]) == log(runs["again"])
    samples = {name: (run.path / "sample.txt").read_bytes() for name, run in runs.items()}
    assert samples["once"] == samples["again"] != samples["other"]


def test_another_seed_gives_others(runs):
    once, other = final(runs["once"]), final(runs["other"])
    assert all(other[name] != numbers for name, numbers in once.items() if ".params" in name and "W" in name)
