"""Time in parallel, for cells whose state is affine in the one before."""

import functools

import jax

from rnnjax.cell import Cell, kind
from rnnjax.loops.carry import apart, before, begun, steps
from rnnjax.loops.recurrence import recurrence
from rnnjax.loops.rolled import rolled
from rnnjax.loops.sharded import across, final
from rnnjax.types import Params, State, Steps


def associative(
    cell: Cell, params: Params, state: State, xs: Steps, *, reverse: bool = False, axis: str | None = None
) -> tuple[State, Steps]:
    """Run a cell that promises `affine` over time-leading `xs` in about log₂ T parallel steps.

        s' = a s + b:   (a₂, b₂) ∘ (a₁, b₁) = (a₂ a₁, a₂ b₁ + b₂) is associative, so all states come from one scan

    The work is about twice that of the steps one after another, so this is for devices with many lanes; on a CPU
    `deferred` is faster. Elementwise, real or complex, in either direction, with masks and any first state. The
    gradient is another such scan, over the same a. Derivatives of any order, `vmap`, `jax.checkpoint`.

    `axis` is an axis of the mesh in force, across whose P devices time lies: each runs its T/P steps, and is told by
    each other what its steps come to, an (a, b) for each number of the state, whatever T is; so too for the gradient.
    ys stays where xs is, the states at both ends are on all devices. Other axes of the mesh, as one for a batch, stay
    as they are. Within `jax.shard_map` over the axis, xs is the device's own part.

    Raises `TypeError` if the cell does not promise `affine`, and `ValueError` if the mesh has no such axis, T does not
    divide among its devices, or the state differs from device to device.

        >>> def leaky(m):
        ...     def affine(a, x):
        ...         return a, x
        ...     def step(a, h, x):
        ...         h = a * h + x
        ...         return h, h
        ...     return rnnjax.Cell(lambda key: jnp.full(m, 0.5), lambda a: jnp.zeros(m), step, affine=affine)
        >>> model = rnnjax.scan(leaky(1), rnnjax.associative)
        >>> print(model.step(jnp.full(1, 0.5), jnp.zeros(1), jnp.ones((4, 1)))[1].T)
        [[1.    1.5   1.75  1.875]]
        >>> model = rnnjax.scan(leaky(1), rnnjax.associative, axis="time")
        >>> with jax.set_mesh(jax.make_mesh((2,), ("time",))):
        ...     print(model.step(jnp.full(1, 0.5), jnp.zeros(1), jnp.ones((4, 1)))[1].T)
        [[1.    1.5   1.75  1.875]]

    Blelloch 1990, https://www.cs.cmu.edu/~guyb/papers/Ble93.pdf; Martin & Cundy 2018, https://arxiv.org/abs/1709.04057
    """
    T = steps("associative", xs)
    if cell.affine is None:
        raise TypeError(
            f"associative: the cell must promise affine, but {cell} does not. Use deferred, or where state' = a * state"
            " + b give the Cell the promise affine: params, x -> (a, b)."
        )
    if T == 0 or not jax.tree.leaves(state):
        return rolled(cell, params, state, xs, reverse=reverse)
    run = functools.partial(_run, cell, reverse, axis)
    return run(params, state, xs) if axis is None else across("associative", axis, run, params, state, xs, T=T)


def _run(cell, reverse, axis, params, state, xs):
    """All steps, or where time lies across a mesh axis those of this device."""
    params, _ = apart(params, xs)
    state = begun("associative", cell, params, state, xs)
    a, b = jax.vmap(cell.affine, (None, 0))(params, xs)
    jax.tree.map(_fits, a, b, state)
    a, b = (jax.tree.map(lambda v, s: v.astype(s.dtype), its, state) for its in (a, b))
    pairs = jax.tree.map(functools.partial(recurrence, reverse, axis), a, b, state)
    begin, after = jax.tree.transpose(jax.tree.structure(state), jax.tree.structure((0, 0)), pairs)
    states = jax.tree.map(functools.partial(before, reverse=reverse), after, begin)
    _, ys = jax.vmap(cell.step, (None, 0, 0))(params, states, xs)
    return jax.tree.map(functools.partial(final, axis=axis, reverse=reverse), after), ys


def _fits(a, b, s):
    if b.shape[1:] != s.shape or a.ndim != b.ndim:
        raise TypeError(
            "associative: affine must give a with as many axes as the state, and b of its shape, but over time a is "
            f"{kind(a)}, b is {kind(b)} and the state {kind(s)}. Broadcast them inside affine."
        )
