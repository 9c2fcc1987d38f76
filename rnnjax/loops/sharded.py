"""Time across the devices of a mesh axis."""

import jax
import jax.numpy as jnp

from rnnjax.cell import kind


def across(where, axis, run, params, state, xs, *, T):
    """`run(params, state, xs) -> (state, ys)` on each device's own part of T steps, which lie across a mesh axis.

    Params and states are the same on all devices of the axis. Within a `shard_map` over it, xs is such a part already.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if axis not in mesh.axis_names:
        there = f"has {', '.join(map(repr, mesh.axis_names))}" if mesh.axis_names else "is not there"
        raise ValueError(
            f"{where}: axis must be one of the mesh in force, but axis is {axis!r} and the mesh {there}. "
            f"Set one, as jax.set_mesh(jax.make_mesh((8,), ({axis!r},)))."
        )
    if axis in mesh.manual_axes:
        for path, s in jax.tree.leaves_with_path(state):
            if axis in jax.typeof(s).manual_axis_type.varying:
                raise ValueError(
                    f"{where}: the state must be the same on all devices of axis {axis!r}, but state"
                    f"{jax.tree_util.keystr(path)} is each device's own {kind(s)}. Give the state before all steps."
                )
        return run(params, state, xs)
    devices = mesh.shape[axis]
    if T % devices:
        raise ValueError(
            f"{where}: the steps must divide among the {devices} devices of axis {axis!r}, but xs has {T} steps. "
            f"Pad xs to {T + -T % devices} steps and leave the others out with the mask keep."
        )
    if dict(zip(mesh.axis_names, mesh.axis_types))[axis] == jax.sharding.AxisType.Explicit:
        xs = jax.tree.map(lambda x: jax.sharding.reshard(x, jax.P(axis, *_without(axis, x)[1:])), xs)
    specs = dict(in_specs=(jax.P(), jax.P(), jax.P(axis)), out_specs=(jax.P(), jax.P(axis)))
    return jax.jit(jax.shard_map(run, axis_names={axis}, **specs))(params, state, xs)


def _without(axis, x):
    return [None if name == axis else name for name in jax.typeof(x).sharding.spec]


def everyone(x, axis):
    """What each device of a mesh axis has, on each of them. It is sent as one `all_to_all`, whose transpose is one."""
    return jax.lax.all_to_all(jnp.broadcast_to(x, (jax.lax.axis_size(axis), *x.shape)), axis, 0, 0)


def final(after, axis, *, reverse):
    """The last of the states of all devices, on each of them."""
    after = after[0 if reverse else -1]
    if axis is None:
        return after
    holder = 0 if reverse else jax.lax.axis_size(axis) - 1
    return jax.lax.psum(jnp.where(jax.lax.axis_index(axis) == holder, after, 0), axis)
