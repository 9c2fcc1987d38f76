"""A gradient in parts, one after another, in the memory of one."""

import functools

import jax
import jax.numpy as jnp

from rnnjax.types import Gradient


def accumulate(gradient: Gradient, parts: int, *, streams: bool = True) -> Gradient:
    """The gradient of a large batch as the mean of those of `parts` micro-batches, which take turns in memory.

    Args:
        gradient: of any number of streams, as `bptt(batch(cell, B // parts))`, which is given B // parts of them.
        parts: how many micro-batches. Part k has the streams k, k + parts, ..., so that a batch that lies across
            devices stays where it is.
        streams: True where state is of B streams on axis 0, and xs and keep have them on axis 1, after time, as with
            `batch(cell, B)`. False where the batch is on axis 0, and the state (a random key) goes from part to part.

    The mean weighs all parts alike: where a mask leaves a part fewer steps than another, those count for more.
    Raises `ValueError` if the batch does not divide into the parts.

    Example:
        >>> import optax
        >>> model = rnnjax.with_loss(rnnjax.scan(rnnjax.rnn(2, 2)), lambda y, target: optax.l2_loss(y, target).sum())
        >>> whole, half = rnnjax.batch(model, 4), rnnjax.batch(model, 2)
        >>> params = model.init(jax.random.key(0))
        >>> arguments = params, whole.start(params), (jnp.ones((7, 4, 2)), jnp.ones((7, 4, 2)))
        >>> loss, grads, state = rnnjax.bptt(whole)(*arguments)
        >>> in_halves, grads, state = rnnjax.train.accumulate(rnnjax.bptt(half), 2)(*arguments)
        >>> bool(jnp.isclose(loss, in_halves)), state.shape
        (True, (4, 2))
    """
    if parts < 1:
        raise ValueError(f"accumulate: parts must be at least 1, but parts is {parts}. 1 is the gradient as it is.")
    if parts == 1:
        return gradient
    apart, together = functools.partial(_apart, parts), functools.partial(jax.tree.map, _together)

    def accumulated(params, state, xs, keep=None):
        batch = apart((xs, keep), 1 if streams else 0)

        def part(carry, piece):
            total, passed = carry
            own, (xs, keep) = piece
            loss, grads, after = gradient(params, own if streams else passed, xs, keep)
            total = jax.tree.map(jnp.add, total, (loss, grads))
            return (total, passed if streams else after), after if streams else None

        own = apart(state, 0) if streams else None
        first = jax.tree.map(lambda x: x[0], (own, batch))
        kinds = jax.eval_shape(gradient, params, first[0] if streams else state, *first[1])
        zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), kinds[:2])
        (total, passed), after = jax.lax.scan(part, (zero, None if streams else state), (own, batch))
        loss, grads = jax.tree.map(lambda x: x / parts, total)
        return loss, grads, together(after) if streams else passed

    return accumulated


def _apart(parts, tree, axis):
    """Every leaf as (parts, ...), part k with the entries k, k + parts, ... of the axis."""

    def split(x):
        if x.shape[axis] % parts:
            raise ValueError(
                f"accumulate: the batch must divide into the parts, but it has {x.shape[axis]} and parts is {parts}. "
                "Choose another of the two."
            )
        shape = *x.shape[:axis], x.shape[axis] // parts, parts, *x.shape[axis + 1 :]
        return jnp.moveaxis(x.reshape(shape), axis + 1, 0)

    return jax.tree.map(split, tree)


def _together(x):
    """(parts, B / parts, ...) as (B, ...) again."""
    x = jnp.moveaxis(x, 0, 1)
    return x.reshape(-1, *x.shape[2:])
