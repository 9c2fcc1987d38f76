"""The command `rnnjax` as a person meets it: what it trains and says, how it stops and goes on, and how it refuses."""

import contextlib
import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import asdict, fields
from pathlib import Path

import jax
import numpy as np
import pytest
import running
from matplotlib.image import imread
from running import quick

from rnnjax.cli import COMMANDS, Eval, Inspect, Sample, main
from rnnjax.commands import train
from rnnjax.data import bible
from rnnjax.tasks import corpus, kept, language, memory
from rnnjax.train import begin
from rnnjax.train.run import Run

SMALL = ["--m", "8", "--embed", "4", "--batch", "4", "--window", "8", "--steps", "30", "--every", "20"]
KOREAN = "태초에 하나님이 천지를 창조하시니라. 땅이 혼돈하고 공허하며 흑암이 깊음 위에 있고!\n" * 40


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    with quick():
        yield


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with a text, and wide enough a console to wrap nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "text.txt").write_text(bible()[:4000], encoding="utf-8")
    return tmp_path


@pytest.fixture
def rnnjax(here, capsys):
    """`rnnjax(line) -> (exit code, stdout, stderr)`, in this process."""

    def call(*arguments):
        capsys.readouterr()
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with one small finished run, which the tests below only read or copy: (folder, what training said)."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(bible()[:4000], encoding="utf-8")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["train", "--text", "text.txt", "--name", "run", *SMALL])
    assert (code, err.getvalue()) == (0, "")
    return folder, out.getvalue()


# a run stopped and resumed

STOPPABLE = dict(m=8, embed=4, layers=2, dropout=0.2, batch=4, window=8, steps=2000, every=600, reset=0.1, lr=8e-3)


def stoppable(name):
    options = [f"--{key}={value}" for key, value in STOPPABLE.items()]
    return ["train", "--text", "text.txt", "--name", name, *options]


def final(run):
    """Every number of the last checkpoint, bit for bit, and where it lies in the training."""
    recipe = kept.reopen(run)
    training = run.checkpoints.load(jax.eval_shape(lambda: begin(recipe, recipe.optimizer, jax.random.key(0))))
    assert int(training.step) == kept.options(run).steps
    plain = lambda x: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    return {
        jax.tree_util.keystr(path): np.asarray(plain(x)).tobytes() for path, x in jax.tree.leaves_with_path(training)
    }


def log(run):
    return [{key: entry[key] for key in entry if key != "seconds"} for entry in run.metrics()]


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    """The same run from start to end in one go: its folder, and all that it printed."""
    folder = tmp_path_factory.mktemp("stops")
    (folder / "text.txt").write_text(bible()[:6000], encoding="utf-8")
    code, out, err = running.run(*stoppable("whole"), cwd=folder)
    assert (code, err) == (0, "")
    return folder, out


def stopped_at(process, metrics, step, kind):
    """Wait until the run has logged `step`, send it a signal, and give its exit code, stdout and stderr."""
    begun = time.time()
    while not metrics.exists() or f'"step": {step},' not in metrics.read_text():
        assert process.poll() is None, process.communicate()
        assert time.time() - begun < 240
        time.sleep(0.002)
    process.send_signal(kind)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.parametrize(
    "kinds",
    [
        ["SIGINT", "SIGTERM"],
        pytest.param(["SIGINT"], marks=pytest.mark.slow),
        pytest.param(["SIGTERM", "SIGINT"], marks=pytest.mark.slow),
        pytest.param(["SIGKILL"], marks=pytest.mark.slow),
    ],
    ids=" then ".join,
)
def test_a_run_that_was_stopped_ends_as_one_that_never_was(never_stopped, kinds):
    folder, whole_out = never_stopped
    name = "-".join(kinds)
    path, arguments, reached = folder / "runs" / name, stoppable(name), 0
    for kind, step in zip(kinds, (430, 930)):
        process = running.start(*arguments, cwd=folder)
        code, out, err = stopped_at(process, path / "metrics.jsonl", step, getattr(signal, kind))
        arguments = ["train", "--resume", f"runs/{name}"]
        if kind == "SIGKILL":
            assert code == -signal.SIGKILL
            continue
        assert (code, err) == (130, "")
        assert out.splitlines()[-1] == f"stopped; go on with: rnnjax train --resume runs/{name}"
        assert shlex.split(out.splitlines()[-1].partition("rnnjax ")[2]) == arguments
        latest = Run(path).checkpoints.latest
        assert max(step, reached) <= latest < STOPPABLE["steps"]
        assert latest % STOPPABLE["every"], "it should stop between the usual checkpoints, or this shows less"
        reached = latest
    code, out, err = running.run(*arguments, cwd=folder)
    assert (code, err) == (0, "")
    if kinds != ["SIGKILL"]:
        assert f"from step {reached:,} to 2,000" in out
    once, again = Run(folder / "runs" / "whole"), Run(path)
    assert again.config == once.config
    assert final(again) == final(once)
    assert log(again) == log(once)
    assert [entry["step"] for entry in log(again) if "train" in entry] == list(range(10, 2001, 10))
    assert (again.path / "sample.txt").read_text() == (once.path / "sample.txt").read_text()
    assert len(figures := re.findall(r"step 2,000 of 2,000: [\d.]+ bits|lstm\(8\) +│ [\d.]+", whole_out)) == 2
    assert all(figure in out for figure in figures)
    leaves = final(once)
    assert len(leaves) > 20 and any(".key" in name for name in leaves) and any(".optimizer" in name for name in leaves)


@pytest.mark.slow
def test_stopped_and_resumed_without_shared_compiled_programs(never_stopped):
    """As above, but every process compiles for itself, as a user's do, with all of XLA's optimizations."""
    folder, _ = never_stopped
    alone = {"JAX_COMPILATION_CACHE_DIR": "", "JAX_DISABLE_MOST_OPTIMIZATIONS": "false"}
    alone |= {"JAX_ENABLE_COMPILATION_CACHE": "false", "TF_CPP_MIN_LOG_LEVEL": "1"}
    code, _, err = running.run(*stoppable("alone"), cwd=folder, **alone)
    assert (code, err) == (0, "")
    process = running.start(*stoppable("alone-stopped"), cwd=folder, **alone)
    metrics = folder / "runs" / "alone-stopped" / "metrics.jsonl"
    assert stopped_at(process, metrics, 430, signal.SIGINT)[0] == 130
    assert running.run("train", "--resume", "runs/alone-stopped", cwd=folder, **alone)[0] == 0
    once, again = (Run(folder / "runs" / name) for name in ("alone", "alone-stopped"))
    assert final(again) == final(once) and log(again) == log(once)


def test_stopped_before_the_first_step(never_stopped):
    folder, _ = never_stopped
    process = running.start(*stoppable("a (b) c"), cwd=folder)
    assert process.stdout.readline() == "run: runs/a (b) c\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "")
    assert out.splitlines()[-1] == "stopped; go on with: rnnjax train --resume 'runs/a (b) c'"


def test_a_finished_run_resumes_to_its_results(trained, rnnjax):
    folder, said = trained
    code, out, err = rnnjax("train", "--resume", folder / "runs" / "run")
    assert (code, err) == (0, "")
    assert "from step 30 to 30" in out
    assert table(out) == table(said)


# what training says and keeps


def table(out):
    """{model: bits a character} from the table of results."""
    return {row[1]: float(row[2]) for row in re.finditer(r"│ (\S.*?) +│ ([\d.]+) +│", out)}


def test_train_keeps_all_of_its_run(trained):
    folder, said = trained
    run = folder / "runs" / "run"
    names = ["checkpoints", "config.json", "curve.png", "metrics.jsonl", "result.json", "sample.txt"]
    assert sorted(p.name for p in run.iterdir()) == names
    config = json.loads((run / "config.json").read_text())
    assert config["options"]["m"] == 8 and config["options"]["text"] == str(folder / "text.txt")
    assert language.Config(**config["options"]).steps == 30
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], "valid" in line) for line in lines] == [
        (10, False), (20, False), (20, True), (30, False), (30, True),
    ]  # fmt: skip
    assert list(table(said)) == ["1 x lstm(8)", "5-gram Kneser-Ney", "8-gram Kneser-Ney"]
    assert all(1 < bits < 7 for bits in table(said).values())
    assert (run / "sample.txt").read_text().rstrip("\n") in said
    assert "\x1b" not in said and "━" * 20 not in said.partition("test:")[0], "no bar and no colours off a terminal"
    for part in (
        "3,600 chars to learn",
        "1 x lstm(8), ",
        "step 30 of 30:",
        "A sample at temperature 1:",
        "kept in runs/run",
    ):
        assert part in said


def test_eval_says_what_training_said(trained, rnnjax):
    folder, said = trained
    code, out, err = rnnjax("eval", folder / "runs" / "run")
    assert (code, err) == (0, "")
    assert table(out) == table(said)


def test_names_are_made_from_the_text_and_the_cell(rnnjax, here, monkeypatch):
    monkeypatch.setattr(train, "learn", lambda run, recipe, console: False)
    for options in [], [], ["--cell", "gru"], ["--runs", "elsewhere/deep"], ["--name", "mine"]:
        assert rnnjax("train", "--text", "text.txt", *SMALL, *options)[0] == 130
    assert sorted(str(path.parent.relative_to(here)) for path in here.glob("**/config.json")) == [
        "elsewhere/deep/text-lstm",
        "runs/mine",
        "runs/text-gru",
        "runs/text-lstm",
        "runs/text-lstm-2",
    ]


KINDS = {
    "words, gru, two layers": (
        bible()[:9000],
        ["--unit=word", "--cell=gru", "--layers=2", "--vocabulary=90", "--dropout=0.2"],
        "And God",
    ),
    "Korean characters": (KOREAN, [], "하나님이 "),
    "Korean bytes, rnn": (
        KOREAN,
        ["--unit=byte", "--cell=rnn"],
        "anything 새 봄 @",
    ),
}
GATES = {
    "words, gru, two layers": [f"gru({size}, 8) {gate}" for size in (4, 8) for gate in ("r", "z", "candidate")],
    "Korean bytes, rnn": ["rnn(4, 8) h"],
}


@pytest.mark.parametrize("kind", ["Korean characters", *(pytest.param(k, marks=pytest.mark.slow) for k in GATES)])
def test_train_eval_sample(rnnjax, here, kind):
    text, options, prompt = KINDS[kind]
    (here / "text.txt").write_text(text, encoding="utf-8")
    code, said, err = rnnjax("train", "--text", "text.txt", "--name", "a", *SMALL, "--lr", "0.03", *options)
    assert (code, err) == (0, "")
    assert len(table(said)) == 3 and all(0 < bits < 20 for bits in table(said).values())
    code, measured, err = rnnjax("eval", "runs/a")
    assert (code, table(measured), err) == (0, table(said), "")
    if kind in GATES:
        assert inspected(rnnjax, "runs/a") == GATES[kind]
    texts = [rnnjax("sample", "runs/a", "--prompt", prompt, "--length", "60", "--seed", seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    code, out, err = texts[0]
    assert (code, err) == (0, "") and out.startswith(prompt) and out.endswith("\n")
    if kind == "Korean characters":
        assert len(out) == len(prompt) + 60 + 1
        assert set(out) <= set(KOREAN)
    if kind == "words, gru, two layers":
        assert 60 <= len(out.split()) + sum(out.count(mark) for mark in ",.;:\n[]()") and "<unk>" not in out
    cold = {rnnjax("sample", "runs/a", "--temperature", "0", "--length", "20", "--seed", seed)[1] for seed in (1, 2)}
    assert len(cold) == 1


def test_sample_streams_and_ends_quietly_when_no_one_reads_on(trained):
    folder, _ = trained
    process = running.start("sample", "runs/run", "--length", "100000000", "--prompt", "God", cwd=folder)
    begun = process.stdout.read(50)
    assert begun.startswith("God") and process.poll() is None
    process.stdout.close()
    err = process.stderr.read()
    process.wait(timeout=60)
    process.stderr.close()
    assert err == ""


def test_sample_stops_on_ctrl_c(trained):
    folder, _ = trained
    process = running.start("sample", "runs/run", "--length", "100000000", cwd=folder)
    process.stdout.read(20)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "rnnjax: stopped\n")


def test_ctrl_c_within_jax(trained, rnnjax, monkeypatch):
    """Raised by Python that JAX's C++ has called it may arrive as an error of another kind."""
    folder, _ = trained

    def sampled(*_):
        raise ValueError('File "jax/_src/random/prng.py", line 482, in __eq__\nKeyboardInterrupt: \n')

    monkeypatch.setattr(language, "sampled", sampled)
    assert rnnjax("sample", folder / "runs" / "run", "--length", "9")[::2] == (130, "rnnjax: stopped\n")


# a run inspected

PICTURES = "flow.png", "gates.png", "network.png"


def inspected(rnnjax, run, *options):
    """What `rnnjax inspect` measures and advises, once its pictures are there and are no blank sheets."""
    code, out, err = rnnjax("inspect", run, *options)
    assert (code, err) == (0, "")
    for name in PICTURES:
        assert str(Path(run, name)) in out
        assert len(np.unique(imread(Path(run, name)))) > 50
    measured = dict(re.findall(r"│ (\S.*?) +│ (.*?) +│", out))
    assert re.fullmatch(r"(more than )?\d+ steps", measured.pop("effective memory (Jacobian above 1 %)"))
    assert re.fullmatch(r"[+-]\d\.\d{4} nats a step", measured.pop("largest Lyapunov exponent"))
    assert all(re.fullmatch(r"\d+% low, \d+% high", shares) for shares in measured.values())
    assert re.search(r"^(vanishing|exploding|saturated|healthy): \S", out, re.M)
    return [name.removeprefix("saturated, ") for name in measured]


def test_inspect(trained, rnnjax, here):
    folder, _ = trained
    shutil.copytree(folder / "runs" / "run", here / "mine")
    assert inspected(rnnjax, "mine") == [f"lstm(4, 8) {gate}" for gate in ("f", "i", "g", "o", "tanh c")]
    wide = imread("mine/gates.png").shape[1]
    inspected(rnnjax, "mine", "--text", "And he said, " * 5)
    assert imread("mine/gates.png").shape[1] != wide, "another sentence"


def test_inspect_refuses_another_text(trained, rnnjax, monkeypatch):
    folder, _ = trained
    same = corpus.corpus
    monkeypatch.setattr(corpus, "corpus", lambda config: same(config)._replace(digest="0"))
    code, _, err = rnnjax("inspect", folder / "runs" / "run")
    assert code == 2 and "train: the data must be as when the run began, but the digest of " in err


# help


def test_help(rnnjax):
    code, out, err = rnnjax("--help")
    assert (code, err) == (0, "")
    for command in ("train", "eval", "sample", "inspect"):
        assert re.search(rf"• {command} |\b{command} +\w", out)
    assert "rnnjax train --text my.txt" in out


@pytest.mark.parametrize(
    "command, options", [("train", COMMANDS["train"]), ("sample", Sample), ("eval", Eval), ("inspect", Inspect)]
)
def test_help_of_a_command(rnnjax, command, options):
    code, out, err = rnnjax(command, "--help")
    assert (code, err) == (0, "") and f"usage: rnnjax {command}" in out
    words = " ".join(re.sub(r"[│|]", " ", out).split())
    for field in fields(options):
        shown = "PATH The run's folder" if field.name == "run" else f"--{field.name.replace('_', '-')} "
        assert shown in words, f"{field.name} must be named"
        if field.name == "m":
            assert f"Size of each layer's state. (default: {options().m})" in words


# errors

ERRORS = [
    ("", "Expected one of {train, eval, sample, inspect}. See rnnjax --help."),
    ("frob", "Unrecognized options: frob. See rnnjax --help."),
    ("train frob", "train: the task must be one of language, "),
    ("train memory --m x", "Error parsing --m: invalid literal for int() with base 10: 'x'. See rnnjax train --help."),
    ("sample runs/memory", "sample: the run must be of the task language, but it is of memory."),
    ("inspect runs/memory", "inspect: the run must be of the task language, but it is of memory."),
    ("train --stpes 5", "Unrecognized options: --stpes, 5. See rnnjax train --help."),
    ("train --m x", "Error parsing --m: invalid literal for int() with base 10: 'x'. See rnnjax train --help."),
    ("train --m", "Missing value for argument '--m'."),
    ("train --lr fast", "Error parsing --lr: could not convert string to float: 'fast'. See rnnjax train --help."),
    ("train --cell foo", "invalid choice 'foo' for argument '--cell'. Expected one of ('lstm', 'gru', 'rnn'). See"),
    ("train --m 0", "train: m must be at least 1, but m is 0. Give more. See rnnjax train --help."),
    ("train --dropout 1", "train: dropout must be in [0, 1), but dropout is 1.0. See rnnjax train --help."),
    ("train --lr nan", "train: lr must be in [0, inf), but lr is nan"),
    ("train --seed 99999999999999999999", "train: seed must be from 0 to 4294967295, but seed is 9999999999"),
    ("train --text no.txt", "read: path must exist, but path 'no.txt' does not. Check its spelling."),
    ("train --text folder", "read: path must be a file, but path 'folder' is a directory. Name a file inside it."),
    ("train --text latin.txt", "read: the file must be UTF-8, but path 'latin.txt' has byte 0xe9 at offset 3, where"),
    ("train --text empty.txt", "read: the file must hold text, but path 'empty.txt' is empty. Name another file."),
    ("train --text short.txt", "train: each part of the text must hold 2 chars, but valid holds 1, of a text of 20"),
    (
        "train --text text.txt --window 2000 --batch 32",
        "windows: 32 streams of 2000 steps and a target need 64032 symbols, but",
    ),
    ("train --text text.txt --vocabulary 1", "Vocabulary: size must hold unknown and one char, but size is 1. Use"),
    ("train --text text.txt --name taken", "Run: path must be new, but runs/taken exists. Go on with --resume"),
    ("train --text text.txt --runs empty.txt", "[Errno 20] Not a directory: 'empty.txt/text-lstm.begun'"),
    ("train --resume runs/none", "Run: path must be a run, but runs/none has no config.json. Give runs/NAME."),
    ("train --resume runs/taken --m 3", "train: --resume must stand alone, but other options came with it. A run"),
    ("train --resume runs/broken", "Run: runs/broken/config.json must be JSON, but it is not: "),
    ("train --resume runs/odd", "train: a run's config must be as rnnjax wrote it, but runs/odd/config.json is not: "),
    ("sample", "Missing from rnnjax sample: PATH The run's folder, as runs/bible-lstm. (required). See rnnjax sample"),
    ("sample runs/none", "Run: path must be a run, but runs/none has no config.json. Give runs/NAME."),
    ("sample runs/new", "Checkpoints: there must be a checkpoint to load, but "),
    ("sample runs/broken", "Run: runs/broken/config.json must be JSON, but it is not: "),
    ("sample runs/odd", "train: a run's config must be as rnnjax wrote it, but runs/odd/config.json is not: "),
    ("sample runs/taken extra", "Unrecognized options: extra. See rnnjax sample --help."),
    ("sample TRAINED --temperature -1", "sample: temperature must be at least 0, but it is -1.0. 0 takes the"),
    ("sample TRAINED --temperature nan", "sample: temperature must be at least 0, but it is nan. 0 takes the"),
    ("sample TRAINED --top-k -1", "sample: top_k must be at least 0, but it is -1. 0 allows all."),
    ("sample TRAINED --top-p 0", "sample: top_p must be above 0 and at most 1, but it is 0.0. 1 allows all."),
    ("sample TRAINED --length -3", "sample: length must be at least 0, but length is -3. Give more. See rnnjax"),
    ("sample TRAINED --seed -1", "sample: seed must be from 0 to 4294967295, but seed is -1. Give another. See"),
    ("sample TRAINED --prompt 한글", "sample: the prompt must use chars of the run's text, but one is new. Reword"),
    ("sample TRAINED --prompt ''", "sample: the prompt must hold a symbol, but it is empty. Give some text."),
    ("inspect runs/none", "Run: path must be a run, but runs/none has no config.json. Give runs/NAME."),
    ("inspect runs/broken", "Run: runs/broken/config.json must be JSON, but it is not: "),
    ("inspect runs/other", "Checkpoints: a checkpoint must be of the config it is loaded for, but "),
    ("inspect TRAINED --text ''", "inspect: the text must hold 1 to 200 chars, but it holds 0. Reword."),
    (f"inspect TRAINED --text '{'a' * 201}'", "inspect: the text must hold 1 to 200 chars, but it holds 201. Reword."),
    ("inspect TRAINED --text 한글", "inspect: the text must use chars of the run's text, but one is new. Reword."),
    ("eval runs/none", "Run: path must be a run, but runs/none has no config.json. Give runs/NAME."),
    ("eval text.txt", "Run: path must be a run, but text.txt has no config.json. Give runs/NAME."),
    ("eval runs/other", "Checkpoints: a checkpoint must be of the config it is loaded for, but "),
    ("eval runs/gone", "read: path must exist, but path '"),
    ("eval runs/changed", "train: the data must be as when the run began, but the digest of "),
]


@pytest.fixture
def things(here, trained):
    """What the errors above are made with."""
    folder, _ = trained
    (here / "folder").mkdir()
    (here / "latin.txt").write_bytes("Café au lait".encode("latin-1") * 50)
    (here / "empty.txt").touch()
    (here / "short.txt").write_text("abcde" * 4)
    config = json.loads((folder / "runs" / "run" / "config.json").read_text())
    made = {
        "taken": config,
        "new": config,
        "odd": config | {"options": config["options"] | {"frob": 1}},
        "other": config | {"options": config["options"] | {"m": 9}},
        "gone": config | {"options": config["options"] | {"text": "/no/such/text"}},
        "changed": config | {"digest": "0"},
        "memory": {"task": "memory", "options": asdict(memory.Config())},
    }
    for name, plain in made.items():
        (here / "runs" / name).mkdir(parents=True)
        (here / "runs" / name / "config.json").write_text(json.dumps(plain))
    for name in ("other", "gone", "changed"):
        (here / "runs" / name / "checkpoints").symlink_to(folder / "runs" / "run" / "checkpoints")
    (here / "runs" / "broken").mkdir()
    (here / "runs" / "broken" / "config.json").write_text('{"language": {"m"')
    return folder / "runs" / "run"


def check_one_line(code, out, err, message):
    assert code == 2
    assert err.startswith("rnnjax: ") and err.endswith("\n") and err.count("\n") == 1
    assert message in err
    assert "Traceback" not in out + err


def test_errors_are_one_line(rnnjax, things):
    before = sorted(Path("runs").iterdir())
    for line, message in ERRORS:
        code, out, err = rnnjax(*(things if word == "TRAINED" else word for word in shlex.split(line)))
        try:
            check_one_line(code, out, err, message)
            assert out == "" or line.startswith("train --resume"), "nothing else is said"
        except AssertionError as error:
            raise AssertionError(f"rnnjax {line}: exit code {code}, stdout {out!r}, stderr {err!r}") from error
    assert sorted(Path("runs").iterdir()) == before, "a refused command leaves no run behind"


def test_error_of_the_process(here):
    code, out, err = running.run("train", "--m", "0", cwd=here)
    check_one_line(code, out, err, "m must be at least 1, but m is 0")
    assert out == ""


def test_error_on_a_terminal(here):
    """A terminal has colours, boxes and a width; the one line of an error has none of them."""
    terminal, theirs = pty.openpty()
    env = running.environment(TERM="xterm-256color", COLUMNS="60", FORCE_COLOR="1")
    process = subprocess.Popen(
        running.command("train", "--m", "x"), env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # a terminal that its last process has left
        while piece := os.read(terminal, 65536):
            said += piece
    os.close(terminal)
    text = said.decode().replace("\r\n", "\n")
    check_one_line(process.wait(timeout=60), "", text, "rnnjax: Error parsing --m: invalid literal")
    assert "\x1b" not in text
