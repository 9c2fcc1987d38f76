"""What `rnnjax inspect` takes and does: a trained run's diagnosis, as pictures, figures and advice."""

import dataclasses
import functools
import math
from pathlib import Path

import jax
import numpy as np
import tyro
from rich.table import Table

import rnnjax
from rnnjax import diagnostics, weights
from rnnjax.diagnostics import pictures
from rnnjax.tasks import corpus as texts
from rnnjax.tasks import kept, language, scores
from rnnjax.train.run import Run

FAR = 100  # steps of credit
READ = 200  # symbols before them, after which the state is as in the midst of a text
LONG = 1000  # steps for what is a mean over time
SIZE = 27_000_000  # numbers in all Jacobians looked at: of large ones, fewer
SENTENCE = 80  # symbols at most, of the run's own text; of --text 200


@dataclasses.dataclass(frozen=True)
class Inspect:
    """Draw and measure how credit flows through a run's model, and say what would help.

    On the run's held-out text. Writes flow.png (gradients over time, beside untrained models of the same size),
    gates.png (every gate over a sentence) and network.png (the model unrolled) into the run's folder.
    """

    run: tyro.conf.Positional[Path]
    """The run's folder, as runs/bible-lstm."""
    text: str | None = None
    """A sentence for gates.png; by default one of the run's held-out text."""

    def __call__(self, console):
        run = Run(self.run)
        network, vocabulary, params = kept.language_model("inspect", run)
        config = kept.options(run)
        corpus = texts.corpus(config)
        kept.unchanged(run, {"digest": corpus.digest})
        begin, ids = sentence(corpus) if self.text is None else (0, read(vocabulary, self.text))
        files = {name: run.path / f"{name}.png" for name in ("flow", "gates", "network")}
        steps = min(FAR, len(corpus.valid) - 1)
        before = min(READ, len(corpus.valid) - 1 - steps)
        piece = corpus.valid[before : before + steps + 1]

        def flow(network, params):
            state = after(network, params, corpus.valid[:before])
            few = SIZE // sum(jax.tree.leaves(jax.tree.map(np.size, state))) ** 2
            lags = range(steps + 1) if few >= steps else [0, *np.geomspace(1, steps, max(few, 12)).astype(int)]
            judged, pair = scores.predicting(network), (piece[:-1], piece[1:])
            return diagnostics.gradient_flow(judged, params, state, pair, lags=lags, exact=4096)

        trained = flow(network, params)
        others = {label: flow(*made) for label, *made in untrained(config, len(vocabulary), steps)}
        name = f"{run.path.name}: {config.layers} x {config.cell}({config.m})"
        title = f"{name} over {steps} {config.unit}s of held-out text, beside untrained models of its size"
        pictures.flows(files["flow"], {f"{config.cell}, trained": trained, **others}, title=title)
        pictures.network(files["network"], network, title=f"{name}, unrolled over time")
        start = after(network, params, corpus.valid[:begin])
        shown = diagnostics.activations(network, params, start, ids)
        title = f"{name} reading a sentence, units from the slowest, on top, to the quickest"
        pictures.gates(files["gates"], shown, symbols(vocabulary, ids), title=title)

        start, xs = network.start(params), corpus.valid[:LONG]
        saturations = diagnostics.saturation(diagnostics.activations(network, params, start, xs))
        exponents = diagnostics.lyapunov(network, params, start, xs, count=1)
        report(console, name, trained, exponents, saturations)
        for advice in diagnostics.advise(trained, saturations, exponents):
            console.print(f"{advice.finding}: {advice.reason}. {advice.remedy}")
        console.print("\nkept in", ", ".join(map(str, files.values())))


def report(console, name, flow, exponents, saturations):
    """Print the figures of a diagnosis."""
    table, memory = Table("measured", "value", title=name), diagnostics.memory_length(flow)
    reach = f"more than {flow.lags[-1]} steps" if memory == math.inf else f"{memory} steps"
    table.add_row("effective memory (Jacobian above 1 %)", reach)
    table.add_row("largest Lyapunov exponent", f"{float(exponents[0]):+.4f} nats a step")
    for gate, low, high in saturations:
        table.add_row(f"saturated, {gate.layer} {gate.name}", f"{low:.0%} low, {high:.0%} high")
    console.print(table)


def untrained(config, size, longest):
    """(label, network, params) of vanilla, LSTM and GRU networks as they start, plainly and with a remedy."""
    longest, plain = max(3, longest), weights.uniform(1 / math.sqrt(config.m))
    for label, cell, options in (
        ("rnn, U uniform within 1/√m", "rnn", dict(recurrent=plain)),
        ("rnn, U orthogonal", "rnn", {}),
        ("lstm, forget bias 0", "lstm", dict(bias=weights.zeros)),
        (f"lstm, chrono({longest})", "lstm", dict(bias=weights.chrono(longest))),
        ("gru, bias 0", "gru", {}),
        (f"gru, chrono({longest})", "gru", dict(bias=weights.chrono(longest, gru=config.m))),
    ):
        network = language.model(dataclasses.replace(config, cell=cell, dropout=0.0), size)
        made = functools.partial(getattr(rnnjax, cell), **options)
        layers = rnnjax.deep(made, config.embed, config.m, layers=config.layers)
        own = rnnjax.stack(rnnjax.embed(size, config.embed), layers, rnnjax.dense(config.m, size))
        yield label, network, own.init(jax.random.key(config.seed))


@functools.partial(jax.jit, static_argnums=0)
def after(network, params, ids):
    """The state after reading."""
    return network.step(params, network.start(params), ids)[0]


def sentence(corpus):
    """Where the longest sentence of at most 80 symbols begins in the first of the held-out text, and its symbols."""
    ids = corpus.valid[: 2 * LONG]
    read = [corpus.vocabulary.symbols[i] for i in ids]
    ends = [i + 1 for i, symbol in enumerate(read) if symbol in (".", "!", "?", "\n")]
    begins = [a + (read[a : a + 1] == [" "]) for a in ends]
    spans = [(a, b) for a, b in zip(begins, ends[1:]) if b - a <= SENTENCE]
    begin, end = max(spans, key=lambda span: span[1] - span[0], default=(0, SENTENCE))
    return begin, ids[begin:end]


def read(vocabulary, text):
    """The symbols of a sentence, refused if they cannot be drawn."""
    ids = vocabulary.encode(text)
    if not 0 < len(ids) <= 200:
        raise ValueError(f"inspect: the text must hold 1 to 200 {vocabulary.unit}s, but it holds {len(ids)}. Reword.")
    if vocabulary.unit != "byte" and not ids.all():
        raise ValueError(f"inspect: the text must use {vocabulary.unit}s of the run's text, but one is new. Reword.")
    return ids


def symbols(vocabulary, ids):
    """Each symbol as it is drawn: of a byte that is no ASCII, its hexadecimal digits."""
    return [
        s if vocabulary.unit != "byte" or s < "\x80" else f"{ord(s):02x}" for s in (vocabulary.symbols[i] for i in ids)
    ]
