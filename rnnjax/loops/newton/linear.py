"""The linear recurrence s' = J s + b, step by step or in parallel."""

from collections.abc import Callable
from typing import TypeAlias

import jax
from jaxtyping import Array, Inexact

from rnnjax.loops.newton.jacobian import Jacobian

Linear: TypeAlias = Callable[
    [Jacobian, Inexact[Array, "T ..."], Inexact[Array, "T D"], Inexact[Array, " D"]], Inexact[Array, "T D"]
]


def stepwise(
    jacobian: Jacobian, J: Inexact[Array, "T ..."], b: Inexact[Array, "T D"], first: Inexact[Array, " D"]
) -> Inexact[Array, "T D"]:
    """All s' = J s + b from `first`, one after another: of D numbers, D² products a step."""

    def body(s, now):
        J, b = now
        s = jacobian.on(J, s) + b
        return s, s

    return jax.lax.scan(body, first, (J, b))[1]


def parallel(
    jacobian: Jacobian, J: Inexact[Array, "T ..."], b: Inexact[Array, "T D"], first: Inexact[Array, " D"]
) -> Inexact[Array, "T D"]:
    """The same in about 2 log₂ T steps, of D³ products each."""

    def compose(one, other):
        return jacobian.times(other[0], one[0]), jacobian.on(other[0], one[1]) + other[1]

    J, b = jax.lax.associative_scan(jax.vmap(compose), (J, b))
    return jax.vmap(jacobian.on, (0, None))(J, first) + b
