# %% [markdown]
# # 3 · Vanishing and exploding gradients
#
# **요약.** 시간 역전파의 기울기는 야코비 행렬을 걸음마다 하나씩 곱한 것이므로, 거리 $k$에 따라 지수적으로 줄거나 늘어납니다.
# 선형 순환망에서는 그 비율이 순환 가중치의 크기로 정확히 정해지고, tanh는 그 값을 더 작게 만듭니다. 이 노트북은
# $\|\partial h_T/\partial h_{T-k}\|$를 직접 재어 이론과 비교합니다. 기울기 자르기(clipping)는 발산을 막지만 기억을 늘려 주지는
# 않으며, LSTM의 망각 게이트 편향은 기울기가 얼마나 멀리 가는지를 정합니다.
#
# How much does the state at the end depend on the state $k$ steps before? By the chain rule it is a product of $k$
# Jacobians, one a step. For $h_t = \tanh(x_t W + h_{t-1} U + b)$, with row vectors,
#
# $$\frac{\partial h_T}{\partial h_{T-k}} = \prod_{t=T-k+1}^{T} U\,\mathrm{diag}(1 - h_t^2),
# \qquad \Big\|\frac{\partial h_T}{\partial h_{T-k}}\Big\| \le \prod_t \|U\|\,\max_i\,(1 - h_{t,i}^2) \le \sigma_1^k$$
#
# where $\sigma_1 = \|U\|$ is the largest singular value of $U$, and $\tanh' = 1 - h^2 \le 1$. If $\sigma_1 < 1$ the
# gradient **must** vanish; to explode it needs $\sigma_1 > 1$, and that is not enough. `gradient_flow` measures the left
# side.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import rnnjax
from rnnjax.data import adding
from rnnjax.diagnostics import gradient_flow, lyapunov
from rnnjax.train import begin, update

SMALL = "RNNJAX_SMALL" in os.environ
jax.config.update("jax_enable_x64", True)  # norms down to 1e-57 are to be compared

n, m, T = 2, 32, 100
xs = jax.random.normal(jax.random.key(1), (T, n))


def scaled(params, gain):
    """The same params, with U times a gain."""
    return params._replace(U=gain * params.U)


def slope(norms, first=20):
    """The growth of the norm in nats a step, from lag `first` on."""
    return np.polyfit(np.arange(first, len(norms)), np.log(norms[first:]), 1)[0]


# %% [markdown]
# ## Without tanh: the gain is all there is
#
# An orthogonal matrix changes no lengths, so with $U = g\,Q$ and no tanh the norm must be $g^k$ exactly: in a logarithmic
# picture a line of slope $\log g$.

# %%
gains = [0.9, 1.0, 1.1, 1.5, 2.0]
linear, vanilla = rnnjax.rnn(n, m, lambda a: a), rnnjax.rnn(n, m)  # both start with an orthogonal U
params = vanilla.init(jax.random.key(0))
without = [gradient_flow(linear, scaled(params, g), jnp.zeros(m), xs).jacobian for g in gains]
for g, norms in zip(gains, without):
    assert np.allclose(norms, g ** np.arange(T + 1.0), rtol=1e-9)
    assert np.isclose(slope(norms), np.log(g), atol=1e-9)
print("slopes ", *(f"{slope(norms):+.4f}" for norms in without))
print("log g  ", *(f"{np.log(g):+.4f}" for g in gains))

# %% [markdown]
# ## Two numbers of a matrix
#
# Of a matrix that is not orthogonal, the largest singular value $\sigma_1$ says what **one** step can do, and the spectral
# radius $\rho$ (the largest $|$eigenvalue$|$) what **many** steps do: $\|U^k\|^{1/k} \to \rho$. A random matrix can have
# $\rho < 1 < \sigma_1$: the gradient grows first and vanishes then.

# %%
U = 0.9 * jax.random.normal(jax.random.key(3), (m, m)) / m**0.5
radius, largest = np.abs(np.linalg.eigvals(U)).max(), np.linalg.norm(U, 2)
norms = gradient_flow(linear, params._replace(U=U), jnp.zeros(m), jnp.zeros((400, n))).jacobian
assert radius < 1 < largest
assert np.isclose(norms[1], largest) and norms.max() > largest, "it grows first"
assert np.isclose(slope(norms, 200), np.log(radius), atol=2e-3), "and falls as the spectral radius says"
print(f"σ₁ = {largest:.3f}, ρ = {radius:.3f}, log ρ = {np.log(radius):+.4f}, slope {slope(norms, 200):+.4f}")
print(f"norm {norms[1]:.3f} at lag 1, at most {norms.max():.3f} (lag {norms.argmax()}), {norms[-1]:.1e} at lag 400")

# %% [markdown]
# ## With tanh
#
# Now every step also multiplies by $1 - h^2 \le 1$. The norm stays below $g^k$, at every lag and for every gain. Larger
# weights drive the units further into saturation, so the two work against each other.
#
# The largest **Lyapunov exponent** is the same rate, $\lim \frac1k \log \|\partial h_T/\partial h_{T-k}\|$, from one long
# run. Above 0, neighbouring states part: the network is chaotic.

# %%
long = jax.random.normal(jax.random.key(2), (300 if SMALL else 3000, n))
within, exponents = [], []
for g, bound in zip(gains, without):
    norms = gradient_flow(vanilla, scaled(params, g), jnp.zeros(m), xs).jacobian
    exponents.append(float(lyapunov(vanilla, scaled(params, g), jnp.zeros(m), long, count=1)[0]))
    within.append(norms)
    assert (norms <= bound * (1 + 1e-9)).all(), "tanh' is at most 1"
    assert slope(norms) < np.log(g) - 0.1, "and well below 1 where inputs drive the units"
    assert abs(slope(norms) - exponents[-1]) < 0.05
    print(f"g = {g:.1f}: log g {np.log(g):+.3f}, slope with tanh {slope(norms):+.3f}, Lyapunov {exponents[-1]:+.3f}")
assert exponents[1] < -0.1 and exponents[-1] > 0.05, "an orthogonal U vanishes; a gain of 2 explodes"

# %% [markdown]
# So an orthogonal $U$ (the first choice of many libraries, this one too) keeps gradients of the **linear** network, not of
# the tanh one: driven by inputs of size 1, that one forgets too.
#
# ## The LSTM's forget gate
#
# The LSTM has a path that passes no tanh and no matrix, $c_t = \sigma(f_t)\,c_{t-1} + \dots$ If $U = 0$ that is the only
# path, and $\partial c_T/\partial c_{T-k}$ is a diagonal of products of forget gates, at a bias $b_f$ about
# $\sigma(b_f)^k$. The bias that one starts with is the memory that one starts with.

# %%
cell = rnnjax.lstm(n, m)  # its bias is 1 for the forget gate, 0 elsewhere
lstm = cell.init(jax.random.key(0))
forget_biases, carousel, whole = [-1.0, 1.0, 3.0, 5.0], [], []
for value in forget_biases:
    biased = lstm._replace(b=value * lstm.b)
    alone = gradient_flow(cell, scaled(biased, 0.0), cell.start(lstm), xs).jacobian_parts.c
    whole.append(gradient_flow(cell, biased, cell.start(lstm), xs).jacobian_parts.c)
    carousel.append(alone)
    gates = jax.nn.sigmoid(xs @ biased.W + biased.b)[:, m : 2 * m]  # gates in the order i f g o
    product = jnp.cumprod(gates[::-1], axis=0).max(1)  # of the unit that keeps most
    assert np.allclose(alone[1:], product, rtol=1e-9), "the carousel is the product of the forget gates"
    print(f"b_f = {value:+.0f}: log σ(b_f) {float(jax.nn.log_sigmoid(value)):+.3f}, slope {slope(alone):+.3f}, "
          f"with the other paths {slope(whole[-1]):+.3f}")  # fmt: skip
assert all(np.diff([slope(norms) for norms in carousel]) > 0), "a larger bias, a longer memory"
assert all(slope(b) > slope(a) + 0.01 for a, b in zip(carousel, whole)), "the gates pass credit on too"

# %% [markdown]
# With $U$ as it is drawn, credit also flows through $h$ and the gates, and the whole is more than the carousel alone. With
# gates wide open it even grows: an LSTM can explode as well, which is why LSTMs are trained with clipping.
#
# ## Clipping
#
# Pascanu et al. (2013): if the gradient $G$ of all params together is longer than a threshold, shorten it,
# $G \leftarrow G \min(1, \theta/\|G\|)$. It keeps the direction. Let us train at a gain of 1.5 to add two marked numbers
# among 60, by plain gradient descent at a rate of 0.1, with and without a threshold of 1. To say "1" always has an error
# of 1/6.

# %%
length, B, updates = 60, 64, 120 if SMALL else 300


def squared(y, target):
    """The squared error of the last step; times the length, for the gradient is of the mean over the steps."""
    return jnp.where(jnp.isnan(target), 0, length * (y[0] - jnp.nan_to_num(target)) ** 2)


network = rnnjax.stack(rnnjax.scan(vanilla), rnnjax.dense(m, 1))
learner = rnnjax.batch(rnnjax.with_loss(network, squared), B)


def train(optimizer, seed=0):
    """The loss and the length of the gradient, before clipping, at every update."""
    step, training = update(rnnjax.bptt(learner), optimizer), begin(learner, optimizer, jax.random.key(seed))
    training = training._replace(params=(scaled(training.params[0], 1.5), training.params[1]))
    found = []
    for k in range(updates):
        inputs, sums = adding(batch=B, T=length, seed=[seed, k])
        targets = np.full((length, B), np.nan, np.float32)
        targets[-1] = sums
        training = training._replace(state=learner.start(training.params))
        training, metrics = step(training, (inputs, targets))
        found.append([metrics.loss, metrics.gradient])
    return np.array(found).T


free, gradients_free = train(optax.sgd(0.1))
clipped, gradients = train(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)))
ruined = int(np.argmax(~(free < 1e3)))
assert not free[-1] < 1e3, "without clipping it is lost"
assert np.median(clipped[-50:]) < 0.35 and clipped.max() < 10, "with clipping it is not"
assert np.median(clipped[-50:]) > 0.95 / 6, "but no better than without a memory"
print(f"without: loss above 1000 from update {ruined} on; gradient up to then {gradients_free[:ruined].max():.0f}")
print(
    f"with: median loss of the last 50 updates {np.median(clipped[-50:]):.3f}; gradient at most {gradients.max():.0f}"
)

# %% [markdown]
# Clipping saved the run. It taught it nothing about the past: the loss is not below 1/6, which needs no memory at all.
# Clipping shortens a gradient that is too long; it cannot bring back one that has vanished.

# %%
colours = ["#0072B2", "#009E73", "#CC79A7", "#D55E00"]
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
for g, bound, norms, colour in zip(gains[:2] + gains[3:], without[:2] + without[3:], within[:2] + within[3:], colours):
    left.semilogy(bound, color=colour, ls="--", lw=1)
    left.semilogy(norms, color=colour, label=f"$g = {g}$")
left.set(xlabel="lag $k$ (steps)", ylabel=r"$\|\partial h_T/\partial h_{T-k}\|$", ylim=(1e-13, 1e13),
         title="RNN: dashed linear, solid tanh")  # fmt: skip
left.legend(frameon=False, fontsize="small", loc="upper left")
for value, alone, norms, colour in zip(forget_biases, carousel, whole, colours):
    middle.semilogy(alone, color=colour, ls="--", lw=1)
    middle.semilogy(norms, color=colour, label=f"$b_f = {value:.0f}$")
middle.set(xlabel="lag $k$ (steps)", ylabel=r"$\|\partial c_T/\partial c_{T-k}\|$", ylim=(1e-13, 1e13),
           title="LSTM: dashed gates alone, solid all paths")  # fmt: skip
middle.legend(frameon=False, fontsize="small", loc="upper left", ncols=2)
right.semilogy(np.where(free < 1e3, free, np.nan), "o-", ms=3, color="#D55E00", label="not clipped")
right.semilogy(clipped, color="#0072B2", lw=1, label="clipped at 1")
right.axhline(1 / 6, color="#555555", ls=":", label='always "1"')
right.set(xlabel="update", ylabel="squared error", title="adding over 60 steps, gain 1.5")
right.legend(frameon=False, fontsize="small")

# %% [markdown]
# **The gradient over $k$ steps is a product of $k$ Jacobians: the gain alone fixes its slope in a linear network, tanh
# pulls it below that line, an open forget gate holds it up, and clipping only keeps a long one from doing harm.**
#
# Hochreiter 1991, [Untersuchungen zu dynamischen neuronalen Netzen](https://people.idsia.ch/~juergen/SeppHochreiter1991ThesisAdvisorSchmidhuber.pdf);
# Bengio, Simard & Frasconi 1994, [Learning long-term dependencies with gradient descent is
# difficult](https://doi.org/10.1109/72.279181); Pascanu, Mikolov & Bengio 2013, [On the difficulty of training recurrent
# neural networks](https://arxiv.org/abs/1211.5063); Gers, Schmidhuber & Cummins 2000, [Learning to
# forget](https://doi.org/10.1162/089976600300015015); Vogt et al. 2022, [On Lyapunov exponents for
# RNNs](https://arxiv.org/abs/2006.14123). Next: the [LSTM](04_lstm_gate_by_gate.ipynb), which holds it up.
