"""A model's programs on plain dicts of arrays, which a process without its types can call."""

import jax
import jax.export

from rnnjax.cell import single
from rnnjax.loops.scan import scan


def plain_programs(model, params, x, names, B=None, T=None):
    """(name, function, types of its arguments) of the start and of each program, at the types of params and of one x.

    Of the streams and the steps without a number, any.
    """
    over_time = scan(model) if model.each is None else model
    any_B, any_T = jax.export.symbolic_shape("B, T")
    B, T = B or any_B, T or any_T

    def start(params):
        state = over_time.start(params)
        after, _ = jax.eval_shape(over_time.step, params, state, _across(x, T if isinstance(T, int) else 1))
        return jax.tree.map(lambda s, after: jax.lax.convert_element_type(s, after.dtype), state, after)

    def plain(cell):
        streams = jax.vmap(cell.step, (None, 0, 0))

        def run(*args):
            after, y = streams(*map(_back, (params, state, x), args))
            return named(after), _bare(y)

        return run

    state = jax.eval_shape(start, params)
    takes = named(params), named(_across(state, B))
    yield "start", lambda given: named(start(_back(params, given))), takes[:1]
    for name in names:
        cell, sizes = {"step": (single(over_time), (B,)), "sequence": (over_time, (B, T))}[name]
        yield name, plain(cell), (*takes, _bare(_across(x, *sizes)))


def named(tree):
    """The arrays of a tree by name, as "0.W"; one that is the whole tree is "value"."""
    leaves = jax.tree.leaves_with_path(tree)
    found = {_name(path): leaf for path, leaf in leaves}
    if len(found) < len(leaves):
        raise ValueError(f"export: names must differ, but of {sorted(found)} some stand twice. Rename a key.")
    return found


def _name(path):
    return jax.tree_util.keystr(path, simple=True, separator=".") or "value"


def _bare(tree):
    return tree if jax.tree.structure(tree) == jax.tree.structure(0) else named(tree)


def _back(tree, plain):
    """A plain dict, or a bare array, as the tree that it came of."""
    leaves = [plain[_name(path)] for path, _ in jax.tree.leaves_with_path(tree)] if isinstance(plain, dict) else [plain]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)


def _across(tree, *sizes):
    """The types of a tree with more leading axes."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*sizes, *x.shape), x.dtype), tree)
