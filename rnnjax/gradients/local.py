"""A step with the same values, whose derivative leaves out what goes from unit to unit through recurrent weights."""

import functools

import jax
from jax.extend.core import Literal

from rnnjax.gradients.opened import opened
from rnnjax.loops.equations import bind, read, variables

PRODUCTS = {"dot_general", "conv_general_dilated"}
RENAMING = {"convert_element_type", "copy", "reshape", "squeeze", "expand_dims", "transpose"}


def local(step, key=None):
    """`step`, with no credit to the old state through any product.

    What is left of ∂s'/∂s is what each unit keeps of itself: the forget gate of an LSTM's c, z of a GRU's h, the leak
    of a leaky RNN, and all of a diagonal recurrence. Products with the new state (a layer above, a readout) pass credit
    on to it, or with a `key` by a fixed random matrix in place of their weight (feedback alignment).
    """

    @functools.wraps(step)
    def stepped(params, state, x):
        jaxpr, values, tree = opened(step, params, state, x)
        n_params, n_state = len(jax.tree.leaves(params)), len(jax.tree.leaves(state))
        old = jaxpr.invars[n_params : n_params + n_state]
        made = _made(jaxpr.eqns, set(variables(jaxpr.outvars[:n_state])) - set(jaxpr.invars))
        new, weights = _waiting(jaxpr.eqns, made), _waiting(jaxpr.eqns, jaxpr.invars[:n_params])
        whole = values  # with all derivatives, and cut: without those by the old state, but by way of the new one
        cut = whole | {v: jax.lax.stop_gradient(whole[v]) for v in old}
        for number, eqn in enumerate(jaxpr.eqns):
            operands = read(cut, eqn.invars)
            fresh, weight = ([not isinstance(v, Literal) and v in some for v in eqn.invars] for some in (new, weights))
            if eqn.primitive.name not in PRODUCTS:
                out, less = bind(eqn, read(whole, eqn.invars)), bind(eqn, operands)
            elif key is not None and fresh != weight and sum(fresh) == 1 and weight[1 - fresh.index(True)]:
                out = less = _fed_back(eqn, operands, fresh.index(True), jax.random.fold_in(key, number))
            else:
                out = less = bind(eqn, operands)
            whole |= zip(eqn.outvars, out)
            cut |= zip(eqn.outvars, (a if v in made else b for v, a, b in zip(eqn.outvars, out, less)))
        return jax.tree.unflatten(tree, read(whole, jaxpr.outvars))

    return stepped


def _made(eqns, state):
    """The new state, also under the names that it has before it is cast or reshaped."""
    made = set(state)
    for eqn in reversed(eqns):
        if eqn.primitive.name in RENAMING and eqn.outvars[0] in made:
            made.update(variables(eqn.invars))
    return made


def _waiting(eqns, begun):
    found = set(begun)
    for eqn in eqns:
        if found.intersection(variables(eqn.invars)):
            found.update(eqn.outvars)
    return found


def _fed_back(eqn, values, at, key):
    """A product whose operand `at` gets its credit by a random matrix of the weight's shape, at 1/√rows."""
    moving, weight = values[at], values[1 - at]
    random = jax.random.normal(key, weight.shape, weight.dtype) * weight.shape[0] ** -0.5

    def times(x, w):
        (out,) = bind(eqn, [x, w] if at == 0 else [w, x])
        return out

    fed_back = jax.custom_jvp(times)
    fed_back.defjvp(lambda at, d: (times(*at), times(d[0], random) + times(at[0], d[1])))
    return [fed_back(moving, weight)]
