"""The gated cells' equations in NumPy float64, gate by gate, written from the papers and not from the library."""

import itertools

import numpy as np
from equations import gate, sigmoid


def arrays(tree):
    return map(np.asarray, tree)


def over_time(step):
    """From one step `(params, state, x) -> (state, y)`, the state a tuple, to what the tests hold a scan to."""

    def run(params, state, xs):
        state, ys = tuple(arrays(state)) if isinstance(state, tuple) else (np.asarray(state),), []
        for x in xs:
            state, y = step(params, state, x)
            ys.append(y)
        return state, np.array(ys)

    return run


def summed(x, h, k, m, W, U, b):
    """What gate k sums: W_k x + U_k h + b_k, in columns."""
    return gate(W, k, m).T @ x + gate(U, k, m).T @ h + gate(b, k, m)


@over_time
def peephole_lstm(params, state, x):
    W, U, b, P = arrays(params)
    h, c = state
    m = len(c)
    i = sigmoid(summed(x, h, 0, m, W, U, b) + np.diag(P[0]) @ c)
    f = sigmoid(summed(x, h, 1, m, W, U, b) + np.diag(P[1]) @ c)
    c = f * c + i * np.tanh(summed(x, h, 2, m, W, U, b))
    o = sigmoid(summed(x, h, 3, m, W, U, b) + np.diag(P[2]) @ c)
    h = o * np.tanh(c)
    return (h, c), h


@over_time
def projected_lstm(params, state, x):
    W, U, b, P = arrays(params)
    h, c = state
    i, f, g, o = (summed(x, h, k, len(c), W, U, b) for k in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = P.T @ (sigmoid(o) * np.tanh(c))
    return (h, c), h


@over_time
def coupled_lstm(params, state, x):
    W, U, b = arrays(params)
    h, c = state
    m = len(c)
    f = sigmoid(summed(x, h, 0, m, W, U, b))
    z = np.tanh(summed(x, h, 1, m, W, U, b))
    o = sigmoid(summed(x, h, 2, m, W, U, b))
    i = 1 - f
    c = z * i + c * f
    h = np.tanh(c) * o
    return (h, c), h


def LN(z, gain, offset=0.0):
    mean = sum(z) / len(z)
    variance = sum((z - mean) ** 2) / len(z)
    return (z - mean) / np.sqrt(variance + 1e-5) * gain + offset


@over_time
def norm_lstm(params, state, x):
    W, U, b, w, u, v, d = arrays(params)
    h, c = state
    i, f, g, o = np.split(LN(U.T @ h, u) + LN(W.T @ x, w) + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(LN(c, v, d))
    return (h, c), h


@over_time
def norm_gru(params, state, x):
    """The paper's: its z is one minus ours, so that of z's gains and bias it takes the negative."""
    W, U, b, d, w, u = arrays(params)
    (h,) = state
    m = len(h)
    r, z = slice(m), slice(m, 2 * m)
    ours = np.concatenate([np.ones(m), -np.ones(m)])
    gates = LN(U[:, : 2 * m].T @ h, ours * u[: 2 * m]) + LN(W[:, : 2 * m].T @ x, ours * w[: 2 * m], ours * b[: 2 * m])
    a = LN(gate(W, 2, m).T @ x, gate(w, 2, m), gate(b, 2, m))
    new = np.tanh(a + sigmoid(gates[r]) * LN(gate(U, 2, m).T @ h, gate(u, 2, m), d))
    h = (1 - sigmoid(gates[z])) * h + sigmoid(gates[z]) * new
    return (h,), h


@over_time
def reset_first_gru(params, state, x):
    W, U, b = arrays(params)
    (h,) = state
    m = len(h)
    r = sigmoid(summed(x, h, 0, m, W, U, b))
    z = sigmoid(summed(x, h, 1, m, W, U, b))
    h = z * h + (1 - z) * np.tanh(summed(x, r * h, 2, m, W, U, b))
    return (h,), h


@over_time
def mgu(params, state, x):
    W, U, b = arrays(params)
    (h,) = state
    m = len(h)
    f = sigmoid(summed(x, h, 0, m, W, U, b))
    h = (1 - f) * h + f * np.tanh(summed(x, f * h, 1, m, W, U, b))
    return (h,), h


@over_time
def ugrnn(params, state, x):
    W, U, b = arrays(params)
    (h,) = state
    m = len(h)
    g = sigmoid(summed(x, h, 0, m, W, U, b))
    h = g * h + (1 - g) * np.tanh(summed(x, h, 1, m, W, U, b))
    return (h,), h


@over_time
def janet(params, state, x, beta=1.0):
    W, U, b = arrays(params)
    (c,) = state
    m = len(c)
    s = summed(x, c, 0, m, W, U, b)
    c = sigmoid(s) * c + (1 - sigmoid(s - beta)) * np.tanh(summed(x, c, 1, m, W, U, b))
    return (c,), c


def convolved(x, K):
    """Place by place: the sum over the window of what is inside the edges."""
    *shape, _ = x.shape
    window = K.shape[:-2]
    out = np.zeros((*shape, K.shape[-1]))
    for place in itertools.product(*map(range, shape)):
        for tap in itertools.product(*map(range, window)):
            at = tuple(s + k - (size - 1) // 2 for s, k, size in zip(place, tap, window))
            if all(0 <= s < size for s, size in zip(at, shape)):
                out[place] += x[at] @ K[tap]
    return out


@over_time
def conv_lstm(params, state, x):
    W, U, b = arrays(params)
    h, c = state
    i, f, g, o = np.split(convolved(x, W) + convolved(h, U) + b, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (h, c), h


def log_sigmoid(f):
    return np.log(sigmoid(f))


def slstm(heads, log_f=log_sigmoid, stabilised=True):
    """The paper's sLSTM, in its letters; without the stabiliser the state is (h, c, n), and p is left as it is."""

    @over_time
    def step(params, state, x):
        W, U, b = arrays(params)
        h, c, n, peak = state
        m = len(h)
        R = np.zeros((4, m, m))  # block diagonal, from the new unit's row to the old unit's column
        for head, block in enumerate(np.split(np.arange(m), heads)):
            for k in range(4):
                R[k][np.ix_(block, block)] = U[head, :, k, :].T
        i, f, z, o = (gate(W, k, m).T @ x + R[k] @ h + gate(b, k, m) for k in range(4))
        if stabilised:
            last, peak = peak, np.maximum(log_f(f) + peak, i)
            i, f = np.exp(i - peak), np.exp(log_f(f) + last - peak)
        else:
            i, f = np.exp(i), np.exp(log_f(f))
        c = f * c + i * np.tanh(z)
        n = f * n + i
        h = sigmoid(o) * (c / n)
        return (h, c, n, peak), h

    return step


def mlstm(heads, log_f=log_sigmoid, stabilised=True):
    """The paper's mLSTM in its letters, head by head, in columns; without the stabiliser as for `slstm`."""

    @over_time
    def step(params, state, x):
        W, b, G, g = arrays(params)
        Cs, ns, peaks = (s.copy() for s in state)
        m = W.shape[1] // 4
        l, hs = m // heads, []
        for head in range(heads):
            mine = slice(head * l, (head + 1) * l)
            q, k, v, o = (gate(W, j, m)[:, mine].T @ x + gate(b, j, m)[mine] for j in range(4))
            k = k / np.sqrt(l)
            i, f = G[:, head] @ x + g[head], G[:, heads + head] @ x + g[heads + head]
            least = 1.0
            if stabilised:
                last, peaks[head] = peaks[head], max(log_f(f) + peaks[head], i)
                i, f = np.exp(i - peaks[head]), np.exp(log_f(f) + last - peaks[head])
                least = np.exp(-peaks[head])
            else:
                i, f = np.exp(i), np.exp(log_f(f))
            Cs[head] = f * Cs[head] + i * v[:, None] @ k[None, :]
            ns[head] = f * ns[head] + i * k
            hs.append(sigmoid(o) * (Cs[head] @ q) / max(abs(ns[head] @ q), least))
        return (Cs, ns, peaks), np.concatenate(hs)

    return step
