# %% [markdown]
# # 10 · Training a language model and sampling from it
#
# **요약.** 글자를 하나씩 읽으며 다음 글자의 확률을 말하는 LSTM을 성경 본문으로 학습시킵니다. 긴 본문을 여러 줄기로 나누고
# 창 단위로 잘라, 상태는 다음 창으로 넘기되 기울기는 창 안에서만 거슬러 올라가게 합니다(잘린 BPTT). 학습에 쓰지 않은 본문에서
# 글자당 비트 수를 n-그램과 비교하고, 온도, top-k, 핵(nucleus) 표본추출이 쓴 글을 어떻게 바꾸는지 실제로 있는 낱말의 비율과
# 낱말의 다양함으로 잽니다. 끝으로 한글을 자모로 나누어 다루는 법을 짧게 봅니다.
#
# A language model says how likely a text is, symbol by symbol:
#
# $$p(x_1, \dots, x_N) = \prod_t p(x_t \mid x_1, \dots, x_{t-1}), \qquad
# \text{bits a character} = -\frac1N \sum_t \log_2 p(x_t \mid x_1, \dots, x_{t-1}).$$
#
# It is both a compressor (bits a character is what a text would take) and a writer: draw $x_t$, feed it back, draw again.
# A recurrent one keeps the past in its state, $p(x_{t+1} \mid \dots) = \text{softmax}(h_t W + b)$; an n-gram keeps the
# last $n - 1$ symbols, and counts.

# %%
import itertools
import os
import re

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rnnjax
from rnnjax.data import characters, jamo, jamo_level, windows
from rnnjax.tasks import language
from rnnjax.tasks.config import Config
from rnnjax.tasks.corpus import corpus
from rnnjax.tasks.options import adam
from rnnjax.tasks.sampling import Taste, allowed, sample, stream
from rnnjax.tasks.scores import network_bits, ngram_bits, predicting
from rnnjax.train import begin, fit, update

SMALL = "RNNJAX_SMALL" in os.environ

# %% [markdown]
# ## One long text as streams and windows
#
# The text shipped with the library is the King James Bible from Genesis to 1 Samuel; the last tenth is kept for
# validation and test. Training cuts the rest into $B$ parallel streams, and these into windows of 48 characters: the
# targets are the inputs one step later, and every window goes on where the last one ended, in each stream.

# %%
config = Config(m=64, embed=32, steps=250) if SMALL else Config(m=224, steps=2300)
text = corpus(config)
vocabulary = text.vocabulary
streams = windows(text.train, batch=config.batch, length=config.window)
print(f"{len(text.train):,} characters to learn, {len(vocabulary)} different; {streams}")

inputs, targets = streams[0]
print(repr(vocabulary.decode(inputs[:, 3])), "->", repr(vocabulary.decode(targets[:, 3])))
following, _ = streams[1]
assert np.array_equal(inputs[1:], targets[:-1]), "targets: the same, one step later"
assert np.array_equal(targets[-1], following[0]), "the next window goes on where this one ends"

# %% [markdown]
# ## Truncated backpropagation through time, with the state carried
#
# `with_loss` (in `predicting`) adds the cross entropy to the network, `batch` makes $B$ of it, `tbptt` gives its gradient
# back through one window. The state after the window is where the next one starts: forward the network knows of all
# that came before, though no gradient goes further back than 48 steps. At each epoch's beginning all streams start
# afresh (`restart`), and now and then one of them, so that the network also learns to begin.

# %%
network = language.model(config, len(vocabulary))
cell = rnnjax.batch(predicting(network), config.batch)
one_step = update(rnnjax.tbptt(cell, window=config.window), adam(config))
restart = language.restart(config, cell, len(streams))
training = begin(cell, adam(config), jax.random.key(config.seed))
print(network)
for training, metrics in fit(one_step, training, lambda k: (streams.at(k),), config.steps, restart=restart):
    if int(training.step) % (config.steps // 5) == 0:
        print(f"update {int(training.step):5}: {float(metrics.loss) / np.log(2):.3f} bits a character")
params = training.params

# %% [markdown]
# ## Bits a character, beside n-grams
#
# On the validation part, which nothing was trained on: the network reading it in one go, and n-grams with modified
# Kneser-Ney smoothing of the same training text. An n-gram knows exactly the last $n - 1$ characters.

# %%
bits = network_bits(network, params, text, "valid", streams=16)
orders = (1, 2, 3, 5) if SMALL else range(1, 9)
counted = {order: ngram_bits(text, "valid", order=order) for order in orders}
print("n-gram, bits a character:", "  ".join(f"{order}: {value:.3f}" for order, value in counted.items()))
print(f"network: {bits:.3f}")
assert bits < counted[2] - 0.2 if SMALL else bits < counted[5] - 0.03

# %% [markdown]
# The text repeats itself much, so long n-grams do well. This network beats the one that knows the last four characters,
# and not the longer ones; it has no table of what was said, only its weights. (`rnnjax train` trains a larger one.)
#
# What is the carried state worth? The same characters once more, with the state afresh every 48: the bits at each place
# of a window, beside those at the same characters with the state carried through it all.


# %%
@jax.jit
def bits_each(params, inputs, targets):
    """-log2 p of each target (B, T), each row from a fresh state."""
    _, logits = rnnjax.apply(network, params, inputs)
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0] / jnp.log(2)


count = 40_000 // config.window
inputs, targets = (text.valid[k:][: count * config.window] for k in (0, 1))
carried = np.asarray(bits_each(params, inputs[None], targets[None])).reshape(count, -1)
afresh = np.asarray(bits_each(params, inputs.reshape(count, -1), targets.reshape(count, -1)))
for piece in (slice(0, 1), slice(1, 4), slice(4, 12), slice(12, 48)):
    print(
        f"places {piece.start + 1:2} to {piece.stop:2} of a window: {afresh[:, piece].mean():.2f} bits afresh, "
        f"{carried[:, piece].mean():.2f} carried"
    )
print(f"all: {afresh.mean():.3f} afresh, {carried.mean():.3f} carried")
assert afresh.mean() > carried.mean() + (0.02 if SMALL else 0.06)

# %% [markdown]
# ## Drawing a symbol: temperature, top-k, nucleus
#
# `Taste` says which of the likely symbols may be drawn, and how boldly:
#
# - **temperature** $\tau$: draw from $\text{softmax}(\text{logits} / \tau)$; below 1 the likely become likelier, and
#   towards 0 only the likeliest is left;
# - **top-k**: only the $k$ likeliest symbols;
# - **nucleus**, top-p: only the fewest likeliest symbols that have probability $p$ together: few where the network is
#   sure, many where it is not.
#
# Here is what may follow a piece of held-out text, one where the network is in some doubt, with the probability of each
# and the entropy of the whole, in bits.

# %%
read = jax.jit(network.step)
_, logits = read(params, network.start(params), text.valid[:1000])
log_p = np.asarray(jax.nn.log_softmax(logits))
doubt = -np.sum(np.exp(log_p) * log_p, 1) / np.log(2)
end = 100 + int(np.abs(doubt[100:] - 2.5).argmin()) + 1
prompt = text.valid[end - 30 : end]
_, logits = read(params, network.start(params), prompt)
logits = logits[-1]

tastes = {
    "as it is": Taste(),
    "temperature 0.5": Taste(temperature=0.5),
    "temperature 1.5": Taste(temperature=1.5),
    "top-k 3": Taste(top_k=3),
    "nucleus 0.8": Taste(top_p=0.8),
}
likeliest = np.argsort(-np.asarray(logits))[:7]
print(f"after {vocabulary.decode(prompt)!r}")
print(f"{'':16}" + "".join(f"{vocabulary.symbols[i]!r:>7}" for i in likeliest), " others  entropy")
entropies = {}
for name, taste in tastes.items():
    p = np.asarray(jax.nn.softmax(allowed(logits / taste.temperature, taste.top_k, taste.top_p)), float)
    entropies[name] = abs(np.sum(p[p > 0] * np.log2(p[p > 0])))
    shares = "".join(f"{p[i]:7.3f}" for i in likeliest)
    print(f"{name:16}{shares}{abs(1 - p[likeliest].sum()):8.3f}{entropies[name]:9.2f}")
assert entropies["temperature 0.5"] < entropies["as it is"] < entropies["temperature 1.5"]
assert max(entropies["top-k 3"], entropies["nucleus 0.8"]) < entropies["as it is"]

# %% [markdown]
# `sample` draws with `jax.random`, symbol after symbol, and gives the network what it has drawn. Is a draw what the table
# says?

# %%
drawn = [next(sample(network, params, prompt, key=jax.random.key(k), taste=Taste(top_k=3))) for k in range(200)]
assert set(drawn) <= set(likeliest[:3].tolist()), "top-k draws from the k likeliest"
share, p = np.mean(np.array(drawn) == likeliest[0]), float(jax.nn.softmax(allowed(logits, 3, 1.0)).max())
print(f"{vocabulary.symbols[likeliest[0]]!r}: {share:.2f} of 200 draws, probability {p:.2f}")
assert abs(share - p) < 0.15, "four standard errors, and more"

# %% [markdown]
# ## What tastes do to a text
#
# Each taste writes a text. Two numbers tell of it: what share of its words are **real**, that is words of the training
# text, and how **varied** it is: the share of its words that are different ones. A model that says the same thing over
# and over is all real, and not varied. Held-out text itself shows what would be right.

# %%
WORD = re.compile(r"[^\W\d_]+(?:’[a-z]+)?")
known = set(WORD.findall(vocabulary.decode(text.train)))
length = 500 if SMALL else 3000


def written(taste, seed=0):
    """What the network writes after a line's end."""
    ids = vocabulary.encode("\n")
    drawn = sample(network, params, ids, key=jax.random.key(seed), taste=taste, silent=(0,))
    return "".join(stream(vocabulary, itertools.islice(drawn, length), after=int(ids[-1])))


def judged(text):
    """The shares of its words that are real, and that are different."""
    found = WORD.findall(text)[: length // 6]
    return np.mean([word in known for word in found]), len(set(found)) / len(found)


temperatures = (0.0, 0.5, 1.0, 1.5) if SMALL else (0.0, 0.25, 0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5)
ways = {
    "temperature": {t: Taste(temperature=t) for t in temperatures},
    "top-k": {k: Taste(top_k=k) for k in ((3,) if SMALL else (2, 3, 5, 10, 20))},
    "nucleus": {p: Taste(top_p=p) for p in ((0.8,) if SMALL else (0.3, 0.6, 0.8, 0.9, 0.97))},
}
texts = {way: {value: written(taste) for value, taste in tastes.items()} for way, tastes in ways.items()}
points = {way: {value: judged(one) for value, one in of_way.items()} for way, of_way in texts.items()}
points["held-out text"] = {"": judged(vocabulary.decode(text.valid)[1000:])}
for way, of_way in points.items():
    for value, (real, varied) in of_way.items():
        print(f"{way:13} {value:5}: {real:6.1%} of the words are real, {varied:6.1%} different")

# %%
for value in (0.0, 0.5, 1.0, 1.5):
    print(f"temperature {value}: {texts['temperature'][value][:160]!r}")
print(f"nucleus 0.8: {texts['nucleus'][0.8][:160]!r}")

# %%
by_temperature = points["temperature"]
assert by_temperature[0.5][0] > by_temperature[1.0][0] > by_temperature[1.5][0] + (0.05 if SMALL else 0.1), (
    "hotter is less real"
)
assert by_temperature[0.0][1] < 0.7 * by_temperature[1.0][1], "the likeliest symbol always: the same over and over"
margin = 0.0 if SMALL else 0.04
assert points["nucleus"][0.8][0] > by_temperature[1.0][0] + margin, (
    "the tail that a nucleus cuts off is where words go wrong"
)

# %% [markdown]
# ## Korean: jamo
#
# There are 11 172 Hangul syllables, and 67 letters (jamo) that they are made of. `jamo` takes a text apart, and by
# `--unit jamo`, or `jamo_level`, a model reads and writes the letters. A syllable is written when nothing to come can
# change it: `stream` holds it back so long.

# %%
korean = "나라의 말이 중국과 달라 한자와는 서로 통하지 아니하므로"
letters = jamo_level(korean)
print(
    f"{len(korean)} characters, {len(set(korean))} different; {len(jamo(korean))} letters, {len(set(jamo(korean)))} different"
)
print(f"{len(characters(korean))} symbols by syllable, {len(letters)} by letter; 말: {len(jamo('말'))} letters")
ids = letters.encode(korean)
pieces = list(stream(letters, ids.tolist(), after=0))
print(pieces[:9])
assert letters.decode(ids) == "".join(pieces) == korean

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained", width_ratios=(2, 3))
left.plot(list(counted), list(counted.values()), "o-", color="#555555", label="n-gram, Kneser-Ney")
left.axhline(bits, color="#D55E00", label=f"LSTM of {config.m}, {bits:.2f}")
left.set_xticks(list(counted))
left.set(xlabel="order $n$ of the n-gram", ylabel="bits a character, held out", title="how well the text is told")
left.set_ylim(0)
left.legend(frameon=False, fontsize="small")

colors = {"temperature": "#0072B2", "top-k": "#CC79A7", "nucleus": "#009E73"}
labelled = {("temperature", t): (8, 2) for t in (0.0, 1.15, 1.3, 1.5)} | {("temperature", 1.0): (-12, -10)}
labelled |= {("nucleus", p): (2, 7) for p in (0.3, 0.8, 0.97)} | {("top-k", k): (-3, -14) for k in (2, 5)}
for way, color in colors.items():
    real, varied = 100 * np.array(list(points[way].values())).T
    values = ", ".join(f"{value:g}" for value in points[way])
    right.plot(varied, real, "o-", ms=4, color=color, label=f"{way}: {values}")
    for value, x, y in zip(points[way], varied, real):
        if (way, value) in labelled:
            right.annotate(f"{value:g}", (x, y), labelled[way, value], textcoords="offset points", color=color)
(real, varied), *_ = points["held-out text"].values()
right.plot(100 * varied, 100 * real, "*", ms=12, color="#D55E00", label="held-out text")
right.set(xlabel="words that are different (%)", ylabel="words that are real (%)", title="what it writes, by taste")
right.set_ylim(top=103)
right.legend(frameon=False, fontsize="small", loc="lower left")

# %% [markdown]
# **Where words go wrong is the tail of unlikely symbols: drawn as it is, the network writes 89.8 % real words; from a
# nucleus of 0.8, 98.4 %, in a text as varied (36.8 % different words) as held-out text is (36.4 %, 97.8 % real).**
#
# Graves 2013, [Generating sequences with recurrent neural networks](https://arxiv.org/abs/1308.0850); Mikolov et al. 2010,
# [Recurrent neural network based language model](https://doi.org/10.21437/Interspeech.2010-343); Chen & Goodman 1999,
# [An empirical study of smoothing techniques](https://doi.org/10.1006/csla.1999.0128); Holtzman et al. 2020,
# [The curious case of neural text degeneration](https://arxiv.org/abs/1904.09751). Next:
# [gradients that go forward in time](11_online_gradients.ipynb).
