"""Sequences that agree in all but their lengths."""

import numpy as np


def alike(where, name, sequences) -> list[np.ndarray]:
    """The sequences as arrays of one dtype and one shape of features. Raises as `pad` says, in the name of `where`."""
    arrays = [np.asarray(s) for s in sequences]
    if not arrays:
        raise ValueError(f"{where}: {name} must hold at least one, but {name} is empty. Give one or more.")
    for i, a in enumerate(arrays):
        if a.ndim < 1 or a.dtype.kind not in "biufc":
            raise TypeError(
                f"{where}: {name} must be numeric arrays with time leading, but {name}[{i}] is "
                f"{a.dtype}{list(a.shape)}. Give each a time axis."
            )
    full = [a for a in arrays if len(a)] or arrays
    features, dtype = full[0].shape[1:], np.result_type(*full)
    for i, a in enumerate(arrays):
        if len(a) and a.shape[1:] != features:
            raise ValueError(
                f"{where}: {name} must agree in their features, but {name}[{i}] has {list(a.shape[1:])} a step and an "
                f"earlier one {list(features)}. Make them alike."
            )
    return [a.astype(dtype, copy=False) if len(a) else np.zeros((0, *features), dtype) for a in arrays]
