"""The state between steps: what it must keep, and the sharding type that a loop gives it."""

import jax
import jax.numpy as jnp

from rnnjax.cell import kind
from rnnjax.contract import same_state


def checked(where, cell, params):
    """`cell.step` at fixed params as the body of a loop, held to its contract while it is traced."""

    def body(state, x):
        after, y = cell.step(params, state, x)
        same_state(where, state, after)
        return after, y

    return body


def placed(body, state, xs, closed=()):
    """The state with the sharding type that `body`, which closes over `closed`, gives it.

    On a mesh with Explicit axes, and inside `shard_map`, an array's type says how it lies across devices. A state
    of plain zeros that meets sharded inputs takes on their type at the first step, and a scan wants it before.
    """
    if not any(map(spread, jax.tree.leaves((state, xs, closed)))):
        return state
    x = jax.tree.map(lambda x: x[0], xs)
    for _ in jax.tree.leaves(state):
        seen = []
        jax.eval_shape(lambda s, x: seen.append(jax.tree.map(jax.typeof, body(s, x)[0])), state, x)
        state, before = jax.tree.map(_as, state, seen[0]), state
        if jax.tree.map(jax.typeof, before) == jax.tree.map(jax.typeof, state):
            break
    return state


def typed(body, state, x):
    """The state as arrays of the dtypes that a step gives it, as `lax.scan` promotes numbers of Python."""
    if all(isinstance(s, jax.Array) and not jax.typeof(s).weak_type for s in jax.tree.leaves(state)):
        return state
    after, _ = jax.eval_shape(body, state, x)
    return jax.tree.map(lambda s, after: jax.lax.convert_element_type(s, after.dtype), state, after)


def begun(where, cell, params, state, xs):
    """The state that a loop begins from, `placed` and `typed`, of a step that has been held to its contract."""
    body = checked(where, cell, params)
    first = jax.tree.map(lambda x: x[0], xs)
    state = typed(body, placed(body, state, xs, params), first)
    jax.eval_shape(body, state, first)
    return state


def before(after, begin, *, reverse):
    """What a state is before each step, from what it is after each, and at the begin."""
    parts = [after[1:], begin[None]] if reverse else [begin[None], after[:-1]]
    return jnp.concatenate(parts)


def spread(x):
    """Whether a type, or that of an array, says that it lies across devices."""
    aval = x if isinstance(x, jax.core.ShapedArray) else jax.typeof(x)
    return bool(_varying(aval)) or any(axis is not None for axis in aval.sharding.spec)


def apart(params, others):
    """Params as each device's own within `shard_map`, where `others` are, and the function that sums a gradient by such
    params over the devices, as JAX does of itself for those that all share."""
    axes = frozenset().union(*(_varying(jax.typeof(x)) for x in jax.tree.leaves(others)))
    missing = jax.tree.map(lambda p: tuple(axes - _varying(jax.typeof(p))), params)

    def own(p, axes):
        return jax.lax.pcast(p, axes, to="varying") if axes else p

    def summed(grads):
        return jax.tree.map(lambda g, axes: jax.lax.psum(g, axes) if axes else g, grads, missing)

    return jax.tree.map(own, params, missing), summed


def zeros(aval):
    """Zeros of a type: its shape, dtype, and how it lies across devices."""
    return _as(jnp.zeros(aval.shape, aval.dtype), aval)


def _varying(aval):
    return aval.manual_axis_type.varying


def _as(x, aval):
    if jax.typeof(x).sharding != aval.sharding:
        x = jax.sharding.reshard(x, aval.sharding)
    missing = tuple(_varying(aval) - _varying(jax.typeof(x)))
    return jax.lax.pcast(x, missing, to="varying") if missing else x


def steps(where, xs):
    """The number of steps in time-leading `xs`, which all leaves must share."""
    lengths = {jnp.shape(x)[:1] for x in jax.tree.leaves(xs)}
    if len(lengths) != 1 or lengths == {()}:
        raise ValueError(
            f"{where}: every array in xs must have the same leading time axis, "
            f"but xs is {jax.tree.map(kind, xs)}. Stack the steps along axis 0."
        )
    return lengths.pop()[0]
