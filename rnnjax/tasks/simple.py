"""Simple models to hold a classifier against, and what its mistakes are."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix


def share(guesses, labels) -> float:
    """How many guesses are right: of one guess, how frequent it is."""
    return float(np.mean(np.asarray(guesses) == labels))


def majority(labels):
    """The most frequent label, of several the smallest."""
    return np.bincount(labels).argmax()


def softmax_regression(xs, labels, classes: int, *, decay: float, steps: int = 100) -> Callable:
    """Logistic regression of many classes, by L-BFGS: what it learned as a function, vectors (N, n) -> labels (N,).

    Args:
        xs: (N, n), an array or a sparse matrix of SciPy.
        labels: (N,) of 0..classes - 1.
        decay: the loss is the mean cross entropy in nats, plus decay / 2 times the sum of the squared weights.
        steps: at most so many.
    """
    right = np.eye(classes)[labels]

    def unpacked(flat):
        return flat[:-classes].reshape(-1, classes), flat[-classes:]

    def loss(flat):
        W, b = unpacked(flat)
        logits = xs @ W + b
        logits -= logits.max(1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        error = (np.exp(logs) - right) / len(labels)
        slope = xs.T @ error + decay * W
        return decay / 2 * (W**2).sum() - (logs * right).sum() / len(labels), np.append(slope, error.sum(0))

    begin = np.zeros((xs.shape[1] + 1) * classes)
    W, b = unpacked(minimize(loss, begin, jac=True, method="L-BFGS-B", options=dict(maxiter=steps)).x)
    return lambda xs: (xs @ W + b).argmax(1)


def bag(ids, size: int) -> csr_matrix:
    """Which words each review holds: a sparse matrix (N, size) of ones."""
    found = [np.unique(i) for i in ids]
    places = np.concatenate([[0], np.cumsum([len(f) for f in found])])
    return csr_matrix((np.ones(places[-1]), np.concatenate(found), places), (len(ids), size))


def confusions(guesses, labels, names, most: int = 5) -> str:
    """The mistakes made most often, in words."""
    wrong = Counter((names[label], names[guess]) for label, guess in zip(labels, guesses) if label != guess)
    taken = [f"{right} for {guess} {count}x" for (right, guess), count in wrong.most_common(most)]
    return f"{wrong.total()} of {len(labels)} wrong. Taken most often: {', '.join(taken) or 'none'}"
