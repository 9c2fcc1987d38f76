"""The equations of linear, stable and Elman-like cells in NumPy float64, written from the papers."""

import numpy as np
from equations import sigmoid


def arrays(tree):
    return [np.asarray(a) for a in tree]


def run(state, xs, step):
    """`step: state, x -> state, y` over all xs."""
    ys = []
    for x in xs:
        state, y = step(state, x)
        ys.append(y)
    return state, np.array(ys)


def columns(W, m):
    """The blocks of m columns of a fused weight or bias."""
    return [W[..., k : k + m] for k in range(0, W.shape[-1], m)]


def mingru(params, h, xs):
    W, b = arrays(params)
    m = len(h)
    (Wz, Wg), (bz, bg) = columns(W, m), columns(b, m)

    def step(h, x):
        z = sigmoid(Wz.T @ x + bz)
        h = (1 - z) * h + z * (Wg.T @ x + bg)
        return h, h

    return run(np.asarray(h), xs, step)


def minlstm(params, h, xs):
    W, b = arrays(params)
    m = len(h)
    (Wf, Wi, Wg), (bf, bi, bg) = columns(W, m), columns(b, m)

    def step(h, x):
        f, i = sigmoid(Wf.T @ x + bf), sigmoid(Wi.T @ x + bi)
        h = f / (f + i) * h + i / (f + i) * (Wg.T @ x + bg)
        return h, h

    return run(np.asarray(h), xs, step)


def qrnn(params, c, xs):
    W, b = arrays(params)
    m = len(c)
    (Wz, Wf, Wo), (bz, bf, bo) = columns(W, m), columns(b, m)

    def step(c, x):
        z, f, o = np.tanh(Wz.T @ x + bz), sigmoid(Wf.T @ x + bf), sigmoid(Wo.T @ x + bo)
        c = f * c + (1 - f) * z
        return c, o * c

    return run(np.asarray(c), xs, step)


def convolved(params, state, xs):
    """The QRNN of window 2, its convolution written as one: Z = tanh(W¹ x_(t-1) + W² x_t)."""
    W, b = arrays(params[1])
    (before,), c = np.asarray(state[0]), np.asarray(state[1])
    n, m = len(before), len(c)
    old, new = W[:n], W[n:]
    before = np.concatenate([before[None], xs[:-1]])
    Z, F, O = columns(before @ old + xs @ new + b, m)
    cs = []
    for z, f in zip(np.tanh(Z), sigmoid(F)):
        c = f * c + (1 - f) * z
        cs.append(c)
    return (xs[-1:], c), sigmoid(O) * np.array(cs)


def sru(params, c, xs):
    W, b = arrays(params)
    m = len(c)
    Wg, Wf, Wr, *Ws = columns(W, m)
    bf, br = columns(b, m)

    def step(c, x):
        f, r = sigmoid(Wf.T @ x + bf), sigmoid(Wr.T @ x + br)
        c = f * c + (1 - f) * (Wg.T @ x)
        return c, r * c + (1 - r) * (Ws[0].T @ x if Ws else x) * np.sqrt(3)

    return run(np.asarray(c), xs, step)
