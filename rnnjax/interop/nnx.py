"""Flax NNX: a model here as a module there, a module's cell as a cell here, and weights both ways."""

import functools

import jax
from flax import nnx

from rnnjax.calls import alike
from rnnjax.cell import Cell
from rnnjax.interop import flax_weights
from rnnjax.interop.drop_in import chosen, noisy, over_time, run
from rnnjax.loops.deferred import deferred


class Recurrent(nnx.Module):
    """A model as an NNX module, in the place of `nnx.RNN`: `inputs (*batch, T, n) -> ys (*batch, T, m)`.

    Args:
        cell: a cell of one step, which `loop` runs, or a model over whole sequences. For another loop with options
            give `scan(cell, loop, **options)`.
        num_feature_axes: how many axes one step of one sequence has: 0 for the tokens of `embed`, 3 for colour images.
        time_major, return_carry, reverse, keep_order: as of `nnx.RNN`, here or in the call.
        deterministic: dropout is silent, as after `module.eval()`; `module.train()` turns it on, as of `nnx.Dropout`.
        rngs: `rngs.params` draws the params, and `rngs.dropout` a key a call, if some cell is random.

    The call takes what `nnx.RNN`'s takes, `initial_carry`, `seq_lengths` and the four above, and `deterministic`, and
    returns what it returns: `ys`, or with `return_carry` the pair `(carry, ys)`. The only differences:

    - the carry is the cell's own state: of `lstm` an `LSTMState(h, c)`, where Flax has `(c, h)`. It holds no keys, so
      that noise is drawn anew in every call;
    - on padding ys is 0, where Flax's goes on; a sequence of length 0 leaves its carry as it was.

    Params are `nnx.Param`s, one for each array of the cell's own params, in `params`; `weights()` gives these as the
    cell has them. Raises `TypeError` and `ValueError` for arguments that do not fit.

    Example:
        >>> from flax import nnx
        >>> from rnnjax.interop.nnx import Recurrent
        >>> module = Recurrent(rnnjax.lstm(3, 4), rngs=nnx.Rngs(0))
        >>> ys = module(jnp.ones((2, 5, 3)), seq_lengths=jnp.array([5, 2]))
        >>> slopes = nnx.grad(lambda module: module(jnp.ones((2, 5, 3))).sum())(module)
        >>> ys.shape, slopes["params"]["U"].shape
        ((2, 5, 4), (4, 16))
    """

    def __init__(
        self,
        cell: Cell,
        *,
        loop=deferred,
        num_feature_axes: int = 1,
        time_major: bool = False,
        return_carry: bool = False,
        reverse: bool = False,
        keep_order: bool = False,
        deterministic: bool = False,
        rngs: nnx.Rngs,
    ):
        self.cell = over_time("nnx.Recurrent", cell, loop)
        self.params = nnx.data(jax.tree.map(nnx.Param, self.cell.init(rngs.params())))
        self.rngs = nnx.data(rngs.dropout.fork() if noisy(self.cell) else None)
        self.num_feature_axes = num_feature_axes
        self.time_major = time_major
        self.return_carry = return_carry
        self.reverse = reverse
        self.keep_order = keep_order
        self.deterministic = deterministic

    def __call__(
        self,
        inputs,
        *,
        initial_carry=None,
        seq_lengths=None,
        return_carry: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
        deterministic: bool | None = None,
        rngs=None,
    ):
        carry, ys = run(
            "nnx.Recurrent",
            self.cell,
            self.weights(),
            inputs,
            carry=initial_carry,
            seq_lengths=seq_lengths,
            key=self._key(chosen(deterministic, self.deterministic), rngs),
            time_major=chosen(time_major, self.time_major),
            reverse=chosen(reverse, self.reverse),
            keep_order=chosen(keep_order, self.keep_order),
            num_feature_axes=self.num_feature_axes,
        )
        return (carry, ys) if chosen(return_carry, self.return_carry) else ys

    def weights(self):
        """The params as `cell` has them."""
        return jax.tree.map(lambda p: p[...], self.params, is_leaf=lambda p: isinstance(p, nnx.Variable))

    def set_view(self, deterministic: bool | None = None):
        """What `nnx.view` may set."""
        self.deterministic = chosen(deterministic, self.deterministic)

    def _key(self, deterministic, rngs):
        if deterministic or self.rngs is None:
            return None
        return rngs.dropout() if isinstance(rngs, nnx.Rngs) else self.rngs()  # a lone stream is for Flax's carries


def cell(flax_cell) -> Cell:
    """A cell of Flax NNX, such as `nnx.LSTMCell`, as a `Cell`, for every loop and gradient here.

    Args:
        flax_cell: an `nnx` cell, whose weights at the time `init` gives whatever the key; or how to make one,
            `functools.partial(nnx.LSTMCell, 3, 4)`, which `init` calls with `rngs=nnx.Rngs(key)`.

    Params are the nested dict of its `nnx.Param`s (`nnx.update(flax_cell, params)` takes them back), the state is its
    carry. Raises `TypeError` for a cell with other variables than params, for these change from step to step.

        >>> from functools import partial
        >>> from flax import nnx
        >>> from rnnjax.interop.nnx import cell
        >>> gru = cell(partial(nnx.GRUCell, 3, 4))
        >>> params = gru.init(jax.random.key(0))
        >>> h, ys = rnnjax.scan(gru, rnnjax.checkpointed).step(params, gru.start(params), jnp.ones((7, 3)))
        >>> gru, ys.shape
        (nnx.cell(GRUCell(3, 4)), (7, 4))
    """
    return _cell(alike(flax_cell))


@functools.lru_cache(maxsize=4096)
def _cell(flax_cell):
    def made(key):
        return flax_cell if isinstance(flax_cell, nnx.Module) else flax_cell(rngs=nnx.Rngs(key))

    module = made(0)
    graph, _, rest = nnx.split(module, nnx.Param, ...)
    for path, variable in nnx.to_flat_state(rest):
        raise TypeError(
            f"nnx.cell: {type(module).__name__} must have params only, but {'.'.join(map(str, path))} is "
            f"{type(variable).__name__}. Leave keys and statistics out of the cell."
        )

    def init(key):
        return nnx.to_pure_dict(nnx.state(made(key), nnx.Param))

    def start(params):
        return nnx.merge(graph, params).initialize_carry((module.in_features,), nnx.Rngs(0))

    def step(params, carry, x):
        return nnx.merge(graph, params)(carry, x)

    name = f"nnx.cell({type(module).__name__}({module.in_features}, {module.hidden_features}))"
    return Cell(init, start, step, name=name)


def load(flax_cell, model: Cell):
    """The params of `model` with the weights of Flax's: `LSTMCell`, `OptimizedLSTMCell`, `GRUCell` or `SimpleCell`.

    Args:
        flax_cell: the cell, an `nnx.RNN` of one, an `nnx.Bidirectional` of two; or the `nnx.State` of one of these.
        model: `lstm(n, m)`, `gru(n, m)`, or `rnn(n, m, activation)`, run over time or not; or `bidirectional`.

    Dtypes stay as they are. `nnx.GRUCell` has no bias in its reset: `d` is 0. Raises `TypeError` for another kind, for
    a missing array or one too many, and `ValueError` for another shape, and for a cell of other equations
    (`residual=True`, or another `gate_fn`): run that as it is, as `cell(flax_cell)`.

        >>> from flax import nnx
        >>> from rnnjax.interop.nnx import dump, load
        >>> lstm = nnx.LSTMCell(3, 4, rngs=nnx.Rngs(0))
        >>> params = load(lstm, rnnjax.lstm(3, 4))
        >>> bool((params.U[:, 4:8] == lstm.hf.kernel[...]).all())
        True
        >>> dump(params._replace(b=params.b + 1), lstm)
        >>> print(lstm.ho.bias[...])
        [1. 1. 1. 1.]
    """
    _plain("nnx.load", flax_cell)
    like = jax.eval_shape(model.init, jax.random.key(0))
    return flax_weights.load("nnx.load", _arrays(flax_cell), like)


def dump(params, flax_cell: nnx.Module) -> None:
    """Write the params of a model into Flax's cell, or what holds it: the inverse of `load`, which shows it.

    Raises as `load` does, before anything is changed, and `ValueError` for a `d` other than 0 into `nnx.GRUCell`.
    """
    _plain("nnx.dump", flax_cell)
    nnx.update(flax_cell, flax_weights.dump("nnx.dump", params, _arrays(flax_cell)))


def _arrays(flax_cell):
    state = nnx.state(flax_cell, nnx.Param) if isinstance(flax_cell, nnx.Module) else flax_cell
    return nnx.to_pure_dict(state)


def _plain(where, flax_cell):
    """Refuse a cell of other equations than ours."""
    if not isinstance(flax_cell, nnx.Module):
        return
    for _, part in nnx.iter_modules(flax_cell):
        plain = {"residual": False, "gate_fn": nnx.sigmoid}
        if not isinstance(part, nnx.SimpleCell):
            plain["activation_fn"] = nnx.tanh
        for name, value in plain.items():
            if getattr(part, name, value) != value:
                raise ValueError(
                    f"{where}: {type(part).__name__} must be plain, but {name} is {getattr(part, name)}. "
                    "Run it as it is, as nnx.cell(flax_cell)."
                )
