"""Attention, the stack RNN and the neural Turing machine in NumPy float64, written from the papers."""

import numpy as np
from equations import gru, lstm, sigmoid


def softmax(a):
    return np.exp(a) / np.exp(a).sum()


def softplus(a):
    return np.log1p(np.exp(a))


# the alignment models: one number for a query and one place of the memory


def additive(score, s, place):
    W, V, v = score
    return v @ np.tanh(W.T @ s + V.T @ place)


def general(score, s, place):
    return s @ score[0] @ place


def dot(score, s, place):
    return s @ place


def attention(align, score, s, places):
    """Weights and context, place by place; all of nothing is nothing."""
    if not len(places):
        return np.zeros(0), np.zeros(places.shape[1])
    α = softmax(np.array([align(score, s, place) for place in places]))
    return α, sum(α_j * place for α_j, place in zip(α, places))


def by_gru(params, h, x):
    h, _ = gru(params, h, [x])
    return h, h


def by_lstm(params, state, x):
    (h, c), _ = lstm(params, state, [x])
    return (h, c), h


def by_two(params, state, x):
    """An LSTM below a GRU."""
    below, y = by_lstm(params[0], state[0], x)
    above, y = by_gru(params[1], state[1], y)
    return (below, above), y


def bahdanau(align, cell, query, params, state, places, xs):
    inner, score, _ = params
    ys, αs = [], []
    for x in xs:
        α, c = attention(align, score, query(state), places)
        state, y = cell(inner, state, np.concatenate([x, c]))
        ys.append(np.concatenate([y, c]))
        αs.append(α)
    return state, np.array(ys), np.array(αs)


def luong(align, cell, params, state, places, xs, feed=None):
    """With input feeding where `feed`, the attentional vector before the first, is given."""
    inner, score, W = params
    ys, αs = [], []
    for x in xs:
        state, h = cell(inner, state, x if feed is None else np.concatenate([x, feed]))
        α, c = attention(align, score, h, places)
        y = np.tanh(W.T @ np.concatenate([c, h]))
        feed = feed if feed is None else y
        ys.append(y)
        αs.append(α)
    return state, np.array(ys), np.array(αs)


def stack_rnn(params, state, xs, read=2):
    """Number by number, in lists: each column is a stack with actions of its own."""
    W, U, P, A, D = map(np.asarray, params)
    h, table = map(np.asarray, state)
    depth, stacks = table.shape
    hs = []
    for x in xs:
        tops = [table[i, s] for i in range(read) for s in range(stacks)]
        h = sigmoid(W.T @ x + U.T @ h + P.T @ tops)
        new = np.zeros((depth, stacks))
        for s in range(stacks):
            push, pop, stay = softmax(A[:, s::stacks].T @ h)
            for i in range(depth):
                above = sigmoid(D[:, s] @ h) if i == 0 else table[i - 1, s]
                below = -1.0 if i == depth - 1 else table[i + 1, s]
                new[i, s] = push * above + pop * below + stay * table[i, s]
        table = new
        hs.append(h)
    return (h, table), np.array(hs)


def ntm(params, state, xs, cell=by_lstm):
    """Slot by slot, in the numbering of the equations of Graves et al. (3) to (9)."""
    inner, W, b = params
    controller, M, r, weights = state
    weights = [np.asarray(w) for w in weights]
    M, slots, width = np.asarray(M), len(M), len(r)
    ys = []
    for x in xs:
        controller, h = cell(inner, controller, np.concatenate([x, r]))
        asked = np.asarray(W).T @ h + np.asarray(b)
        for head in range(2):
            part = asked[head * (width + 6) :]
            key, strength = np.tanh(part[:width]), softplus(part[width])
            gate, sharp = sigmoid(part[width + 1]), 1 + softplus(part[width + 2])
            shift = dict(zip((-1, 0, 1), softmax(part[width + 3 : width + 6])))
            near = [key @ row / np.sqrt(key @ key * (row @ row) + 1e-16) for row in M]  # (6)
            content = softmax(strength * np.array(near))  # (5)
            gated = gate * content + (1 - gate) * weights[head]  # (7)
            turned = [sum(gated[(i - j) % slots] * p for j, p in shift.items()) for i in range(slots)]  # (8)
            powers = np.array(turned) ** sharp
            weights[head] = powers / powers.sum()  # (9)
        r = sum(w * row for w, row in zip(weights[0], M))  # (2)
        erase, add = sigmoid(asked[-2 * width : -width]), np.tanh(asked[-width:])
        M = np.array([row * (1 - w * erase) + w * add for w, row in zip(weights[1], M)])  # (3), (4)
        ys.append(np.concatenate([h, r]))
    return (controller, M, r, np.array(weights)), np.array(ys)
