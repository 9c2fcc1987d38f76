"""The types that annotations share: n inputs, m units, T steps, B streams; `*B` is any number of batch axes, or none.

A type checker takes a `PyTree` for anything, and a shape for a comment; jaxtyping can check both while a program runs.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Bool, Float, Int, Integer, PRNGKeyArray, PyTree, Shaped, UInt32
from jaxtyping import Key as TypedKey

AnyArray: TypeAlias = Array | np.ndarray

Params: TypeAlias = PyTree
State: TypeAlias = PyTree

Key: TypeAlias = PRNGKeyArray
Keys: TypeAlias = TypedKey[Array, "*B"] | UInt32[Array, "*B words"]

Steps: TypeAlias = PyTree[Shaped[AnyArray, "T ..."]]
Mask: TypeAlias = Bool[AnyArray, " T *B"]
Streams: TypeAlias = PyTree[Shaped[AnyArray, "B ..."]]
Sequences: TypeAlias = PyTree[Shaped[AnyArray, "B T ..."]]

Step: TypeAlias = Callable[Concatenate[Params, State, PyTree, ...], tuple[State, PyTree]]
Activation: TypeAlias = Callable[[Array], Array]
Ragged: TypeAlias = Sequence[npt.ArrayLike] | np.ndarray
Integers: TypeAlias = Integer[AnyArray, " N"] | Sequence[int]
Ids: TypeAlias = Int[np.ndarray, " N"]
Location: TypeAlias = str | os.PathLike[str]
Say: TypeAlias = Callable[[str], object]


@runtime_checkable
class Initializer(Protocol):
    """How an array begins, as `rnnjax.weights` and `jax.nn.initializers` have them."""

    def __call__(self, key: Key, shape: Sequence[int], dtype: Any = ..., /) -> Array: ...


@runtime_checkable
class Begins(Protocol):
    """What training can begin with, besides a cell: an online gradient, a task's recipe."""

    @property
    def init(self) -> Callable[[Key], Params]: ...

    @property
    def start(self) -> Callable[..., State]: ...


@runtime_checkable
class Gradient(Protocol):
    """Where credit flows: the mean loss over all steps that keep leaves, its gradient, and the state after the last."""

    def __call__(
        self, params: Params, state: State, xs: Steps, keep: Mask | None = None
    ) -> tuple[Float[Array, ""], Params, State]: ...
