"""Piano rolls: as padded batches, told ahead by simple models, and as names of notes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax.data import pad

LOWEST, PITCHES = 21, 88
NAMES = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
LENGTHS = 64


def padded(rolls) -> tuple[np.ndarray, np.ndarray]:
    """Rolls (T, 88) as float32 (B, T, 88) and lengths (B,), with T the next multiple of 64, for few shapes."""
    longest = max(map(len, rolls))
    xs, lengths = pad(rolls, -(-longest // LENGTHS) * LENGTHS)
    return xs.swapaxes(0, 1).astype(np.float32), lengths


def before(xs):
    """At each frame of (B, T, 88) the frame before; at the first, silence."""
    return jnp.pad(xs, ((0, 0), (1, 0), (0, 0)))[:, :-1]


def surprise(logits, xs):
    """Nats a frame: the cross entropies of the 88 pitches, summed."""
    return optax.sigmoid_binary_cross_entropy(logits, xs).sum(-1)


def transposed(roll, random) -> np.ndarray:
    """A roll in another key, from 5 semitones lower to 6 higher. What would leave the keyboard stays as it is."""
    sounding = np.flatnonzero(roll.any(0))
    shift = int(random.integers(-5, 7))
    fits = len(sounding) and 0 <= sounding[0] + shift and sounding[-1] + shift < PITCHES
    return np.roll(roll, shift, 1) if fits else roll


def pairs(rolls) -> tuple[np.ndarray, np.ndarray]:
    """All frames of all rolls, float32 (frames, 88), and the frame before each."""
    silence = np.zeros((1, PITCHES), bool)
    pasts = [np.concatenate([silence, roll[:-1]]) for roll in rolls]
    return np.concatenate(pasts).astype(np.float32), np.concatenate(rolls).astype(np.float32)


def frequencies(rolls) -> Callable:
    """Each pitch as often as in `rolls`, whatever came before: past (N, 88) -> logits (N, 88)."""
    _, now = pairs(rolls)
    share = (now.sum(0) + 0.5) / (len(now) + 1)
    return lambda past: np.broadcast_to(_logit(share), past.shape)


def held(rolls) -> Callable:
    """Each pitch as often as in `rolls` after a frame in which it sounded, or did not."""
    past, now = pairs(rolls)
    on, off = (((kind * now).sum(0) + 0.5) / (kind.sum(0) + 1) for kind in (past, 1 - past))
    return lambda past: np.where(past > 0, _logit(on), _logit(off))


def logistic(rolls, *, decay: float = 1e-4, steps: int = 100) -> Callable:
    """Each pitch by a logistic regression on all the pitches of the frame before, with weight decay, fitted by Adam."""
    past, now = pairs(rolls)
    heard = now.any(0)
    past, now = jnp.asarray(past[:, heard]), jnp.asarray(now[:, heard])
    optimizer = optax.adam(optax.cosine_decay_schedule(0.3, steps))

    def loss(params):
        W, b = params
        return surprise(past @ W + b, now).mean() + decay * (W**2).sum()

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    params = jnp.zeros((heard.sum(), heard.sum())), jnp.full(heard.sum(), -3.0)
    state = optimizer.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    W, b = params
    rare = _logit(0.5 / (len(past) + 1))
    return lambda past: jnp.full(past.shape, rare).at[:, heard].set(past[:, heard] @ W + b)


SIMPLE = {
    "each pitch's frequency": frequencies,
    "each pitch held or not": held,
    "logistic on the frame before": logistic,
}


def nats(model: Callable, rolls) -> float:
    """What a model past -> logits makes of `rolls`, in nats a frame."""
    past, now = pairs(rolls)
    return float(surprise(model(past), now).mean())


def _logit(share):
    return np.log(share / (1 - share))


def sampled(network, params, length: int, seed: int) -> np.ndarray:
    """A piano roll bool (length, 88) drawn from the model, frame by frame."""
    each = network.each

    def step(carry, key):
        state, frame = carry
        state, logits = each.step(params, state, frame)
        frame = jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(frame.dtype)
        return (state, frame), frame

    keys = jax.random.split(jax.random.key(seed), length)
    _, frames = jax.lax.scan(step, (each.start(params), jnp.zeros(PITCHES)), keys)
    return np.asarray(frames) > 0


def named(roll) -> str:
    """A frame a line, as "C3 G3 E4 C5"; a silent one as "-".

    >>> print(named(np.eye(88, dtype=bool)[[39, 0]] | np.eye(88, dtype=bool)[[43, 43]]))
    C4 E4
    A0 E4
    """
    notes = [[LOWEST + pitch for pitch in np.flatnonzero(frame)] for frame in roll]
    return "\n".join(" ".join(f"{NAMES[n % 12]}{n // 12 - 1}" for n in frame) or "-" for frame in notes)
