# %% [markdown]
# # 11 · Gradients that go forward in time
#
# **요약.** 시간 역전파(BPTT)는 모든 걸음의 상태를 기억했다가 거꾸로 되짚습니다. 실시간 순환 학습(RTRL)은 매개변수가 상태에 미친
# 영향을 앞으로 밀고 가므로, 같은 기울기를 매 걸음 알 수 있고 메모리는 시간 길이 T에 따라 늘지 않습니다. 그 대신 한 걸음의
# 계산이 비싸므로, 이를 줄인 근사(SnAp, e-prop, RFLO)와 잡음이 있지만 치우치지 않은 추정(UORO, KF-RTRL)을 정확한
# 기울기와의 각도와 분산으로 비교합니다. 끝으로 이들로 지연된 XOR 문제를 매 걸음 갱신하며 배웁니다.
#
# BPTT asks of each loss which states led to it, and goes back to them. One can also ask of each param what it has done to
# the state so far. Let $J_t = \partial s_t / \partial \theta$, the **influence**. By the chain rule it can be carried along:
#
# $$J_t = \frac{\partial s_t}{\partial s_{t-1}}\,J_{t-1} + \frac{\partial s_t}{\partial \theta}\bigg|_{s_{t-1}}, \qquad
# \frac{d L_t}{d\theta} = \frac{\partial L_t}{\partial s_t}\,J_t + \frac{\partial L_t}{\partial \theta}\bigg|_{s_t}.$$
#
# Nothing of the past is kept but $J$. This is **real-time recurrent learning** (Williams & Zipser 1989). Its price: for $m$
# units and $P$ params $J$ has $m P$ numbers, and a step takes $m^2 P$ operations.

# %%
import functools
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

import rnnjax
from rnnjax.data import SILENT, delayed_xor
from rnnjax.train import begin, online
from rnnjax.weights import chrono

SMALL = "RNNJAX_SMALL" in os.environ
jax.config.update("jax_enable_x64", True)  # so that ten digits can be compared

n, m, T = 3, 8, 40
network = rnnjax.stack(rnnjax.gru(n, m), rnnjax.dense(m, 1))
model = rnnjax.with_loss(network, lambda y, target: 0.5 * ((y - target) ** 2).sum())
params = model.init(jax.random.key(0))
rng = np.random.default_rng(0)
data = jnp.asarray(rng.normal(size=(T, n))), jnp.asarray(rng.normal(size=(T, 1)))  # inputs, targets

# %% [markdown]
# ## The same gradient, known at every step
#
# `rnnjax.rtrl(model)` is called as `bptt(model)` is. It also has a `step`, which carries the credit along and gives this
# step's loss and gradient. After each step $t$, the sum so far must be $t$ times what `bptt` finds for the mean loss of
# the first $t$ steps.


# %%
def numbers(tree):
    return np.asarray(ravel_pytree(tree)[0])


learner = rnnjax.rtrl(model)
one_step = jax.jit(learner.step)
credited, total = learner.start(params, jax.tree.map(lambda a: a[0], data)), 0.0
for t in range(T):
    credited, (loss, grads) = one_step(params, credited, jax.tree.map(lambda a, t=t: a[t], data))
    total = total + numbers(grads)
    if t + 1 in ((10, T) if SMALL else (1, 10, T)):
        first = jax.tree.map(lambda a, t=t: a[: t + 1], data)
        exact = numbers(rnnjax.bptt(model)(params, model.start(params), first)[1])
        apart = np.abs(total / (t + 1) - exact).max() / np.abs(exact).max()
        print(
            f"after {t + 1:2} steps: P = {exact.size} slopes, the largest difference {apart:.0e} of the largest slope"
        )
        assert apart < 1e-10, "rtrl is bptt to ten digits"

# %% [markdown]
# ## Cheaper: keep less of the influence
#
# | word | what it keeps of $J$ | a step costs |
# |---|---|---|
# | `snap(1)` | where a param reaches a unit within one step (Menick et al. 2021) | $P$ |
# | `eprop` | what a unit keeps of itself, without going through $U$ (Bellec et al. 2020) | $P$ |
# | `rflo` | the same, with a random matrix in place of the readout's transpose (Murray 2019) | $P$ |
#
# These are biased: they leave paths of credit out. So does truncated BPTT, which leaves out what is further back than its
# window. How far does each point from the exact gradient? The angle, over networks drawn at random and data of their own:

# %%
biased = {
    "rtrl": rnnjax.rtrl,
    "snap(1)": rnnjax.snap,
    "eprop": rnnjax.eprop,
    "rflo": rnnjax.rflo,
    "tbptt, window 5": functools.partial(rnnjax.tbptt, window=5, stride=1),
    "tbptt, window 1": functools.partial(rnnjax.tbptt, window=1),
}


if SMALL:
    biased = {name: biased[name] for name in ("snap(1)", "eprop", "rflo")}


def angle(one, other):
    """Degrees between two vectors."""
    return np.degrees(np.arccos(np.clip(one @ other / np.linalg.norm(one) / np.linalg.norm(other), -1, 1)))


def drawn(key):
    """A network's params, and inputs and targets for it."""
    own, x, y = jax.random.split(key, 3)
    return model.init(own), (jax.random.normal(x, (T, n)), jax.random.normal(y, (T, 1)))


def found(gradient, params, xs, **noise):
    """The gradient as a vector."""
    return ravel_pytree(gradient(params, model.start(params), xs, **noise)[1])[0]


@functools.partial(jax.jit, static_argnums=0)
def of_all(gradient, trials, **noise):
    return jax.lax.map(lambda trial: found(gradient, *trial, **noise), trials)


trials = jax.jit(jax.vmap(drawn))(jax.random.split(jax.random.key(1), 5 if SMALL else 20))
exact_of = np.asarray(of_all(rnnjax.bptt(model), trials))
angles = {}
for name, word in biased.items():
    noise = {"key": jax.random.key(2)} if name == "rflo" else {}
    got = of_all(word(model), trials, **noise)
    angles[name] = np.array([angle(*pair) for pair in zip(np.asarray(got), exact_of)])
    low, middle, high = np.quantile(angles[name], [0, 0.5, 1])
    print(f"{name:16} median {middle:5.1f} degrees, from {low:.1f} to {high:.1f}")

# %% [markdown]
# Ninety degrees would be of no use: below it, a small enough step still goes down. Random feedback is far off at first; it
# lives on the readout's learning to match it.
#
# ## Cheaper without bias: a random influence
#
# `uoro` replaces $J$ by a product $u\,v$ of a column and a row, drawn so that its mean is $J$ (Tallec & Ollivier 2018).
# `kf_rtrl` uses a Kronecker product $u \otimes A$, which holds more (Mujika et al. 2018). `forward_gradient` measures the
# slope along one random direction. Each is right on average: over $N$ draws the mean misses the exact gradient $g$ only by
# sampling error, whose square is expected to be the variance over $N$. That is a test which a bias would fail:
#
# $$\frac{\|\bar g - g\|^2}{\operatorname{var}(g_i) / N} \approx 1.$$

# %%
draws = 200 if SMALL else 2000
keys = jax.random.split(jax.random.key(3), draws)
exact, trial = exact_of[0], jax.tree.map(lambda a: a[0], trials)
unbiased = ("kf_rtrl", "uoro") if SMALL else ("kf_rtrl", "uoro", "forward_gradient")
variance, one_draw, missed = {}, {}, {}
for name in (*unbiased, "rflo"):
    gradient = getattr(rnnjax, name)(model)
    draw = jax.jit(lambda keys, g=gradient: jax.lax.map(lambda key: found(g, *trial, key=key), keys, batch_size=100))
    got = np.asarray(draw(keys))
    variance[name] = got.var(0).sum() / (exact @ exact)
    one_draw[name] = np.median([angle(each, exact) for each in got])
    missed[name] = ((got.mean(0) - exact) ** 2).sum() / (got.var(0).sum() / draws)
    print(
        f"{name:16} variance {variance[name]:7.2f} of |g|², angle of one draw {one_draw[name]:4.1f} degrees, "
        f"of the mean of {draws} {angle(got.mean(0), exact):4.1f}; missed {missed[name]:.1f} times the sampling error"
    )

# %% [markdown]
# ## Memory
#
# What a gradient needs beside its inputs and results, as the compiler plans it, for an LSTM of 8. Nothing is run here.

# %%
lengths = (100, 10000) if SMALL else (100, 1000, 10000)
lstm = rnnjax.with_loss(rnnjax.lstm(4, 8), lambda y, target: 0.5 * ((y - target) ** 2).sum())
words = ("bptt", "snap") if SMALL else ("bptt", "rtrl", "snap", "eprop", "uoro")
memory = {word: [] for word in words}
for word in words:
    for length in lengths:
        like = lstm.init(jax.random.key(0))
        xs = jnp.zeros((length, 4)), jnp.zeros((length, 8))
        noise = {"key": jax.random.key(0)} if word == "uoro" else {}
        program = jax.jit(getattr(rnnjax, word)(lstm)).lower(like, lstm.start(like), xs, **noise).compile()
        memory[word].append(program.memory_analysis().temp_size_in_bytes / 2**10)
    print(f"{word:6}", ", ".join(f"T = {length}: {kib:.1f} KiB" for length, kib in zip(lengths, memory[word])))

# %% [markdown]
# ## Learning at every step: delayed XOR
#
# A stream of random bits. Two of them are marked; five steps later the network has to say whether exactly one of them
# was set, and then the next question begins. 32 streams go on without end and without a reset, and the params change **at
# every step**, by `rnnjax.train.online`. The bits lie five and six steps before the answer. Truncated BPTT that looks back
# three steps is given the same stream; no window of it holds both an answer and the bits that were meant.

# %%
LAG, B, units, questions = 5, 32, 16, 450 if SMALL else 600
parts = [delayed_xor(batch=B, lag=LAG, seed=[0, i]) for i in range(questions)]
stream = jax.tree.map(lambda *a: np.concatenate(a), *parts)
answering = rnnjax.stack(rnnjax.lstm(3, units, bias=chrono(2 * LAG)), rnnjax.dense(units, 1))


def answer(y, target):
    """Cross entropy in nats where an answer is due."""
    return jnp.where(target == SILENT, 0, optax.sigmoid_binary_cross_entropy(y[0], (target > 0).astype(y.dtype)))


pupil = rnnjax.batch(rnnjax.with_loss(answering, answer), B)
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3))
ways = {
    "rtrl": rnnjax.rtrl(pupil),
    "snap(1)": rnnjax.snap(pupil),
    "eprop": rnnjax.eprop(pupil),
    "rflo": rnnjax.rflo(pupil),
    "kf_rtrl": rnnjax.kf_rtrl(pupil),
    "uoro": rnnjax.uoro(pupil),
    "tbptt, window 3": rnnjax.tbptt(pupil, window=3, stride=1),
}
if SMALL:
    ways = {name: ways[name] for name in ("snap(1)", "tbptt, window 3")}

curves = {}
for name, way in ways.items():
    training = begin(way, optimizer, jax.random.key(0), jax.tree.map(lambda a: a[0], stream))
    if name in ("rflo", "kf_rtrl", "uoro"):
        training = training._replace(state=rnnjax.seed(training.state, jax.random.key(1), B))
    _, metrics = online(way, optimizer)(training, stream)
    curves[name] = np.asarray(metrics.loss).reshape(questions, LAG + 2)[:, -1]
    late = curves[name][-100:].mean()
    print(f"{name:16} {late:.3f} nats an answer over the last 100 questions (chance {np.log(2):.3f})")

# %% [markdown]
# ## What was claimed

# %%
assert SMALL or max(angles["rtrl"]) < 1e-3
assert np.median(angles["snap(1)"]) < np.median(angles["eprop"]) < np.median(angles["rflo"]) < 90
assert sorted(unbiased, key=variance.get) == list(unbiased), "each noisier than the one before"
assert all(0.2 < missed[name] < 4 for name in unbiased), "unbiased"
assert missed["rflo"] > 20, "and this one is not, which the same test finds"
assert all(memory[word][0] == memory[word][-1] for word in words[1:]), "memory does not grow with T"
assert memory["bptt"][-1] > 50 * memory["bptt"][0], "that of bptt does"
late = {name: curve[-100:].mean() for name, curve in curves.items()}
assert late.pop("tbptt, window 3") > 0.6, "the window is too short"
late.pop("uoro", None)
assert max(late.values()) < 0.2, "the others learn it"

# %%
palette = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555"]
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
rows = {name: np.median(each) for name, each in angles.items()} | {name: one_draw[name] for name in unbiased}
order = sorted(rows, key=rows.get, reverse=True)
for label, color, its in (
    ("fixed: median of networks", "#0072B2", [name for name in order if name in angles]),
    ("random, unbiased: median of draws", "#D55E00", unbiased),
):
    places = [order.index(name) for name in its]
    bars = left.barh(places, [rows[name] for name in its], color=color, label=label)
    left.bar_label(bars, fmt="%.0f", padding=3, fontsize="small", bbox={"fc": "white", "ec": "none", "pad": 1})
left.axvline(90, color="#555555", ls="--", lw=1)
left.set_yticks(range(len(order)), order)
left.set(xlabel="angle to the exact gradient (degrees)", xlim=(0, 100), title=f"a GRU of {m} units over {T} steps")
left.legend(frameon=False, fontsize="small", loc="upper right", bbox_to_anchor=(0.9, 1))
for word, color in zip(words, palette):
    middle.loglog(lengths, memory[word], "o-", ms=4, color=color, label="snap(1)" if word == "snap" else word)
middle.set(xlabel="steps $T$", ylabel="temporary memory (KiB)", title="an LSTM of 8 units")
middle.legend(frameon=False, fontsize="small")
styles = [(color, line) for line in ("-", "--") for color in palette]
for (name, curve), (color, line) in zip(curves.items(), styles):
    right.plot(np.convolve(curve, np.ones(20) / 20, "valid"), color=color, ls=line, label=name)
right.set(
    xlabel="question",
    ylabel="cross entropy (nats, mean of 20)",
    ylim=(-0.02, 1.0),
    title="delayed XOR, an update at every step",
)
right.legend(frameon=False, fontsize="small", ncols=2, loc="upper right")

# %% [markdown]
# **Carried forward in time, the exact gradient takes 121 KiB for any number of steps where BPTT takes 9456 KiB for 10 000
# of them; `rtrl`, `snap(1)`, `eprop`, `rflo` and `kf_rtrl` learn, one update a step, what a window of three steps cannot,
# and `uoro`, unbiased but far noisier, has not learnt it in 600 questions.**
#
# Williams & Zipser 1989, [A learning algorithm for continually running fully recurrent neural
# networks](https://doi.org/10.1162/neco.1989.1.2.270); Tallec & Ollivier 2018,
# [Unbiased online recurrent optimization](https://arxiv.org/abs/1702.05043); Mujika et al. 2018,
# [KF-RTRL](https://arxiv.org/abs/1805.10842); Menick et al. 2021, [SnAp](https://arxiv.org/abs/2006.07232); Bellec et al.
# 2020, [e-prop](https://doi.org/10.1038/s41467-020-17236-y); Murray 2019, [RFLO](https://doi.org/10.7554/eLife.43299).
# Next: [time in parallel](12_parallel_in_time.ipynb).
