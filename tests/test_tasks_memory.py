"""What attention, stacks and a Turing machine's memory are for, each learned as a user would: seconds of one core."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rnnjax as r


def trained(loss, params, batches, optimizer):
    """Params after an update for each batch."""

    @jax.jit
    def update(params, state, *batch):
        updates, state = optimizer.update(jax.grad(loss)(params, *batch), state)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for batch in batches:
        params, state = update(params, state, *batch)
    return params


def adam(rate, clip=1.0):
    return optax.chain(optax.clip_by_global_norm(clip), optax.adam(rate))


DIGITS, LONGEST = 10, 8


def to_reverse(draw, B):
    """Digits of lengths 3 to 8, what the decoder should have said before each step (first a start), its targets."""
    lengths = draw.integers(3, LONGEST + 1, B)
    sources = draw.integers(0, DIGITS, (B, LONGEST))
    at = np.maximum(lengths[:, None] - 1 - np.arange(LONGEST), 0)
    targets = np.take_along_axis(sources, at, 1)
    before = np.concatenate([np.full((B, 1), DIGITS), targets[:, :-1]], 1)
    return sources, before, targets, lengths


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bahdanau", "luong"])
def test_attention_reverses(name):
    """Of sequences that it has not seen 95 % or more have every digit right; next to none where it is shown nothing."""
    h = 32
    encoder = r.stack(r.embed(DIGITS, 16), r.bidirectional(r.gru(16, h // 2), r.gru(16, h // 2)))
    attending, width = {
        "bahdanau": (r.bahdanau(r.gru(16 + h, h), h, h, r.additive(h)), 2 * h),
        "luong": (r.fed_back(r.luong(r.gru(16 + h, h), h, h, r.general), h), h),
    }[name]
    decoder = r.stack(r.embed(DIGITS + 1, 16), attending, r.dense(width, DIGITS))

    def logits(params, sources, before, lengths, shown=1):
        _, places = r.apply(encoder, params[0], sources, lengths=lengths)
        state = r.batch(decoder, len(sources)).start(params[1])
        state = r.attend_to(state, places, lengths=shown * lengths)
        return r.apply(decoder, params[1], before, state=state, lengths=lengths)[1]

    def loss(params, sources, before, targets, lengths):
        losses = optax.softmax_cross_entropy_with_integer_labels(logits(params, sources, before, lengths), targets)
        return losses.mean(where=jnp.arange(LONGEST) < lengths[:, None])

    def right(params, sources, before, targets, lengths, shown):
        guess = logits(params, sources, before, lengths, shown).argmax(-1)
        return ((guess == targets) | (np.arange(LONGEST) >= lengths[:, None])).all(1).mean()

    draw = np.random.default_rng(0)
    params = encoder.init(jax.random.key(0)), decoder.init(jax.random.key(1))
    batches = (to_reverse(draw, 32) for _ in range(1500))
    params = trained(loss, params, batches, adam(optax.cosine_decay_schedule(1e-2, 1500)))
    new = to_reverse(np.random.default_rng(1), 1000)
    assert right(params, *new, 1) >= 0.95
    assert right(params, *new, 0) <= 0.05


@pytest.mark.slow
def test_stack_counts():
    """aᵏbᵏ, trained with k to 10: how many b's must come, and that an a must follow, with k to 60.

    As the authors do, actions are made certain after training, and training begins again where it has failed.
    """
    model = r.stack(r.scan(r.stack_rnn(2, 16, depth=100)), r.dense(16, 2))

    def stream(draw):
        return np.concatenate([[0] * k + [1] * k for k in draw.integers(1, 11, 51)])[:51]

    def loss(params, symbols):
        _, logits = r.apply(model, params, jax.nn.one_hot(symbols[:, :-1], 2))
        return optax.softmax_cross_entropy_with_integer_labels(logits, symbols[:, 1:]).mean()

    def longest(seed):
        """The k to which all is right."""
        draw = np.random.default_rng(seed)
        batches = ((np.stack([stream(draw) for _ in range(32)]),) for _ in range(2000))
        optimizer = adam(optax.cosine_decay_schedule(1e-2, 2000))
        cell, dense = trained(loss, model.init(jax.random.key(seed)), batches, optimizer)
        words = np.array([np.repeat([0, 1, 0], [k, k, 121 - 2 * k]) for k in range(1, 61)])
        _, logits = r.apply(model, (cell._replace(A=1e3 * cell.A), dense), jax.nn.one_hot(words, 2))
        right = logits.argmax(-1)[:, :-1] == words[:, 1:]
        right = [right[k - 1, k : 2 * k].all() for k in range(1, 61)]
        return int(np.argmin([*right, False]))

    assert any(longest(seed) == 60 for seed in range(4))


@pytest.mark.slow
def test_ntm_copies():
    """Rows of bits, as many as it was trained on, are written out again, 99 % of rows or more without an error."""
    bits, longest = 4, 6
    model = r.stack(r.scan(r.ntm(bits + 2, 64, slots=32, width=8)), r.dense(64 + 8, bits))

    def problem(draw, length, B):
        xs = np.zeros((B, 2 * longest + 2, bits + 2), np.float32)
        targets = np.zeros((B, 2 * longest + 2, bits), np.float32)
        asked = slice(length + 2, 2 * length + 2)
        xs[:, 0, bits] = xs[:, length + 1, bits + 1] = 1
        xs[:, 1 : length + 1, :bits] = targets[:, asked] = draw.integers(0, 2, (B, length, bits))
        return xs, targets, np.isin(np.arange(2 * longest + 2), np.arange(asked.start, asked.stop))

    def loss(params, xs, targets, keep):
        losses = optax.sigmoid_binary_cross_entropy(r.apply(model, params, xs)[1], targets)
        return losses.mean(where=keep[:, None])

    draw = np.random.default_rng(0)
    batches = (problem(draw, draw.integers(1, longest + 1), 16) for _ in range(4000))
    params = trained(loss, model.init(jax.random.key(0)), batches, adam(3e-3, clip=10.0))
    for length in range(1, longest + 1):
        xs, targets, keep = problem(draw, length, 100)
        wrong = ((r.apply(model, params, xs)[1] > 0) != (targets > 0)).any(-1)
        assert wrong[:, keep].mean() <= 0.01
