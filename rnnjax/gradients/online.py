"""Gradients that go forward in time: known at every step, in memory that does not grow with their number."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from rnnjax.cell import Cell, single
from rnnjax.compose.batch import batch
from rnnjax.compose.dropout import seed
from rnnjax.gradients.bptt import some
from rnnjax.gradients.flat import flat, floating
from rnnjax.loops.carry import apart, placed, steps
from rnnjax.loops.masked import masked
from rnnjax.loops.numbers import numbers, vector
from rnnjax.types import AnyArray, Key, Mask, Params, State, Steps


class Credited(NamedTuple):
    """The state of a cell, and what an online gradient remembers of how it came about."""

    state: State
    credit: PyTree


class Algorithm(NamedTuple):
    """How credit is carried from step to step, for the list θ of the params' arrays and the vector s of the state.

    Both functions are given `step: θ, s -> (s', loss), rest` at one input, where rest is what has no derivative.

    - `begin: step, θ, s -> credit` before the first step;
    - `follow: step, θ, s, credit -> s', rest, loss, grads, credit`, where grads is the slope of this loss by θ.
    """

    begin: Callable[..., PyTree]
    follow: Callable[..., tuple[PyTree, ...]]


@dataclasses.dataclass(frozen=True, repr=False)
class Online:
    """A gradient that goes forward in time, from a function such as `rtrl(cell)`.

    Called as any gradient, `(params, state, xs, keep=None) -> (loss, grads, state)`, it starts from a plain state of
    the cell with no credit, and gives a plain state back. From a `Credited` state, which `start` makes, it goes on with
    the credit of the steps before, and gives such a state back: T calls with one step each are one call with T steps,
    but that the params may be updated between them (`rnnjax.train.online` does).

    `step(params, credited, x) -> credited, (loss, grads)` is one step.
    """

    name: str
    cell: Cell
    algorithm: Algorithm
    stride: int = 1

    def __repr__(self) -> str:
        return f"{self.name}({self.cell})"

    def init(self, key: Key) -> Params:
        """Params of the cell."""
        return self.cell.init(key)

    def start(self, params: Params, x: PyTree) -> Credited:
        """The `Credited` state before the first step, for one step's input x (of a batch, of all its streams)."""
        return self.begun(params, self.cell.start(params), x)

    def begun(self, params: Params, state: State, x: PyTree) -> Credited:
        """A state of the cell with no credit yet."""
        B = self._streams(x)
        if B is None:
            return Credited(state, self._credit(params, state, x))
        one, own = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), (state, x))
        credit = jax.eval_shape(self._credit, params, one, own)  # all zeros
        return Credited(state, jax.tree.map(lambda c: jnp.zeros((B, *c.shape), c.dtype), credit))

    def step(
        self, params: Params, credited: Credited, x: PyTree, *keep: Bool[AnyArray, "*B"]
    ) -> tuple[Credited, tuple[Float[Array, ""], Params]]:
        """One step: the slope of its loss, summed over the streams of a batch, and the credit after it."""
        B = self._streams(x)
        run, x = (masked(self._stream()), (x, *keep)) if keep else (self._stream(), x)
        if B is None:
            return run.step(params, credited, x)
        # not interned, for this run is another at each trace
        credited, out = inspect.unwrap(batch)(run, B).step(params, credited, x)
        return credited, jax.tree.map(lambda y: y.sum(0), out)

    def __call__(
        self, params: Params, state: State, xs: Steps, keep: Mask | None = None, *, key: Key | None = None
    ) -> tuple[Float[Array, ""], Params, State]:
        plain = not isinstance(state, Credited)
        if key is not None and not plain:
            raise ValueError(
                f"{self.name}: key must come with a plain state, but the state is Credited and has its own. "
                "Seed it before the first step: rnnjax.seed(gradient.start(params, x), key)."
            )
        T = steps(self.name, xs)
        some(self.name, T)
        first = jax.tree.map(lambda x: x[0], xs)
        params, over_devices = apart(params, (state, xs))
        if plain:
            state = self.begun(params, state, first)
        B = self._streams(first)
        if key is not None:
            state = Credited(state.state, seed(state.credit, key, B))

        def body(carry, x):
            state, total = carry
            state, out = self.step(params, state, *x)
            return (state, jax.tree.map(jnp.add, total, out)), None

        xs = (xs,) if keep is None else (xs, keep)
        like = jax.eval_shape(self.step, params, state, *jax.tree.map(lambda x: x[0], xs))[1]
        zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), like)
        (state, (loss, grads)), _ = jax.lax.scan(body, placed(body, (state, zero), xs, params), xs)
        number = T * (B or 1) if keep is None else jnp.maximum(keep.sum(dtype=loss.dtype), 1)
        grads = jax.tree.map(lambda g: g / jnp.asarray(number, g.dtype), grads)
        return loss / number, over_devices(grads), state.state if plain else state

    def _streams(self, x):
        """How many streams one step's input has, None where the cell is of one."""
        return None if self.cell.one is None else jax.tree.leaves(x)[0].shape[0]

    def _stream(self):
        one = self.cell.one or self.cell

        def step(params, credited, x):
            θ, params_of = numbers(params)
            s, state_of = vector(credited.state)
            run = flat(self.name, one, params_of, state_of, x)
            s, rest, loss, grads, credit = self.algorithm.follow(run, θ, s, credited.credit)
            return Credited(vector(rest)[1](s), credit), (loss, jax.tree.map(jnp.conj, params_of(grads)))

        return Cell(one.init, one.start, step)

    def _credit(self, params, state, x):
        floating(self.name, params)
        θ, params_of = numbers(params)
        s, state_of = vector(state)
        return self.algorithm.begin(flat(self.name, self.cell.one or self.cell, params_of, state_of, x), θ, s)


def learner(name: str, cell: Cell, algorithm: Algorithm) -> Online:
    """The `Online` gradient of a cell with a loss, of one step or over whole sequences."""
    return Online(name, single(cell), algorithm)
