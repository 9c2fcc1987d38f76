# %% [markdown]
# # 2 · The vanilla RNN from its equations, and BPTT by hand
#
# **요약.** 바닐라 RNN을 NumPy 수식 그대로 쓰고, 시간 역전파(BPTT)를 연쇄 법칙으로 직접 유도하여 손으로 구현합니다.
# 그 기울기가 `jax.grad`, 유한 차분과 소수점 열 자리까지 같음을 확인합니다. 마지막으로 손으로 만든 기울기만으로
# 사인파의 다음 값을 예측하도록 학습시키고, 자기 예측을 다시 입력으로 넣는 자유 실행에서 무슨 일이 생기는지 봅니다.
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
# Plain gradient descent on three periods, with the length of the gradient capped at 1. Then the network runs free: each
# prediction is the next input. There it meets inputs that it has never seen, its own errors, and what it does with them
# no loss has told it. So a second network learns with fresh noise on its inputs, from the same params: it has to find the
# wave again after every small push.

# %%
seen, ahead = 63, 120  # 2 pi / 0.3 = 20.9 steps a period
wave = np.sin(0.3 * np.arange(seen + ahead))[:, None]
xs, targets = wave[: seen - 1], wave[1:seen]


def learn(params, noise):
    """The params after learning, and the loss before each update."""
    losses = []
    for _ in range(400 if SMALL else 3000):
        loss, slopes = backward(params, xs + noise * rng.normal(size=xs.shape), targets)
        length = np.sqrt(sum((g**2).sum() for g in slopes))
        params = [p - 0.3 * g / max(1.0, length) for p, g in zip(params, slopes)]
        losses.append(loss)
    return params, losses


def run_free(params):
    """What the network says after the last that it has seen."""
    W, U, b, V, d = params
    h, x, said = forward(params, xs)[0][-1], targets[-1], []
    for _ in range(ahead):
        h = np.tanh(x @ W + h @ U + b)
        x = h @ V + d
        said.append(x[0])
    return np.array(said)


losses, free, wrong = {}, {}, {}
for noise in (0.0, 0.1):
    learnt, losses[noise] = learn(params, noise)
    free[noise] = run_free(learnt)
    wrong[noise] = abs(free[noise] - wave[seen:, 0]).max()
    end = np.mean(losses[noise][-50:])
    print(f"noise {noise}: loss {losses[noise][0]:.3f} at first, {end:.1e} at the end; "
          f"free, largest in the last period {abs(free[noise][-21:]).max():.2f}, "
          f"largest error {wrong[noise]:.2f}")  # fmt: skip
    assert end < 0.02 * losses[noise][0], "it learns"
assert 0.8 < abs(free[0.1][-21:]).max() < 1.2, "the wave goes on as high as it was"
assert SMALL or wrong[0.1] < 0.5 * wrong[0.0], "noise makes the free run better"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained", width_ratios=[2, 3])
for noise, colour, name in ((0.0, "#D55E00", "exact inputs"), (0.1, "#0072B2", "noise on its inputs")):
    left.semilogy(losses[noise], color=colour, lw=1, label=name)
    right.plot(np.arange(seen, seen + ahead), free[noise], color=colour, lw=1.2, label=f"free, {name}")
left.set(xlabel="update", ylabel="loss $L$", title="learning with BPTT by hand")
left.legend(frameon=False, fontsize="small")
right.plot(wave[:seen], color="#555555", label="seen")
right.plot(np.arange(seen, seen + ahead), wave[seen:], color="#555555", ls=":", label="how it goes on")
right.set(xlabel="step $t$", ylabel="value", ylim=(-1.6, 2.4), title="free running")
_ = right.legend(frameon=False, fontsize="small", ncols=2, loc="upper center")

# %% [markdown]
# **Backpropagation through time is the chain rule along the unrolled network, and a dozen lines of NumPy give the gradient
# that `jax.grad` gives.**
#
# To the right: a low loss one step ahead is no promise for a free run. With exact inputs the loss came far lower (the
# other's is measured on its noisy inputs), yet the free run lost the wave after three periods; with noise on its inputs
# the network kept the wave's height, and only its phase drifts. That is one seed and one length of training.
#
# Werbos 1990, [Backpropagation through time](https://doi.org/10.1109/5.58337); Rumelhart, Hinton & Williams 1986,
# [Learning representations by back-propagating errors](https://doi.org/10.1038/323533a0). Next: why long products of
# Jacobians [vanish and explode](03_vanishing_and_exploding_gradients.ipynb).
