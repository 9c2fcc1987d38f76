# %% [markdown]
# # 1 · A cell is one function
#
# **요약.** 순환 신경망은 한 걸음을 계산하는 순수 함수 하나입니다: 상태와 입력을 받아 새 상태와 출력을 냅니다.
# 시간을 따라 돌리는 일(`scan`), 묶음 처리(`batch`), 쌓기(`stack`)는 모두 그 함수 밖에서 고릅니다.
# 이 노트북은 수식 한 줄로 셀을 만들고, 파이썬 반복문과 `scan`이 같은 값을 낸다는 것을 확인합니다.
#
# A recurrent network reads a sequence one step at a time, and keeps what it needs to remember in a **state**. All that
# there is to it is the function of one step:
#
# $$\text{step}(\text{params}, s_{t-1}, x_t) = (s_t, y_t)$$
#
# How time is run, how sequences are batched, how layers are stacked: these are choices made outside that function.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rnnjax

SMALL = "RNNJAX_SMALL" in os.environ  # a minute at most, for continuous integration
steps = 40 if SMALL else 60

# %% [markdown]
# ## A cell of our own
#
# A **leaky integrator** keeps a running mean of what it sees. With a decay $a$ between 0 and 1 and an input $x_t$,
#
# $$h_t = a\,h_{t-1} + (1 - a)\,x_t, \qquad y_t = h_t.$$
#
# `init` makes the params from a random key, `start` the state before the first step, `step` is the equation.


# %%
def leaky(m):
    def init(key):
        return jax.random.uniform(key, (m,), minval=0.5, maxval=0.99)

    def step(a, h, x):
        h = a * h + (1 - a) * x
        return h, h

    return rnnjax.Cell(init, lambda a: jnp.zeros(m), step)


cell = leaky(3)
params = cell.init(jax.random.key(0))
state, y = cell.step(params, cell.start(params), 1.0)
print("decays", params, "\nafter one step", y)

# %% [markdown]
# ## Time is a choice
#
# A Python loop would do. `rnnjax.scan` makes of the cell another cell, whose step reads a whole sequence `xs` of $T$
# steps, compiled into one program. It gives the same numbers.

# %%
xs = jnp.sign(jnp.sin(jnp.arange(steps) / 5.0))  # a square wave

state, by_hand = cell.start(params), []
for x in xs:
    state, y = cell.step(params, state, x)
    by_hand.append(y)

over_time = rnnjax.scan(cell)
last, ys = over_time.step(params, over_time.start(params), xs)

assert np.allclose(ys, np.stack(by_hand), atol=1e-6)
assert np.allclose(last, state, atol=1e-6)
print("ys", ys.shape, "are those of the loop")

# %% [markdown]
# ## So are batches, layers and directions
#
# Each of these takes cells and gives a cell. `scan(cell)` gives the hidden states $h_t$ (as PyTorch's modules do), and
# `stack(scan(cell), dense)` a readout of them, $y_t = h_t W + b$.

# %%
network = rnnjax.stack(leaky(3), rnnjax.dense(3, 2))
deep = rnnjax.deep(rnnjax.gru, 1, 8, layers=2, bidirectional=True)
print(network)
print(deep)

batch = jnp.stack([xs, -xs])[..., None]  # B, T, n
_, out = rnnjax.apply(deep, deep.init(jax.random.key(1)), batch)
assert out.shape == (2, steps, 16)

# %% [markdown]
# ## And it is ordinary JAX
#
# Gradients go through the scan: that is backpropagation through time. Let us find, by gradient descent, the decay that
# best predicts a noisy signal's next value. For a signal that is a slow wave plus independent noise, some averaging is
# best: neither none ($a = 0$) nor very much.

# %%
rng = np.random.default_rng(0)
signal = jnp.asarray(np.sin(np.arange(400) / 12) + 0.5 * rng.normal(size=400), jnp.float32)
one = leaky(1)
run = rnnjax.scan(one)


@jax.jit
def loss(a):
    _, ys = run.step(a, run.start(a), signal[:-1])
    return jnp.mean((ys[:, 0] - signal[1:]) ** 2)


a = jnp.array([0.95])
path = [(float(a[0]), float(loss(a)))]
for _ in range(60 if SMALL else 200):
    a = jnp.clip(a - 0.05 * jax.grad(loss)(a), 0, 0.999)
    path.append((float(a[0]), float(loss(a))))

grid = np.linspace(0, 0.99, 100)
losses = np.array([loss(jnp.array([value])) for value in grid])
best = grid[losses.argmin()]
assert 0.05 < best < 0.95, "some averaging is best"
assert abs(path[-1][0] - best) < 0.02, "gradient descent finds the decay that a search finds"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
left.plot(xs, color="#555555", lw=1, label="$x_t$")
for k, decay in enumerate(np.asarray(params)):
    left.plot(ys[:, k], color=["#0072B2", "#D55E00", "#009E73"][k], label=f"$h_t$, $a = {decay:.2f}$")
left.set(xlabel="step $t$", ylabel="value", title="one cell, three decays")
left.legend(frameon=False, fontsize="small")
right.plot(grid, losses, color="#555555", label="by search")
right.plot(*zip(*path), ".", color="#D55E00", label="by gradient descent through the scan")
right.set(xlabel="decay $a$", ylabel="mean squared error of the next value", title=f"the best decay is {best:.2f}")
_ = right.legend(frameon=False, fontsize="small")

# %% [markdown]
# **A cell is one pure function of a step; everything else, the gradient too, is made around it.**
#
# Next: the [vanilla RNN from its equations](02_vanilla_rnn_from_the_equations.ipynb). Read more: Elman 1990,
# [Finding structure in time](https://doi.org/10.1207/s15516709cog1402_1); `jax.lax.scan` in
# [JAX's documentation](https://docs.jax.dev/en/latest/_autosummary/jax.lax.scan.html).
