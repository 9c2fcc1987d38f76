# %% [markdown]
# # 12 · Time in parallel
#
# **요약.** 상태가 앞 상태에 대해 아핀인 셀, 곧 h' = a h + b 꼴의 셀은 두 걸음을 합쳐도 같은 꼴이고 이 합성은 결합 법칙을
# 따릅니다. 그래서 T걸음을 차례로 T번이 아니라 약 2 log₂ T번의 병렬 단계로 계산할 수 있습니다. GRU처럼 비선형인 셀은 뉴턴
# 방법으로 모든 걸음의 상태를 한꺼번에 풉니다. 결과와 기울기가 순차 반복문과 같음을 확인하고, 서로 기다려야 하는 연산의
# 수를 세고, 이 CPU에서 잰 시간의 비율도 보입니다.
#
# A loop over time waits for each step before it begins the next. Some recurrences need not wait. If a step is
#
# $$h' = a\,h + b \qquad (\text{elementwise, with } a \text{ and } b \text{ from the input alone}),$$
#
# then step 1 followed by step 2 is $a_2(a_1 h + b_1) + b_2$, which is again such a step:
#
# $$(a_2, b_2) \circ (a_1, b_1) = (a_2 a_1,\; a_2 b_1 + b_2).$$
#
# It does not matter which neighbours are joined first, so all of them can be joined at once, then the pairs, then the fours.

# %%
import functools
import os
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rnnjax

SMALL = "RNNJAX_SMALL" in os.environ
jax.config.update("jax_enable_x64", True)  # so that ten digits can be compared


def compose(one, other):
    """Two steps as one."""
    return other[0] * one[0], other[0] * one[1] + other[1]


rng = np.random.default_rng(0)
first, second, third = rng.normal(size=(3, 2))
assert np.allclose(compose(compose(first, second), third), compose(first, compose(second, third)), rtol=1e-12)

# %% [markdown]
# ## By hand: doubling
#
# Let each step hold what it and those before it come to. Join each with the one before, then with the one two before,
# four before, and so on: after $\lceil\log_2 T\rceil$ rounds, each of which is one operation on whole arrays, all prefixes are there.

# %%
T = 1000
a, b = rng.uniform(0.5, 1, T), rng.normal(size=T)
h, one_by_one = 0.0, []
for t in range(T):
    h = a[t] * h + b[t]
    one_by_one.append(h)

rounds, A, H = 0, a.copy(), b.copy()
while 2**rounds < T:
    shift = 2**rounds
    A[shift:], H[shift:] = compose((A[:-shift], H[:-shift]), (A[shift:], H[shift:]))
    rounds += 1
assert np.allclose(H, one_by_one, rtol=1e-10, atol=1e-12)
print(f"{T} steps in {rounds} rounds; the largest difference is {np.abs(H - one_by_one).max():.0e}")

# %% [markdown]
# ## In the library: a promise, and two loops that use it
#
# `mingru` (Feng et al. 2024) has gates of the input alone, $h' = (1 - z)\,h + z\,g$, so it is affine in $h$ with
# $a = 1 - z$, $b = z g$, and promises `affine`. Any cell of your own may do so. Then `scan(cell, associative)` runs all
# steps in parallel; `scan(cell, chunked)` runs a chunk of them in parallel, and one chunk after another, which takes
# less memory. The values and the gradients are those of the loop.

# %%
cell = rnnjax.mingru(4, 16)
params = cell.init(jax.random.key(0))
xs = jnp.asarray(rng.normal(size=(T, 4)))


def of(cell, loop, params, xs, **options):
    """The states by a loop, and a gradient through them."""
    run = rnnjax.scan(cell, loop, **options)

    def score(params):
        _, ys = run.step(params, run.start(params), xs)
        return (ys * jnp.cos(jnp.arange(ys.size).reshape(ys.shape))).sum(), ys

    (_, ys), grads = jax.jit(jax.value_and_grad(score, has_aux=True))(params)
    return [np.asarray(leaf) for leaf in (ys, *jax.tree.leaves(grads))]


def apart(one, other):
    """The largest difference between two lists of arrays, as a share of the largest number in each array."""
    return max(np.abs(x - y).max() / np.abs(y).max() for x, y in zip(one, other))


by_loop = of(cell, rnnjax.rolled, params, xs)
for name, loop, options in (("associative", rnnjax.associative, {}), ("chunked", rnnjax.chunked, {"size": 32})):
    difference = apart(of(cell, loop, params, xs, **options), by_loop)
    print(f"{name:12} differs from the loop by {difference:.0e} at most, in values and gradients")
    assert difference < 1e-10

# %% [markdown]
# ## How many operations must wait for one another?
#
# `jax.lax.associative_scan`, which the library uses, can count for itself. Give every element the number of compositions
# that it has waited for: a composition then waits for the later of its two, and is one more. The work is how many
# compositions there are in all.


# %%
def depth_and_work(T):
    done = []

    def waits(one, other):
        done.append(one.size)
        return jnp.maximum(one, other) + 1

    return int(jax.lax.associative_scan(waits, jnp.zeros(T, int)).max()), sum(done)


lengths = [2**k for k in range(5, 10 if SMALL else 18, 2)]
counts = {T: depth_and_work(T) for T in lengths}
in_chunk = depth_and_work(32)[0]
depths = {
    "sequential": [T - 1 for T in lengths],
    "chunked, 32 a chunk": [T // 32 * (in_chunk + 1) for T in lengths],  # and one to hand the state on
    "associative": [depth for depth, _ in counts.values()],
}
for T, (depth, work) in counts.items():
    print(f"T = {T:6}: {T - 1:6} compositions in turn, or {depth:2}; in all {T - 1:6}, or {work:6}")
    assert np.log2(T) <= depth <= 2 * np.log2(T), "the chain is as long as the logarithm of T, up to a factor of 2"
    assert work < 2 * T, "for at most twice the work"

# %% [markdown]
# ## A GRU in parallel, by Newton's method
#
# A GRU is not affine in $h$. But all its states together solve a system of equations, $h_t = f(h_{t-1}, x_t)$ for all $t$,
# and Newton's method solves such systems. Linearised at a guess of all states, with $J_t = \partial f / \partial h$,
#
# $$h_t^{\text{new}} = f(h_{t-1}, x_t) + J_t\,\big(h_{t-1}^{\text{new}} - h_{t-1}\big),$$
#
# which is affine in $h^{\text{new}}$, and so one associative scan with matrices for $a$ (on a CPU the library solves it
# step by step by default, for less work). `rnnjax.solve` tells how it went: the residual is the largest
# $|f(h_{t-1}, x_t) - h_t| / (1 + |f|)$. With `diagonal_jacobian` an iteration costs far less, and there are more of them. We
# also make the recurrence harder by multiplying $U$ by 2.

# %%
gru = rnnjax.gru(4, 8)
easy = gru.init(jax.random.key(1))
inputs = jnp.asarray(rng.normal(size=(300, 4)))
kinds = {"full Jacobian": rnnjax.full_jacobian, "diagonal": rnnjax.diagonal_jacobian}
solvers = {
    name: jax.jit(
        lambda params, tolerance, jacobian=jacobian: rnnjax.solve(
            gru, params, gru.start(params), inputs, jacobian=jacobian, tolerance=tolerance, most=40
        )
    )
    for name, jacobian in kinds.items()
}


def trail_of(solver, params):
    """The residual at each iteration that lessens it: each time the tolerance is just below the last one."""
    trail, tolerance = [], 1e6
    while True:
        found = solver(params, tolerance)
        trail.append((int(found.iterations), float(found.residual)))
        if trail[-1][1] <= 1e-13 or not found.converged:
            return trail, found
        tolerance = 0.999 * trail[-1][1]


trails = {}
for scale in (1, 2):
    params = easy._replace(U=scale * easy.U)
    by_loop = [np.asarray(rnnjax.scan(gru, rnnjax.rolled).step(params, gru.start(params), inputs)[1])]
    for name, solver in solvers.items():
        trails[name, scale], found = trail_of(solver, params)
        difference = apart([np.asarray(found.ys)], by_loop)
        shown = ", ".join(f"{residual:.0e}" for _, residual in trails[name, scale][:7])
        end = "converged" if found.converged else "gave up, and ran the steps in turn,"
        print(f"{name}, U times {scale}: residuals {shown}, ...")
        print(f"    {end} after {found.iterations} iterations, {difference:.0e} from the loop")
        assert difference < 1e-10

grads = [of(gru, loop, easy, inputs) for loop in (rnnjax.newton, rnnjax.rolled)]
assert apart(*grads) < 1e-10, "the gradient is that of the loop too"
iterations, waits = trails["full Jacobian", 1][-1][0], depth_and_work(300)[0]
print(f"in turn, if scanned: {iterations} iterations of {waits} compositions, where the loop has 300 steps")
print(f"newton's gradient differs from the loop's by {apart(*grads):.0e}")
assert iterations < 10 and 300 / (iterations * waits) > 2, "a shorter chain than the loop's"
assert trails["full Jacobian", 1][-1][0] < trails["full Jacobian", 2][-1][0] < trails["diagonal", 1][-1][0]

# %% [markdown]
# Near the solution Newton's residual is about squared at each iteration, the diagonal's only shrinks by a factor. Where the
# iterations do not converge in time (40 of them here), `newton` runs the steps one after another instead: slow, and right.
#
# ## Time, on this machine
#
# A short chain helps where there are idle lanes to fill. The ratios below are of **this CPU with a few cores**, shared with
# other programs: time of the parallel loop over that of `deferred`, the library's default sequential loop, forward and
# backward; above 1 the parallel loop loses. They say nothing of a GPU.


# %%
@functools.cache
def program(cell, loop, T):
    params, xs = cell.init(jax.random.key(0)), jnp.asarray(rng.normal(size=(T, 16)))
    run = rnnjax.scan(cell, loop)
    gradient = jax.jit(jax.grad(lambda params: (run.step(params, run.start(params), xs)[1] ** 2).sum()))
    return lambda: jax.block_until_ready(gradient(params))


def ratio(cell, loop, T):
    """The time of a loop over that of `deferred`, the least of several that were taken in turns."""
    took = []
    programs = program(cell, loop, T), program(cell, rnnjax.deferred, T)
    for _ in range(3 if SMALL else 15):  # the first compiles
        for each in programs:
            began = time.perf_counter()
            each()
            took.append(time.perf_counter() - began)
    return min(took[2::2]) / min(took[3::2])


times = [300] if SMALL else [300, 1000, 3000, 10000, 30000]
ratios = {}
for name, cell, loop in (
    ("mingru, associative", rnnjax.mingru(16, 16), rnnjax.associative),
    ("mingru, chunked", rnnjax.mingru(16, 16), rnnjax.chunked),
    ("gru, newton", rnnjax.gru(16, 16), rnnjax.newton),
):
    ratios[name] = [ratio(cell, loop, T) for T in times]
    print(f"{name:20}", ", ".join(f"T = {T}: {its:.1f}" for T, its in zip(times, ratios[name])))

# %%
palette = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
for (name, chain), color in zip(depths.items(), palette):
    left.loglog(lengths, chain, "o-", ms=4, color=color, label=name)
left.set(xlabel="steps $T$", ylabel="compositions in turn", title="the chain of an affine cell")
left.legend(frameon=False, fontsize="small")
for (name, scale), color in zip(trails, palette):
    middle.semilogy(
        *zip(*trails[name, scale]), "o-", ms=4, color=color, label=f"{name}, {scale} U" if scale > 1 else f"{name}, U"
    )
middle.set(xlabel="iteration", ylabel="largest relative residual", title="a GRU of 8 units over 300 steps")
middle.legend(frameon=False, fontsize="small")
for (name, its), color in zip(ratios.items(), palette):
    right.semilogx(times, its, "o-", ms=4, color=color, label=name)
right.axhline(1, color="#555555", ls="--", lw=1)
right.set(
    xlabel="steps $T$",
    ylabel="time over that of deferred (ratio)",
    ylim=(0, 1.5 * max(map(max, ratios.values()))),
    title="on this CPU; below the line is faster",
)
right.legend(frameon=False, fontsize="small", loc="upper left")

# %% [markdown]
# **A chain of 131 071 affine steps becomes one of 32 compositions, and a GRU's 300 steps four Newton iterations, with the
# loop's values and gradients to ten digits; on this CPU, which has no idle lanes to fill, each of them was slower than
# the loop at every length tried.**
#
# Blelloch 1990, [Prefix sums and their applications](https://www.cs.cmu.edu/~guyb/papers/Ble93.pdf); Martin & Cundy 2018,
# [Parallelizing linear recurrent neural nets over sequence length](https://arxiv.org/abs/1709.04057); Feng et al. 2024,
# [Were RNNs all we needed?](https://arxiv.org/abs/2410.01201); Lim et al. 2024,
# [DEER](https://arxiv.org/abs/2309.12252); Gonzalez et al. 2024, [quasi-DEER and ELK](https://arxiv.org/abs/2407.19115).
# Measured with care: [`benchmarks/results/parallel-cpu.md`](../benchmarks/results/parallel-cpu.md). Next:
# [benchmarking on an accelerator](13_benchmarking_on_an_accelerator.ipynb).
