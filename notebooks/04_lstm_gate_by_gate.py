# %% [markdown]
# # 4 · The LSTM, gate by gate
#
# **요약.** LSTM의 수식을 한 줄씩 손으로 계산하고, 라이브러리가 읽어 낸 게이트 값과 같음을 확인합니다.
# 성경 본문으로 작은 문자 단위 LSTM을 학습시킨 뒤, 실제 문장 하나를 읽으면서 망각·입력·출력 게이트와 후보 값, 셀 상태가
# 글자마다 어떻게 움직이는지 그림으로 봅니다. 학습된 네트워크의 게이트를 0이나 1에 묶어 두면 손실이 얼마나 커지는지도
# 잽니다.
#
# The long short-term memory has two states, $h$ and $c$, and three gates: numbers between 0 and 1 that say how much is let
# through. With row vectors, and $\sigma$ the logistic function:
#
# $$i, f, g, o = \text{split}(x_t W + h_{t-1} U + b)$$
#
# $$c_t = \sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(g), \qquad h_t = \sigma(o) \odot \tanh(c_t)$$
#
# The forget gate $\sigma(f)$ says how much of the cell $c$ is kept, the input gate $\sigma(i)$ how much of the candidate
# $\tanh(g)$ is written, the output gate $\sigma(o)$ how much of it is shown.

# %%
import os
import re
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from rnnjax import diagnostics
from rnnjax.diagnostics import pictures
from rnnjax.tasks import language
from rnnjax.tasks.config import Config
from rnnjax.tasks.corpus import corpus
from rnnjax.train import begin, fit, update

SMALL = "RNNJAX_SMALL" in os.environ

# %% [markdown]
# ## A small model of a real text
#
# The text shipped with the library is the King James Bible from Genesis to 1 Samuel. The network reads a character and
# predicts the next one: an embedding, one LSTM of $m$ units, a readout. `rnnjax train` does the same with a larger one;
# here are its pieces.

# %%
config = Config(m=32 if SMALL else 96, embed=32, steps=150 if SMALL else 1500)
text = corpus(config)
recipe = language.recipe(config)
network = language.model(config, len(text.vocabulary))
print(recipe.about)
print(network)

one_step = update(recipe.gradient, recipe.optimizer)
training = begin(recipe, recipe.optimizer, jax.random.key(config.seed))
for training, metrics in fit(one_step, training, lambda k: (recipe.batch_at(k),), config.steps, restart=recipe.restart):
    if int(training.step) % (config.steps // 5) == 0:
        print(f"update {int(training.step):5}: {recipe.scale * float(metrics.loss):.3f} bits a character")

params = training.params
bits = recipe.measure(params, "valid")["bits a character"]
blind = recipe.measure(recipe.init(jax.random.key(config.seed)), "valid")["bits a character"]
symbols = len(text.vocabulary)
print(
    f"held out: {bits:.3f} bits a character; untrained {blind:.3f}; one of {symbols} at random {np.log2(symbols):.3f}"
)
assert bits < (3.5 if SMALL else 2.5), "it has learned"

# %% [markdown]
# ## Reading a sentence
#
# One sentence of the part that was not trained on, after the thousand characters before it. `diagnostics.activations` runs
# the network, and gives every logistic and tanh of its step, read from the equations: no annotation, no second
# implementation.

# %%
held_out = text.vocabulary.decode(text.valid)
found = re.compile(r"(?<=[.!?] )[A-Z][^.!?]{40,70}\.").search(held_out, 1000)
begins, sentence = found.start(), found.group()
print(sentence)

read = jax.jit(network.step)
state, _ = read(params, network.start(params), text.valid[begins - 1000 : begins])
ids = text.vocabulary.encode(sentence)
gates = diagnostics.activations(network, params, state, ids)
for gate in gates:
    print(f"{gate.layer} {gate.name:7} {gate.kind:9} {gate.values.shape}")
f, i, g, o, tanh_c = (np.asarray(gate.values) for gate in gates)

# %% [markdown]
# ## One step by hand
#
# The 21st character of that sentence in NumPy, equation by equation, held to what the library saw and to what it gives.

# %%
t = 20
before, _ = read(params, state, ids[:t])
after, logits = network.step(params, before, ids[t : t + 1])
(h, c), (h_after, c_after) = jax.tree.leaves(before), jax.tree.leaves(after)


def sigma(x):
    return 1 / (1 + np.exp(-x))


embedding, (lstm,), readout = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
x = embedding[ids[t]]
by_hand = np.split(x @ lstm.W + h @ lstm.U + lstm.b, 4)
assert np.allclose(sigma(by_hand[0]), i[t], atol=1e-5), "input gate"
assert np.allclose(sigma(by_hand[1]), f[t], atol=1e-5), "forget gate"
assert np.allclose(np.tanh(by_hand[2]), g[t], atol=1e-5), "candidate"
assert np.allclose(sigma(by_hand[3]), o[t], atol=1e-5), "output gate"

c_next = f[t] * c + i[t] * g[t]
h_next = o[t] * np.tanh(c_next)
assert np.allclose(np.tanh(c_next), tanh_c[t], atol=1e-5), "tanh of the cell"
assert np.allclose(c_next, c_after, atol=1e-5), "c: kept, and written"
assert np.allclose(h_next, h_after, atol=1e-5), "h: shown"
assert np.allclose(h_next @ readout.W + readout.b, logits[0], atol=1e-4), "what is predicted"
expected = text.vocabulary.symbols[int(logits[0].argmax())]
print(f"after {sentence[: t + 1]!r} it expects {expected!r}, and {sentence[t + 1]!r} comes")

# %% [markdown]
# ## What the gates do
#
# `saturation` gives the share of a gate's values that are shut (below 0.1) and wide open (above 0.9); of a tanh, near
# -1 and 1. Over 4000 characters of held-out text:

# %%
long = text.valid[:4000]
over_text = diagnostics.activations(network, params, network.start(params), long)
for gate, low, high in diagnostics.saturation(over_text):
    print(f"{gate.name:7} mean {float(gate.values.mean()):+.2f}   low {low:5.1%}   high {high:5.1%}")

changes = {gate.name: float(np.abs(np.diff(gate.values, axis=0)).mean()) for gate in over_text}
print("mean change from one character to the next:", ", ".join(f"{name} {size:.2f}" for name, size in changes.items()))
assert changes["f"] < changes["o"] and changes["tanh c"] < changes["g"]

forget = np.asarray(over_text[0].values)
letters = np.array(list(text.vocabulary.decode(long)))
at_space, in_word = forget[letters == " "].mean(), forget[np.char.isalpha(letters)].mean()
print(f"forget gate, mean over units: {at_space:.2f} at a space, {in_word:.2f} at a letter")
assert at_space < in_word - 0.02, "more is forgotten where a word ends"

# %% [markdown]
# How many steps a unit remembers: a forget gate of constant value $\sigma(f)$ keeps $\sigma(f)^k$ of $c$ after $k$ steps, and so
# half of it after $\ln 2 / -\ln \sigma(f)$ of them. With the mean of $\ln \sigma(f)$ of each unit:

# %%
half_lives = np.sort(np.log(2) / -np.log(forget).mean(0))
shortest, longest = half_lives[[0, -1]]
print(f"half-lives in characters: shortest {shortest:.1f}, median {np.median(half_lives):.1f}, longest {longest:.1f}")

# %% [markdown]
# ## Hold a gate at 0 or 1
#
# The block of a gate in $W$, $U$ and $b$ can be overwritten: weights of 0 and a bias of $\pm 30$ hold the logistic at 1 or 0
# in every step (to $10^{-13}$). What does the loss of the trained network say?
#
# - $\sigma(f) = 0$: the cell forgets everything at each step. Only $h$ tells of the past, by the recurrent weights $U$.
# - $\sigma(f) = 1$: the cell never forgets. This is the LSTM of 1997; the forget gate came in 2000.
# - A third: $\sigma(f)$ at each unit's own mean. What is lost is what comes of the gate's moving with the text.


# %%
def held(params, place, bias):
    """The params with gate `place` (of i f g o) held at the logistic of `bias`."""
    embedding, (lstm,), readout = params
    m = config.m
    block = slice(place * m, (place + 1) * m)
    W, U, b = lstm.W.at[:, block].set(0), lstm.U.at[:, block].set(0), lstm.b.at[block].set(bias)
    return embedding, (lstm._replace(W=W, U=U, b=b),), readout


PLACES = {"i": (0, 1), "f": (1, 0), "o": (3, 3)}  # in i f g o, and among the gates read above
losses = {}
for name, (place, number) in PLACES.items():
    mean = np.asarray(over_text[number].values).mean(0)
    for what, bias in (("0", -30.0), ("1", 30.0), ("mean", jnp.log(mean / (1 - mean)))):
        losses[name, what] = recipe.measure(held(params, place, bias), "valid")["bits a character"]

print(f"bits a character, held out; {bits:.3f} as trained")
print("gate   held at 0   held at 1   held at its mean")
for name in PLACES:
    print(f"{name:4}" + "".join(f"{losses[name, what]:12.3f}" for what in ("0", "1", "mean")))

# %% [markdown]
# Input and output gates at 0 leave $h = 0$: the network is blind, and says the same at every character. The forget gate at
# 0 costs less than at 1: $h$ still carries something of the step before, but a cell that never forgets, in a network that
# has learned to rely on forgetting, fills up with what is of no use any more. (One *trained* so would do better: this
# is what the gate is worth to this network.)

# %%
least = (0.15, 0.4, 0.02) if SMALL else (0.5, 2.0, 0.2)
for what, more in zip(("0", "1", "mean"), least):
    assert losses["f", what] > bits + more, f"the forget gate held at {what} costs"
assert losses["f", "1"] > losses["f", "0"]
assert np.isclose(losses["i", "0"], losses["o", "0"], rtol=1e-5), "either way h = 0"

# %% [markdown]
# ## Every gate over the sentence
#
# `pictures.gates` draws the values into a PNG file: a panel a gate, a row a unit, a column a character; the units that
# change least from step to step on top, the same ones in each panel. Before the picture, two numbers to read it by: how many
# cells hardly move through the whole sentence, and what the forget gates of the others do at its spaces. (A cell that stays
# near $\pm 1$ is a constant: what its unit says, it says by its output gate alone.)

# %%
still = np.ptp(tanh_c, axis=0) < 0.5
space = np.array(list(sentence)) == " "
moving = f[:, ~still]
print(f"{still.mean():.0%} of the cells move by less than 0.5 in the sentence, of a range of 2")
print(f"forget gates of the others: {moving[space].mean():.2f} at spaces, {moving[~space].mean():.2f} elsewhere")
assert SMALL or (still.mean() > 0.4 and moving[space].mean() < moving[~space].mean() - 0.1)

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "gates.png")
    pictures.gates(path, gates, sentence, title=f"An LSTM of {config.m} reads held-out text")
    picture = plt.imread(path)
height, width, _ = picture.shape
figure = plt.figure(figsize=(width / 150, height / 150), dpi=100)
axes = figure.add_axes((0, 0, 1, 1))
axes.imshow(picture)
axes.set_axis_off()

# %% [markdown]
# **About half of the cells stay where they are behind an open forget gate, and speak through the output gate alone; in the
# others the gates follow the words, and the forget gate shuts at the spaces.**
#
# Hochreiter & Schmidhuber 1997, [Long short-term memory](https://doi.org/10.1162/neco.1997.9.8.1735); Gers, Schmidhuber &
# Cummins 2000, [Learning to forget](https://doi.org/10.1162/089976600300015015); Karpathy, Johnson & Li 2015,
# [Visualizing and understanding recurrent networks](https://arxiv.org/abs/1506.02078). Next:
# the [GRU and its minimal relatives](05_gru_and_how_the_variants_differ.ipynb).
