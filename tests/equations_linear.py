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


def lru(params, h, xs):
    ν, θ, γ, B, C, D = arrays(params)
    m = len(h)
    λ = np.exp(-np.exp(ν)) * (np.cos(np.exp(θ)) + 1j * np.sin(np.exp(θ)))
    B, C = B[:, :m] + 1j * B[:, m:], C[:m] - 1j * C[m:]  # Re(h C) = Re h Re C - Im h Im C

    def step(h, x):
        h = λ * h + np.exp(γ) * (B.T @ x)
        return h, (C.T @ h).real + D * x

    return run(np.asarray(h), xs, step)


def s5(params, h, xs):
    α, ω, δ, B, C, D = arrays(params)
    m = len(h)
    Λ, Δ = -np.exp(α) + 1j * ω, np.exp(δ)
    B, C = B[:, :m] + 1j * B[:, m:], C[:m] - 1j * C[m:]
    A = np.exp(Λ * Δ)

    def step(h, x):
        h = A * h + (A - 1) / Λ * (B.T @ x)
        return h, (C.T @ h + C.conj().T @ h.conj()).real + D * x

    return run(np.asarray(h), xs, step)


def rglru(params, h, xs):
    W, b, Λ = arrays(params)
    (Wr, Wi), (br, bi) = columns(W, len(h)), columns(b, len(h))

    def step(h, x):
        r, i = sigmoid(Wr.T @ x + br), sigmoid(Wi.T @ x + bi)
        a = sigmoid(-Λ) ** (8 * r)
        h = a * h + np.sqrt(1 - a**2) * (i * x)
        return h, h

    return run(np.asarray(h), xs, step)


def gla(params, S, xs):
    Q, K, V, F, G, b = arrays(params)

    def step(S, x):
        a = sigmoid(G.T @ F.T @ x + b) ** (1 / 16)
        S = np.diag(a) @ S + np.outer(K.T @ x, V.T @ x)
        return S, S.T @ (Q.T @ x) / np.sqrt(len(S))

    return run(np.asarray(S), xs, step)


def antisymmetric(params, h, xs):
    W, V, b = arrays(params)
    A = V.T - V - 0.01 * np.eye(len(h))

    def step(h, x):
        h = h + 0.1 * np.tanh(A @ h + W.T @ x + b)
        return h, h

    return run(np.asarray(h), xs, step)


def lipschitz(params, h, xs):
    W, M, N, b = arrays(params)
    A, U = (0.2 * (M.T + M) + 0.8 * (M.T - M) - 0.01 * np.eye(len(h)) for M in (M, N))

    def step(h, x):
        h = h + 0.01 * (A @ h + np.tanh(U @ h + W.T @ x + b))
        return h, h

    return run(np.asarray(h), xs, step)


def exprnn(params, h, xs, rotation=None):
    W, A, b = arrays(params)
    A = np.triu(A, 1) - np.triu(A, 1).T
    values, vectors = np.linalg.eigh(1j * A)  # A is normal: its eigenvalues are -i times these
    turned = np.exp(-1j * values) if rotation is None else (1 + 1j * values) / (1 - 1j * values)
    U = ((vectors * turned) @ vectors.conj().T).real

    def step(h, x):
        u = W.T @ x + U.T @ h
        h = np.where(abs(u) + b >= 0, np.sign(u) * (abs(u) + b), 0)
        return h, h

    return run(np.asarray(h), xs, step)


def cayley(*args):
    return exprnn(*args, rotation="cayley")


def cornn(params, state, xs, dt=0.1, γ=1.0, ε=1.0):
    W, U, V, b = arrays(params)

    def step(state, x):
        y, z = state
        z = z + dt * np.tanh(U.T @ y + V.T @ z + W.T @ x + b) - dt * γ * y - dt * ε * z
        y = y + dt * z
        return (y, z), y

    return run(arrays(state), xs, step)


def lem(params, state, xs, dt=1.0):
    W, U, V, b = arrays(params)
    y, z = arrays(state)
    m = len(y)
    (W2, W1, Wz, Wy), (U2, U1, Uz), (b2, b1, bz, by) = columns(W, m), columns(U, m), columns(b, m)

    def step(state, x):
        y, z = state
        Δ2, Δ1 = dt * sigmoid(W2.T @ x + U2.T @ y + b2), dt * sigmoid(W1.T @ x + U1.T @ y + b1)
        z = (1 - Δ2) * z + Δ2 * np.tanh(Uz.T @ y + Wz.T @ x + bz)
        y = (1 - Δ1) * y + Δ1 * np.tanh(V.T @ z + Wy.T @ x + by)
        return (y, z), y

    return run((y, z), xs, step)


def cfc(params, h, xs, Δs=None):
    W, U, b, V, c = arrays(params)
    m, Δs = len(h), np.ones(len(xs)) if Δs is None else Δs
    (Vg, Vk, Vp, Vq), (cg, ck, cp, cq) = columns(V, m), columns(c, m)

    def step(h, xΔ):
        x, Δ = xΔ
        z = 1.7159 * np.tanh(2 / 3 * (W.T @ x + U.T @ h + b))
        g, k = np.tanh(Vg.T @ z + cg), np.tanh(Vk.T @ z + ck)
        t = sigmoid((Vp.T @ z + cp) * Δ + Vq.T @ z + cq)
        h = g * (1 - t) + k * t
        return h, h

    return run(np.asarray(h), list(zip(xs, Δs)), step)


def indrnn(params, h, xs):
    W, u, b = arrays(params)

    def step(h, x):
        h = np.maximum(W.T @ x + u * h + b, 0)
        return h, h

    return run(np.asarray(h), xs, step)


def jordan(params, y, xs):
    W, U, b, V, c = arrays(params)

    def step(y, x):
        y = np.tanh(V.T @ np.tanh(W.T @ x + U.T @ y + b) + c)
        return y, y

    return run(np.asarray(y), xs, step)


def clockwork(params, state, xs, periods=(1, 3)):
    """Group by group, as the paper lays them out: the faster hears the slower, and not the other way round."""
    W, U, b = arrays(params)
    h, t = arrays(state)
    size = len(h) // len(periods)
    groups = [slice(g * size, (g + 1) * size) for g in range(len(periods))]

    def step(state, x):
        h, t = state
        new = h.copy()
        for g, p in zip(groups, periods):
            if t % p == 0:
                heard = sum(U[j, g].T @ h[j] for j, q in zip(groups, periods) if q >= p)
                new[g] = np.tanh(W[:, g].T @ x + heard + b[g])
        return (new, t + 1), new

    return run((h, t), xs, step)


def dilated(params, ring, xs, d=3):
    """An Elman network with a long memory of all its states, of which it uses the one of d steps before."""
    W, U, b = arrays(params)
    hs = list(np.asarray(ring))
    for x in xs:
        hs.append(np.tanh(W.T @ x + U.T @ hs[-d] + b))
    return np.array(hs[-d:]), np.array(hs[d:])
