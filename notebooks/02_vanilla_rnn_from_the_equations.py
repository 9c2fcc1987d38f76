# %% [markdown]
# # 2 · The vanilla RNN from its equations, and BPTT by hand
#
# **요약.** 바닐라 RNN을 NumPy 수식 그대로 쓰고, 시간 역전파(BPTT)를 연쇄 법칙으로 직접 유도하여 손으로 구현합니다.
# 그 기울기가 `jax.grad`, 유한 차분과 소수점 열 자리까지 같음을 확인합니다. 마지막으로 손으로 만든 기울기만으로
# 사인파의 다음 값을 예측하도록 학습시킵니다.
#
# Elman's network (1990) has one equation for the state and one for what is read from it:
#
# $$h_t = \tanh(x_t W + h_{t-1} U + b), \qquad \hat y_t = h_t V + d, \qquad L = \frac1T\sum_t \tfrac12\,\|\hat y_t - y_t\|^2$$
#
# Row vectors, as in all of this library: `x @ W + h @ U + b`. Is the output the hidden state or a readout of it? Both are
# useful names for different things: `scan(cell)` gives $h_t$, as PyTorch's `nn.RNN` does; `stack(scan(cell), dense)`
# gives $\hat y_t = h_t V + d$.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rnnjax

SMALL = "RNNJAX_SMALL" in os.environ
jax.config.update("jax_enable_x64", True)  # so that ten digits can be compared

n, m, k, T = 1, 8, 1, 25
rng = np.random.default_rng(0)
wave = np.sin(0.3 * np.arange(T + 1))[:, None]
xs, targets = wave[:-1], wave[1:]  # predict the next value

# %% [markdown]
# ## Forward, in NumPy


# %%
def forward(params, xs):
    W, U, b, V, d = params
    hs = [np.zeros(m)]
    for x in xs:
        hs.append(np.tanh(x @ W + hs[-1] @ U + b))
    hs = np.stack(hs)  # T + 1 states, the first is the start
    return hs, hs[1:] @ V + d


params = [
    rng.normal(size=(n, m)), np.linalg.qr(rng.normal(size=(m, m)))[0], np.zeros(m),
    rng.normal(size=(m, k)) / m**0.5, np.zeros(k),
]  # fmt: skip
hs, ys = forward(params, xs)

network = rnnjax.stack(rnnjax.scan(rnnjax.rnn(n, m)), rnnjax.dense(m, k))
tree = jax.tree.structure(network.init(jax.random.key(0)))
_, same = network.step(jax.tree.unflatten(tree, params), network.start(network.init(jax.random.key(0))), xs)
assert np.allclose(ys, same, rtol=1e-10), "the library computes these equations"

# %% [markdown]
# ## Backward, by the chain rule
#
# Let $\delta_t = \partial L/\partial h_t$ be what the loss feels of state $t$, along all paths. It is felt at once through
# $\hat y_t$, and later through $h_{t+1}$. With $a_t = x_t W + h_{t-1} U + b$ and $\tanh' = 1 - h^2$:
#
# $$\delta_t = \frac1T(\hat y_t - y_t)\,V^\top + \big(\delta_{t+1} \odot (1 - h_{t+1}^2)\big)\,U^\top$$
#
# $$\frac{\partial L}{\partial U} = \sum_t h_{t-1}^\top\,\big(\delta_t \odot (1 - h_t^2)\big), \qquad
# \frac{\partial L}{\partial W} = \sum_t x_t^\top\,\big(\delta_t \odot (1 - h_t^2)\big)$$
#
# The same $U$ is used at every step, so its gradient is a sum over time. The recursion runs from the last step to the
# first: that is all that "backpropagation through time" says (Werbos 1990).


# %%
def backward(params, xs, targets):
    W, U, b, V, _ = params
    hs, ys = forward(params, xs)
    errors = (ys - targets) / len(xs)
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    later = np.zeros(m)  # what comes back from the step after
    for t in reversed(range(len(xs))):
        da = (errors[t] @ V.T + later) * (1 - hs[t + 1] ** 2)
        dW += np.outer(xs[t], da)
        dU += np.outer(hs[t], da)
        db += da
        later = da @ U.T
    loss = 0.5 * len(xs) * (errors**2).sum()
    return loss, [dW, dU, db, hs[1:].T @ errors, errors.sum(0)]


loss, by_hand = backward(params, xs, targets)

# %% [markdown]
# ## Held to `jax.grad`, and to finite differences

# %%
cell = rnnjax.with_loss(network, lambda y, target: 0.5 * ((y - target) ** 2).sum())
start = cell.start(jax.tree.unflatten(tree, params))
by_jax = rnnjax.bptt(cell)(jax.tree.unflatten(tree, params), start, (jnp.asarray(xs), jnp.asarray(targets)))
assert np.isclose(loss, by_jax[0], rtol=1e-10)


def slope(which, place, step=1e-6):
    """The loss's slope along one number of one param, by moving it."""
    moved = [[p.copy() for p in params] for _ in range(2)]
    moved[0][which][place] += step
    moved[1][which][place] -= step
    up, down = (backward(p, xs, targets)[0] for p in moved)
    return (up - down) / (2 * step)


for name, ours, theirs, which in zip("WUbVd", by_hand, jax.tree.leaves(by_jax[1]), range(5)):
    place = tuple(int(rng.integers(0, size)) for size in ours.shape)
    measured = slope(which, place)
    assert np.allclose(ours, theirs, rtol=1e-10, atol=1e-14)
    assert np.isclose(ours[place], measured, rtol=1e-6, atol=1e-9)
    print(f"{name}{list(place)}: by hand {ours[place]:+.10f}, jax {theirs[place]:+.10f}, differences {measured:+.8f}")

# %% [markdown]
# ## Learning with our own gradient
#
# Plain gradient descent, with the length of the gradient capped at 1. Then the network runs free: each prediction is the
# next input.

# %%
losses = []
for _ in range(400 if SMALL else 3000):
    loss, slopes = backward(params, xs, targets)
    length = np.sqrt(sum((g**2).sum() for g in slopes))
    params = [p - 0.3 * g / max(1.0, length) for p, g in zip(params, slopes)]
    losses.append(loss)

W, U, b, V, d = params
free, h, x = [], forward(params, xs)[0][-1], targets[-1]
for _ in range(60):
    h = np.tanh(x @ W + h @ U + b)
    x = h @ V + d
    free.append(x[0])
true = np.sin(0.3 * np.arange(T + 1, T + 61))
assert losses[-1] < 0.02 * losses[0], "it learns"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
left.semilogy(losses, color="#0072B2")
left.set(xlabel="update", ylabel="loss $L$", title="learning with BPTT by hand")
right.plot(np.arange(T + 1), wave, color="#555555", label="seen")
right.plot(np.arange(T + 1, T + 61), true, color="#555555", ls=":", label="how it goes on")
right.plot(np.arange(T + 1, T + 61), free, color="#D55E00", label="the network, on its own predictions")
right.set(xlabel="step $t$", ylim=(-1.6, 1.6), title="free running")
right.legend(frameon=False, fontsize="small")

# %% [markdown]
# **Backpropagation through time is the chain rule along the unrolled network, and eleven lines of NumPy give the gradient
# that `jax.grad` gives.**
#
# Werbos 1990, [Backpropagation through time](https://doi.org/10.1109/5.58337); Rumelhart, Hinton & Williams 1986,
# [Learning representations by back-propagating errors](https://doi.org/10.1038/323533a0). Next: why long products of
# Jacobians [vanish and explode](03_vanishing_and_exploding_gradients.ipynb).
