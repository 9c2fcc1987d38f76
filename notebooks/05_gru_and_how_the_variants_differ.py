# %% [markdown]
# # 5 · The GRU, and how its variants differ
#
# **요약.** GRU는 게이트 두 개로 새 상태를 옛 상태와 후보의 가중 평균으로 만듭니다. 이 노트북은 수식을 한 줄씩 계산하여
# 라이브러리의 값과 비교하고, 리셋 게이트를 행렬 곱 앞에 두는 것과 뒤에 두는 것이 실제로 다른 함수임을 보입니다.
# 그다음 게이트를 덜어 낸 MGU, UGRNN, minGRU의 수식을 확인하고 매개변수 수를 센 뒤, 같은 글(성경)에서 같은 조건으로 학습시켜 비교합니다.
# 시드 하나의 짧은 실험이므로 순위가 아니라 차이를 보는 것이 목적입니다.
#
# $$r = \sigma(x W_r + h U_r + b_r), \quad z = \sigma(x W_z + h U_z + b_z)$$
#
# $$\tilde h = \tanh\big(x W_n + b_n + r \odot (h U_n + d)\big), \qquad h' = (1 - z) \odot \tilde h + z \odot h$$
#
# The **reset** $r$ says how much of the past the candidate $\tilde h$ sees; the **update** $z$ how much of the old state
# stays. This is the form of PyTorch and cuDNN, and `rnnjax.gru`.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import rnnjax
from rnnjax.data import bible, characters, split, windows
from rnnjax.diagnostics import gradient_flow
from rnnjax.train import begin, update

SMALL = "RNNJAX_SMALL" in os.environ
n, m = 3, 8
cell = rnnjax.gru(n, m)
params = cell.init(jax.random.key(0))
h, x = jax.random.uniform(jax.random.key(1), (m,), minval=-1), jax.random.normal(jax.random.key(2), (n,))

# %% [markdown]
# ## Gate by gate
#
# The three blocks of $W$ (n, 3m), $U$ (m, 3m) and $b$ (3m) stand side by side in the order r z n, so that a step is two
# products and not six.

# %%
W, U, b, d = params
(W_r, W_z, W_n), (U_r, U_z, U_n), (b_r, b_z, b_n) = (jnp.split(p, 3, axis=-1) for p in (W, U, b))
r = jax.nn.sigmoid(x @ W_r + h @ U_r + b_r)
z = jax.nn.sigmoid(x @ W_z + h @ U_z + b_z)
candidate = jnp.tanh(x @ W_n + b_n + r * (h @ U_n + d))
by_hand = (1 - z) * candidate + z * h
assert np.allclose(by_hand, cell.step(params, h, x)[0], atol=1e-6)

between = (by_hand >= jnp.minimum(h, candidate) - 1e-6) & (by_hand <= jnp.maximum(h, candidate) + 1e-6)
assert between.all(), "each unit lies between its old state and its candidate"

# %% [markdown]
# ## A leak that the network chooses
#
# $h' = (1 - z)\,\tilde h + z\,h$ is the leaky integrator of notebook 1, whose decay $z$ is computed at every step and for
# every unit. Where $z$ is near 1 the state passes on unharmed, and so does the gradient: that path alone gives
# $\partial h_T/\partial h_{T-k} \approx z^k$. To see it alone, take $U = 0$ and a bias $b_z$; then $z = \sigma(b_z)$ for an
# input of zero.

# %%
T = 60
for bias in (-1.0, 0.0, 2.0, 4.0):
    leaky = params._replace(U=0 * U, b=b.at[m : 2 * m].set(bias))
    norms = gradient_flow(cell, leaky, jnp.zeros(m), jnp.zeros((T, n))).jacobian
    keep = float(jax.nn.sigmoid(bias))
    assert np.allclose(norms[:20], keep ** np.arange(20.0), rtol=1e-4)
    print(f"b_z = {bias:+.0f}: z = {keep:.3f}, a time of 1/(1-z) = {1 / (1 - keep):5.1f} steps, "
          f"norm at lag 20 {norms[20]:.1e}")  # fmt: skip

# %% [markdown]
# ## Reset before the product, or after
#
# The paper (its third version) resets the state **before** the product: $\tilde h = \tanh(x W_n + b_n + (r \odot h)\,U_n)$.
# That is `reset_first_gru`. After the product, $r$ scales the units of the candidate; before it, those of the old state.
# With d = 0 the two agree where $r$ is the same for all units, and else not. The form after it can do
# all products with $h$ at once, and has a bias $d$ inside the reset, which is a param of its own: $b_n$ stands outside.

# %%
first = rnnjax.reset_first_gru(n, m)
same = first.init(jax.random.key(0))._replace(W=W, U=U, b=b)  # the same weights; d is 0


def apart(b):
    """The largest difference of the two, of one step."""
    after, before = cell.step(params._replace(b=b), h, x)[0], first.step(same._replace(b=b), h, x)[0]
    return float(abs(after - before).max())


open_reset, as_drawn = b.at[:m].set(30.0), b
print(f"apart with these weights {apart(as_drawn):.4f}; with the reset gate wide open {apart(open_reset):.1e}")
assert apart(as_drawn) > 0.005 and apart(open_reset) < 1e-6

slopes = jax.jacobian(lambda params: cell.step(params, h, x)[0])(params)
by_d, by_b = jnp.diag(slopes.d), jnp.diag(slopes.b[:, 2 * m :])
print("slope by d / by b_n, unit by unit:", *(f"{part:.2f}" for part in by_d / by_b))
print("the reset gate r:                 ", *(f"{part:.2f}" for part in r))
assert np.allclose(by_d / by_b, r, rtol=1e-3), "what d does is what b_n does, times the reset"

# %% [markdown]
# ## Fewer gates
#
# | cell | what is left | its equation |
# |---|---|---|
# | `gru`, `reset_first_gru` | reset, update | above |
# | `mgu` | one gate $f$ does both | $h' = (1-f)h + f\tanh(x W_a + (f \odot h)U_a + b_a)$ |
# | `ugrnn` | update only | $h' = z h + (1-z)\tanh(x W_a + h U_a + b_a)$ |
# | `mingru` | update, of the input alone | $h' = (1-z)h + z\,(x W_g + b_g)$ |
#
# Watch the letter: in `mgu` and `mingru` the gate multiplies the **candidate**, as in their papers; in `gru` and `ugrnn`
# the **old state**. `mingru` looks at the state nowhere but in the mean, so it is linear in $h$, and can run in parallel
# over time.


# %%
def halves(name):
    """A step of the cell, and the two halves of its params."""
    cell = getattr(rnnjax, name)(n, m)
    params = cell.init(jax.random.key(3))
    return cell.step(params, h, x)[0], *(part for p in params for part in jnp.split(p, 2, axis=-1))


stepped, W_f, W_a, U_f, U_a, b_f, b_a = halves("mgu")
f = jax.nn.sigmoid(x @ W_f + h @ U_f + b_f)
assert np.allclose(stepped, (1 - f) * h + f * jnp.tanh(x @ W_a + (f * h) @ U_a + b_a), atol=1e-6)

stepped, W_z, W_a, U_z, U_a, b_z, b_a = halves("ugrnn")
z = jax.nn.sigmoid(x @ W_z + h @ U_z + b_z)
assert np.allclose(stepped, z * h + (1 - z) * jnp.tanh(x @ W_a + h @ U_a + b_a), atol=1e-6)

stepped, W_z, W_g, b_z, b_g = halves("mingru")
z = jax.nn.sigmoid(x @ W_z + b_z)
assert np.allclose(stepped, (1 - z) * h + z * (x @ W_g + b_g), atol=1e-6)

# %% [markdown]
# Their sizes, for $n$ inputs and $m$ units: a gate or a candidate that sees both has $m(n + m + 1)$ params.

# %%
NAMES = ["rnn", "gru", "reset_first_gru", "mgu", "ugrnn", "mingru"]


def size(cell):
    return sum(p.size for p in jax.tree.leaves(cell.init(jax.random.key(0))))


n, m = 32, 64 if SMALL else 96
counts = {name: size(getattr(rnnjax, name)(n, m)) for name in NAMES}
one = m * (n + m + 1)  # a gate, or a candidate
assert counts == {
    "rnn": one, "gru": 3 * one + m, "reset_first_gru": 3 * one, "mgu": 2 * one, "ugrnn": 2 * one,
    "mingru": 2 * m * (n + 1),
}  # fmt: skip
print(counts)

# %% [markdown]
# ## The same text for each
#
# Characters of the King James Bible, windows of 64, each begun with an empty state; one rate, one number of updates, one
# number of units for all. Bits a character on the held-out part.

# %%
ids = characters(bible()).encode(bible())
symbols = int(ids.max()) + 1
train, valid, _ = split(ids)
B, length, updates = 32, 64, 60 if SMALL else 500
taught, held = windows(train, batch=B, length=length), windows(valid, batch=B, length=length)
tested = [np.concatenate(part, axis=1) for part in zip(*(held[k] for k in range(20)))]
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-3))


def learn(name):
    """Bits a character on the held-out part, after training."""
    network = rnnjax.stack(rnnjax.embed(symbols, n), rnnjax.scan(getattr(rnnjax, name)(n, m)), rnnjax.dense(m, symbols))
    judged = rnnjax.with_loss(network, optax.softmax_cross_entropy_with_integer_labels)
    learner, judge = rnnjax.batch(judged, B), rnnjax.batch(judged, tested[0].shape[1])
    step, training = update(rnnjax.bptt(learner), optimizer), begin(learner, optimizer, jax.random.key(0))
    for k in range(updates):
        training = training._replace(state=learner.start(training.params))
        training, _ = step(training, taught.at(k))
    _, losses = jax.jit(judge.step)(training.params, judge.start(training.params), tuple(tested))
    return float(losses.mean()) / np.log(2)


compare = ["gru", "mingru"] if SMALL else NAMES
bits = {name: learn(name) for name in compare}
for name, value in bits.items():
    print(f"{name:16s} {counts[name]:6d} params, {value:.3f} bits a character")
assert bits["gru"] < bits["mingru"] - (0.03 if SMALL else 0.2), "in as many updates the smallest learns less"
if not SMALL:
    assert abs(bits["gru"] - bits["reset_first_gru"]) < 0.15, "where the reset stands matters little"
    assert set(sorted(bits, key=bits.get)[:2]) == {"gru", "reset_first_gru"} and max(bits, key=bits.get) == "mingru"

# %%
colours = dict(zip(NAMES, ["#555555", "#0072B2", "#0072B2", "#009E73", "#CC79A7", "#D55E00"]))
marks = dict(zip(NAMES, "osD^vP"))
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, value in bits.items():
    place, many = counts[name] / 1000, counts[name] > 30000
    axes.plot(place, value, marks[name], ms=9, color=colours[name])
    axes.annotate(name, (place, value), (-10 if many else 10, 0), textcoords="offset points",
                  ha="right" if many else "left", va="center")  # fmt: skip
axes.margins(x=0.12, y=0.1)
_ = axes.set(xlabel="params of the cell (thousands)", ylabel="bits a character, held out",
             title=f"the King James Bible, {m} units, {updates} updates")  # fmt: skip

# %% [markdown]
# **Where the reset stands and what a gate may see are differences of function, not of notation; on this text, after 500
# updates of one seed, the two GRUs were best and close to each other (2.21 and 2.17 bits a character), and the cell whose
# gate sees the input only was the smallest and the worst (2.64).**
#
# Fewer params did not always mean worse: the plain RNN (2.36) was ahead of `ugrnn` (2.53), which begins with a
# bias of 1 on its gate, so that 0.73 of the old state stays. It is one seed, one rate, and few updates at an equal number of units, not of params: it shows how the
# variants differ, and does not rank them.
#
# Cho et al. 2014, [Learning phrase representations using RNN encoder-decoder](https://arxiv.org/abs/1406.1078v3);
# Chung et al. 2014, [Empirical evaluation of gated recurrent neural networks on sequence
# modeling](https://arxiv.org/abs/1412.3555); Zhou et al. 2016, [Minimal gated unit](https://arxiv.org/abs/1603.09420);
# Collins et al. 2017, [Capacity and trainability in recurrent neural networks](https://arxiv.org/abs/1611.09913); Feng et
# al. 2024, [Were RNNs all we needed?](https://arxiv.org/abs/2410.01201). Next:
# [truncated BPTT](06_truncated_bptt.ipynb).
