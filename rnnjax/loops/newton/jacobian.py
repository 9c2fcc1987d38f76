"""The Jacobian of a step by its state: a matrix, or its diagonal; and how such are multiplied."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from rnnjax.cell import wide


class Jacobian(NamedTuple):
    """One way to write the Jacobians ∂f/∂s of steps.

    - `of: matrix -> J`, what is kept of a (D, D) matrix;
    - `one: D, dtype -> J`, the identity;
    - `times: J, J -> J`, `on: J, s -> s`, products;
    - `flipped: J -> J`, the transpose; `under: J, K -> J⁻¹ K`.

    There are `full_jacobian` and `diagonal_jacobian`.

        >>> rnnjax.scan(rnnjax.gru(3, 4), rnnjax.newton, jacobian=rnnjax.diagonal_jacobian)
        scan(gru(3, 4), loop=newton, jacobian=diagonal_jacobian)
    """

    name: str
    of: Callable[[Array], Array]
    one: Callable[[int, Any], Array]
    times: Callable[[Array, Array], Array]
    on: Callable[[Array, Array], Array]
    flipped: Callable[[Array], Array]
    under: Callable[[Array, Array], Array]

    def __repr__(self) -> str:
        return self.name

    def taken(
        self, f: Callable[[Array], Array], s: Inexact[Array, " D"]
    ) -> tuple[Inexact[Array, " D"], Inexact[Array, "D ..."]]:
        """f(s), and the Jacobian of f there."""

        def twice(s):
            after = f(s)
            return after, after

        matrix, after = jax.jacfwd(twice, has_aux=True)(s)
        return after, self.of(matrix)


def _solved(J, K):
    dtype = wide(J.dtype)  # LAPACK knows no 16 bits
    return jnp.linalg.solve(J.astype(dtype), K.astype(dtype)).astype(J.dtype)


full_jacobian = Jacobian(
    "full_jacobian",
    of=lambda matrix: matrix,
    one=lambda D, dtype: jnp.eye(D, dtype=dtype),
    times=jnp.matmul,
    on=jnp.matmul,
    flipped=lambda J: J.T,
    under=_solved,
)

diagonal_jacobian = Jacobian(
    "diagonal_jacobian",
    of=lambda matrix: (matrix * jnp.eye(len(matrix), dtype=matrix.dtype)).sum(0),  # a sum, so that XLA makes no matrix
    one=lambda D, dtype: jnp.ones(D, dtype),
    times=jnp.multiply,
    on=jnp.multiply,
    flipped=lambda J: J,
    under=lambda J, K: K / J,
)
