"""From a config to a trained language model: the whole of a run, in one page."""

import contextlib
import math
import time

import jax
from rich.console import Console

import rnnjax
from rnnjax.data import Vocabulary, windows
from rnnjax.tasks import language
from rnnjax.tasks.config import Config
from rnnjax.tasks.scores import network_bits, ngram_bits, per_character
from rnnjax.train import begin, fit, update
from rnnjax.train.curve import curve
from rnnjax.train.interrupt import interruptible
from rnnjax.train.progress import progress
from rnnjax.train.run import Run


def create(path, config: Config) -> Run:
    """A new run in the folder `path`, its text read and its vocabulary fixed."""
    corpus = language.corpus(config)
    windows(corpus.train, batch=config.batch, length=config.window)
    plain = {"language": language.describe(config), "digest": corpus.digest}
    return Run.create(path, plain | {"vocabulary": corpus.vocabulary.to_json()})


def recorded(run: Run) -> tuple[Config, Vocabulary]:
    """The config and the vocabulary of a run. Raises `ValueError` if its config.json is not as `create` wrote it."""
    try:
        return Config(**run.config["language"]), Vocabulary.from_json(run.config["vocabulary"])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"train: a run's config must be as rnnjax wrote it, but {run.path}/config.json is not: {error}. Restore it."
        ) from error


def load(run: Run) -> tuple[Config, language.Corpus, rnnjax.Cell]:
    """The config, the text and the network of a run. Raises `ValueError` if the text has changed since."""
    config, _ = recorded(run)
    corpus = language.corpus(config)
    if run.config.get("digest") != corpus.digest:
        raise ValueError(f"train: the text must be as when the run began, but {config.text} has changed. Restore it.")
    return config, corpus, language.model(config, len(corpus.vocabulary))


def fresh(config: Config, network: rnnjax.Cell):
    """The cell to train, its optimizer, and the training before the first step."""
    learner = rnnjax.batch(language.with_loss(network), config.batch)
    optimizer, key = language.optimizer(config), jax.random.key(config.seed)
    training = begin(learner, optimizer, key)
    return learner, optimizer, training._replace(state=language.start(config, learner, training.params, key))


def learn(run: Run, console: Console) -> bool:
    """Train a run from its newest checkpoint, or the start, to its last step; False if interrupted on the way.

    Either way the run has a checkpoint of where it stopped, from which it goes on as if it had never stopped.
    """
    config, corpus, network = load(run)
    learner, optimizer, training = fresh(config, network)
    if run.checkpoints.latest is not None:
        training = run.checkpoints.load(training)
    run.rewind(int(training.step))
    streams = windows(corpus.train, batch=config.batch, length=config.window)
    one_step = update(rnnjax.tbptt(learner, window=config.window), optimizer)
    renewed = language.restart(config, learner, len(streams))
    baseline = ngram_bits(corpus, "valid", order=5)
    introduce(console, config, corpus, training, baseline)

    def tell(done, metrics):
        loss = per_character(corpus, "train", float(metrics.loss))
        if not math.isfinite(loss):
            raise ValueError(f"train: the loss must be finite, but at step {done} it is {loss}. Lower --lr or --clip.")
        advance(bits=loss)
        if done % 10 == 0:
            run.log(step=done, train=loss, gradient=float(metrics.gradient))

    done, waiting, began = int(training.step), [], time.time()
    with drawn(run, baseline), interruptible() as interrupted, progress(console, config.steps, done) as advance:
        for training, metrics in fit(one_step, training, lambda n: (streams.at(n),), config.steps, restart=renewed):
            done += 1
            stop, measure = interrupted(), done % config.every == 0 or done == config.steps
            waiting.append((done, metrics))
            while len(waiting) > (0 if stop or measure else 1):  # the newest step is still running: tell the one before
                tell(*waiting.pop(0))
            if measure:
                valid = network_bits(network, training.params, corpus, "valid", streams=16)
                run.log(step=done, valid=valid, seconds=round(time.time() - began, 1))
                console.print(f"step {done:,} of {config.steps:,}: {valid:.3f} bits a character held out")
            if stop or measure:  # after the log, so that whatever a checkpoint has seen is in the metrics
                run.checkpoints.save(training)
            if stop and done < config.steps:
                return False
    return True


def introduce(console, config, corpus, training, baseline):
    """Say what is about to be learned, by what, and what it has to beat."""
    count = sum(p.size for p in jax.tree.leaves(training.params))
    size = f"{config.layers} x {config.cell}({config.m}), {count:,} parameters"
    console.print(
        f"text: {config.text or 'the King James Bible, Genesis to 1 Samuel'}, {len(corpus.train):,} {config.unit}s to "
        f"learn, {len(corpus.vocabulary):,} different\n"
        f"model: {size}, from step {int(training.step):,} to {config.steps:,}, "
        f"each {config.batch} streams x {config.window} {config.unit}s\n"
        f"to beat: 5-gram Kneser-Ney, {baseline:.3f} bits a character held out"
    )


@contextlib.contextmanager
def drawn(run: Run, baseline: float):
    """However training ends, leave its learning curve in the run's folder."""
    try:
        yield
    finally:
        curve(
            run.path / "curve.png", run.metrics(), train="train", valid="valid", unit="bits a character",
            title=run.path.name, baselines={"5-gram Kneser-Ney, held out": baseline},
        )  # fmt: skip
