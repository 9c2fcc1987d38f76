"""Which numbers a result moves with, read from a function's equations: the pattern of its Jacobian at any values."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from scipy import sparse

from rnnjax.loops.equations import OPENED, inner

# Equations between tangents, in which each result waits for the operands' numbers at its own place.
ELEMENTWISE = {
    "add", "add_any", "sub", "neg", "mul", "div", "select_n", "convert_element_type", "reduce_precision", "copy",
    "name", "real", "imag", "complex", "conj",
}  # fmt: skip
# Each result is one of the operands' numbers.
MOVING = {
    "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "tile", "transpose", "rev",
    "concatenate", "stack", "split", "unstack", "slice",
}  # fmt: skip
CALLS = OPENED | {"remat", "remat2", "checkpoint"}


def dependencies(function, *args):
    """The boolean matrix (results, numbers of all args) of what a function of arrays, with one array out, moves with.

    It is read from the equations of the function's derivative, so that a derivative of its own (`custom_jvp`) counts
    as it is, and integers and `stop_gradient` pass nothing on. It may hold more than the Jacobian ever does (through an
    equation that is not known here all waits for all), and never less.
    """

    def push(args, tangents):
        return jax.jvp(function, args, tangents)[1]

    jaxpr = jax.make_jaxpr(push)(args, args).jaxpr
    ends = np.cumsum([0, *(np.size(x) for x in args)])
    every = sparse.identity(ends[-1], bool, "csr")
    tangents = [every[a:b] for a, b in itertools.pairwise(ends)]
    (out,) = _through(jaxpr, [None] * len(args) + tangents)
    return _nothing(jaxpr.outvars[0], every) if out is None else out


def _through(jaxpr, operands):
    """The matrices of a jaxpr's results, None where nothing is waited for."""
    env = dict(zip(jaxpr.invars, operands))

    def read(v):
        return None if isinstance(v, Literal) else env.get(v)

    for eqn in jaxpr.eqns:
        ins = [read(v) for v in eqn.invars]
        if any(matrix is not None for matrix in ins):
            env |= zip(eqn.outvars, _rule(eqn, ins))
    return [read(v) for v in jaxpr.outvars]


def _rule(eqn, ins):
    name = eqn.primitive.name
    if name in CALLS:
        return _through(inner(eqn)[0], ins)
    known = next(matrix for matrix in ins if matrix is not None)
    parts = [_nothing(v, known) if matrix is None else matrix for v, matrix in zip(eqn.invars, ins)]
    if name in ELEMENTWISE:
        shape = eqn.outvars[0].aval.shape
        at = (np.broadcast_to(np.arange(v.aval.size).reshape(v.aval.shape), shape) for v in eqn.invars)
        return [functools.reduce(_either, (p[index.ravel()] for p, index in zip(parts, at)))]
    if name in MOVING:
        return _moved(eqn, parts)
    if name == "reduce_sum":
        return [_union(parts[0], _rows(eqn.invars[0], [], eqn.params["axes"]))]
    if name == "dot_general":
        return [_product(eqn, *parts)]
    whole = _union(sparse.vstack(parts, "csr"), np.arange(sum(p.shape[0] for p in parts))[None])
    return [whole[np.zeros(v.aval.size, int)] for v in eqn.outvars]


def _moved(eqn, parts):
    """Follow the numbers by moving their indices."""
    starts = np.cumsum([0, *(v.aval.size for v in eqn.invars)])
    indices = [start + np.arange(v.aval.size).reshape(v.aval.shape) for start, v in zip(starts, eqn.invars)]
    with jax.ensure_compile_time_eval():
        out = eqn.primitive.bind(*map(jnp.asarray, indices), **eqn.params)
    joined = sparse.vstack(parts, "csr")
    return [joined[np.asarray(index).ravel()] for index in (out if eqn.primitive.multiple_results else [out])]


def _product(eqn, left, right):
    (contracted, batch) = eqn.params["dimension_numbers"]
    left, right = (
        _union(matrix, _rows(v, list(b), c)) for v, matrix, b, c in zip(eqn.invars, (left, right), batch, contracted)
    )
    lanes = max(1, np.prod([eqn.invars[0].aval.shape[axis] for axis in batch[0]], dtype=int))
    rows, columns = left.shape[0] // lanes, right.shape[0] // lanes
    lane, i, j = np.meshgrid(np.arange(lanes), np.arange(rows), np.arange(columns), indexing="ij")
    return _either(left[(lane * rows + i).ravel()], right[(lane * columns + j).ravel()])


def _rows(v, leading, summed):
    """Indices of an array's numbers, one row for all that is summed into one: `leading` axes first, then the rest."""
    shape = v.aval.shape
    free = [axis for axis in range(len(shape)) if axis not in (*leading, *summed)]
    order = np.arange(v.aval.size).reshape(shape).transpose(*leading, *free, *summed)
    kept, width = (np.prod([shape[axis] for axis in axes], dtype=int) for axes in ([*leading, *free], summed))
    return order.reshape(kept, width)


def _union(matrix, index):
    """Row i: all that one of the rows index[i] waits for."""
    count, width = index.shape
    picked = (np.ones(index.size, np.int32), index.ravel(), np.arange(count + 1) * width)
    return (sparse.csr_matrix(picked, (count, matrix.shape[0])) @ matrix.astype(np.int32)).astype(bool)


def _either(a, b):
    return (a + b).astype(bool)


def _nothing(v, like):
    return sparse.csr_matrix((v.aval.size, like.shape[1]), dtype=bool)
