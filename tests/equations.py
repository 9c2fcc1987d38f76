"""The cells' equations in NumPy float64, gate by gate, written from the papers and not from the library."""

import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def relu(a):
    return np.maximum(a, 0)


def gate(matrix, k, m):
    """Columns of gate k of a fused weight or bias."""
    return matrix[..., k * m : (k + 1) * m]


def rnn(params, h, xs, activation=np.tanh):
    W, U, b = map(np.asarray, params)
    h, hs = np.asarray(h), []
    for x in xs:
        h = activation(W.T @ x + U.T @ h + b)
        hs.append(h)
    return h, np.array(hs)


def lstm(params, state, xs):
    W, U, b = map(np.asarray, params)
    h, c = map(np.asarray, state)
    m, hs = len(h), []
    for x in xs:

        def a(k):
            return gate(W, k, m).T @ x + gate(U, k, m).T @ h + gate(b, k, m)

        i, f, g, o = sigmoid(a(0)), sigmoid(a(1)), np.tanh(a(2)), sigmoid(a(3))
        c = f * c + i * g
        h = o * np.tanh(c)
        hs.append(h)
    return (h, c), np.array(hs)


def gru(params, h, xs):
    W, U, b, d = map(np.asarray, params)
    h = np.asarray(h)
    m, hs = len(h), []
    for x in xs:
        r = sigmoid(gate(W, 0, m).T @ x + gate(U, 0, m).T @ h + gate(b, 0, m))
        z = sigmoid(gate(W, 1, m).T @ x + gate(U, 1, m).T @ h + gate(b, 1, m))
        candidate = np.tanh(gate(W, 2, m).T @ x + gate(b, 2, m) + r * (gate(U, 2, m).T @ h + d))
        h = (1 - z) * candidate + z * h
        hs.append(h)
    return h, np.array(hs)
