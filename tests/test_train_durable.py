"""Nothing is lost: kills, broken checkpoints, full disks, steps that are not finite. Slow tests try more of each."""

import contextlib
import io
import json
import logging
import os
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import running
from rich.console import Console
from running import quick
from test_train import bits_of, odd_training

import rnnjax as r
from rnnjax.data import bible
from rnnjax.tasks import kept, language, learn
from rnnjax.train import Checkpoints, Training, begin, update
from rnnjax.train.disk import append, held, ready, replace
from rnnjax.train.finite import sound
from rnnjax.train.run import Run

SMALL = dict(m=8, embed=4, dropout=0.2, batch=4, window=8, reset=0.1)


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    before, log = logging.CRITICAL, logging.getLogger("absl")
    before, _ = log.level, log.setLevel(logging.CRITICAL)
    with quick():
        yield
    log.setLevel(before)


# killed at any moment, and resumed


SERVER = """
import json, os, sys
from rnnjax.cli import main
for line in sys.stdin:
    if not (pid := os.fork()):
        os.dup2(2, 1)
        os._exit(main(json.loads(line)))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Forked:
    """`rnnjax` in a process forked off one that has only imported it, which saves seconds a process.

    Its exit code is that of `main`, as of the command; killed, it is gone as any process is.
    """

    def __init__(self, server, arguments):
        self.out, self.returncode = server.stdout, None
        server.stdin.write(json.dumps(arguments) + "\n")
        server.stdin.flush()
        self.pid = int(self.out.readline())

    def poll(self):
        if self.returncode is None and select.select([self.out], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            self.returncode = int(self.out.readline())

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


@contextlib.contextmanager
def starting(cwd):
    """A function that starts `rnnjax` with arguments."""
    command, pipe = [sys.executable, "-c", SERVER], subprocess.PIPE
    with (
        open(cwd / "said.txt", "w") as said,
        subprocess.Popen(
            command, cwd=cwd, env=running.environment(), stdin=pipe, stdout=pipe, stderr=said, text=True
        ) as server,
    ):
        yield lambda arguments: Forked(server, arguments)
        server.stdin.close()


def killed(folder, kills, seed):
    """Train, kill it `kills` times, every other time while a checkpoint is being written; then to the end.

    Gives how many of the kills fell within a write: those that left what Orbax had not finished.
    """
    draw, checkpoints, within, done = random.Random(seed), folder / "runs" / "killed" / "checkpoints", 0, 0
    arguments = ["train", "--text", "text.txt", "--name", "killed", *options()]
    with starting(folder) as start:
        while True:
            process = start(arguments)
            if done == kills:
                process.wait(timeout=300)
                assert process.returncode == 0
                return within
            alive(process, folder / "runs" / "killed")
            if done % 2 == 0:
                goal = max(steps(checkpoints), default=0) + 20 * draw.randint(1, 3)
                while process.poll() is None and (max(steps(checkpoints), default=0) < goal or not halves(checkpoints)):
                    time.sleep(0.0002)
            else:
                time.sleep(draw.random() * 0.4)
            process.kill()
            process.wait(timeout=60)
            assert process.returncode == -signal.SIGKILL, "it should be killed before its end: give it more steps"
            done, within = done + 1, within + bool(halves(checkpoints))
            print(f"kill {done}, {within} within a write, at step {max(steps(checkpoints), default=0)}", flush=True)
            if (folder / "runs" / "killed" / "config.json").exists():
                arguments = ["train", "--resume", "runs/killed"]


def steps(checkpoints):
    return [int(name) for name in (os.listdir(checkpoints) if checkpoints.exists() else ()) if name.isdecimal()]


def halves(checkpoints):
    return [name for name in (os.listdir(checkpoints) if checkpoints.exists() else ()) if "tmp" in name]


def alive(process, run):
    """Wait until a process has made some steps of its own."""
    metrics, begun = run / "metrics.jsonl", time.time()
    while metrics.exists() and metrics.stat().st_mtime > begun:
        time.sleep(0.001)
    before = metrics.stat().st_mtime_ns if metrics.exists() else 0
    while process.poll() is None and (not metrics.exists() or metrics.stat().st_mtime_ns == before):
        assert time.time() - begun < 120
        time.sleep(0.002)


STEPS = 1000


def options(steps=None):
    return [f"--{key}={value}" for key, value in (SMALL | dict(steps=steps or STEPS, every=20)).items()]


def final(run):
    """Every number of the last checkpoint."""
    training = kept.trained(run, kept.reopen(run))
    assert int(training.step) == kept.options(run).steps
    return bits_of(training)


def told(run):
    return [{key: entry[key] for key in entry if key != "seconds"} for entry in run.metrics()]


@pytest.mark.parametrize("kills", [2, pytest.param(24, marks=pytest.mark.slow)])
def test_killed_at_any_moment(tmp_path, kills, monkeypatch, record_property):
    monkeypatch.setattr(f"{__name__}.STEPS", 300 if kills < 20 else 4000)
    (tmp_path / "text.txt").write_text(bible()[:6000], encoding="utf-8")
    within = killed(tmp_path, kills, seed=kills)
    print(f"{kills} kills, {within} of them while a checkpoint was being written")
    record_property("kills within a write", within)
    assert within >= kills // 4
    monkeypatch.chdir(tmp_path)
    run, recipe = kept.create(tmp_path / "whole", "language", kept.options(Run("runs/killed")))
    assert learn.learn(run, recipe, Console(file=io.StringIO()))
    again = Run("runs/killed")
    assert again.config == run.config
    assert final(again) == final(run)
    assert told(again) == told(run)
    assert not halves(again.path / "checkpoints")
    assert again.checkpoints.best == run.checkpoints.best


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
def test_stopped_while_a_checkpoint_is_being_written(tmp_path, kind, monkeypatch):
    """The one under way is finished, one of this step is added, and the loop ends as if nothing had happened."""
    run, recipe = made(tmp_path, steps=40, every=10)
    real, sent = Checkpoints.save, []

    def save(self, training, **options):
        real(self, training, **options)
        if not sent:
            assert self._saving, "it must still be under way"
            sent.append(os.kill(os.getpid(), getattr(signal, kind)))

    monkeypatch.setattr(Checkpoints, "save", save)
    assert not learn.learn(run, recipe, silent())
    assert Run(run.path).checkpoints.steps == [10, 11]
    assert learn.learn(Run(run.path), recipe, silent())
    whole, recipe = made(tmp_path, "whole", steps=40, every=10)
    assert learn.learn(whole, recipe, silent())
    assert final(run) == final(whole) and told(run) == told(whole)


def made(tmp_path, name="run", **more):
    """A new run of the task language, on a small text, and its recipe."""
    (tmp_path / "text.txt").write_text(bible()[:3000], encoding="utf-8")
    asked = language.Config(text=str(tmp_path / "text.txt"), **SMALL | dict(steps=30, every=10) | more)
    said = io.StringIO()
    run, recipe = kept.create(tmp_path / name, "language", asked, say=lambda text: said.write(text + "\n"))
    run.heard = said.getvalue
    return run, recipe


def silent():
    return Console(file=io.StringIO())


# checkpoints


def small(step, seed=None):
    draw = np.random.default_rng(step if seed is None else seed)
    return Training({"w": jnp.asarray(draw.normal(size=(300, 40)), jnp.float32)}, (), (), jnp.int32(step))


def test_a_donated_training_is_saved_as_it_was(tmp_path):
    """While the save goes on, updates write over the memory of what is saved."""
    cell, optimizer = r.with_loss(r.scan(r.rnn(40, 300)), lambda y, t: optax.l2_loss(y, t).sum()), optax.adam(0.1)
    training, step = begin(cell, optimizer, jax.random.key(0)), update(r.bptt(cell), optimizer)
    checkpoints, xs, seen = Checkpoints(tmp_path, keep=9), (jnp.ones((3, 40)), jnp.ones((3, 300))), {}
    for _ in range(6):
        training, _ = step(training, xs)
        seen[int(training.step)] = bits_of(jax.tree.map(jnp.copy, training))
        checkpoints.save(training)
        for _ in range(3):
            training, _ = step(training, xs)
    assert checkpoints.steps == list(seen)
    for k, expected in reversed(seen.items()):
        loaded = checkpoints.load(training)
        assert bits_of(loaded) == expected and int(loaded.step) == k
        checkpoints.rewind(k - 1)


def test_the_best_is_kept_beside_the_newest(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    assert checkpoints.best is None
    for step, score in enumerate([0.1, 0.9, 0.5, None, 0.9, 0.3, 0.2], 1):
        checkpoints.save(small(step), score=score, data={"batch": step, "files": ["a", {"b": None}]})
    checkpoints.close()
    assert set(checkpoints._notes) == {2, 6, 7}, "what is remembered does not grow with what is saved"
    again = Checkpoints(tmp_path, keep=2)
    assert again.steps == [2, 6, 7] and (again.best, again.latest) == (2, 7)
    assert bits_of(again.load(small(0))) == bits_of(small(7))
    assert bits_of(again.load(small(0), best=True)) == bits_of(small(2))
    assert again.data(7) == {"batch": 7, "files": ["a", {"b": None}]}
    again.save(small(8), score=1.0)
    again.save(small(9))
    assert again.steps == [8, 9] and again.best == 8


def test_the_best_of_a_run_is_the_best_that_was_measured(tmp_path, monkeypatch):
    run, recipe = made(tmp_path, steps=40, every=10, lr=0.05)
    values = iter([2.0, 1.0, 3.0, 4.0])
    recipe = recipe._replace(measure=lambda params, part: {recipe.unit: next(values)})
    assert learn.learn(run, recipe, silent())
    assert run.checkpoints.steps == [20, 30, 40] and run.checkpoints.best == 20
    last, best = kept.trained(run, recipe), kept.trained(run, recipe, best=True)
    assert (int(last.step), int(best.step)) == (40, 20)
    higher, _ = made(tmp_path, "higher", steps=40, every=10)
    values = iter([2.0, 1.0, 3.0, 4.0])
    assert learn.learn(higher, recipe._replace(better="higher"), silent())
    assert higher.checkpoints.best == 40


def test_a_checkpoint_of_another_config_is_refused(tmp_path):
    run, recipe = made(tmp_path)
    assert learn.learn(run, recipe, silent())
    assert int(kept.trained(Run(run.path), recipe).step) == 30
    run.config["options"]["lr"] = 0.5
    replace(run.path / "config.json", json.dumps(run.config))
    with pytest.raises(ValueError, match=r"Checkpoints: a checkpoint must be of the config it is .*/30 is of another"):
        kept.trained(Run(run.path), recipe)


# broken files


def harms(whole, flips):
    """Ways to break a file: None takes it away."""
    yield from ((name, data) for name, data in (("missing", None), ("emptied", b""), ("cut", whole[: len(whole) // 2])))
    yield "cut by one", whole[:-1]
    for place in sorted({int(share * len(whole)) for share in np.linspace(0, 0.9999, flips)} if whole else ()):
        yield f"flipped at {place}", whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]


@pytest.mark.parametrize("flips", [2, pytest.param(25, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")  # of Orbax, of what it cannot read
def test_every_file_of_a_checkpoint_broken(tmp_path, flips):
    """Whatever is done to a file, what is loaded is what was saved: of this checkpoint, or said, of the one before."""

    def odd(step):
        training = odd_training(step, step)
        return training._replace(params=training.params | small(step).params | {"v": training.params["w"]})

    checkpoints = Checkpoints(tmp_path / "whole", config="a")
    for step in (1, 2):
        checkpoints.save(odd(step))
    checkpoints.wait()
    like, expected = jax.eval_shape(lambda: odd(0)), {step: bits_of(odd(step)) for step in (1, 2)}
    files = sorted(path.relative_to(tmp_path / "whole") for path in checkpoints.path(2).rglob("*") if path.is_file())
    tried = {"harmless": 0}
    for file in files:
        for name, data in harms((tmp_path / "whole" / file).read_bytes(), flips):
            copy = tmp_path / "copy"
            shutil.copytree(tmp_path / "whole", copy)
            (copy / file).unlink() if data is None else (copy / file).write_bytes(data)
            said = []
            broken = Checkpoints(copy, config="a", say=said.append)
            loaded = broken.load(like)
            assert bits_of(loaded) == expected[int(loaded.step)], (file, name)
            assert len(said) == (int(loaded.step) == 1), (file, name, said)
            by = re.sub(r"\d+|\(.*\)", "", said[0].partition("broken: ")[2]).strip() if said else "harmless"
            tried[by] = tried.get(by, 0) + 1
            shutil.rmtree(copy)
    print(f"{sum(tried.values())} harms to {len(files)} files: {tried}")
    assert len(files) > 8 and len(tried) > 2 and 0 < tried["harmless"] < sum(tried.values()) / 1.5


def test_the_sums_find_what_orbax_does_not(tmp_path, monkeypatch):
    """Another checkpoint's arrays in the place of this one's are whole to Orbax, and wrong."""
    checkpoints = Checkpoints(tmp_path, say=(said := []).append)
    for step in (1, 2):
        checkpoints.save(small(step))
    checkpoints.wait()
    shutil.rmtree(tmp_path / "2" / "state")
    shutil.copytree(tmp_path / "1" / "state", tmp_path / "2" / "state")
    assert int(checkpoints.load(small(0)).step) == 1
    assert said == [f"checkpoint {tmp_path}/2 is broken: 2 of its 2 arrays have other bytes than were saved"]


def test_training_goes_on_from_the_newest_good_one(tmp_path):
    whole, recipe = made(tmp_path, "whole", steps=40)
    assert learn.learn(whole, recipe, silent())
    run, recipe = made(tmp_path, steps=40)
    values = iter([1.0, 2.0, 3.0, 4.0])
    learn.learn(run, recipe, silent())
    for file in run.checkpoints.path(40).rglob("_METADATA"):
        file.write_bytes(b"")
    said = []
    again = Run(run.path, say=said.append)
    assert learn.learn(again, recipe, silent())
    assert len(said) == 1 and f"{run.path}/checkpoints/40 is broken: Orbax cannot read it" in said[0]
    assert final(again) == final(whole) and told(again) == told(whole)
    assert (again.checkpoints.directory / "40.broken").is_dir() and next(values) == 1.0
    for step in again.checkpoints.steps:
        (again.checkpoints.path(step) / "_CHECKPOINT_METADATA").unlink()
    with pytest.raises(
        ValueError, match=r"Checkpoints: a checkpoint must be whole, but of those in .* none is\. Restore"
    ):
        learn.learn(again, recipe, silent())


def test_metrics_with_garbage_in_the_middle(tmp_path):
    run = Run.create(tmp_path / "a", {}, say=(said := []).append)
    for step in (10, 20, 30):
        run.log(step=step, train=1.0)
    file = run.path / "metrics.jsonl"
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([lines[0], b"\xff\x00{", b"[1]", b'{"train": 1}', *lines[1:3], lines[2][:9]]))
    assert [entry["step"] for entry in run.metrics()] == [10, 20, 30]
    run.rewind(20)
    assert said == [f"{run.path}/metrics.jsonl has 3 lines that cannot be read; they are left out"]
    assert [entry["step"] for entry in map(json.loads, file.read_text().splitlines())] == [10, 20]


# disks


def test_a_folder_that_cannot_be_used_is_refused_before_training(tmp_path, monkeypatch):
    ready(tmp_path, 1)
    with pytest.raises(ValueError, match=r"the checkpoints need 1,000,000,000\.0 MB free, but the disk of .* has"):
        ready(tmp_path, 10**15)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"train: the run's folder must be writable, but .*/file is not: Not a direct"):
        ready(tmp_path / "file", 1)
    run, recipe = made(tmp_path)
    monkeypatch.setattr(learn, "size", lambda training: 10**15)
    with pytest.raises(ValueError, match="train: the checkpoints need 4,000,000,000"):
        learn.learn(run, recipe, silent())
    assert run.metrics() == []


@contextlib.contextmanager
def limited(size):
    """Within it no file of this process grows beyond `size` bytes."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_save_that_fails_leaves_the_others_and_the_next_works(tmp_path):
    checkpoints = Checkpoints(tmp_path, say=(said := []).append)
    checkpoints.save(small(1))
    checkpoints.wait()
    with limited(4000):
        checkpoints.save(small(2))
        checkpoints.wait()
    assert said == [checkpoints.failed] == ["the checkpoint of step 2 could not be written: File too large"]
    assert checkpoints.steps == [1] and os.listdir(tmp_path) == ["1"]
    assert bits_of(checkpoints.load(small(0))) == bits_of(small(1))
    checkpoints.save(small(3))
    assert checkpoints.steps == [1, 3] and checkpoints.failed is None


def test_metrics_that_cannot_be_written_wait(tmp_path):
    run = Run.create(tmp_path / "a", {}, say=(said := []).append)
    run.log(step=10, train=1.0)
    with limited(40):
        run.log(step=20, train=2.0)
        run.log(step=30, train=3.0)
    assert [entry["step"] for entry in run.metrics()] == [10] and len(said) == 1
    run.log(step=40, train=4.0)
    assert [entry["step"] for entry in run.metrics()] == [10, 20, 30, 40]
    with limited(10), pytest.raises(OSError, match="too large"):
        replace(run.path / "config.json", "x" * 99)
    assert Run(run.path).config == {} and not list(run.path.glob("*.tmp"))
    with limited(3), pytest.raises(OSError):
        append(tmp_path / "b", b"four")
    assert (tmp_path / "b").read_bytes() == b""


# steps that are not finite


def poisoned(tmp_path, name, steps, **options):
    """A run in whose batches of `steps` the loss is NaN: their inputs are numbers that no one can learn."""
    run, recipe = made(tmp_path, name, **options)
    plain = recipe.gradient

    def gradient(params, state, batch, keep=None):
        (xs, targets), noise = batch
        loss, grads, after = plain(params, state, (xs, targets), keep)
        return jax.tree.map(lambda x: x + noise if jnp.issubdtype(x.dtype, jnp.floating) else x, (loss, grads, after))

    def batch_at(step):
        return recipe.batch_at(step), np.float32(np.nan if step + 1 in steps else 0.0)

    return run, recipe._replace(gradient=gradient, batch_at=batch_at)


def test_a_bad_step_stops_the_run(tmp_path):
    run, recipe = poisoned(tmp_path, "run", {14})
    with pytest.raises(ValueError) as error:
        learn.learn(run, recipe, silent())
    said = str(error.value)
    assert re.search(r"finite, but at step 14 the loss is nan and the gradient's norm nan \(of the params: ", said)
    assert "nan)" not in said, "the params are as they were"
    assert f"its batch is kept in {run.path}/bad/step-14.npz. Go back to the checkpoint of step 10 with: " in said
    assert f"rnnjax train --resume {run.path}, and --nonfinite skip" in said
    with np.load(run.path / "bad" / "step-14.npz") as batch:
        assert len(batch.files) == 3 and sum(np.isnan(batch[name]).any() for name in batch.files) == 1
    assert run.checkpoints.steps == [10]


def test_bad_steps_are_skipped(tmp_path):
    run, recipe = poisoned(tmp_path, "run", {14, 20})
    run.nonfinite = "skip"
    assert learn.learn(run, recipe, silent())
    assert re.search(r"skipped: at step 14 the loss is nan .*bad/step-14.npz\nskipped: at step 20 ", run.heard())
    assert [entry["step"] for entry in run.metrics() if "skipped" in entry] == [14, 20]
    training = kept.trained(run, recipe)
    assert int(training.step) == 30 and sound(training)
    endless, recipe = poisoned(tmp_path, "endless", set(range(5, 30)))
    endless.nonfinite = "skip"
    with pytest.raises(ValueError, match="train: the loss and its gradient must be finite, but at step 14 "):
        learn.learn(endless, recipe, silent())
    assert len(list((endless.path / "bad").iterdir())) == 10


def test_a_state_that_is_not_a_number_is_not_kept():
    """Though the loss and its gradient, which look only at the steps that keep leaves, are finite."""
    cell = r.with_loss(r.scan(r.lstm(2, 3)), lambda y, t: optax.l2_loss(y, t).sum())
    optimizer = optax.adam(0.1)

    def spoilt(params, state, xs, keep=None):
        loss, grads, after = r.bptt(cell)(params, state, xs, keep)
        return loss, grads, after._replace(c=after.c.at[1].set(jnp.nan))

    training = begin(cell, optimizer, jax.random.key(0))
    before = bits_of(training[:3])
    training, metrics = update(spoilt, optimizer, skip=True)(training, (jnp.ones((4, 2)), jnp.ones((4, 3))))
    assert bits_of(training[:3]) == before and np.isfinite(metrics.loss) and np.isnan(metrics.gradient)


def test_a_run_is_trained_by_one_program_at_a_time(tmp_path):
    (tmp_path / "config.json").touch()
    said = r"^train: a run must be trained by one program at a time, but another holds .*config.json\. Stop it first"
    with held(tmp_path / "config.json"), pytest.raises(ValueError, match=said), held(tmp_path / "config.json"):
        raise AssertionError("two at a time")
    with held(tmp_path / "config.json"):
        pass


def test_a_skipped_step_changes_nothing_but_the_step():
    cell, optimizer = r.with_loss(r.scan(r.rnn(2, 3)), lambda y, t: optax.l2_loss(y, t).sum()), optax.adam(0.1)
    step, training = update(r.bptt(cell), optimizer, skip=True), begin(cell, optimizer, jax.random.key(0))
    good, bad = (
        (jnp.ones((4, 2)), jnp.ones((4, 3))),
        (jnp.ones((4, 2)).at[2, 1].set(jnp.inf), jnp.full((4, 3), jnp.nan)),
    )
    training, _ = step(training, good)
    before = bits_of(training[:3])
    training, metrics = step(training, bad)
    assert bits_of(training[:3]) == before and int(training.step) == 2 and not np.isfinite(metrics.loss)
    training, metrics = step(training, good)
    assert bits_of(training[:3]) != before and np.isfinite(metrics.loss)
    same = update(r.bptt(cell), optimizer)
    plain = begin(cell, optimizer, jax.random.key(0))
    for _ in range(2):
        plain, _ = same(plain, good)
    np.testing.assert_allclose(plain.params.W, training.params.W, rtol=1e-5)


def test_params_that_are_not_finite_are_never_kept(tmp_path):
    training = small(3)
    assert sound(training) and sound(training._replace(state=jnp.array([-jnp.inf])))
    assert not sound(training._replace(state=jnp.array([jnp.nan])))
    assert not sound(training._replace(params={"w": jnp.array([jnp.inf])}))
