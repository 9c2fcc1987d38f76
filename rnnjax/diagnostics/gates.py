"""What every gate of a cell does over time, read from the step's own equations."""

import collections
import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell
from rnnjax.diagnostics.layers import layers, marked
from rnnjax.gradients.pattern import CALLS as OPENED
from rnnjax.loops.carry import checked, steps
from rnnjax.loops.equations import bind, inner, run
from rnnjax.types import Params, State, Steps

KINDS = "logistic", "tanh"
CALLS = OPENED | {"custom_jvp_call", "custom_vjp_call"}
NAMES = {"lstm": ("f", "i", "g", "o", "tanh c"), "gru": ("r", "z", "candidate"), "rnn": ("h",)}


class Gate(NamedTuple):
    """One logistic or tanh of a step, over T steps.

    - `layer`: the cell it is in, as `lstm(3, 4)`, and its place among the like;
    - `name`: f i g o or tanh c of an LSTM, r z or candidate of a GRU, h of an RNN, otherwise its kind and number;
    - `kind`: "logistic", from 0 to 1, or "tanh", from -1 to 1;
    - `values`: (T, size).
    """

    layer: str
    name: str
    kind: str
    values: Float[Array, "T ..."]


class Saturation(NamedTuple):
    """The shares of a gate's values that are `low` and `high`."""

    gate: Gate
    low: float
    high: float


def activations(cell: Cell, params: Params, state: State, xs: Steps) -> tuple[Gate, ...]:
    """Every logistic (`jax.nn.sigmoid`) and tanh of a cell's steps, in the order of computation.

    Any cell will do, with no annotation: the step is traced, and its equations are watched. Those inside a loop or a
    branch of the step (`lax.scan`, `lax.cond`) are not seen. Arguments are those of `gradient_flow`.

        >>> from rnnjax.diagnostics import activations
        >>> cell = rnnjax.gru(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> [(g.name, g.kind, g.values.shape) for g in activations(cell, params, cell.start(params), jnp.ones((7, 3)))]
        [('r', 'logistic', (7, 4)), ('z', 'logistic', (7, 4)), ('candidate', 'tanh', (7, 4))]
    """
    steps("activations", xs)
    found = _activations(cell, params, state, xs)
    return tuple(Gate(layer, name, kind, values) for (_, layer, name, kind), values in found.items())


@functools.partial(jax.jit, static_argnums=0)
def _activations(cell, params, state, xs):
    body, parts = checked("activations", marked(cell), params), layers(cell)
    leaves, tree = jax.tree.flatten(state)

    def step(leaves, x):
        def flat(leaves, x):
            return jax.tree.leaves(body(jax.tree.unflatten(tree, leaves), x))

        closed, seen = jax.make_jaxpr(flat)(leaves, x), []
        out = run(closed.jaxpr, closed.consts, jax.tree.leaves((leaves, x)), _watch(seen))
        return out[: len(leaves)], _named(seen, parts)

    return jax.lax.scan(step, leaves, xs)[1]


def _watch(seen, place=None):
    """`bind` that adds what is in `KINDS` to `seen`, with the place of its layer."""

    def watch(eqn, values):
        found = re.search(r"rnnjax(\d+)", str(eqn.source_info.name_stack))
        at = int(found[1]) if found else place
        if eqn.primitive.name in CALLS:
            return run(*inner(eqn), values, _watch(seen, at))
        out = bind(eqn, values)
        if eqn.primitive.name in KINDS:
            seen.append((at, eqn.primitive.name, out[0]))
        return out

    return watch


def _named(seen, parts):
    """{(number, layer, name, kind): values}, in order."""
    where = [repr(part) for part in parts]
    nth = [f" #{where[: i + 1].count(name)}" if where.count(name) > 1 else "" for i, name in enumerate(where)]
    counts, number = collections.Counter(at for at, _, _ in seen), collections.Counter()
    named = collections.OrderedDict()
    for i, (at, kind, values) in enumerate(seen):
        known = NAMES.get("" if at is None else where[at].partition("(")[0], ())
        number[at, kind] += 1
        number[at] += 1
        name = known[number[at] - 1] if len(known) == counts[at] else f"{kind} {number[at, kind]}"
        named[i, "" if at is None else where[at] + nth[at], name, kind] = values
    return named


def saturation(gates: Iterable[Gate]) -> tuple[Saturation, ...]:
    """How much of each gate is shut or wide open: the shares of values below 0.1 (`low`) and above 0.9 (`high`).

    For a tanh the bounds are the same shares of its range, -0.8 and 0.8: its logistic at twice the input.

        >>> from rnnjax.diagnostics import Gate, saturation
        >>> [(s.low, s.high) for s in saturation([Gate("", "f", "logistic", jnp.array([0.05, 0.5, 0.95, 0.99]))])]
        [(0.25, 0.5)]

    Karpathy et al. 2015, https://arxiv.org/abs/1506.02078
    """
    found = []
    for gate in gates:
        low, high = (0.1, 0.9) if gate.kind == "logistic" else (-0.8, 0.8)
        found.append(Saturation(gate, float(jnp.mean(gate.values < low)), float(jnp.mean(gate.values > high))))
    return tuple(found)
