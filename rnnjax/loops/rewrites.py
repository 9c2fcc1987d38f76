"""The same step in other equations, which run faster: each function here makes one change to all of a step."""

import collections
import functools

import jax
from jax.extend.core import Literal

from rnnjax.loops.carry import spread
from rnnjax.loops.equations import CARRIED, FIXED, GIVEN, alive, bind, evaluate, read, variables


def again(closed, leaves, ends, rewrite=None):
    """The same equations traced anew, without the dead ones, and with inner calls opened.

    `rewrite(jaxpr, level, env)` gives what to do in place of `bind`. The equations come in the order of their
    levels, so that when the first that waits for x or the state comes, all values of params are in `env`.
    """
    jaxpr = closed.jaxpr
    level = levels(jaxpr, *ends)
    eqns = sorted(alive(jaxpr.eqns, jaxpr.outvars), key=lambda eqn: level[eqn.outvars[0]])
    jaxpr = jaxpr.replace(eqns=eqns)

    def run(*leaves):
        env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *leaves]))
        env = evaluate(eqns, env, bind if rewrite is None else rewrite(jaxpr, level, env))
        return read(env, jaxpr.outvars)

    return jax.make_jaxpr(run)(*leaves)


def levels(jaxpr, first, second):
    """What each variable waits for, where the inputs are the params up to `first`, the state up to `second`, and x."""
    level = dict.fromkeys(jaxpr.constvars, FIXED)
    level |= {v: FIXED if i < first else CARRIED if i < second else GIVEN for i, v in enumerate(jaxpr.invars)}
    for eqn in jaxpr.eqns:
        level |= dict.fromkeys(eqn.outvars, max((level[v] for v in variables(eqn.invars)), default=FIXED))
    return level


def count(eqns, outvars=()):
    """How often each variable is read."""
    return collections.Counter(v for atoms in (*(eqn.invars for eqn in eqns), outvars) for v in variables(atoms))


def splits(jaxpr, level, env):
    """Where slices take an array apart, as users write it, cut it once by a split, as `jnp.split` does."""
    sliced, pieces = collections.defaultdict(set), {}
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "slice":
            sliced[eqn.invars[0]].add(_cut(eqn))
    tiled = {v: sorted(cuts) for v, cuts in sliced.items() if None not in cuts and _tile(sorted(cuts), v.aval.shape)}

    def split(eqn, values):
        if eqn.primitive.name != "slice" or eqn.invars[0] not in tiled:
            return bind(eqn, values)
        (v,) = eqn.invars
        if v not in pieces:
            sizes = [last - first for _, first, last in tiled[v]]
            pieces[v] = dict(zip(tiled[v], jax.lax.split(values[0], sizes, tiled[v][0][0])))
        return [pieces[v][_cut(eqn)]]

    return split


def _cut(eqn):
    """The axis that a slice cuts, and from where to where; None if it cuts several, or leaves gaps."""
    starts, limits, strides = (eqn.params[name] for name in ("start_indices", "limit_indices", "strides"))
    sizes = eqn.invars[0].aval.shape
    cuts = [(i, a, z) for i, (a, z, size) in enumerate(zip(starts, limits, sizes)) if z - a != size]
    return cuts[0] if len(cuts) == 1 and not strides else None


def _tile(cuts, shape):
    """Whether cuts of one axis follow one another from its beginning to its end."""
    axes, firsts, lasts = zip(*cuts)
    return len(set(axes)) == 1 and (0, *lasts) == (*firsts, shape[axes[0]])


def sums(jaxpr, level, env):
    """Add up first what does not wait for the state: of x W + h U + b the loop is left with one sum of two."""
    uses, terms = count(jaxpr.eqns, jaxpr.outvars), {}
    summed = [eqn for eqn in jaxpr.eqns if eqn.primitive.name == "add" and level[eqn.outvars[0]] == CARRIED]
    onward = {v for eqn in summed for v in variables(eqn.invars) if uses[v] == 1}

    def regrouped(eqn, values):
        if eqn.primitive.name != "add" or level[eqn.outvars[0]] != CARRIED:
            return bind(eqn, values)
        parts = {FIXED: [], GIVEN: [], CARRIED: []}
        for v, value in zip(eqn.invars, values):
            inner = terms.get(v) if not isinstance(v, Literal) and v in onward else None
            for kind, more in (inner or {FIXED if isinstance(v, Literal) else level[v]: [value]}).items():
                parts[kind] += more
        terms[eqn.outvars[0]] = parts
        if eqn.outvars[0] in onward:
            return [None]  # it is read once, by the sum that takes its terms
        late = functools.reduce(jax.lax.add, parts[CARRIED])
        return [functools.reduce(jax.lax.add, [*parts[GIVEN], *parts[FIXED], late])]

    return regrouped


def products(jaxpr, level, env):
    """Where weights of one shape multiply the same thing, as those of gates do, make it one product and a split."""
    alike, pieces = collections.defaultdict(list), {}

    def kind(eqn):
        """What products must share to become one; None for all else."""
        if eqn.primitive.name != "dot_general" or any(isinstance(v, Literal) for v in eqn.invars):
            return None
        x, w = eqn.invars
        (_, contracted), batch = eqn.params["dimension_numbers"]
        plain = level[x] != FIXED == level[w] and w.aval.ndim == 2 and contracted == (0,) and batch == ((), ())
        return (x, w.aval.shape, w.aval.dtype, str(eqn.params)) if plain and not spread(w.aval) else None

    for eqn in jaxpr.eqns:
        if kind(eqn) and eqn.invars[1] not in alike[kind(eqn)]:
            alike[kind(eqn)].append(eqn.invars[1])

    def joined(eqn, values):
        shared = kind(eqn)
        if len(alike[shared]) < 2:
            return bind(eqn, values)
        if shared not in pieces:
            weights = read(env, alike[shared])
            (out,) = bind(eqn, [values[0], jax.lax.concatenate(weights, 1)])
            parts = jax.lax.split(out, [w.shape[1] for w in weights], out.ndim - 1)
            pieces[shared] = dict(zip(alike[shared], parts))
        return [pieces[shared][eqn.invars[1]]]

    return joined
