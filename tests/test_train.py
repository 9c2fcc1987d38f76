"""The training loop, its checkpoints, what a person sees of it, and the language task that it trains."""

import io
import json
import math
import os
import re
import shutil
import signal
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb
from rich.console import Console
from running import quick

import rnnjax as r
from conftest import EXACT, SINGLE, same
from rnnjax.data import windows
from rnnjax.tasks import corpus as texts
from rnnjax.tasks import kept, language, learn, ngram, scores
from rnnjax.tasks.options import adam
from rnnjax.train import Checkpoints, Training, begin, evaluate, fit, update
from rnnjax.train.curve import BLUE, GREY, ORANGE, curve
from rnnjax.train.interrupt import interruptible
from rnnjax.train.progress import progress
from rnnjax.train.run import Run, free_path

V, B, LENGTH = 6, 4, 8
IDS = np.random.default_rng(0).integers(0, V, 300)
KEY = jax.random.key(0)
cross_entropy = optax.softmax_cross_entropy_with_integer_labels


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    with quick():
        yield


def learner(loss=cross_entropy, dropout=0.0, batch=B):
    noise = [r.dropout(dropout)] if dropout else []
    return r.batch(r.with_loss(r.stack(r.embed(V, 5), *noise, r.scan(r.rnn(5, 7)), r.dense(7, V)), loss), batch)


def bits_of(tree):
    """Every leaf as numbers that compare bit for bit, random keys among them; a copy, which outlives donation."""
    keys = [
        jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(tree)
    ]
    return [(x.dtype, x.shape, np.asarray(x).tobytes()) for x in keys]


def deleted(x):
    return (x._base_array if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x).is_deleted()


# update

OPTIMIZERS = {
    "sgd on a schedule": optax.sgd(optax.cosine_decay_schedule(0.1, 4), momentum=0.9, nesterov=True),
    "adamw, which reads the params": optax.adamw(0.01, weight_decay=0.1),
    "clip and adam": optax.chain(optax.clip_by_global_norm(0.01), optax.adam(0.01, b2=0.99)),
}


def loop_by_hand(cell, optimizer, params, state, batches):
    """Training without rnnjax.train and rnnjax.gradients: `jax.grad` of the mean loss, one window after another."""

    @jax.jit
    def one(params, inner, state, xs, keep):
        def mean(params):
            after, each = cell.step(params, state, xs, *(() if keep is None else (keep,)))
            return (each.sum() / (each.size if keep is None else keep.sum()), after)

        (loss, state), grads = jax.value_and_grad(mean, has_aux=True)(params)
        updates, inner = optimizer.update(grads, inner, params)
        params = jax.tree.map(lambda p, u: p + u, params, updates)
        return params, inner, state, (loss, jnp.sqrt(sum((g**2).sum() for g in jax.tree.leaves(grads))))

    inner, losses = optimizer.init(params), []
    for xs, keep in batches:
        params, inner, state, told = one(params, inner, state, xs, keep)
        losses.append(told)
    return params, inner, state, losses


@pytest.mark.parametrize("name, masked", [*((name, False) for name in OPTIMIZERS), ("clip and adam", True)])
def test_update_is_the_loop_by_hand(name, masked):
    optimizer, data = OPTIMIZERS[name], windows(IDS, batch=B, length=LENGTH)
    with jax.enable_x64(True):
        keep = np.random.default_rng(1).random((LENGTH, B)) < 0.6 if masked else None
        cell = learner()
        training = begin(cell, optimizer, KEY)
        assert training.params[0].dtype == jnp.float64
        hand = loop_by_hand(cell, optimizer, training.params, training.state, [(data[k], keep) for k in range(4)])
        step = update(r.tbptt(cell, window=LENGTH), optimizer)
        told = []
        for k in range(4):
            training, metrics = step(training, data[k], *([keep] if masked else []))
            told.append(tuple(metrics))
        same((training.params, training.optimizer, training.state, told), hand, **EXACT)
        assert int(training.step) == 4


def test_update_learns():
    """Not only the same as by hand, but downhill: a text that repeats is learned to almost nothing."""
    cell, optimizer = learner(), optax.adam(0.03)
    data = windows(np.arange(300) % V, batch=B, length=LENGTH)
    training, step = begin(cell, optimizer, KEY), update(r.bptt(cell), optimizer)
    training, metrics = list(fit(step, training, lambda k: (data.at(k),), 150))[-1]
    assert float(metrics.loss) < 0.05 < math.log(V)
    assert evaluate(cell, training.params, [data[0]]) < 0.3


def test_training_is_compiled_once():
    """A whole run, with evaluations, restarts and both gradients of a state, traces the loss no more than its start."""
    traced = []

    def counted(y, target):
        traced.append(1)
        return cross_entropy(y, target)

    cell, optimizer = learner(counted, dropout=0.5), optax.adam(0.01)
    training = begin(cell, optimizer, KEY)
    training = training._replace(state=r.seed(training.state, KEY, B))
    data = windows(IDS, batch=B, length=LENGTH)
    step = update(r.tbptt(cell, window=LENGTH), optimizer)
    restarts = language.restart(language.Config(batch=B, reset=0.3, dropout=0.5), cell, len(data))
    counts = []
    for training, _ in fit(step, training, lambda k: (data.at(k),), 3 * len(data), restart=restarts):
        if int(training.step) % 5 == 0:
            evaluate(cell, training.params, [data[0], data[1]])
        counts.append(len(traced))
    assert counts[0] > 0
    assert len(set(counts[:4])) == 1, "the second update traced again"
    assert len(set(counts[4:])) == 1, "an update or an evaluation traced again"
    assert step._cache_size() == 1


def test_update_donates_the_training():
    cell, optimizer = learner(dropout=0.5), optax.adam(0.01)
    training = begin(cell, optimizer, KEY)
    training = training._replace(state=r.seed(training.state, KEY, B))
    after, _ = update(r.bptt(cell), optimizer)(training, windows(IDS, batch=B, length=LENGTH)[0])
    assert all(map(deleted, jax.tree.leaves(training)))
    assert not any(map(deleted, jax.tree.leaves(after)))


# fit


def test_fit_goes_on_from_the_step_of_the_training():
    cell, optimizer = learner(), optax.adam(0.01)
    data, step = windows(IDS, batch=B, length=LENGTH), update(r.bptt(cell), optimizer)

    def run(training, steps, asked):
        return list(fit(step, training, lambda k: asked.append(k) or (data.at(k),), steps))[-1][0]

    whole, parts = [], []
    once = bits_of(run(begin(cell, optimizer, KEY), 7, whole))
    twice = bits_of(run(run(begin(cell, optimizer, KEY), 3, parts), 7, parts))
    assert once == twice
    assert whole == parts == list(range(7))
    assert list(fit(step, begin(cell, optimizer, KEY)._replace(step=7), None, 7)) == []


class Bare(NamedTuple):
    """A training that counts how often it is read."""

    step: object
    state: tuple


def test_fit_restarts_and_never_waits():
    class Step(int):
        read = 0

        def __int__(self):
            Step.read += 1
            return int.__add__(self, 0)

    class Metric:
        def __getattr__(self, name):
            raise AssertionError(f"fit must not touch a metric, but read {name}")

    def step(training, x):
        return Bare(training.step, training.state + (x,)), Metric()

    def restart(k, training):
        return training._replace(state=(f"fresh at {k}",)) if k in (2, 4) else training

    seen = [t.state for t, _ in fit(step, Bare(Step(1), ("start",)), lambda k: (k,), 5, restart=restart)]
    assert seen == [("start", 1), ("fresh at 2", 2), ("fresh at 2", 2, 3), ("fresh at 4", 4)]
    assert Step.read == 1


# evaluate


def test_evaluate_is_the_mean_over_one_long_run():
    cell, data = learner(), windows(IDS, batch=B, length=19)
    params = cell.init(KEY)
    xs, targets = data[0]
    targets = np.where(np.arange(19)[:, None] < 16, targets, 0)  # so that the short last batch has another loss
    pieces = [(xs[a:b], targets[a:b]) for a, b in ((0, 8), (8, 16), (16, 19))]
    mean = evaluate(cell, params, iter(pieces))
    _, losses = jax.jit(cell.step)(params, cell.start(params), (xs, targets))
    np.testing.assert_allclose(mean, float(losses.mean()), **SINGLE)
    fresh = np.average([evaluate(cell, params, [piece]) for piece in pieces], weights=[8, 8, 3])
    assert abs(fresh - mean) > 1e-3, "the state of one batch must matter to the next"
    unweighted = np.mean([float(losses[a:b].mean()) for a, b in ((0, 8), (8, 16), (16, 19))])
    assert abs(unweighted - mean) > 1e-3, "batches must differ, or their weights are not tested"


def test_evaluate_silences_dropout():
    noisy, plain = learner(dropout=0.9), learner()
    params = noisy.init(KEY)
    batch = [windows(IDS, batch=B, length=LENGTH)[0]]
    silent = evaluate(noisy, params, batch)
    assert silent == evaluate(plain, (params[0], *params[2:]), batch)
    _, losses = jax.jit(noisy.step)(params, r.seed(noisy.start(params), KEY, B), batch[0])
    assert abs(float(losses.mean()) - silent) > 1e-3


def test_evaluate_refuses_nothing():
    cell = learner()
    with pytest.raises(ValueError, match="evaluate: there must be a step to measure, but batches hold none"):
        evaluate(cell, cell.init(KEY), [])


# checkpoints


def odd_training(seed=0, step=0):
    """Every kind of leaf: float32, bfloat16, whole numbers, bools, random keys, Adam's state."""
    draw = np.random.default_rng(seed)
    params = {
        "w": jnp.asarray(draw.normal(size=(3, 4)), jnp.float32),
        "half": jnp.asarray(draw.normal(size=5), jnp.bfloat16),
        "count": jnp.asarray(draw.integers(-9, 9, 3), jnp.int8),
        "special": jnp.array([np.nan, -0.0, np.inf, 1e-42], jnp.float32),
        "flag": jnp.array([True, False]),
    }
    cell = learner(dropout=0.5)
    noise = r.seed(cell.start(cell.init(KEY)), jax.random.key(seed), B)
    return Training(params, optax.adam(0.1).init(params["w"]), noise, jnp.int32(step))


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints(tmp_path / "checkpoints", keep=2)
    yield made
    made.close()


def test_checkpoints_come_back_bit_for_bit(checkpoints, tmp_path):
    saved = odd_training(seed=5, step=12)
    checkpoints.save(saved)
    checkpoints.close()
    reader = Checkpoints(tmp_path / "checkpoints")
    loaded = reader.load(odd_training(seed=6))
    by_types = reader.load(jax.eval_shape(lambda: odd_training(seed=6)))
    assert bits_of(by_types) == bits_of(loaded)
    assert jax.tree.structure(by_types) == jax.tree.structure(loaded) == jax.tree.structure(saved)
    reader.close()
    assert bits_of(loaded) == bits_of(saved) != bits_of(odd_training(seed=6, step=12))
    keys = [x for x in jax.tree.leaves(loaded) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)]
    assert len(keys) == 1 and jax.random.normal(keys[0][0]) == jax.random.normal(saved.state[1].key[0])


def test_checkpoints_keep_the_newest(checkpoints, tmp_path):
    assert checkpoints.latest is None
    for step in (1, 2, 5, 7):
        checkpoints.save(odd_training(seed=step, step=step))
    checkpoints.save(odd_training(seed=99, step=7))  # there already: neither an error nor an overwrite
    assert checkpoints.latest == 7
    assert bits_of(checkpoints.load(odd_training())) == bits_of(odd_training(seed=7, step=7))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["5", "7"]


def test_checkpoints_survive_a_kill_while_saving(checkpoints, tmp_path):
    checkpoints.save(odd_training(seed=1, step=3))
    checkpoints.close()
    half = tmp_path / "checkpoints" / f"9.orbax-checkpoint-tmp-{time.time_ns()}"
    shutil.copytree(tmp_path / "checkpoints" / "3", half)
    next((half / "state").glob("**/d/*")).unlink()
    again = Checkpoints(tmp_path / "checkpoints")
    assert again.latest == 3
    assert bits_of(again.load(odd_training())) == bits_of(odd_training(seed=1, step=3))
    again.save(odd_training(seed=2, step=9))
    assert again.latest == 9 and bits_of(again.load(odd_training())) == bits_of(odd_training(seed=2, step=9))
    again.close()


def test_checkpoints_refuse(checkpoints):
    with pytest.raises(ValueError, match=r"Checkpoints: there must be a checkpoint to load, but .* has none\. Train"):
        checkpoints.load(odd_training())
    checkpoints.save(odd_training())
    other = odd_training()
    refused = r"Checkpoints: a checkpoint must be of the model it is loaded for, but .*/0 has other arrays\. Build"
    for wrong in ({"w": jnp.zeros((4, 4))}, {"w": jnp.zeros((3, 4), jnp.bfloat16)}, {"more": jnp.zeros(1)}):
        with pytest.raises(ValueError, match=refused):
            checkpoints.load(other._replace(params=other.params | wrong))


def test_checkpoints_refuse_what_is_broken(checkpoints, tmp_path):
    checkpoints.save(odd_training())
    checkpoints.wait()
    (tmp_path / "checkpoints" / "0" / "state" / "_METADATA").write_text("{")
    checkpoints.say = (said := []).append
    with pytest.raises(ValueError, match=r"Checkpoints: a checkpoint must be whole, but of those in .* none is\. Res"):
        checkpoints.load(odd_training())
    assert said == [f"checkpoint {tmp_path}/checkpoints/0 is broken: Orbax cannot read it (JSONDecodeError)"]


# runs on disk


def test_run(tmp_path):
    run = Run.create(tmp_path / "runs" / "a", {"language": {"m": 3}})
    assert run.metrics() == []
    run.rewind(0)
    for step in (10, 20, 30):
        run.log(step=step, train=1 / step)
    run.log(step=20, valid=0.5)
    assert run.metrics()[1:] == [{"step": 20, "train": 0.05}, {"step": 30, "train": 1 / 30}, {"step": 20, "valid": 0.5}]
    run.rewind(20)
    assert [entry["step"] for entry in run.metrics()] == [10, 20, 20]
    run.log(step=30, train=2.0)
    assert Run(run.path).metrics() == run.metrics() == [*run.metrics()[:3], {"step": 30, "train": 2.0}]
    assert Run(str(run.path)).config == {"language": {"m": 3}}


def test_run_forgets_a_line_that_a_kill_cut_short(tmp_path):
    run = Run.create(tmp_path / "a", {})
    run.log(step=10, train=1.5)
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "tra')
    assert run.metrics() == [{"step": 10, "train": 1.5}]
    run.rewind(10)
    run.log(step=20, train=2.5)
    assert [entry["step"] for entry in run.metrics()] == [10, 20]


def test_run_refuses(tmp_path):
    Run.create(tmp_path / "a", {})
    with pytest.raises(ValueError, match=r"Run: path must be new, but .*/a exists\. Go on with --resume .*/a, or"):
        Run.create(tmp_path / "a", {})
    with pytest.raises(ValueError, match=r"Run: path must be a run, but .*/b has no config.json\. Give runs/NAME"):
        Run(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    (tmp_path / "a" / "config.json").write_text('{"language": ')
    with pytest.raises(ValueError, match=r"Run: .*/a/config.json must be JSON, but it is not: .*line 1"):
        Run(tmp_path / "a")


def test_free_path(tmp_path):
    names = []
    for _ in range(3):
        path = free_path(tmp_path, "bible")
        path.mkdir()
        names.append(path.name)
    assert names == ["bible", "bible-2", "bible-3"]


# what a person sees

METRICS = [{"step": k, "train": 6 * 0.98**k + 1.5, "gradient": 1.0} for k in range(0, 200, 10)]
METRICS += [{"step": k, "valid": 6 * 0.98**k + 2.0, "seconds": 1.0} for k in (50, 100, 150)]


def shows(path, colour):
    pixels = image.imread(path)
    return bool((np.abs(pixels[..., :3] - to_rgb(colour)).max(-1) < 0.02).sum() > 150)


@pytest.mark.parametrize("metrics", [METRICS, METRICS[:1], METRICS[-1:]], ids=["a run", "one step", "one evaluation"])
def test_curve(tmp_path, metrics):
    path = tmp_path / "curve.png"
    curve(path, metrics, unit="bits", loss_unit="bits", title="a run", baselines={"n-gram": 1.1})
    assert path.read_bytes().startswith(b"\x89PNG") and image.imread(path).shape == (750, 1200, 4)
    assert shows(path, GREY)
    assert shows(path, ORANGE) == (metrics != METRICS[:1])
    curve(path, metrics, unit="bits", loss_unit="bits")
    assert shows(path, ORANGE) == (metrics != METRICS[:1])


def test_curve_of_two_units_has_two_panels(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path: drawn.extend(figure.axes))
    curve(tmp_path / "a.png", METRICS, unit="share right", loss_unit="nats", baselines={"a coin": 0.5})
    loss, metric = drawn
    assert (loss.get_ylabel(), metric.get_ylabel()) == ("nats", "share right")
    assert [line.get_label() for line in loss.lines] == ["train"]
    assert [line.get_label() for line in metric.lines] == ["valid", "a coin: 0.500"]


def test_curve_shows_every_evaluation_and_baseline(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path: drawn.append(figure.axes[0]))
    late = [{"step": 1, "valid": 30.0}, *METRICS]
    curve(tmp_path / "a.png", late, unit="bits", loss_unit="bits", baselines={"low": 0.5, "high": 40.0})
    axes = drawn[0]
    low, high = axes.get_ylim()
    assert low < 0.5 and high > 40
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training step", "bits")
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["train", "valid", "low: 0.500", "high: 40.000"]
    assert [line.get_color() for line in axes.lines] == [BLUE, ORANGE, GREY, GREY]


def test_progress_on_a_terminal():
    console = Console(force_terminal=True, file=io.StringIO(), width=100)
    with progress(console, 2000, done=500) as advance:
        for k in range(20):
            time.sleep(0.005)
            advance(bits=3 - k / 100)
        console.print("above the bar")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert "above the bar" in text
    last = text[text.rindex("training") :]
    assert " 520/2000 bits 2.810 " in last
    rate = float(re.search(r"([\d.]+) steps/s", last)[1])
    left = re.search(r"left (\d):(\d\d):(\d\d)", last)
    assert 5 < rate < 200
    seconds = int(left[1]) * 3600 + int(left[2]) * 60 + int(left[3])
    assert seconds == pytest.approx(1480 / rate, rel=0.05, abs=1.5)
    assert all(len(line) <= 100 for line in re.split(r"[\r\n]", text)), "the bar must fit its terminal"


def test_progress_off_a_terminal():
    console = Console(file=io.StringIO(), width=100)
    with progress(console, 20) as advance:
        for _ in range(20):
            advance(bits=1.0)
        console.print("step 20")
    assert console.file.getvalue() == "step 20\n"


def test_interruptible_asks_first_and_stops_at_once_the_second_time():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    for kind in (signal.SIGINT, signal.SIGTERM):
        with interruptible() as interrupted:
            assert not interrupted()
            os.kill(os.getpid(), kind)
            assert interrupted() and interrupted()
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with pytest.raises(KeyboardInterrupt), interruptible() as interrupted:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
        raise AssertionError("the second must stop at once")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# the language task

TEXT = "".join(np.random.default_rng(3).choice(list("abc de.\n"), 1800)) + "Z" * 200
SMALL = dict(cell="rnn", m=6, embed=3, batch=4, window=8, steps=30, every=10)


def config(tmp_path, text=TEXT, **options):
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8", newline="")
    return language.Config(text=str(path), **SMALL | options)


def test_corpus_knows_only_its_training_part(tmp_path):
    corpus = texts.corpus(config(tmp_path))
    assert corpus.characters == {"train": 1800, "valid": 100, "test": 100}
    assert set(corpus.vocabulary.symbols[1:]) == set("abc de.\n")
    assert corpus.vocabulary.decode(corpus.train) == TEXT[:1800]
    assert (corpus.valid == 0).all() and (corpus.test == 0).all()
    assert len(texts.corpus(config(tmp_path, vocabulary=4)).vocabulary) == 4


def test_corpus_by_byte_and_word(tmp_path):
    text = "봄이 온다. 꽃이 핀다! " * 100
    by_byte = texts.corpus(config(tmp_path, text, unit="byte"))
    assert len(by_byte.vocabulary) == 256
    assert sum(by_byte.characters.values()) == len(text)
    assert bytes(np.concatenate(by_byte[1:4]).astype(np.uint8)).decode() == text
    by_word = texts.corpus(config(tmp_path, text, unit="word"))
    assert set(by_word.vocabulary.symbols) == {"<unk>", "봄이", "온다", "꽃이", "핀다", ".", "!"}
    assert by_word.characters == by_byte.characters
    assert by_byte.digest == by_word.digest != texts.corpus(config(tmp_path, text + "a")).digest


@pytest.mark.parametrize("text", ["ab" * 10, " " * 1900 + "a b" * 30])
def test_corpus_refuses_parts_with_nothing_to_predict(tmp_path, text):
    unit = "char" if text[0] == "a" else "word"
    with pytest.raises(ValueError, match=r"(must hold 2 chars, but valid holds 1, of a text of 20 .*Give|hold a word)"):
        texts.corpus(config(tmp_path, text, unit=unit))


UNITS = {
    "char": ("abcd efgh\n" * 200, 10 + 1, 1),
    "byte": ("봄" * 2000, 256, 3),
    "word": ("one two, three four\n" * 100, 7, 6 / 20),
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("streams", [1, 5])
def test_a_uniform_model_has_log2_of_the_symbols(tmp_path, unit, streams):
    text, symbols, per_character = UNITS[unit]
    asked = config(tmp_path, text, unit=unit)
    corpus = texts.corpus(asked)
    assert len(corpus.vocabulary) == symbols
    network = language.model(asked, symbols)
    params = jax.tree.map(jnp.zeros_like, network.init(KEY))
    for part in ("valid", "test"):
        bits = scores.network_bits(network, params, corpus, part, streams=streams)
        assert bits == pytest.approx(math.log2(symbols) * per_character, rel=1e-5)
        assert scores.per_character(corpus, part, math.log(8)) == pytest.approx(3 * per_character, rel=1e-6)


def test_network_bits_is_minus_log2_of_the_text(tmp_path):
    """One symbol after another in NumPy, from the params of `gru` and `dense` by their published equations' code."""
    asked = config(tmp_path, "".join(np.random.default_rng(5).choice(list("abcdef"), 1200)), cell="gru")
    corpus = texts.corpus(asked)
    network = language.model(asked, len(corpus.vocabulary))
    params = jax.tree.map(lambda p: p + 0.3, network.init(KEY))
    cell, state, bits = network.each, network.start(params), []
    for now, then in zip(corpus.test[:-1], corpus.test[1:]):
        state, logits = cell.step(params, state, jnp.int32(now))
        logits = np.asarray(logits, np.float64)
        bits.append(-(logits[then] - np.log(np.exp(logits).sum())) / np.log(2))
    assert scores.network_bits(network, params, corpus, "test") == pytest.approx(np.mean(bits), rel=1e-5)
    parallel = scores.network_bits(network, params, corpus, "test", streams=16)  # 60 characters: only one stream
    assert parallel == pytest.approx(np.mean(bits), rel=1e-5)


def test_ngram_bits_converts_symbols_to_characters(tmp_path):
    corpus = texts.corpus(config(tmp_path, "one two, three four. " * 90, unit="word"))
    model = ngram.kneser_ney(corpus.train, len(corpus.vocabulary), order=3)
    by_hand = ngram.bits(model, corpus.test) * len(corpus.test) / corpus.characters["test"]
    assert scores.ngram_bits(corpus, "test", order=3) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("streams, length", [(1, 5), (1, 128), (3, 4), (7, 30)])
def test_held_out_predicts_each_symbol_once(streams, length):
    ids = np.arange(100)
    inputs, targets = (np.concatenate(both) for both in zip(*texts.held_out(ids, streams, length)))
    assert (targets == inputs + 1).all()
    span = 100 // streams
    firsts = {stream * span for stream in range(streams)}
    assert sorted(targets.ravel()) == [i for i in range(span * streams) if i not in firsts]
    assert all((inputs[1:, b] == targets[:-1, b]).all() for b in range(streams)), "pieces must follow one another"


def test_restart_resets_a_share_of_the_streams_and_all_at_an_epoch():
    streams, epoch, share = 150, 20, 0.1
    asked = language.Config(batch=streams, reset=share, dropout=0.5, m=3, embed=2, layers=2)
    cell = r.batch(scores.predicting(language.model(asked, V)), streams)
    params = cell.init(KEY)
    marked = jax.tree.map(lambda s: jnp.ones_like(s), cell.start(params))
    marked = r.seed(marked, KEY, streams)
    restart = language.restart(asked, cell, epoch)
    training = Training(params, (), marked, 0)
    share_seen, chosen = [], []
    for step in range(epoch + 1):
        state = restart(step, training).state
        keys = state[1].key
        hidden = np.concatenate(
            [np.asarray(s).reshape(streams, -1) for s in jax.tree.leaves(state[2]) if s.ndim == 2], 1
        )
        fresh = (hidden == 0).all(1)
        assert ((hidden == 0) | (hidden == 1)).all() and (fresh | (hidden == 1).all(1)).all(), (
            "a stream is all or nothing"
        )
        new = (jax.random.key_data(keys) != jax.random.key_data(marked[1].key)).any(-1)
        assert (np.asarray(new) == fresh).all(), "a fresh stream draws new noise, and only that"
        if step % epoch == 0:
            assert fresh.all()
        else:
            share_seen.append(fresh.mean())
            chosen.append(fresh)
    expected = math.sqrt(share * (1 - share) / (streams * len(share_seen)))
    assert abs(np.mean(share_seen) - share) < 4.5 * expected
    assert len({c.tobytes() for c in chosen}) == len(chosen), "each step chooses anew"
    again = restart(3, training).state
    assert bits_of(again) == bits_of(restart(3, training).state)
    never = language.restart(language.Config(batch=streams, reset=0, dropout=0.5, m=3, embed=2, layers=2), cell, epoch)
    assert bits_of(never(3, training).state) == bits_of(marked)


POSITIVE = "layers", "m", "embed", "window", "batch", "steps", "every"


@pytest.mark.parametrize(
    "options, message",
    [
        *(({name: 0}, f"train: {name} must be at least 1, but {name} is 0") for name in POSITIVE),
        (dict(dropout=1.0), r"train: dropout must be in \[0, 1\), but dropout is 1.0"),
        (dict(dropout=-0.1), r"dropout must be in \[0, 1\), but dropout is -0.1"),
        (dict(reset=1.5), r"reset must be in \[0, 1\), but reset is 1.5"),
        (dict(lr=-1.0), r"lr must be in \[0, inf\), but lr is -1.0"),
        (dict(lr=math.nan), r"lr must be in \[0, inf\), but lr is nan"),
        (dict(clip=math.inf), r"clip must be in \[0, inf\), but clip is inf"),
        (dict(seed=-1), "seed must be from 0 to 4294967295, but seed is -1"),
        (dict(seed=2**32), "seed must be from 0 to 4294967295, but seed is 4294967296"),
        (dict(unit="letter"), r"unit must be one of \('char', 'jamo', .*\), but unit is 'letter'"),
        (dict(cell="transformer"), r"cell must be one of \('lstm', 'gru', 'rnn'\), but cell is 'transformer'"),
    ],
)  # fmt: skip
def test_config_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        language.Config(**options)


@pytest.mark.parametrize("steps", [1, 2, 33, 100])
def test_the_learning_rate_warms_up_and_ends_small(steps):
    """Adam's first updates are of the size of the learning rate: under a constant gradient they show it."""
    optimizer = adam(language.Config(steps=steps, lr=0.1))
    params = jnp.zeros(3)

    def one(state, _):
        updates, state = optimizer.update(jnp.ones(3), state, params)
        return state, -updates[0]

    _, rates = jax.lax.scan(one, optimizer.init(params), None, steps)
    rates = np.asarray(rates)
    assert rates[0] == 0 and np.isfinite(rates).all() and rates.max() <= 0.1001
    if steps > 2:
        assert rates.max() > 0.099 and rates[-1] < 0.01
        assert rates.argmax() == max(1, steps // 33)


def silent():
    return Console(file=io.StringIO())


def test_learn_from_end_to_end(tmp_path, monkeypatch):
    """A run in memory: one compile, a loss that falls, metrics, a picture; and asked again it has nothing to do."""
    steps = []
    monkeypatch.setattr(learn, "update", lambda *args, **options: steps.append(update(*args, **options)) or steps[-1])
    asked = config(tmp_path, "abcdefgh\n" * 300, cell="gru", dropout=0.1, layers=2, steps=45, every=20, lr=0.05, m=12)
    run, recipe = kept.create(tmp_path / "run", "language", asked)
    console = silent()
    assert learn.learn(run, recipe, console)
    assert steps[0]._cache_size() == 1
    metrics = run.metrics()
    assert [e["step"] for e in metrics if "train" in e] == [10, 20, 30, 40]
    assert [e["step"] for e in metrics if "valid" in e] == [20, 40, 45]
    assert metrics[-1]["valid"] < 0.6 * math.log2(10) and metrics[-1].keys() == {"step", "valid", "seconds"}
    assert sorted(p.name for p in (run.path / "checkpoints").iterdir()) == ["40", "45"]
    assert (run.path / "curve.png").stat().st_size > 10_000
    for said in ("2 x gru(12)", "5-gram Kneser-Ney", "step 45 of 45:", f"{metrics[-1]['valid']:.3f} bits a character"):
        assert said in console.file.getvalue()
    assert learn.learn(Run(run.path), recipe, silent())
    assert steps[1]._cache_size() == 0 and run.metrics() == metrics

    (tmp_path / "text.txt").write_text("abcdefgh\n" * 299 + "abcdefg!\n")
    with pytest.raises(
        ValueError, match=r"train: the data must be as when the run began, but the digest of .*run is another"
    ):
        kept.reopen(run)
    (tmp_path / "text.txt").unlink()
    with pytest.raises(ValueError, match="read: path must exist"):
        kept.reopen(run)


def test_learn_compiles_a_resumed_run_once_too(tmp_path, monkeypatch):
    steps, stop = [], iter([False] * 13 + [True])  # asked before the first step too
    monkeypatch.setattr(learn, "update", lambda *args, **options: steps.append(update(*args, **options)) or steps[-1])
    run, recipe = kept.create(tmp_path / "run", "language", config(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(learn, "interruptible", lambda: _Asked(lambda: next(stop)))
        assert not learn.learn(run, recipe, silent())
    assert run.checkpoints.latest == 13
    assert learn.learn(run, recipe, silent())
    assert [step._cache_size() for step in steps] == [1, 1]
    assert [e["step"] for e in run.metrics()] == [10, 10, 20, 20, 30, 30]


class _Asked(NamedTuple):
    question: object

    def __enter__(self):
        return self.question

    def __exit__(self, *_):
        pass


def test_learn_refuses_to_diverge(tmp_path):
    run, recipe = kept.create(tmp_path / "run", "language", config(tmp_path, lr=1e38, clip=1e30))
    with pytest.raises(
        ValueError, match=r"train: the loss and its gradient must be finite, but at step \d+ the loss is (nan|inf) and "
    ):
        learn.learn(run, recipe, silent())


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda c: [1], "config.json must hold a config, but it holds another thing"),
        (lambda c: {}, "must be as rnnjax wrote it, but .* is not: 'task'"),
        (lambda c: c | {"options": c["options"] | {"frob": 1}}, "is not: .*unexpected keyword argument 'frob'"),
        (lambda c: c | {"options": c["options"] | {"m": "16"}}, "is not: train: m must be int, but m is '16'"),
        (lambda c: c | {"options": c["options"] | {"unit": "x"}}, "unit must be one of .*, but unit is 'x'"),
        (
            lambda c: {k: c[k] for k in ("task", "options", "digest")},
            "data must be as .* the vocabulary of .* is another",
        ),
        (lambda c: c | {"task": "frob"}, "train: the task must be one of language, .*, but it is frob"),
        (lambda c: c | {"vocabulary": "[]"}, "data must be as .* the vocabulary of .* is another"),
        (lambda c: {k: c[k] for k in ("task", "options", "vocabulary")}, "the data must be as when the run began"),
    ],
)
def test_a_config_that_was_tampered_with(tmp_path, edit, message):
    path = tmp_path / "run" / "config.json"
    kept.create(path.parent, "language", config(tmp_path))
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(ValueError, match=message):
        kept.reopen(Run(path.parent))
