"""Numbers to learn from that are none, found before training and not by its loss."""

from collections.abc import Sequence

import numpy as np


def finite(where: str, name: str, arrays: Sequence[np.ndarray]) -> None:
    """Raise `ValueError` if one of `arrays`, all of them called `name`, holds a NaN or an infinity.

    >>> finite("batches", "sequences", [np.ones((2, 3)), np.array([1.0, np.nan])])
    Traceback (most recent call last):
        ...
    ValueError: batches: sequences must be finite, but sequences[1] holds nan at [1]. Fill in what is missing.
    """
    for i, array in enumerate(arrays):
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            at = np.argwhere(~np.isfinite(array))[0].tolist()
            raise ValueError(
                f"{where}: {name} must be finite, but {name}[{i}] holds {array[tuple(at)]} at {at}. Fill in what is "
                "missing."
            )
