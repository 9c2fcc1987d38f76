# %% [markdown]
# # 6 · Truncated BPTT
#
# **요약.** 절단 BPTT는 상태는 계속 이어 가되 기울기는 정해진 창(window)만큼만 거슬러 보냅니다. 창이 길수록 메모리를 더 쓰고,
# 창이 짧으면 기울기에 편향이 생깁니다. 이 노트북은 그 편향(각도와 크기)과 메모리를 창의 길이에 따라 재고, 답에 필요한 입력이
# 창보다 멀리 있으면 배우지 못한다는 것을 지연 XOR 문제로 확인합니다.
#
# The state $s_t$ flows on for ever; the gradient stops after a **window** of $w$ steps (`stop_gradient` on the state that
# a window begins with). With $w = T$ this is BPTT; with $w < T$, of the sum
#
# $$\frac{\partial L_t}{\partial \theta} = \sum_{k \ge 0} \frac{\partial L_t}{\partial s_t}
# \frac{\partial s_t}{\partial s_{t-k}} \frac{\partial^{+} s_{t-k}}{\partial \theta}$$
#
# (where $\partial^+$ holds $s_{t-k-1}$ fixed) the terms of long lags are left out. That saves memory, and costs a bias.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import rnnjax
from rnnjax.data import SILENT, bible, characters, delayed_xor, split, windows
from rnnjax.train import begin, update
from rnnjax.weights import chrono

SMALL = "RNNJAX_SMALL" in os.environ
ids = characters(bible()).encode(bible())
symbols = int(ids.max()) + 1
train, valid, _ = split(ids)

# %% [markdown]
# ## Stateful training on text
#
# `windows` cuts one long text into parallel streams, and these into windows that follow one another without a gap. The
# state after a window is that before the next, so the network **remembers** further than it is **taught**. `update` with
# `bptt` over one window and the state carried on is truncated BPTT, with an update every window.

# %%
B, m, length = 16, 64, 32
network = rnnjax.stack(rnnjax.embed(symbols, 16), rnnjax.scan(rnnjax.gru(16, m)), rnnjax.dense(m, symbols))
judged = rnnjax.with_loss(network, optax.softmax_cross_entropy_with_integer_labels)
text = rnnjax.batch(judged, B)
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-3))
step, training = update(rnnjax.bptt(text), optimizer), begin(text, optimizer, jax.random.key(0))
taught = windows(train, batch=B, length=length)
for k in range(80 if SMALL else 600):
    training, metrics = step(training, taught.at(k))  # the state is carried on in training
params = training.params

T = 256
xs, targets = windows(valid, batch=B, length=T)[0]
losses = jax.jit(text.step)(params, text.start(params), (xs, targets))[1] / np.log(2)
carried = float(losses.mean())
cut = jnp.asarray(xs).reshape(T // length, length, B), jnp.asarray(targets).reshape(T // length, length, B)
fresh = jax.jit(jax.vmap(lambda x, y: text.step(params, text.start(params), (x, y))[1]))(*cut) / np.log(2)
print(f"state carried {carried:.3f} bits a character; started anew every {length} steps {float(fresh.mean()):.3f}")
assert carried < float(fresh.mean()) - 0.02, "what came before the window is of use"

# %% [markdown]
# ## The bias
#
# At these params, on 256 new characters of 16 streams, the exact gradient $G$ against the truncated one, for windows
# that end `stride = 1` step apart (each loss flows back $w$ steps exactly) and for windows end to end (the first loss of
# a window flows back one step only).

# %%
sizes = [1, 16] if SMALL else [1, 2, 4, 8, 16, 32, 64, 128]


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def gradient(word):
    _, grads, _ = jax.jit(word)(params, text.start(params), (xs, targets))
    return flat(grads[1])  # of the GRU: the readout above it has no past


def compared(truncated, exact):
    """The angle in degrees, and the ratio of the lengths."""
    cosine = truncated @ exact / np.linalg.norm(truncated) / np.linalg.norm(exact)
    return np.degrees(np.arccos(min(cosine, 1.0))), np.linalg.norm(truncated) / np.linalg.norm(exact)


exact = gradient(rnnjax.bptt(text))
assert np.allclose(gradient(rnnjax.tbptt(text, window=T)), exact, rtol=1e-3, atol=1e-6), "a window of T is BPTT"
sliding = np.array([compared(gradient(rnnjax.tbptt(text, window=w, stride=1)), exact) for w in sizes[:6]])
ends = np.array([compared(gradient(rnnjax.tbptt(text, window=w)), exact) for w in sizes])
for w, (angle, ratio) in zip(sizes, ends):
    print(f"end to end, window {w:3d}: {angle:5.1f} degrees off, {ratio:.2f} times as long")
for w, (angle, ratio) in zip(sizes, sliding):
    print(f"stride 1,   window {w:3d}: {angle:5.1f} degrees off, {ratio:.2f} times as long")
assert ends[0, 0] > 15 and (np.diff(ends[:, 0]) < 0).all(), "a longer window, less bias"
assert (sliding[1:, 0] < 0.9 * ends[1 : len(sliding), 0]).all(), "and still less if every loss has the whole window"
assert (ends[:, 1] < 1).all(), "what is left out makes the gradient shorter here"

# %% [markdown]
# ## The memory
#
# What XLA says of the compiled program: its temporary memory, where the activations of a window lie, for a stream of
# 8192 steps.

# %%
long = 2048 if SMALL else 8192
shapes = jax.ShapeDtypeStruct((long, B), jnp.int32)


def temporary(word):
    compiled = jax.jit(word).lower(params, text.start(params), (shapes, shapes)).compile()
    return compiled.memory_analysis().temp_size_in_bytes / 2**20


spans = [16, 256] if SMALL else [16, 64, 256, 1024]
memory = [temporary(rnnjax.tbptt(text, window=w)) for w in spans]
whole = temporary(rnnjax.bptt(text))
print("MiB ", *(f"window {w}: {used:.2f}," for w, used in zip(spans, memory)), f"bptt over {long}: {whole:.2f}")
each = np.array([*memory, whole]) / [*spans, long]
assert each.max() < 1.3 * each.min(), "in proportion to the window"

# %% [markdown]
# ## What a window cannot learn
#
# Delayed XOR at a lag of 20: two bits are shown at the first two of 22 steps, and asked for at the last. From the answer,
# the second bit is 21 steps back (its own step counted) and the first is 22. Everything between is noise. Windows end at
# the answer (`stride=11` divides 22); shorter ones than 21 see neither bit.

# %%
lag, updates = 20, 400 if SMALL else 800
compare = [20, 22] if SMALL else [11, 16, 20, 21, 22]
seeds = [0] if SMALL else [0, 1, 2]


def answer(y, target):
    """Cross entropy in nats where the answer is due; times the steps, for the loss is a mean over them."""
    right = (target > 0).astype(y.dtype)
    return (lag + 2) * jnp.where(target == SILENT, 0, optax.sigmoid_binary_cross_entropy(y[0], right))


recall = rnnjax.stack(rnnjax.scan(rnnjax.lstm(3, 16, bias=chrono(2 * lag))), rnnjax.dense(16, 1))
learner = rnnjax.batch(rnnjax.with_loss(recall, answer), 32)
adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
data = [delayed_xor(batch=32, lag=lag, seed=[0, k]) for k in range(updates)]
questions, answers = delayed_xor(batch=1000, lag=lag, seed=1)


def right(step, seed):
    """The share of right answers to new questions, after training."""
    training = begin(learner, adam, jax.random.key(seed))
    for x in data:
        training = training._replace(state=learner.start(training.params))
        training, _ = step(training, x)
    _, ys = rnnjax.apply(recall, training.params, np.swapaxes(questions, 0, 1))
    return float(np.mean((ys[:, -1, 0] > 0) == answers[-1]))


shares = []
for w in compare:
    step = update(rnnjax.tbptt(learner, window=w, stride=11), adam)
    shares.append([right(step, seed) for seed in seeds])
    print(f"window {w}: right", *(f"{share:.3f}" for share in shares[-1]))
for w, found in zip(compare, shares):
    assert max(found) < 0.6 if w <= lag else min(found) > 0.95, (w, found)

# %% [markdown]
# That is what happened here, and no law: the state does carry the bits on, untaught, and a network that happens to keep
# them may learn within the window to read them.

# %%
figure, (left, middle, last) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
left.plot(sizes, ends[:, 0], "o-", color="#D55E00", label="windows end to end")
left.plot(sizes[: len(sliding)], sliding[:, 0], "s-", color="#0072B2", label="stride 1")
left.set_xscale("log", base=2)
left.set_xticks(sizes, sizes)
left.set(xlabel="window $w$ (steps)", ylabel="angle to the exact gradient (degrees)", title="bias, on text", ylim=0)
left.legend(frameon=False, fontsize="small")
middle.plot(spans, memory, "o-", color="#009E73", label="truncated")
middle.axhline(whole, color="#555555", ls="--", label=f"BPTT over {long} steps")
middle.set_xscale("log", base=2)
middle.set_yscale("log")
middle.set_xticks(spans, spans)
middle.set(xlabel="window $w$ (steps)", ylabel="temporary memory (MiB)", title="memory")
middle.legend(frameon=False, fontsize="small", loc="lower right")
for w, found in zip(compare, shares):
    last.plot([w] * len(found), found, "o", color="#CC79A7")
last.axvline(lag + 0.5, color="#555555", ls="--", lw=1, label="the second bit comes into the window")
last.axhline(0.5, color="#555555", ls=":", lw=1, label="chance")
last.set_xticks(compare)
last.set(
    xlabel="window $w$ (steps)", ylabel="share of right answers", title=f"delayed XOR, lag {lag}", ylim=(0.4, 1.05)
)
_ = last.legend(frameon=False, fontsize="small", loc="center left")

# %% [markdown]
# **A window costs memory in proportion to its length and bends the gradient the less the longer it is; what lies wholly
# beyond it was not learned at all.**
#
# Williams & Peng 1990, [An efficient gradient-based algorithm for on-line training of recurrent network
# trajectories](https://doi.org/10.1162/neco.1990.2.4.490); Tallec & Ollivier 2017, [Unbiasing truncated backpropagation
# through time](https://arxiv.org/abs/1705.08209); Werbos 1990, [Backpropagation through
# time](https://doi.org/10.1109/5.58337). Next: [autoregressive models](07_ar_markov_latent_ar.ipynb).
