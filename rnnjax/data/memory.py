"""Made-up sequences that can only be answered by what was seen long before."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from rnnjax.cell import sizes

SILENT = -1
BLANK, MARKER = 8, 9


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


def adding(
    *, batch: int, T: int, seed: int | Sequence[int] = 0
) -> tuple[Float[np.ndarray, "T B 2"], Float[np.ndarray, " B"]]:
    """What is the sum of the two numbers that are marked, one in each half of a sequence?

    Args:
        batch: how many sequences, B. T: steps, at least 2.
        seed: an int, or a list of ints; another one, other sequences.

    Returns `(xs, targets)`. xs (T, B, 2) float32, time leading: a uniform number of 0..1 at every step, and a mark, 1
    at one step of the first T // 2 and at one of the others, 0 elsewhere. targets (B,) float32: the sum of the marked
    numbers, due after the last step.

    Who always says 1 has a mean squared error of 1/6 = 0.1667, the variance of that sum: learning begins below it.

        >>> from rnnjax.data import adding
        >>> xs, targets = adding(batch=2, T=6, seed=1)
        >>> print(xs[:, 0].T.round(2), targets[0].round(2), sep="\\n")
        [[0.47 0.76 0.03 0.82 0.25 0.87]
         [1.   0.   0.   1.   0.   0.  ]]
        1.3

    Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735, in the form of Le, Jaitly & Hinton 2015,
    https://arxiv.org/abs/1504.00941
    """
    sizes("adding", batch=batch, T=T)
    if T < 2:
        raise ValueError(f"adding: each half must have a step to mark, but T is {T}. Use 2 or more.")
    random = np.random.default_rng(seed)
    xs = np.zeros((T, batch, 2), np.float32)
    xs[..., 0] = random.random((T, batch), np.float32)
    xs[random.integers(0, T // 2, batch), np.arange(batch), 1] = 1
    xs[random.integers(T // 2, T, batch), np.arange(batch), 1] = 1
    return xs, (xs[..., 0] * xs[..., 1]).sum(0)


def copying(
    *, batch: int, lag: int, seed: int | Sequence[int] = 0
) -> tuple[Int[np.ndarray, "T B"], Int[np.ndarray, "T B"]]:
    """Say again ten symbols that were seen at the start, once a marker has come `lag` steps after the last of them.

    Args:
        batch: how many sequences, B. lag: steps from the last symbol to the marker, at least 1.
        seed: an int, or a list of ints; another one, other sequences.

    Returns `(xs, targets)`, both int32 (lag + 20, B), time leading, of 10 classes: the symbols 0 to 7, the blank 8 and
    the marker 9. xs are ten symbols, lag - 1 blanks, the marker and ten blanks; targets are lag + 10 blanks and the
    ten symbols.

    Who says blanks and then guesses has a loss of 10 log 8 / (lag + 20) nats a step: memory begins below it.

        >>> from rnnjax.data import copying
        >>> xs, targets = copying(batch=2, lag=3, seed=1)
        >>> print(xs[:, 0], targets[:, 0], sep="\\n")
        [3 6 0 6 1 6 2 2 5 0 8 8 9 8 8 8 8 8 8 8 8 8 8]
        [8 8 8 8 8 8 8 8 8 8 8 8 8 3 6 0 6 1 6 2 2 5 0]

    Arjovsky, Shah & Bengio 2016, https://arxiv.org/abs/1511.06464, after Hochreiter & Schmidhuber 1997
    """
    sizes("copying", batch=batch, lag=lag)
    symbols = np.random.default_rng(seed).integers(0, BLANK, (10, batch), np.int32)
    xs = np.full((lag + 20, batch), BLANK, np.int32)
    targets = xs.copy()
    xs[:10] = targets[-10:] = symbols
    xs[lag + 9] = MARKER
    return xs, targets
