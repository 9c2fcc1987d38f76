"""How well a query fits each place of a memory: the scoring functions of `bahdanau` and `luong`.

A score is a tuple of its weights with a method `fit(query, places)`, one number a place. What it computes of the places
alone runs once a sequence by `deferred`, for they stay as they are. `additive`, `general` and `dot` say how one starts,
`key, m, k -> score` for a query of m numbers and places of k; so may any function of yours.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import interned, sizes
from rnnjax.types import Initializer, Key
from rnnjax.weights import glorot
from rnnjax.weights.called import called


@runtime_checkable
class Score(Protocol):
    """How well a query fits each place of a memory."""

    def fit(self, query: Float[Array, " m"], places: Float[Array, "S k"]) -> Float[Array, " S"]: ...


Scoring: TypeAlias = Callable[[Key, int, int], Score]


class Additive(NamedTuple):
    W: Float[Array, "m a"]
    V: Float[Array, "k a"]
    v: Float[Array, " a"]

    def fit(self, query: Float[Array, " m"], places: Float[Array, "S k"]) -> Float[Array, " S"]:
        return jnp.tanh((query @ self.W)[None] + places @ self.V) @ self.v


class General(NamedTuple):
    W: Float[Array, "m k"]

    def fit(self, query: Float[Array, " m"], places: Float[Array, "S k"]) -> Float[Array, " S"]:
        return (places @ self.W.T) @ query


class Dot(NamedTuple):
    def fit(self, query: Float[Array, " m"], places: Float[Array, "S k"]) -> Float[Array, " S"]:
        return places @ query


@interned
def additive(a: int, *, weight: Initializer = glorot) -> Scoring:
    """tanh(q W + memory V) v, through a layer of `a` units (Bahdanau et al. 2015); Luong et al. call it concat.

    `weight` is the initialiser of W (m, a), V (k, a), and v (a,).

    >>> rnnjax.bahdanau(rnnjax.gru(2 + 8, 5), 5, 8, rnnjax.additive(6))
    bahdanau(gru(10, 5), 5, 8, additive(6))
    """
    sizes("additive", a=a)

    def init(key, m, k):
        W, V, v = jax.random.split(key, 3)
        return Additive(weight(W, (m, a)), weight(V, (k, a)), weight(v, (a, 1))[:, 0])

    return called(init, f"additive({a})")


def general(key: Key, m: int, k: int) -> General:
    """q W memoryᵀ, with W (m, k) drawn by `glorot` (Luong et al. 2015).

    >>> rnnjax.luong(rnnjax.gru(2, 5), 5, 8, rnnjax.general)
    luong(gru(2, 5), 5, 8, general)
    """
    return General(glorot(key, (m, k)))


def dot(key: Key, m: int, k: int) -> Dot:
    """q memoryᵀ, for places as wide as the query, without weights (Luong et al. 2015).

    Raises `ValueError` unless m = k.

    >>> rnnjax.luong(rnnjax.gru(2, 8), 8, 8, rnnjax.dot)
    luong(gru(2, 8), 8, 8, dot)
    """
    if m != k:
        raise ValueError(
            f"dot: a query must be as wide as a place of the memory, but m is {m} and k is {k}. Use general."
        )
    return Dot()
