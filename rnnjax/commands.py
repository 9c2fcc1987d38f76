"""What `rnnjax train`, `eval` and `sample` take and do."""

import dataclasses
import itertools
import shlex
from pathlib import Path

import jax
import tyro
from rich.table import Table

from rnnjax.tasks import language, learn, sampling, scores
from rnnjax.tasks.config import Config, check_seed
from rnnjax.train.run import Run, free_path

STOPPED = 130


@dataclasses.dataclass(frozen=True)
class Train(Config):
    """Train a language model on text, and measure it beside an n-gram model.

    Without options: a character LSTM on the shipped King James text, about three minutes on two cores. The run is kept
    in runs/NAME: config.json, checkpoints, metrics.jsonl, curve.png, sample.txt. Ctrl-C stops it so that it can go on.
    """

    name: str | None = None
    """Name of the run's folder; by default made from the text and the cell."""
    runs: Path = Path("runs")
    """Where runs are kept."""
    resume: Path | None = None
    """Go on with this run instead, under its own options, as if it had never stopped."""

    def __call__(self, console):
        options = dataclasses.asdict(self)
        name, runs, resume = (options.pop(key) for key in ("name", "runs", "resume"))
        config = Config(**options)
        if resume is None:
            stem = Path(config.text).stem if config.text else "bible"
            run = learn.create(runs / name if name else free_path(runs, f"{stem}-{config.cell}"), config)
        elif self == Train(resume=resume):
            run = Run(resume)
        else:
            raise ValueError("train: --resume must stand alone, but other options came with it. A run keeps its own.")
        try:
            console.print(f"run: {run.path}")
            done = learn.learn(run, console)
        except KeyboardInterrupt:  # in the first moments, or the second Ctrl-C: it goes on from its last checkpoint
            done = False
        if not done:
            console.print(f"stopped; go on with: rnnjax train --resume {shlex.quote(str(run.path))}")
            return STOPPED
        network, vocabulary, params = restored(run)
        measure(run, network, params, console)
        text = "".join(sampled(network, vocabulary, params, "\n", 1.0, 300, 0))
        (run.path / "sample.txt").write_text(text + "\n")
        console.print("\nA sample at temperature 1:")
        console.print(text, highlight=False)
        place = shlex.quote(str(run.path))
        console.print(f"\nkept in {run.path}; try: rnnjax sample {place} --prompt 'In the beginning'")


@dataclasses.dataclass(frozen=True)
class Eval:
    """Measure a run on the test part of its text, beside n-gram models."""

    run: tyro.conf.Positional[Path]
    """The run's folder, as runs/bible-lstm."""

    def __call__(self, console):
        run = Run(self.run)
        network, _, params = restored(run)
        measure(run, network, params, console)


@dataclasses.dataclass(frozen=True)
class Sample:
    """Write text with a run's model, as it is generated."""

    run: tyro.conf.Positional[Path]
    """The run's folder, as runs/bible-lstm."""
    prompt: str = "\n"
    """Text to go on from."""
    temperature: float = 0.8
    """1 is the model as it is; less is bolder towards the likely; 0 always takes the likeliest."""
    length: int = 500
    """How many symbols to write."""
    seed: int = 0
    """Another seed, another text."""

    def __post_init__(self):
        check_seed("sample", self.seed)
        if self.length < 0:
            raise ValueError(f"sample: length must be at least 0, but length is {self.length}. Give more.")

    def __call__(self, console):
        network, vocabulary, params = restored(Run(self.run))
        for piece in sampled(network, vocabulary, params, self.prompt, self.temperature, self.length, self.seed):
            print(piece, end="", flush=True)
        print()


def restored(run):
    """The network, vocabulary and trained params of a run, without its text."""
    config, vocabulary = learn.recorded(run)
    network = language.model(config, len(vocabulary))
    like = jax.eval_shape(lambda: learn.fresh(config, network)[-1])  # its types are enough, and cost no compiling
    return network, vocabulary, run.checkpoints.load(like).params


def sampled(network, vocabulary, params, prompt, temperature, length, seed):
    """The prompt, then `length` symbols of text in pieces."""
    ids = vocabulary.encode(prompt)
    unknown = () if vocabulary.unit == "byte" else (0,)
    if any(i in unknown for i in ids) and prompt.strip():
        raise ValueError(f"sample: the prompt must use {vocabulary.unit}s of the run's text, but one is new. Reword.")
    drawn = sampling.sample(network, params, ids, key=jax.random.key(seed), temperature=temperature, silent=unknown)
    new = itertools.islice(drawn, length)
    if vocabulary.unit == "jamo":  # a jamo drawn may complete the prompt's last syllable
        new, prompt = itertools.chain(vocabulary.encode(prompt.lstrip("\n")).tolist(), new), ""
    yield prompt.lstrip("\n")
    yield from sampling.stream(vocabulary, new, after=int(ids[-1]))


def measure(run, network, params, console):
    """Print bits a character on the test text, for the model and for n-grams."""
    config, corpus, _ = learn.load(run)
    ours = scores.network_bits(network, params, corpus, "test")
    rows = {f"{config.layers} x {config.cell}({config.m})": ours}
    rows |= {f"{order}-gram Kneser-Ney": scores.ngram_bits(corpus, "test", order=order) for order in (5, 8)}
    table = Table("model", "bits a character", title=f"test: the last {corpus.characters['test']:,} characters")
    for label, value in rows.items():
        table.add_row(label, f"{value:.3f}")
    console.print(table)
