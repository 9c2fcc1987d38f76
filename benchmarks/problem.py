"""The model that contenders agree on, and what each must tell of it before it is timed."""

from typing import NamedTuple

import numpy as np

from benchmarks.layers import GATES

B, T, n, m = 32, 64, 65, 256


class Facts(NamedTuple):
    """The loss and its gradients at the shared weights; seconds to compile, and bytes of temporary memory."""

    loss: float
    grads: dict[str, np.ndarray] | None
    compile: float | None = None
    memory: int | None = None


def problem(cell):
    """Weights, one-hot inputs (T, B, n) and targets (T, B), the same in every process. NNX's GRU has no d: it is 0."""
    random, G = np.random.default_rng(0), GATES[cell]

    def draw(*shape):
        return random.uniform(-(m**-0.5), m**-0.5, shape).astype(np.float32)

    weights = {}
    for k, width in enumerate((n, m)):
        weights |= {f"W{k}": draw(width, G * m), f"U{k}": draw(m, G * m), f"b{k}": draw(G * m)}
        weights |= {f"d{k}": np.zeros(m, np.float32)} if cell == "gru" else {}
    weights |= {"W": draw(m, n), "b": draw(n)}
    text = random.integers(0, n, (T + 1, B), dtype=np.int32)
    return weights, np.eye(n, dtype=np.float32)[text[:-1]], text[1:]
