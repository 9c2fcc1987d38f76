"""Matrix products with a weight, in the form that each backend runs fastest."""

import math

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from rnnjax.loops.carry import spread
from rnnjax.loops.equations import CARRIED, CUTTING, FIXED, GIVEN, JOINING, variables

# Bytes of a weight that does not fit into one core's own cache: 2 MiB, or less, on the machines of 2026.
LARGE = 3 * 2**20


def beside(eqn, equations):
    """Which operand of a matrix product stands beside a weight, 0 or 1; None if it is no such product."""
    if eqn.primitive.name != "dot_general" or eqn.params["dimension_numbers"][1] != ((), ()):
        return None
    if any(isinstance(v, Literal) for v in eqn.invars) or eqn.params.get("out_sharding") is not None:
        return None
    fixed = [equations.waits(v) == FIXED for v in eqn.invars]
    return fixed.index(False) if sum(fixed) == 1 else None


def product(eqn, x, w, at, contracting=None):
    """The product `eqn` of x, its operand `at`, and the weight w. `contracting` are other axes for it.

    XLA's CPU runs a product of one row on one core. If the weight is larger than a core's cache, it is read from
    further away, and twice the work, on two cores, takes half the time.
    """
    mine, other = contracting or _axes(eqn, at)
    alone = x.ndim > len(mine) and x.size == math.prod(x.shape[i] for i in mine)
    twice = alone and jax.default_backend() == "cpu" and w.nbytes >= LARGE
    if twice:
        x, mine = jnp.stack([x, x]), tuple(i + 1 for i in mine)
    operands, axes = ((x, w), (mine, other)) if at == 0 else ((w, x), (other, mine))
    options = {name: eqn.params[name] for name in ("precision", "preferred_element_type")}
    out = jax.lax.dot_general(*operands, (axes, ((), ())), **options)
    return jax.lax.index_in_dim(out, 0, 0 if at == 0 else w.ndim - len(other), keepdims=False) if twice else out


def _axes(eqn, at):
    contracting = eqn.params["dimension_numbers"][0]
    return contracting[at], contracting[1 - at]


def rows(eqn, xs, w, at):
    """The product of x at all times with a weight: one product of all the rows of all times. xs has time leading."""
    mine, other = _axes(eqn, at)
    free = [i for i in range(xs.ndim - 1) if i not in mine]
    xs = xs.transpose(0, *(i + 1 for i in (*free, *mine)))
    lead, inner = xs.shape[: 1 + len(free)], xs.shape[1 + len(free) :]
    axes = tuple(range(1, 1 + len(mine))), other
    out = product(eqn, xs.reshape(math.prod(lead), *inner), w, at, axes)
    if at == 0:
        return out.reshape(*lead, *out.shape[1:])
    return jnp.moveaxis(out.reshape(*out.shape[:-1], *lead), range(-len(lead), 0), (0, *range(-len(free), 0)))


def turned(eqn, w, at):
    """The weight laid out so that a product's way back reads it row by row, and the axes for `product` then."""
    mine, other = _axes(eqn, at)
    free = [i for i in range(w.ndim) if i not in other]
    return w.transpose(*free, *other), (mine, tuple(range(len(free), w.ndim)))


def hoisted(equations):
    """The equations of the input that run ahead for all times at once, and those that run in the loop."""
    # what is only added to something of the state, perhaps in pieces: no derivative reads its value
    only_added = dict.fromkeys(variables(equations.after + equations.y), False)
    for eqn in reversed(equations.given + equations.carried):
        so = all(equations.level[v] == CARRIED or only_added.get(v, True) for v in eqn.outvars)
        so = so and eqn.primitive.name in JOINING | CUTTING
        only_added |= {v: so and only_added.get(v, True) for v in variables(eqn.invars)}
    ahead, late, behind = [], [], set()
    for eqn in equations.given:
        stays = _as_fast_inside(eqn, equations) and only_added[eqn.outvars[0]]
        if stays or behind.intersection(variables(eqn.invars)):
            late.append(eqn)
            behind.update(eqn.outvars)
        else:
            ahead.append(eqn)
    return ahead, late + equations.carried


def _as_fast_inside(eqn, equations):
    """Whether a product of the input runs in the loop as fast as ahead of it.

    On a CPU it does if a step has more than a row, and then needs no memory for the results at all times.
    """
    at = beside(eqn, equations)
    if at is None or equations.waits(eqn.invars[at]) != GIVEN or jax.default_backend() != "cpu":
        return False
    x = eqn.invars[at].aval
    return x.size != math.prod(x.shape[i] for i in _axes(eqn, at)[0])


def regular(*arrays):
    """Whether none of the types of these arrays says that they lie across devices."""
    return not any(map(spread, arrays))


def flat(*arrays):
    """Whether to merge the rows of all times into one axis: XLA's CPU copies otherwise, other backends need not, and
    there, as on a mesh in force, a batch may lie across devices where no type says so, and would be gathered."""
    return jax.default_backend() == "cpu" and jax.sharding.get_abstract_mesh().empty and regular(*arrays)
