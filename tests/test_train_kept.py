"""How a run is looked after: what is kept of it, what is said when that fails, and what shows it."""

import builtins
import contextlib
import errno
import io
import os
import shlex
import struct
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import quick
from test_train import bits_of
from test_train_durable import SMALL, final, limited, made, silent, small, told

from rnnjax.cli import main
from rnnjax.data import bible
from rnnjax.tasks import kept, language, learn
from rnnjax.train import Checkpoints, checkpoint
from rnnjax.train.board import board
from rnnjax.train.finite import sound
from rnnjax.train.run import Run

TINY = [f"--{key}={value}" for key, value in (SMALL | dict(steps=40, every=10)).items()]


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    with quick():
        yield


@pytest.fixture
def rnnjax(tmp_path, monkeypatch, capsys):
    """`rnnjax(line) -> (exit code, stdout, stderr)`, in this process, in a folder with a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "text.txt").write_text(bible()[:3000], encoding="utf-8")

    def call(line, *options):
        capsys.readouterr()
        return main([*shlex.split(line), *options]), *capsys.readouterr()

    return call


def nan_at(monkeypatch, *bad):
    """Let the task language have a loss that is NaN at these steps."""
    plain = language.recipe

    def recipe(config):
        made = plain(config)

        def gradient(params, state, batch, keep=None):
            loss, *rest = made.gradient(params, state, batch[0], keep)
            return loss + batch[1], *rest

        def batch_at(step):
            return made.batch_at(step), np.float32(np.nan if step + 1 in bad else 0.0)

        return made._replace(gradient=gradient, batch_at=batch_at)

    monkeypatch.setattr(language, "recipe", recipe)


# asked for on the command line


def test_keep(rnnjax):
    assert rnnjax("train --text text.txt --name a --keep 3", *TINY)[0] == 0
    checkpoints = Run("runs/a").checkpoints
    assert checkpoints.steps == sorted({checkpoints.best, 20, 30, 40})
    assert rnnjax("train --resume runs/a --keep 1")[0] == 0
    assert "keep" not in Run("runs/a").config["options"], "another each time"
    code, _, err = rnnjax("train --text text.txt --keep 0")
    assert code == 2 and "train: keep must be at least 1, but keep is 0. Give more." in err


def test_the_best_is_measured_and_writes(rnnjax, monkeypatch):
    """A run whose first checkpoint is made its best: `--best` takes it, in place of the last."""
    values = iter([1.0, 2.0, 3.0, 4.0, *[5.0] * 3])
    plain = language.recipe
    with monkeypatch.context() as patch:
        scores = lambda params, part: {"bits a character": next(values)}  # noqa: E731
        patch.setattr(language, "recipe", lambda config: plain(config)._replace(measure=scores))
        assert rnnjax("train --text text.txt --name a --lr 0.05", *TINY)[0] == 0
    run = Run("runs/a")
    assert run.checkpoints.best == 10 and run.checkpoints.steps == [10, 30, 40]
    recipe = kept.reopen(run)
    for options, step in ("", 40), (" --best", 10):
        training = kept.trained(run, recipe, best=bool(options))
        assert int(training.step) == step
        code, out, _ = rnnjax(f"eval runs/a{options}")
        assert code == 0 and f"{recipe.measure(training.params, 'test')['bits a character']:.3f}" in out
    texts = [rnnjax(f"sample runs/a --length 40 --temperature 1{options}") for options in ("", " --best", " --best")]
    assert [code for code, _, _ in texts] == [0, 0, 0]
    assert texts[0] != texts[1] == texts[2]


def test_stop_at_what_is_not_finite_and_go_on_without(rnnjax, monkeypatch):
    """The line that is given goes on, and skips the step."""
    nan_at(monkeypatch, 14)
    code, _, err = rnnjax("train --text text.txt --name a --nonfinite stop", *TINY)
    assert code == 2 and err.startswith("rnnjax: train: the loss and its gradient must be finite, but at step 14 the ")
    command = err.partition("with: rnnjax ")[2].partition(",")[0]
    assert command == "train --resume runs/a" and "checkpoint of step 10 with: " in err
    code, _, again = rnnjax(command)
    assert (code, again) == (2, err), "it does not help to try again"
    code, out, err = rnnjax(f"{command} --nonfinite skip")
    assert (code, err) == (0, "")
    assert "skipped: at step 14 the loss is nan and the gradient's norm " in out
    assert Run("runs/a").checkpoints.latest == 40
    assert rnnjax("train --text text.txt --name b --nonfinite skip", *TINY)[0] == 0
    recipe = kept.reopen(Run("runs/a"))
    assert bits_of(kept.trained(Run("runs/a"), recipe)) == bits_of(kept.trained(Run("runs/b"), recipe))
    assert told(Run("runs/a")) == told(Run("runs/b"))


def test_params_that_are_not_finite_are_refused(tmp_path):
    """A finite loss and gradient may still leave such params: what is on disk stays good."""
    run, recipe = made(tmp_path)
    plain = recipe.optimizer.update

    def change(gradients, state, params=None):
        updates, after = plain(gradients, state, params)
        over = next(x for x in jax.tree.leaves(after) if x.dtype == jnp.int32) == 20  # the count of Adam
        return jax.tree.map(lambda x: jnp.where(over, jnp.inf, x), updates), after

    recipe = recipe._replace(optimizer=recipe.optimizer._replace(update=change))
    with pytest.raises(ValueError, match="train: the params must be finite to be kept, but after step 20 they"):
        learn.learn(run, recipe._replace(measure=lambda params, part: {recipe.unit: 1.0}), silent())
    assert Run(run.path).checkpoints.steps == [10] and sound(kept.trained(Run(run.path), recipe))


# a disk that fills


def filling(monkeypatch, *full):
    """Let the disk be full whenever one of these steps is saved."""
    real = Checkpoints.save

    def save(self, training, **options):
        step = int(training.step)
        self.wait()
        with limited(3000) if step in full else contextlib.nullcontext():
            real(self, training, **options)
            if step in full:
                self.wait()

    monkeypatch.setattr(Checkpoints, "save", save)


def test_a_disk_that_fills_and_is_freed(tmp_path, monkeypatch):
    """Training goes on, the checkpoint before stays good, the next is tried, and the end is as if nothing had been."""
    whole, recipe = made(tmp_path, "whole", steps=40)
    assert learn.learn(whole, recipe, silent())
    filling(monkeypatch, 20, 30)
    run, recipe = made(tmp_path, steps=40)
    seen = []
    watched = recipe._replace(
        measure=lambda *args: seen.append(Run(run.path).checkpoints.steps) or recipe.measure(*args)
    )
    assert learn.learn(run, watched, silent())
    assert run.heard() == "".join(
        f"the checkpoint of step {step} could not be written: File too large\n" for step in (20, 30)
    )
    assert seen[-1] == [10] and run.checkpoints.steps == sorted({10, 40} | {run.checkpoints.best})
    assert final(run) == final(whole) and told(run) == told(whole)


def test_a_last_save_that_fails_is_an_error(tmp_path, monkeypatch):
    run, recipe = made(tmp_path)
    with monkeypatch.context() as patch:
        filling(patch, 30)
        with pytest.raises(ValueError) as error:
            learn.learn(run, recipe, silent())
    assert str(error.value) == (
        "train: the last checkpoint must be kept, but the checkpoint of step 30 could not be written: File too large. "
        f"Free some space and go on from step 20 with: rnnjax train --resume {run.path}"
    )
    assert run.checkpoints.steps == [10, 20]
    assert learn.learn(Run(run.path), recipe, silent())
    assert Run(run.path).checkpoints.latest == 30


def test_a_failed_save_is_said_before_the_next(tmp_path, monkeypatch):
    """When it is known, at the next step that is logged."""

    class Full:
        def result(self, seconds):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.ocp, "save_async", lambda *args, **options: Full())
    run, recipe = made(tmp_path, steps=60, every=30)
    said = []
    run.checkpoints.say = lambda text: said.append((run.metrics()[-1]["step"], text))
    with pytest.raises(ValueError, match="the last checkpoint must be kept, but the checkpoint of step 60 could not"):
        learn.learn(run, recipe, silent())
    reason = "could not be written: [Errno 28] No space left on device"
    assert said == [(40, f"the checkpoint of step 30 {reason}"), (60, f"the checkpoint of step 60 {reason}")]


def test_waiting_no_longer_than_asked(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(small(1))
    ended = checkpoints._saving[1]

    class Slow:
        def result(self, seconds):
            if seconds is not None:
                raise TimeoutError
            return ended.result()

    checkpoints._saving = 1, Slow()
    checkpoints.wait(0)
    assert checkpoints._saving and checkpoints.failed is None
    checkpoints.wait()
    assert checkpoints._saving is None and checkpoints.steps == [1]


# a folder that is read-only


@contextlib.contextmanager
def read_only(folder):
    """Within it nothing in the folder can be written: by mode, or where that binds no one, by mount."""
    if os.geteuid():
        folder.chmod(0o555)
        undo = lambda: folder.chmod(0o755)  # noqa: E731
    else:
        bind = subprocess.run(["mount", "--bind", folder, folder], capture_output=True)
        if bind.returncode:
            pytest.skip(f"no mounts here: {bind.stderr.decode()}")
        undo = lambda: subprocess.run(["umount", folder], check=True)  # noqa: E731
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    try:
        yield
    finally:
        undo()


def test_a_folder_that_is_read_only(tmp_path, rnnjax):
    """Of a new run, and of one that goes on: one line, before anything is trained."""
    (tmp_path / "runs").mkdir()
    run, recipe = made(tmp_path, "runs/a")
    with read_only(tmp_path / "runs"):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(ValueError, match=r"train: the run's folder must be writable, but .* is not: "):
            learn.learn(run, recipe._replace(baselines=None), silent())
        for line in (f"train --resume {run.path}", "train --text text.txt --name new"):
            code, out, err = rnnjax(line)
            assert code == 2 and err.startswith("rnnjax: ") and err.count("\n") == 1
            assert os.strerror(errno.EROFS) in err or os.strerror(errno.EACCES) in err
            assert "to beat" not in out
        assert sorted(tmp_path.rglob("*")) == before
    assert learn.learn(run, recipe, silent())


# TensorBoard


def events(folder):
    """All events of a folder, file by file, as TensorBoard reads them: the sums of every record are held."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    for file in sorted(folder.glob("*tfevents*")):
        data = io.BytesIO(file.read_bytes())
        while head := data.read(12):
            size, sum_of_size = struct.unpack("<QI", head)
            text, (sum_of_text,) = data.read(size), struct.unpack("<I", data.read(4))
            assert (masked_crc32c(head[:8]), masked_crc32c(text)) == (sum_of_size, sum_of_text)
            yield Event.FromString(text)


def test_tensorboard_shows_the_metrics(rnnjax, monkeypatch):
    pytest.importorskip("tensorboardX")
    assert rnnjax("train --text text.txt --name a --tensorboard", *TINY)[0] == 0
    found = list(events(Run("runs/a").path / "board"))
    assert found[0].file_version == "brain.Event:2"
    assert [(event.step, event.session_log.status) for event in found if event.HasField("session_log")] == [(1, 1)]
    shown = [
        {"step": event.step} | {value.tag: value.simple_value for value in event.summary.value}
        for event in found
        if event.HasField("summary")
    ]
    exact = [{k: float(np.float32(x)) if k != "step" else x for k, x in e.items()} for e in Run("runs/a").metrics()]
    assert shown == exact and len(shown) == 8 and {"train", "gradient", "seconds"} <= shown[0].keys()
    rnnjax("train --resume runs/a --tensorboard")
    assert [e.step for e in events(Run("runs/a").path / "board") if e.HasField("session_log")] == [1, 41]


def test_tensorboard_on_a_full_disk(tmp_path):
    """What could not be written is there once it can be, and no record is torn."""
    pytest.importorskip("tensorboardX")
    show = board(tmp_path / "board", 0)
    with limited(150):
        for step in range(20):
            show({"step": step, "loss": 1.0})
    assert len(list(events(tmp_path / "board"))) < 10
    show({"step": 20, "loss": 2.0})
    shown = [event.step for event in events(tmp_path / "board") if event.HasField("summary")]
    assert shown == list(range(21))


def test_tensorboard_that_is_not_there(rnnjax, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.startswith("tensorboardX"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    code, _, err = rnnjax("train --text text.txt --name a --tensorboard", *TINY)
    assert code == 2
    assert err == (
        "rnnjax: train: --tensorboard needs the package tensorboardX, but it is not installed. "
        "pip install 'rnnjax[tensorboard]'\n"
    )
    assert not os.path.exists("runs"), "no run is begun"
