"""Made-up sequences that can only be answered by what was seen long before."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from rnnjax.cell import sizes

SILENT = -1


def delayed_xor(
    *, batch: int, lag: int, seed: int | Sequence[int] = 0
) -> tuple[Float[np.ndarray, "T B 3"], Int[np.ndarray, "T B"]]:
    """Was one of two bits, seen `lag` steps ago and the step before that, set, but not both?

    Args:
        batch: how many sequences, B. lag: steps between the second bit and the question, at least 1.
        seed: an int, or a list of ints; another one, other sequences.

    Returns `(xs, targets)`, time leading, of T = lag + 2 steps. xs (T, B, 3) float32: a random bit as -1 or 1 at every
    step, 1 at the first two steps (whose bits are meant, all others distract), 1 at the last step (where the answer is
    due). targets (T, B) int32: the exclusive or of the two bits at the last step, and SILENT (-1) before.

        >>> from rnnjax.data import delayed_xor
        >>> xs, targets = delayed_xor(batch=2, lag=3, seed=1)
        >>> print(xs[:, 0].T, targets[:, 0], sep="\\n")
        [[-1.  1. -1.  1. -1.]
         [ 1.  1.  0.  0.  0.]
         [ 0.  0.  0.  0.  1.]]
        [-1 -1 -1 -1  1]

    After the adding problem of Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735
    """
    sizes("delayed_xor", batch=batch, lag=lag)
    T = lag + 2
    bits = np.random.default_rng(seed).integers(0, 2, (T, batch))
    xs = np.zeros((T, batch, 3), np.float32)
    xs[..., 0] = 2 * bits - 1
    xs[:2, :, 1] = 1
    xs[-1, :, 2] = 1
    targets = np.full((T, batch), SILENT, np.int32)
    targets[-1] = bits[0] ^ bits[1]
    return xs, targets
