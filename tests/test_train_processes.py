"""Several processes on this machine train one model: as one does, and nothing is lost but what came after a checkpoint.

Each starts `rnnjax train` as a person would, on one CPU device of its own, and they meet on localhost.
"""

import json
import shlex
import shutil
import signal
import socket
import time

import jax
import numpy as np
import pytest
from running import start

from rnnjax.tasks import kept
from rnnjax.train import begin, processes
from rnnjax.train.agreed import agreed
from rnnjax.train.layout import LARGE
from rnnjax.train.minded import LOST, minded
from rnnjax.train.processes import first, join, together
from rnnjax.train.run import Run

MEMORY = "memory --lag 3 --m 8 --batch 8 --steps 8 --every 4"
LANGUAGE = "--text t.txt --m 8 --embed 4 --window 6 --batch 8 --dropout 0.2 --reset 0.3 --steps 200 --every 40"


def launch(arguments, count, cwd, heartbeat=20):
    """`count` processes of one `rnnjax train`."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    where = [[]] if count == 1 else [
        ["--processes", count, "--process", i, "--coordinator", f"localhost:{port}"] for i in range(count)
    ]  # fmt: skip
    extra = dict(RNNJAX_HEARTBEAT=str(heartbeat), JAX_NUM_CPU_DEVICES="1", XLA_FLAGS="")
    return [start("train", *shlex.split(arguments), *more, cwd=cwd, **extra) for more in where]


def ended(started, timeout=240):
    """(exit code, stdout, stderr) of each process."""
    try:
        outs = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, *out) for process, out in zip(started, outs)]


def trained(path):
    """All that a run's newest checkpoint holds, and its step."""
    run = Run(path)
    recipe = kept.reopen(run)
    training = run.checkpoints.load(begin(recipe, recipe.optimizer, jax.random.key(0)))
    step = run.checkpoints.latest
    run.checkpoints.close()
    leaves = [jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
              for x in jax.tree.leaves(training)]  # fmt: skip
    return step, jax.device_get(leaves)


def same_run(one, other):
    (step, ours), (their_step, theirs) = trained(one), trained(other)
    assert step == their_step
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5)


def well(ends):
    assert [code for code, *_ in ends] == [0] * len(ends), ends
    assert "step 8 of 8" in ends[0][1]
    told = [line for _, out, _ in ends[1:] for line in out.splitlines() if not line.startswith("[Gloo]")]
    assert not told, "only the first process tells"


def test_two_processes(tmp_path):
    """A run that two processes begin together, and its checkpoint in one process."""
    well(ended(launch(f"{MEMORY} --name two", 2, tmp_path)))
    well(ended(launch(f"{MEMORY} --name one", 1, tmp_path)))
    same_run(tmp_path / "runs/two", tmp_path / "runs/one")
    two = tmp_path / "runs/two"
    assert [json.loads(line)["step"] for line in (two / "metrics.jsonl").read_text().splitlines()] == [4, 8]
    assert {p.name for p in two.iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "checkpoints",
        "curve.png",
        "result.json",
    }


def interrupted(arguments, count, cwd, run, at, kind=signal.SIGTERM, whom=-1, heartbeat=20):
    """Processes of which one is sent a signal once `at` steps are in the run's checkpoints; how each ended, and the
    seconds that took."""
    started, deadline = launch(arguments, count, cwd, heartbeat), time.monotonic() + 120
    while not any(int(p.name) >= at for p in run.glob("checkpoints/[0-9]*") if p.name.isdecimal()):
        assert time.monotonic() < deadline and started[0].poll() is None, ended(started)
        time.sleep(0.02)
    started[whom].send_signal(kind)
    began = time.monotonic()
    return ended(started), time.monotonic() - began


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run of one process."""
    cwd = tmp_path_factory.mktemp("alone")
    (cwd / "t.txt").write_text("abcdefgh\n" * 300)
    ended(launch(f"{LANGUAGE} --name one", 1, cwd))
    return cwd


@pytest.fixture
def place(alone, tmp_path):
    shutil.copy(alone / "t.txt", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_goes_on_in_other_numbers(alone, place):
    """2 processes, then 4, then 1, each stopped by a SIGTERM that only one of them gets; with dropout and resets."""
    run = place / "runs/a"
    for arguments, count, at in ((f"{LANGUAGE} --name a", 2, 40), ("--resume runs/a", 4, 120)):
        ends, _ = interrupted(arguments, count, place, run, at)
        assert [code for code, *_ in ends] == [130] * count, ends
        assert "stopped; go on with: rnnjax train --resume runs/a" in ends[0][1]
        assert at <= trained(run)[0] < 200
    ends = ended(launch("--resume runs/a", 1, place))
    assert ends[0][0] == 0 and "step 200 of 200" in ends[0][1]
    same_run(run, alone / "runs/one")


@pytest.mark.slow
@pytest.mark.parametrize("whom", [0, 1])
def test_one_is_killed(alone, place, whom):
    """The others end soon, and say why where they can; started again, all goes on from the last checkpoint."""
    run = place / "runs/a"
    ends, seconds = interrupted(f"{LANGUAGE} --name a", 2, place, run, 40, signal.SIGKILL, whom, heartbeat=10)
    assert ends[whom][0] == -signal.SIGKILL and ends[1 - whom][0] not in (0, 130) and seconds < 60
    if ends[1 - whom][0] == LOST:
        assert "all processes must live, but one was lost" in ends[1 - whom][2]
        assert "rnnjax train --resume runs/a" in ends[1 - whom][2]
    else:
        assert whom == 0 and "coordinat" in ends[1][2], ends
    kept_at = trained(run)[0]
    lost = max(json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()) - kept_at
    assert kept_at >= 40 and lost <= 40
    ends = ended(launch("--resume runs/a", 2, place))
    assert f"from step {kept_at} to 200" in ends[0][1] and "step 200 of 200" in ends[0][1]
    same_run(run, alone / "runs/one")


WIDE = "memory --lag 3 --m 64 --batch 8 --steps 8 --every 4"


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A run of one process, of which two would share the params."""
    assert 4 * 64**2 >= LARGE
    cwd = tmp_path_factory.mktemp("wide")
    well(ended(launch(f"{WIDE} --name one", 1, cwd)))
    return cwd / "runs/one"


@pytest.mark.slow
def test_four_processes_share_a_mesh(wide, tmp_path):
    """Params across processes too."""
    well(ended(launch(f"{WIDE} --name a --mesh fsdp=2,model=2", 4, tmp_path)))
    same_run(tmp_path / "runs/a", wide)


@pytest.mark.slow
def test_a_part_is_broken(wide, tmp_path):
    """Each writes and reads a part of the params; where one cannot, all go back to the checkpoint before."""
    well(ended(launch(f"{WIDE} --name a --mesh fsdp=2", 2, tmp_path)))
    run = tmp_path / "runs/a"
    same_run(run, wide)
    parts = list((run / "checkpoints/8").rglob("ocdbt.process_1/d/*"))
    assert parts
    for part in parts:
        part.write_bytes(b"")
    ends = ended(launch("--resume runs/a --mesh fsdp=2 --keep 3", 2, tmp_path), timeout=100)
    well(ends)
    assert "checkpoints/8 is broken" in "".join(ends[0][1].split("\n")) and "from step 4 to 8" in ends[0][1]
    same_run(run, wide)


@pytest.mark.slow
def test_what_process_0_cannot_begin(place):
    """A run that is there already: all say so and end."""
    (place / "runs/a").mkdir(parents=True)
    (one, two) = ended(launch(f"{MEMORY} --name a", 2, place))
    assert (one[0], two[0]) == (2, 2)
    assert "path must be new" in one[2] and "process 0 must begin the run, but it could not" in two[2]


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(processes=2), r"must come together, but --process is missing\. Give it too\."),
        (dict(process=0, coordinator="a:1"), r"must come together, but --processes is missing"),
        (
            dict(processes=2, process=2, coordinator="a:1"),
            r"--process must be from 0 .*, but it is 2 of 2\. Number the",
        ),
        (dict(processes=2, process=0, coordinator="a"), r"--coordinator must be HOST:PORT, but it is 'a'\. Give proc"),
        (dict(processes=2, process=0, coordinator="a:x"), r"--coordinator must be HOST:PORT, but it is 'a:x'"),
    ],
)
def test_join_refuses(options, message):
    with pytest.raises(ValueError, match="^train: .*" + message):
        join(**options)


def test_one_process_asks_nobody():
    def asked():
        return True

    def refuse():
        raise ValueError("mine")

    assert together(asked) is asked and first(lambda: "a") == "a" and processes.leads()
    run = object()
    assert processes.follow(run) is None and processes.heard(3) == 3
    assert agreed(lambda: 3, ValueError) == 3
    with pytest.raises(ValueError, match="mine"):
        agreed(refuse, RuntimeError, ValueError)
    with pytest.raises(RuntimeError, match="as it was"), minded("again"):
        raise RuntimeError("as it was")
