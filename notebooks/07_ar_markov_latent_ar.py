# %% [markdown]
# # 7 · Autoregression, Markov, and a state that is learnt
#
# **요약.** 시계열의 다음 값을 예측하는 세 가지 방법을 실제 태양 흑점 자료로 비교합니다. 자기회귀 AR(k)는 최근 k개의 값을 보고,
# 마르코프 모형은 마지막 값 하나만 보며, 잠재 자기회귀(RNN, GRU)는 과거를 요약하는 상태를 스스로 배웁니다.
# 참값을 넣어 주는 교사 강요와 자기 예측을 다시 넣는 자유 실행을 구별하고, k걸음 앞의 오차와 예측 구간을 함께 잽니다.
# 학습에 쓰지 않은 뒤쪽 해에서는 상태를 배운 GRU가 마르코프 모형보다 뚜렷하게 낫지만, 한 걸음 앞에서는 AR(9)와 비슷합니다.
#
# What will the next value of a series be? All that is known is its past, $x_1, \dots, x_t$, and the past grows. There
# are three ways to keep it finite:
#
# | | what is kept of the past | the next value |
# |---|---|---|
# | AR($k$) | the last $k$ values | $\hat x_{t+1} = \sum_{i=1}^{k} W_i\,x_{t+1-i} + b$ |
# | Markov, AR(1) | the last value | $\hat x_{t+1} = W_1\,x_t + b$ |
# | latent AR | a state, which is learnt | $h_t = f(h_{t-1}, x_t), \quad \hat x_{t+1} = h_t V + d$ |
#
# The first two are told what to remember. The third, a recurrent network, has to find it out.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rnnjax
from rnnjax.data import sunspots
from rnnjax.tasks import forecast, futures, ladder, rungs
from rnnjax.train import begin, fit, update

SMALL = "RNNJAX_SMALL" in os.environ
series = futures.joined(sunspots())  # shipped with the library
for name, part in series.parts._asdict().items():
    years, spread = series.times[part], series.values[part].std()
    print(f"{name:6} {years[0]} to {years[-1]}, {len(years)} years, standard deviation {spread:.0f} spots")

# %% [markdown]
# The mean number of sunspots of each year. It rises and falls every eleven years or so, never twice alike, and the later
# years swing more widely than those to learn from. Models read `z`, the series with mean 0 and variance 1 in the training
# part; all errors below are in spots again.
#
# ## A fixed window, by least squares
#
# AR($k$) is linear, so the best $W$ and $b$ in the sense of least squares come in closed form. At the minimum what is left
# over is orthogonal to everything that was seen, which can be checked. So every order can be tried.

# %%
z = series.z[series.parts.train]
nine = ladder.least_squares(9, z)
past = np.stack([z[8 - i : len(z) - 1 - i] for i in range(9)], 1).astype(float)
left_over = z[9:] - past @ np.asarray(nine.W, float) - float(nine.b)
assert np.abs(past.T @ left_over).max() < 1e-3 * np.abs(past.T @ z[9:]).max(), "the normal equations hold"

orders = range(1, 13)
pieces = {"training": slice(12, len(z)), "held out": series.parts.valid}  # no order looks back before 1700
by_order = {
    name: [futures.errors(ladder.autoregression(k), ladder.least_squares(k, z), series, piece, 1)[1] for k in orders]
    for name, piece in pieces.items()
}
for k, *errors in zip(orders, *by_order.values()):
    print(f"AR({k:2}): RMSE one year ahead {errors[0]:.1f} spots in training, {errors[1]:.1f} held out")

# %% [markdown]
# The second value is worth most: with two one can tell rising from falling, which the last value alone does not say. The
# sunspots are not a Markov chain of order 1. Nine years is the classical choice for this series.
#
# ## A state that is learnt
#
# A GRU, or a vanilla RNN, reads one value a year and says the mean and the logarithm of the scale of the next,
# $(\mu, s) = h_t V + d$. It is trained by its negative log likelihood,
#
# $$L = \frac1T \sum_t \; s_t + \tfrac12 \Big(\frac{x_{t+1} - \mu_t}{e^{s_t}}\Big)^2 + \tfrac12 \log 2\pi,$$
#
# with **teacher forcing**: whatever it predicted, it is told the true value next. 221 years are few for a network of 16
# units, so training stops where the error on the held-out years is least, and of several seeds the best there is taken.
# (Its errors on the held-out years are therefore a little flattered. Those on the test years are not.)


# %%
def trained(config):
    """The params that were best on the held-out years, with their error there."""
    recipe = forecast.recipe(config)
    step = update(recipe.gradient, recipe.optimizer)
    training, best = begin(recipe, recipe.optimizer, jax.random.key(config.seed)), (np.inf, None)
    for training, _ in fit(step, training, lambda n: (recipe.batch_at(n),), config.steps):
        if int(training.step) % config.every == 0:
            error = recipe.measure(training.params, "valid")[recipe.unit]
            if error < best[0]:
                best = error, jax.tree.map(np.array, training.params)
    return best


models = rungs.rungs(series, 9)  # average, last value, Markov, AR(9)
every_seed = []
for kind in ["gru"] if SMALL else ["rnn", "gru"]:
    configs = [forecast.Config(model=kind, seed=seed, steps=120 if SMALL else 200) for seed in range(1 if SMALL else 3)]
    runs = [trained(config) for config in configs]
    label = f"latent AR, {kind}({configs[0].m})"
    models[label] = forecast.model(configs[0]), min(runs, key=lambda run: run[0])[1]
    for config, (error, params) in zip(configs, runs):
        errors = futures.errors(models[label][0], params, series, series.parts.test, 16)
        every_seed.append((kind, errors))
        print(f"{kind}, seed {config.seed}: {error:.1f} held out; {errors[1]:.1f} in the test years")

# %% [markdown]
# ## Teacher forcing and free running are the same model, fed differently
#
# `ladder.fed` makes of any of these models one that reads what it is told, or else what it has just said itself. Told
# everything, it gives one-step predictions. Told nothing after some year, it runs free: its prediction is its next input.
# For AR(1) the free run is known in closed form. With $W_1 = w$ and the fixed point $m = b / (1 - w)$,
#
# $$\hat x_{t+k} = m + w^k\,(x_t - m), \qquad
# \operatorname{var}(x_{t+k}) = \sigma^2\,\frac{1 - w^{2k}}{1 - w^2},$$
#
# and the library's free run must agree with it: the mean to rounding, the spread of sampled futures within sampling error.

# %%
markov, params = models["Markov, AR(1)"]
run = rnnjax.scan(ladder.fed(markov))
origin, horizon = int(np.flatnonzero(series.times == np.datetime64("1957"))[0]), 16
told = jnp.arange(origin + 1 + horizon) <= origin
_, (read, _) = run.step(params, run.start(params), (jnp.asarray(series.z[: len(told)]), told, jnp.zeros(len(told))))

w, sigma = float(params.W[0]), float(np.exp(params.s))
rest, k = float(params.b) / (1 - w), np.arange(1, horizon + 1)
closed_form = rest + w**k * (series.z[origin] - rest)
assert np.allclose(read[origin + 1 :], closed_form, atol=1e-4), "free running is the closed form"

drawn = futures.futures(markov, params, series, [origin], horizon, jax.random.key(0), 2000)[:, 0]
spread = series.scale * sigma * np.sqrt((1 - w ** (2 * k)) / (1 - w**2))
assert np.abs(drawn.std(0) / spread - 1).max() < 0.1, "and so is its spread"
print(
    f"w = {w:.3f}; spread 1, 4, 16 years ahead: drawn",
    drawn.std(0)[[0, 3, 15]].round(1),
    "closed form",
    spread[[0, 3, 15]].round(1),
)

# %% [markdown]
# This model runs straight to its mean, and cannot do otherwise. AR(9) swings on the way, and a network may keep a cycle
# going.
#
# ## Errors k steps ahead, and intervals
#
# From every year of the test part each model is told all before, then runs free. Each horizon's error is over the same 53
# years. An interval is the middle 80 % or 95 % of 200 sampled futures; the table says how many of the values came to lie
# within it. (A good 80 % interval holds 80 %.)

# %%
print(rungs.table(series, models, 16))

# %%
test = {label: futures.errors(*each, series, series.parts.test, 16) for label, each in models.items()}
ar, one, last = test["AR(9)"], test["Markov, AR(1)"], test["last value"]
for label, errors in test.items():
    if "AR(9)" in label or "latent" in label:
        print(f"{label}: {errors[1] / one[1]:.2f} of Markov's error one year ahead, {errors[1] / ar[1]:.2f} of AR(9)'s")
assert ar[1] < 0.7 * one[1], "nine values tell far more than one"
assert all(errors[h] < (0.95 if SMALL else 0.9) * one[h] for _, errors in every_seed for h in (1, 2)), (
    "so does a state that is learnt, from every seed"
)
assert one[1] < last[1] < test["average"][1], (
    "the last value tells more than the mean, and a fitted share of it more yet"
)
assert one[4] > test["average"][4], (
    "but four years ahead Markov is worse than the mean: it cannot know that the cycle turns"
)

# %%
colors = ["#555555", "#CC79A7", "#0072B2", "#009E73", "#D55E00"]
shown = ["average", "Markov, AR(1)", "AR(9)"] + [label for label in models if label.startswith("latent")]
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
for label, color in zip(shown, colors if len(shown) == 5 else colors[:3] + colors[4:]):
    left.plot(list(test[label]), list(test[label].values()), "o-", ms=4, color=color, label=label)
left.set(
    xscale="log",
    xlabel="years ahead",
    ylabel="RMSE, test years (spots)",
    ylim=(0, 90),
    title="free running from every year",
)
left.set_xticks(list(ar), [str(h) for h in ar])
left.minorticks_off()
left.legend(frameon=False, fontsize="small", ncols=2, loc="upper left")

origin = int(np.flatnonzero(series.times == np.datetime64("1979"))[0])
shown_years = slice(origin - 24, origin + 1 + horizon)
years = series.times.astype("datetime64[Y]").astype(int) + 1970
right.plot(years[shown_years], series.values[shown_years], color="#555555", label="measured")
for label, color in ((shown[-1], "#D55E00"), ("AR(9)", "#0072B2"), ("Markov, AR(1)", "#CC79A7")):
    mean = futures.futures(*models[label], series, [origin], horizon)[0, 0]
    right.plot(years[origin + 1 : origin + 1 + horizon], mean, color=color, label=label)
drawn = futures.futures(*models[shown[-1]], series, [origin], horizon, jax.random.key(1), 1000)[:, 0]
low, high = np.quantile(drawn, [0.1, 0.9], 0)
right.fill_between(
    years[origin + 1 : origin + 1 + horizon],
    low,
    high,
    color="#D55E00",
    alpha=0.2,
    lw=0,
    label=f"80 % of its futures ({shown[-1][11:]})",
)
right.axvline(years[origin], ymax=0.75, color="#555555", ls=":", lw=1)
right.set(xlabel="year", ylabel="sunspots a year, mean", ylim=(-30, 330), title="told nothing after 1979")
right.legend(frameon=False, fontsize="small", ncols=2, loc="upper left")

# %% [markdown]
# **In years that no model has seen, a GRU's learnt state tells the next year with 0.62 of the Markov model's error, no
# better than nine remembered values do (0.60), and its 80 % interval holds only 62 % of what came.**
#
# Yule 1927, [On a method of investigating periodicities in disturbed series](https://doi.org/10.1098/rsta.1927.0007), who
# invented autoregression for these very numbers; Weigend, Huberman & Rumelhart 1990,
# [Predicting the future: a connectionist approach](https://doi.org/10.1142/S0129065790000102); Bengio et al. 2015,
# [Scheduled sampling](https://arxiv.org/abs/1506.03099), on the gap between teacher forcing and free running
# (`rnnjax train forecast --teacher 0.75`). Next:
# [bidirectional and deep](08_bidirectional_and_deep.ipynb).
