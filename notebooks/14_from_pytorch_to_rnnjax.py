# %% [markdown]
# # 14 · From PyTorch to rnnjax, line by line
#
# **요약.** PyTorch 튜토리얼에 나오는 `nn.RNN(input_size=5, hidden_size=8, num_layers=2, batch_first=True, bidirectional=True)`를
# rnnjax로 한 줄씩 옮기고, 출력과 상태의 모양과 값이 같음을 확인합니다. 가중치는 `state_dict`를 통해 양방향으로 옮깁니다.
# 패딩된 묶음은 `pack_padded_sequence` 대신 `lengths`로 다룹니다. 같은 데이터로 학습하면 손실과 기울기, 그리고 서른 걸음의
# 학습 곡선까지 일치합니다. PyTorch가 없는 곳에서는 함께 저장해 둔 PyTorch의 계산 결과와 비교합니다.
#
# The same network in both libraries: the same shapes, the same numbers, the same gradients. Where PyTorch is not
# installed, the cells marked `if torch:` are passed over, and what they would have said is read from the small file
# beside this notebook, which PyTorch's numbers were written to.

# %%
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rnnjax
from rnnjax import interop
from rnnjax.interop.load import arrays

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

SMALL = "RNNJAX_SMALL" in os.environ  # nothing here is large
FILE = Path("14_from_pytorch_to_rnnjax.safetensors")
jax.config.update("jax_enable_x64", True)  # so that ten digits can be compared

theirs = {} if torch else arrays(FILE.read_bytes())  # what PyTorch said
print("PyTorch", torch.__version__ if torch else "is not installed: its numbers are read from the file")

# %% [markdown]
# ## The snippet, in PyTorch

# %%
if torch:
    torch.manual_seed(0)
    rnn = nn.RNN(input_size=5, hidden_size=8, num_layers=2, batch_first=True, bidirectional=True)
    x = torch.randn(1, 10, 5)
    output, h_n = rnn(x)
    print(output.shape, h_n.shape)

# %% [markdown]
# ## The same, line by line
#
# | PyTorch | rnnjax |
# |---|---|
# | `rnn = nn.RNN(input_size=5, hidden_size=8, num_layers=2, bidirectional=True)` | `rnn = rnnjax.deep(rnnjax.rnn, 5, 8, layers=2, bidirectional=True)` |
# | weights are made then, inside the module | `params = rnn.init(key)` |
# | `batch_first=True` | `rnnjax.apply`, the batch-major door |
# | `x = torch.randn(1, 10, 5)` | `xs = jax.random.normal(key, (1, 10, 5))` |
# | `output, h_n = rnn(x)` | `state, ys = rnnjax.apply(rnn, params, xs)` |
# | `h_n` (layers · directions, B, m) | `jnp.stack(jax.tree.leaves(state))` |
#
# A module holds its weights; a cell holds none, and is given them. So the network is a plain value, and what
# learns is a plain pytree.

# %%
key = jax.random.key(0)
model = rnnjax.deep(rnnjax.rnn, 5, 8, layers=2, bidirectional=True)
params = model.init(key)
xs = jax.random.normal(key, (1, 10, 5))
state, ys = rnnjax.apply(model, params, xs)
print(ys.shape, jnp.stack(jax.tree.leaves(state)).shape)

assert ys.shape == (1, 10, 16), "torch.Size([1, 10, 16]): B, T, and m for each direction"
assert jnp.stack(jax.tree.leaves(state)).shape == (4, 1, 8), "torch.Size([4, 1, 8]): two layers, two directions"

# %% [markdown]
# ## Weights from PyTorch
#
# PyTorch computes $h_t = \tanh(W_{ih}\,x_t + b_{ih} + W_{hh}\,h_{t-1} + b_{hh})$ with columns, this library
# $h_t = \tanh(x_t W + h_{t-1} U + b)$ with rows: $W = W_{ih}^\top$, $U = W_{hh}^\top$, $b = b_{ih} + b_{hh}$.
# `interop.torch.load` takes a `state_dict` (or a file of one) and gives params. We also take a readout along, an
# `nn.Linear`, for later; both are put in double precision here, to compare more digits.

# %%
if torch:
    module = nn.ModuleDict({"rnn": rnn, "readout": nn.Linear(16, 1)}).double()
    x = x.double()
    output, h_n = module["rnn"](x)
    theirs |= {f"weights/{name}": w.detach().clone().float().numpy() for name, w in module.state_dict().items()}
    theirs |= {"x": x.float().numpy(), "output": output.detach().numpy(), "h_n": h_n.detach().numpy()}

weights = {name[8:]: w.astype(np.float64) for name, w in theirs.items() if name.startswith("weights/")}
for name in sorted(weights):
    if name.endswith("_l0") or name.startswith("readout"):
        print(f"{name:20} {weights[name].shape}")
print(len(weights), "tensors in all")

params = interop.torch.load(weights, model, prefix="rnn.")
state, ys = rnnjax.apply(model, params, jnp.asarray(theirs["x"], float))
h = jnp.stack(jax.tree.leaves(state))
print("largest difference of output", np.abs(ys - theirs["output"]).max(), "of h_n", np.abs(h - theirs["h_n"]).max())
assert np.allclose(ys, theirs["output"], rtol=0, atol=1e-12)
assert np.allclose(h, theirs["h_n"], rtol=0, atol=1e-12)

# %% [markdown]
# What stands where: the last layer's forward direction ends at the last step, its backward direction at the first.

# %%
assert np.array_equal(h[2], ys[:, -1, :8]), "forward: the state after the last step"
assert np.array_equal(h[3], ys[:, 0, 8:]), "backward: the state after the first"

# %% [markdown]
# ## And back
#
# `dump` gives a `state_dict` of NumPy arrays. PyTorch's two biases are one here: the sum is written into `bias_ih`,
# and zeros into `bias_hh`. Loading what was dumped gives the same params, bit for bit.

# %%
dumped = interop.torch.dump(params, model, prefix="rnn.")
assert dumped.keys() == {name for name in weights if name.startswith("rnn.")}, "the names of the state_dict"
again = interop.torch.load(dumped, model, prefix="rnn.")
assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(again), strict=True))

if torch:
    other = nn.RNN(input_size=5, hidden_size=8, num_layers=2, batch_first=True, bidirectional=True).double()
    bare = interop.torch.dump(params, model)
    print(other.load_state_dict({name: torch.from_numpy(w) for name, w in bare.items()}))
    assert np.allclose(ys, other(x)[0].detach(), rtol=0, atol=1e-12)

# %% [markdown]
# ## Packed sequences are `lengths`
#
# Three sequences of 10, 4 and 7 steps in one padded batch. PyTorch packs them, runs, and pads the output again. Here the
# lengths are an argument; what stands in the padding is never read. We put NaN there, and one more sequence of no steps
# at all, which PyTorch refuses.

# %%
lengths = np.array([10, 4, 7])
if torch:
    batch = torch.randn(3, 10, 5).double()
    packed = nn.utils.rnn.pack_padded_sequence(batch, lengths.tolist(), batch_first=True, enforce_sorted=False)
    packed_output, packed_h = rnn(packed)
    padded, _ = nn.utils.rnn.pad_packed_sequence(packed_output, batch_first=True)
    try:
        nn.utils.rnn.pack_padded_sequence(batch, [10, 4, 0], batch_first=True, enforce_sorted=False)
    except RuntimeError as error:
        print("PyTorch on a length of 0:", str(error).split("\n")[0])
    theirs |= {"batch": batch.float().numpy(), "padded": padded.detach().numpy(), "packed h": packed_h.detach().numpy()}

batch = theirs["batch"].astype(float)
poisoned = np.where(np.arange(10)[:, None] < lengths[:, None, None], batch, np.nan)
poisoned = np.concatenate([poisoned, np.full((1, 10, 5), np.nan)])
state, ys = rnnjax.apply(model, params, poisoned, lengths=np.append(lengths, 0))
h = jnp.stack(jax.tree.leaves(state))
print("output", ys[:3].shape, "largest difference", np.abs(ys[:3] - theirs["padded"]).max())
assert np.allclose(ys[:3], theirs["padded"], rtol=0, atol=1e-12)
assert np.allclose(h[:, :3], theirs["packed h"], rtol=0, atol=1e-12)
assert not ys[3].any() and not h[:, 3].any(), "no steps: zeros, and the state before the first step"

# %% [markdown]
# ## One training step
#
# At each step the network shall say the mean of the sequence's first feature, $\frac1T\sum_t x_{t,1}$: it has to read from
# both ends. The loss is the mean squared error. `loss.backward()` leaves a gradient in each param; `rnnjax.bptt` gives
# them back, in the shape of params, and `dump` puts PyTorch's names on them.

# %%
if torch:
    inputs = torch.from_numpy(batch)
    target = inputs[..., :1].mean(1, keepdim=True).expand(3, 10, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    losses = []
    for step in range(30):
        optimizer.zero_grad()
        y = module["readout"](module["rnn"](inputs)[0])
        loss = ((y - target) ** 2).mean()
        loss.backward()
        if step == 0:
            slopes = {name: p.grad.numpy().copy() for name, p in module.named_parameters()}
            theirs |= {f"gradient/{name}": g for name, g in slopes.items() if "bias_hh" not in name}
        optimizer.step()
        losses.append(loss.item())
    theirs["losses"] = np.array(losses)

network = rnnjax.stack(model, rnnjax.dense(16, 1))
prefix = "rnn.", "readout."
params = interop.torch.load(weights, network, prefix=prefix)
cell = rnnjax.batch(rnnjax.with_loss(network, lambda y, target: ((y - target) ** 2).sum()), 3)
gradient = jax.jit(rnnjax.bptt(cell))
inputs = jnp.asarray(batch).swapaxes(0, 1)  # time leads from here on: T, B, n
target = jnp.broadcast_to(inputs[..., :1].mean(0), (10, 3, 1))

loss, grads, _ = gradient(params, cell.start(params), (inputs, target))
print(f"loss: PyTorch {theirs['losses'][0]:.14f}, rnnjax {loss:.14f}")
assert np.isclose(loss, theirs["losses"][0], rtol=0, atol=1e-12)

named = {name: g for name, g in interop.torch.dump(grads, network, prefix=prefix).items() if "bias_hh" not in name}
pairs = [(theirs[f"gradient/{name}"].ravel(), g.ravel()) for name, g in named.items()]
wanted, found = (np.concatenate(each) for each in zip(*pairs))
print(
    f"{len(found)} gradients, from {found.min():+.3f} to {found.max():+.3f}: largest difference",
    np.abs(wanted - found).max(),
)
assert np.allclose(wanted, found, rtol=0, atol=1e-12)

# %% [markdown]
# One difference is worth knowing. $b_{ih}$ and $b_{hh}$ have the same gradient, and PyTorch moves both: their sum moves
# twice as far as our one $b$. With gradient descent one gets PyTorch's training by giving $b$ of the recurrent layers
# twice the rate (`nn.Linear` has one bias, and needs nothing). For one step and for thirty:

# %%
if torch:
    assert all(np.allclose(slopes[name.replace("ih", "hh")], slopes[name]) for name in slopes if "bias_ih" in name)


def descend(params, grads, rate, bias):
    """One step of gradient descent, that of the recurrent biases times `bias`."""
    rnn_grads, readout_grads = grads
    scaled = jax.tree.map(lambda own: own._replace(b=bias * own.b), rnn_grads, is_leaf=lambda own: hasattr(own, "b"))
    return jax.tree.map(lambda p, g: p - rate * g, params, (scaled, readout_grads))


def train(params, bias):
    losses = []
    for _ in range(30):
        loss, grads, _ = gradient(params, cell.start(params), (inputs, target))
        params = descend(params, grads, 0.1, bias)
        losses.append(float(loss))
    return np.array(losses)


twice, once = train(params, 2.0), train(params, 1.0)
for step in (0, 1, 29):
    print(f"step {step:2}: PyTorch {theirs['losses'][step]:.12f}, b at twice the rate {twice[step]:.12f}", end=", ")
    print(f"one rate for all {once[step]:.12f}")
print("largest difference of the curves, b at twice the rate:", np.abs(twice - theirs["losses"]).max())
assert np.allclose(twice, theirs["losses"], rtol=0, atol=1e-12), "the whole curve is PyTorch's"
assert np.isclose(once[0], theirs["losses"][0], rtol=0, atol=1e-12), "the first loss does not depend on the rate"
assert abs(once[-1] / theirs["losses"][-1] - 1) > 0.02, "with one rate for all it is close, and not the same"
assert theirs["losses"][-1] < 0.5 * theirs["losses"][0], "and it learns"

# %% [markdown]
# ## The file beside this notebook
#
# Where PyTorch is installed, the file is held to it: PyTorch's module with the file's weights must say what the file says.
# (Delete the file, and this cell writes it again.)

# %%
if torch:
    if not FILE.exists():
        from safetensors.numpy import save_file

        save_file({name: np.array(a, order="C") for name, a in sorted(theirs.items())}, FILE)
    kept = arrays(FILE.read_bytes())
    assert kept.keys() == theirs.keys()
    assert FILE.stat().st_size < 20_000
    of_rnn = {
        name[12:]: torch.from_numpy(w.astype(float)) for name, w in kept.items() if name.startswith("weights/rnn.")
    }
    other.load_state_dict(of_rnn)
    said, _ = other(torch.from_numpy(kept["x"].astype(float)))
    assert np.allclose(said.detach(), kept["output"], rtol=0, atol=1e-12)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
_, ys = rnnjax.apply(model, params[0], theirs["x"].astype(float))
for unit, color in zip((0, 1, 8, 9), ("#0072B2", "#D55E00", "#009E73", "#CC79A7")):
    name = f"{'forward' if unit < 8 else 'backward'}, unit {unit % 8}"
    left.plot(range(1, 11), theirs["output"][0, :, unit], color=color, lw=1, label=name)
    left.plot(range(1, 11), ys[0, :, unit], "o", color=color, ms=4)
left.set(xlabel="step $t$", ylabel="output (no unit)", title="lines: PyTorch, dots: rnnjax", ylim=(-1.1, 1.1))
left.legend(frameon=False, fontsize="x-small", ncols=2)
right.plot(theirs["losses"], color="#0072B2", label="PyTorch, SGD at 0.1")
right.plot(twice, "o", color="#D55E00", ms=4, label="rnnjax, $b$ at twice the rate")
right.plot(once, ":", color="#555555", label="rnnjax, one rate for all")
right.set(xlabel="update", ylabel="mean squared error", title="thirty steps of training", ylim=(0, None))
right.legend(frameon=False, fontsize="small")

# %% [markdown]
# **With PyTorch's weights the network gives PyTorch's outputs, states, losses and gradients to twelve decimals, and PyTorch's
# training curve once the merged bias takes the step of both.**
#
# PyTorch's [`nn.RNN`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html); Paszke et al. 2019,
# [PyTorch: an imperative style, high-performance deep learning library](https://arxiv.org/abs/1912.01703). The whole table,
# of LSTM and GRU too, is in the README under "Coming from PyTorch". Back to the first:
# [a cell is one function](01_a_cell_is_one_function.ipynb).
