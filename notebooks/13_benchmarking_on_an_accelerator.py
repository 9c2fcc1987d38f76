# %% [markdown]
# # 13 · Benchmarking on an accelerator, and on what you have
#
# **요약.** JAX의 실행 시간을 바르게 재는 법을 다룹니다. JAX는 결과가 나오기 전에 호출에서 돌아오므로 `block_until_ready`로
# 기다려야 하고, 컴파일 시간은 따로 재야 하며, 비교할 대상은 번갈아 가며 재어 비율로 말해야 합니다. 이어서 LSTM 한 걸음의
# 연산량과 메모리 이동량을 세어 루프라인 위에 놓고, 배치 크기에 따라 초당 연산량이 어떻게 커지는지 측정합니다.
# 마지막으로 `rolled`와 `deferred` 두 루프를 비교합니다. CPU든 GPU든 `jax.devices()`가 주는 장치에서 그대로 돌아갑니다.
#
# A number in a benchmark is the answer to a question, and JAX makes it easy to answer another one: how long it takes to
# *ask* for a result, or to *compile*. This notebook runs on whatever `jax.devices()` gives, and says which.

# %%
import os
import platform
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rnnjax

SMALL = "RNNJAX_SMALL" in os.environ
device = jax.devices()[0]
place = f"{device.platform}: {device.device_kind}, {platform.machine()}, {os.cpu_count()} CPU cores"
print(place, "| jax", jax.__version__)

# %% [markdown]
# ## Wait for the answer
#
# A call of a compiled function puts work in the device's queue and returns an array that is not there yet. The clock must
# wait for it, by `jax.block_until_ready`. Here is an LSTM over a batch of sequences, timed without and with it.

# %%
n = m = 256
steps, B = 100, 32
cell = rnnjax.batch(rnnjax.scan(rnnjax.lstm(n, m)), B)
params = cell.init(jax.random.key(0))
xs = jax.random.normal(jax.random.key(1), (steps, B, n))
forward = jax.jit(lambda params, xs: cell.step(params, cell.start(params), xs)[1])

# %% [markdown]
# ## Compile time is another quantity
#
# The first call traces the function, compiles it, and runs it. `lower` and `compile` do the first two alone, so that each
# can be timed. What a user waits for once, and what he waits for at each step, are two numbers.


# %%
def seconds(call):
    """How long a call takes until its result is there."""
    began = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - began


began = time.perf_counter()
compiled = forward.lower(params, xs).compile()
compiling = time.perf_counter() - began
compiled(params, xs).block_until_ready()  # warm-up: memory is allocated, caches fill
warm = min(seconds(lambda: compiled(params, xs)) for _ in range(5))
print(f"to compile {1e3 * compiling:.0f} ms, to run {1e3 * warm:.1f} ms: {compiling / warm:.0f} times as long")

# %% [markdown]
# Now the two clocks, on the same program: one stops when the call returns, the other when the numbers are there.

# %%
asked, answered = [], []
for _ in range(20):
    began = time.perf_counter()
    ys = compiled(params, xs)
    asked.append(time.perf_counter() - began)
    ys.block_until_ready()
    answered.append(time.perf_counter() - began)
wrong = np.median(answered) / np.median(asked)
print(
    f"unblocked {1e3 * np.median(asked):.3f} ms, blocked {1e3 * np.median(answered):.1f} ms: {wrong:.0f} times as long"
)
assert compiling > warm, "the first call is mostly compiling"
assert wrong > 5, "a clock that does not wait measures nothing but the call"

# %% [markdown]
# ## Take turns, and give a ratio
#
# Other programs slow the machine for a while, and clocks change with heat. Timing A a hundred times, then B a hundred
# times, puts such a spell on one of them. In turns, A B A B ..., it falls on both, and the median of the ratios of
# neighbours hardly feels it. As a check we let a program run against itself: the ratio should be 1.


# %%
def turns(contenders, rounds):
    """{name: seconds of each round}, each contender once a round."""
    for call in contenders.values():
        jax.block_until_ready(call())
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            times[name].append(seconds(call))
    return {name: np.array(each) for name, each in times.items()}


rounds = 15 if SMALL else 40
itself = turns({"A": lambda: compiled(params, xs), "B": lambda: compiled(params, xs)}, rounds)
ratios = itself["A"] / itself["B"]
spread = itself["A"].max() / itself["A"].min()
print(f"the slowest run of A took {spread:.1f} times the fastest; median ratio of A to itself {np.median(ratios):.3f}")
assert 0.7 < np.median(ratios) < 1.4, "a program is as fast as itself"

# %% [markdown]
# ## What could it be at best? The roofline
#
# A step of an LSTM for a batch of $B$ multiplies $x\,(B, n)$ with $W\,(n, 4m)$ and $h\,(B, m)$ with $U\,(m, 4m)$. One
# multiplication and one addition for each weight and sequence:
#
# $$\text{FLOPs} = 8\,m\,(n + m)\,B$$
#
# In the meantime it moves, at 4 bytes a number, all weights once, and for each sequence what goes in and out:
#
# $$\text{bytes} = 4\,\big(4\,m\,(n + m + 1) + B\,(n + 4\,m)\big)$$
#
# (in $x$, $h$, $c$, out $h$ and $c$; what is in between stays in the registers, at best). Their ratio is the **arithmetic
# intensity** $I$. Weights are read once for the whole batch, so that it is almost $B/2$ FLOPs a byte while the weights are
# most of what moves. A device that can do $P$ FLOPs and move $M$ bytes a second then does at most
# $\min(P, I\,M)$ FLOPs a second: the roofline (Williams, Waterman & Patterson 2009).


# %%
def flops(n, m, B):
    return 8 * m * (n + m) * B


def moved(n, m, B):
    return 4 * (4 * m * (n + m + 1) + B * (n + 4 * m))


n = m = 512
batches = (1, 4, 16, 64, 256)
one = rnnjax.lstm(n, m)
params = one.init(jax.random.key(0))
for B in batches:
    work, bytes = flops(n, m, B), moved(n, m, B)
    print(f"B {B:4}: {work / 1e6:8.1f} MFLOPs, {bytes / 1e6:5.1f} MB, {work / bytes:6.2f} FLOPs a byte")

# %% [markdown]
# XLA counts for itself what a program does. Its FLOPs are ours and a little more, for the sums and products of the
# gates.

# %%
many = rnnjax.batch(one, 64)
analysis = jax.jit(many.step).lower(params, many.start(params), jnp.ones((64, n))).cost_analysis()
more = analysis["flops"] / flops(n, m, 64)
print(f"XLA counts {analysis['flops'] / 1e6:.1f} MFLOPs for B = 64, {more:.3f} times our count")
assert 0.99 < more < 1.1

# %% [markdown]
# The two limits of this device, measured rather than read off a data sheet: a large product of matrices; and reading the
# weights again and again in one program, as the LSTM does, by products of one vector with $W$ and $U$. (Read once a call,
# they come from further away: the caches have been filled with something else in between.)


# %%
@jax.jit
def reading(x, h, W, U):
    def again(both, _):
        return tuple((v @ w).reshape(4, -1).sum(0) for v, w in zip(both, (W, U))), None

    return jax.lax.scan(again, (x, h), length=30)[0]


size = 1024 if SMALL else 2048
matrix, product = jnp.ones((size, size)), jax.jit(jnp.matmul)
vector, weights = jnp.ones(n), jnp.full((n, 4 * m), 1 / (4 * n))
other = weights + 0  # an array of its own
limits = turns({"matrices": lambda: product(matrix, matrix)}, rounds)
limits |= turns({"reading": lambda: reading(vector, vector, weights, other)}, rounds)
peak = 2 * size**3 / limits["matrices"].min()
speed = 30 * 2 * weights.nbytes / limits["reading"].min()
print(
    f"at most {peak / 1e9:.0f} GFLOPs a second, and {speed / 1e9:.1f} GB a second of {2 * weights.nbytes / 1e6:.1f} MB"
)

# %% [markdown]
# And the LSTM itself, by the plain loop `rolled`, which does all of a step's work in the step.

# %%
long = 10 if SMALL else 30


def runner(B):
    cell = rnnjax.batch(rnnjax.scan(one, rnnjax.rolled), B)
    xs = jax.random.normal(jax.random.key(1), (long, B, n))
    run = jax.jit(lambda params, xs: cell.step(params, cell.start(params), xs)[0])
    return lambda: run(params, xs)


times = turns({B: runner(B) for B in batches}, rounds)
rate = {B: long * flops(n, m, B) / times[B].min() for B in batches}
for B in batches:
    roof = min(peak, speed * flops(n, m, B) / moved(n, m, B))
    took = 1e3 * times[B].min() / long
    print(f"B {B:4}: {took:7.3f} ms a step, {rate[B] / 1e9:7.1f} GFLOPs a second, {rate[B] / roof:4.0%} of the roof")
assert rate[64] > 3 * rate[1], "the same weights, read once for more sequences"

# %% [markdown]
# (A point above the roof says that our probe reads more slowly than the device can: the roof is an estimate from below.)
#
# From $B = 1$ to $B = 64$ the work grows 64 times, and the time of a step much less: one sequence leaves most of the device
# idle.

# %%
dearer = times[64].min() / times[1].min()
print(f"64 sequences take {dearer:.1f} times as long as one")
assert dearer < 22

# %% [markdown]
# ## `rolled` against `deferred`
#
# `rolled` is `jax.lax.scan` as it is. `deferred`, the default loop, leaves in the loop only what waits for the state:
# $x W$ of all steps is one large product before it, and each weight's gradient one large product after it. Both forward and
# backward, in turns, as a ratio: below 1, `deferred` is faster.

# %%
m = 128
shapes = [(1, 100), (4, 100), (16, 100), (64, 100)] if not SMALL else [(4, 50), (16, 50)]
compared, params = {}, rnnjax.lstm(m, m).init(jax.random.key(0))


def learner(loop, B, T):
    cell = rnnjax.batch(rnnjax.scan(rnnjax.lstm(m, m), loop), B)
    xs = jax.random.normal(jax.random.key(1), (T, B, m))
    slope = jax.jit(jax.value_and_grad(lambda params: (cell.step(params, cell.start(params), xs)[1] ** 2).mean()))
    return lambda: slope(params)


for B, T in shapes:
    times_of = turns({"rolled": learner(rnnjax.rolled, B, T), "deferred": learner(rnnjax.deferred, B, T)}, rounds)
    ratio = times_of["deferred"] / times_of["rolled"]
    compared[B] = np.percentile(ratio, (25, 50, 75))
    print(
        f"B {B:3}, T {T}: rolled {1e3 * np.median(times_of['rolled']):7.2f} ms, "
        f"deferred {1e3 * np.median(times_of['deferred']):7.2f} ms, ratio {compared[B][1]:.2f} "
        f"(middle half {compared[B][0]:.2f} to {compared[B][2]:.2f})"
    )

mean = float(np.exp(np.mean([np.log(middle) for _, middle, _ in compared.values()])))
print(f"geometric mean of the ratios: {mean:.2f}")
assert mean < 1 or device.platform != "cpu", "deferred is faster, as measured on CPUs so far"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
intensity = np.array([flops(512, 512, B) / moved(512, 512, B) for B in batches])
grid = np.geomspace(intensity[0] / 2, max(intensity[-1], peak / speed) * 2, 100)
left.loglog(grid, np.minimum(peak, grid * speed) / 1e9, color="#555555", label="roofline, measured")
left.loglog(intensity, [rate[B] / 1e9 for B in batches], "o-", color="#0072B2", label="an LSTM of 512, rolled")
for B, at in zip(batches, intensity):
    offset, side = ((-6, 6), "right") if at < peak / speed else ((6, -12), "left")  # outside of the roof
    left.annotate(f"B = {B}", (at, rate[B] / 1e9), xytext=offset, ha=side, textcoords="offset points", fontsize=8)
left.set(
    xlabel="arithmetic intensity (FLOPs a byte)",
    ylabel="GFLOPs a second",
    title=f"a step forward, on the {device.platform.upper()}",
)
left.legend(frameon=False, fontsize="small", loc="lower right")
low, middle, high = np.array(list(compared.values())).T
right.errorbar(range(len(compared)), middle, [middle - low, high - middle], fmt="o", color="#D55E00", capsize=4)
right.axhline(1, color="#555555", ls=":")
right.set_xticks(range(len(compared)), compared)
right.set(
    ylabel="time, deferred / rolled (ratio)", xlabel="sequences in a batch, $B$", ylim=(0, max(1.3, 1.1 * high.max()))
)
right.set(title=f"an LSTM of {m}, forward and backward", xlim=(-0.5, len(compared) - 0.5))

# %% [markdown]
# **A clock that does not wait is wrong by a large factor; GFLOPs a second grow with the batch, as the same weights serve
# more sequences; and `deferred` took less time than `rolled`.**
#
# Williams, Waterman & Patterson 2009, [Roofline](https://doi.org/10.1145/1498765.1498785); Appleyard et al. 2016,
# [Optimizing performance of recurrent neural networks on GPUs](https://arxiv.org/abs/1604.01946); JAX's documentation on
# [asynchronous dispatch](https://docs.jax.dev/en/latest/async_dispatch.html). The library's own benchmarks are in
# `benchmarks/`. Next: [from PyTorch to rnnjax](14_from_pytorch_to_rnnjax.ipynb).
