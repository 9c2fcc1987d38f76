"""Work and depth of a program: how many operations, and how many of them must wait for one another."""

import math

import jax
from jax.extend.core import Literal

# These move numbers and compute none.
MOVES = {
    "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "dynamic_slice", "dynamic_update_slice",
    "expand_dims", "gather", "iota", "optimization_barrier", "pad", "reshape", "rev", "scatter", "select_n", "slice",
    "split", "squeeze", "stop_gradient", "transpose",
}  # fmt: skip


def counted(function, *args, trips=0):
    """Floating-point operations, and the longest chain of operations on whole arrays, of `function(*args)`.

    A loop of known length counts as often as it runs, a `while` loop `trips` times, and of a `cond` its true branch.
    What is computed twice from the same counts once, as XLA runs it.
    """
    closed = jax.make_jaxpr(function)(*args)
    return _counted(closed.jaxpr, trips)


def _counted(jaxpr, trips):
    work, deep, same, seen = 0, {}, {}, {}
    for eqn in jaxpr.eqns:
        read = [v if isinstance(v, Literal) else same.get(v, v) for v in eqn.invars]
        began = seen.setdefault(
            (eqn.primitive, *(str(v) if isinstance(v, Literal) else v for v in read), str(eqn.params)), eqn
        )
        if began is not eqn:
            same |= zip(eqn.outvars, began.outvars)
            continue
        begin = max((deep.get(v, 0) for v in read if not isinstance(v, Literal)), default=0)
        its, depth = _one(eqn, trips)
        work += its
        deep |= {v: begin + depth for v in eqn.outvars}
    return work, max(deep.values(), default=0)


def _one(eqn, trips):
    name, params = eqn.primitive.name, eqn.params
    if name == "scan":
        return tuple(params["length"] * count for count in _counted(params["jaxpr"].jaxpr, trips))
    if name == "while":
        return tuple(trips * count for count in _counted(params["body_jaxpr"].jaxpr, trips))
    if name == "cond":
        return _counted(params["branches"][-1].jaxpr, trips)
    for key in "jaxpr", "call_jaxpr", "fun_jaxpr":
        if key in params:
            return _counted(getattr(params[key], "jaxpr", params[key]), trips)
    size = sum(math.prod(v.aval.shape) for v in eqn.outvars)
    if name == "dot_general":
        ((over, _), _), shape = params["dimension_numbers"], eqn.invars[0].aval.shape
        return 2 * size * math.prod(shape[k] for k in over), 1
    return (0, 0) if name in MOVES else (size, 1)
