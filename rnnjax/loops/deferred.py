"""The fast loop: only what waits for the state runs inside it, forward and back."""

import functools

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Literal

from rnnjax.loops.carry import checked, placed, steps
from rnnjax.loops.equations import CARRIED, FIXED, GIVEN, bind, evaluate, read, trace, uses, variables
from rnnjax.loops.rolled import rolled
from rnnjax.loops.tangents import LINEAR, PRODUCTS, kept, moves, over_time, push, read_by, side, tapped

ROWS = 16


def deferred(cell, params, state, xs, *, reverse=False, unroll=1):
    steps("deferred", xs)
    if not jax.tree.leaves(state):
        return rolled(cell, params, state, xs)
    body = checked("deferred", cell, params)
    state = placed(body, state, xs, params)
    x = jax.tree.map(lambda x: x[0], xs)
    traced = trace(lambda p, s, x: checked("deferred", cell, p)(s, x), params, state, x)
    if traced is None:
        return rolled(cell, params, state, xs, reverse=reverse, unroll=unroll)
    equations, fixed, tree = traced
    leaves, shape = jax.tree.flatten(state)
    after, ys = run(equations, reverse, unroll)(fixed, leaves, jax.tree.leaves(xs))
    return jax.tree.unflatten(shape, after), jax.tree.unflatten(tree, ys)


def run(equations, reverse, unroll):
    level, state, x = equations.level, equations.state, equations.x
    before, given, loop = (equations.at(kind) for kind in (FIXED, GIVEN, CARRIED))
    ahead, inside = hoisted(equations)
    saved, again = kept(equations)
    out_inside = list(dict.fromkeys(v for v in variables(equations.y) if level[v] == CARRIED))
    scan = functools.partial(jax.lax.scan, reverse=reverse, unroll=unroll)

    def timed(eqn):
        return [not isinstance(v, Literal) and level[v] == GIVEN for v in eqn.invars]

    def all_times(eqns, env):
        for eqn in eqns:
            env |= zip(eqn.outvars, over_time(eqn, read(env, eqn.invars), timed(eqn)))
        return env

    def forward(fixed, begin, xs, keep):
        env = evaluate(before, dict(zip(equations.fixed, fixed)))
        known = all_times(ahead, env | dict(zip(x, xs)))
        reads = [v for v in dict.fromkeys(v for eqn in inside for v in variables(eqn.invars)) if level[v] == GIVEN and v in known]
        reads += [v for v in variables(equations.after) if level[v] == GIVEN and v in known and v not in reads]

        def body(now, slices):
            local = evaluate(inside, env | dict(zip(state, now)) | dict(zip(reads, slices)), fenced(equations))
            return read(local, equations.after), (read(local, out_inside), read(local, keep))

        after, (ys, stacks) = scan(body, begin, read(known, reads), length=len(xs[0]))
        return after, ys, stacks

    def outputs(fixed, xs, ys):
        """y, with what of it does not wait for the state."""
        env = evaluate(before, dict(zip(equations.fixed, fixed)))
        env = all_times(given, env | dict(zip(x, xs))) | dict(zip(out_inside, ys))
        T = len(xs[0])
        return [
            value if not isinstance(v, Literal) and level[v] != FIXED else jnp.broadcast_to(value, (T, *jnp.shape(value)))
            for v, value in zip(equations.y, read(env, equations.y))
        ]

    @jax.custom_jvp
    def sweep(fixed, begin, xs):
        after, ys, _ = forward(fixed, begin, xs, [])
        return after, ys

    def rule(primals, tangents):
        fixed, begin, xs = primals
        d_fixed, d_begin, d_xs = ([real(d) for d in tree] for tree in tangents)
        after, ys, stacks = forward(fixed, begin, xs, saved)
        env = evaluate(before, dict(zip(equations.fixed, fixed)))
        known = all_times(given, env | dict(zip(x, xs)))
        stacked = dict(zip(saved, stacks))
        entering = enter(equations, again, known | stacked, dict(zip(equations.fixed, d_fixed)) | dict(zip(x, d_xs)))
        d_after, d_ys = back(equations, again, out_inside, scan, known, stacked, entering, begin, d_begin)
        return (after, ys), (d_after, d_ys)

    sweep.defjvp(rule, symbolic_zeros=True)

    def whole(fixed, begin, xs):
        after, ys = sweep(fixed, begin, xs)
        return after, outputs(fixed, xs, ys)

    return whole


def enter(equations, again, known, moving):
    """What the params and the input do to the state's part at each time, with the state held still.

    Gives {variable: its change over all times}, for variables where it enters the loop.
    """
    level = equations.level
    count = uses(equations.all, [*equations.after, *equations.y])
    reader = {v: eqn for eqn in equations.all for v in variables(eqn.invars)}
    timed = lambda v: not isinstance(v, Literal) and level[v] != FIXED
    known = dict(known)
    for eqn in again:
        known |= zip(eqn.outvars, over_time(eqn, read(known, eqn.invars), [timed(v) for v in eqn.invars]))
    d = {v: t for v, t in moving.items() if t is not None}
    entering = {}
    for eqn in equations.all:
        atoms = [*eqn.invars, *eqn.outvars]
        tangents = [d.get(v) if not isinstance(v, Literal) else None for v in eqn.invars]
        if all(t is None for t in tangents):
            continue
        if level[eqn.outvars[0]] == FIXED:
            needed = [known.get(v) if not isinstance(v, Literal) else v.val for v in atoms]
            out = push(eqn, needed, tangents)
        else:
            out = push_over_time(eqn, known, tangents, timed, level)
        for v, t in zip(eqn.outvars, out):
            if t is None:
                continue
            flows = count[v] == 1 and v in reader and reader[v].primitive.name in ("add", "sub") and v not in equations.after
            if level[v] != CARRIED or flows:
                d[v] = t
            else:
                entering[v] = t
    return entering


def push_over_time(eqn, known, tangents, timed, level):
    wanted = read_by(eqn, level)
    atoms = [*eqn.invars, *eqn.outvars]
    if eqn.primitive.name in PRODUCTS:
        parts = []
        for i in (0, 1):
            if tangents[i] is None:
                continue
            values = [tangents[j] if j == i else (v.val if isinstance(v, Literal) else known[v]) for j, v in enumerate(eqn.invars)]
            parts += over_time(eqn, values, [timed(v) for v in eqn.invars])
        return [functools.reduce(jnp.add, parts)]
    values = [v.val if isinstance(v, Literal) else known.get(v) if v in wanted else None for v in atoms]
    out_timed = [v in wanted for v in eqn.outvars]
    axes = [0 if value is not None and timed(v) else None for v, value in zip(atoms, values)]
    d_axes = [0 if t is not None and timed(v) else None for v, t in zip(eqn.invars, tangents)]
    if 0 not in d_axes and 0 not in axes:
        out = push(eqn, values, tangents)
        T = next(len(known[v]) for v in known if timed(v))
        return [t if t is None else jnp.broadcast_to(t, (T, *t.shape)) for t in out]
    return jax.vmap(functools.partial(push, eqn), (axes, d_axes))(values, tangents)


def back(equations, again, out_inside, scan, known, stacked, entering, begin, d_begin):
    level, loop = equations.level, equations.at(CARRIED)
    moving = [moves(v) for v in equations.state]
    wanted = list(dict.fromkeys(v for eqn in [*loop] for v in read_by(eqn, level)))
    wanted += [v for eqn in again for v in variables(eqn.invars)]
    slices = {v: (stacked | known)[v] for v in wanted if level[v] == GIVEN} | stacked
    weights = {id(eqn): transposed(eqn, known, level) for eqn in loop if tapped(eqn, level)}

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def body(d_state, scanned):
        now, more = dict(zip(slices, scanned[0])), dict(zip(entering, scanned[1]))
        env = {v: a for v, a in known.items() if level[v] == FIXED} | now
        env = evaluate(again, env)
        d = dict(zip([v for v, m in zip(equations.state, moving) if m], d_state))
        for eqn in loop:
            tangents = [d.get(v) if not isinstance(v, Literal) else None for v in eqn.invars]
            if weights.get(id(eqn)) is not None:
                out = [None] if all(t is None for t in tangents) else [product(eqn, tangents[side(eqn, level)], weights[id(eqn)], level)]
            else:
                out = push(eqn, [env.get(v) if not isinstance(v, Literal) else v.val for v in [*eqn.invars, *eqn.outvars]], tangents)
            for v, t in zip(eqn.outvars, out):
                t = more.get(v) if t is None else t + more[v] if v in more else t
                if t is not None:
                    d[v] = t
        return [tangent(d, v) for v in equations.after if moves(v)], [tangent(d, v) for v in out_inside if moves(v)]

    def tangent(d, v):
        out = None if isinstance(v, Literal) else d.get(v)
        return jnp.zeros(v.aval.shape, v.aval.dtype) if out is None else out

    # a new state that does not wait for the old one
    start = [d if d is not None else jnp.zeros_like(s) for s, d, m in zip(begin, d_begin, moving) if m]
    d_after, d_ys = scan(body, start, (list(slices.values()), list(entering.values())))
    d_after, d_ys = iter(d_after), iter(d_ys)
    float0 = lambda shape: jnp.zeros(shape, jax.dtypes.float0)
    return (
        [next(d_after) if m else float0(jnp.shape(s)) for s, m in zip(begin, moving)],
        [next(d_ys) if moves(v) else float0((len(next(iter(stacked.values()))), *v.aval.shape)) for v in out_inside],
    )


def transposed(eqn, known, level):
    """The weight of a tapped product, laid out so that the way back is a plain product; None if it is not that simple."""
    at = side(eqn, level)
    v = eqn.invars[1 - at]
    if eqn.primitive.name != "dot_general" or isinstance(v, Literal) or level[v] != FIXED:
        return None
    contracting, (batch, _) = eqn.params["dimension_numbers"]
    if batch:
        return None
    mine = contracting[1 - at]
    free = [i for i in range(v.aval.ndim) if i not in mine]
    return jax.lax.optimization_barrier(known[v].transpose(*free, *mine))


def product(eqn, x, w, level):
    at = side(eqn, level)
    contracting, _ = eqn.params["dimension_numbers"]
    k = len(contracting[at])
    dims = [None, None]
    dims[at], dims[1 - at] = contracting[at], tuple(range(w.ndim - k, w.ndim))
    operands = (x, w) if at == 0 else (w, x)
    return jax.lax.dot_general(
        *operands, (tuple(dims), ((), ())), precision=eqn.params["precision"],
        preferred_element_type=eqn.params["preferred_element_type"],
    )


def hoisted(equations):
    """The equations of the input that run ahead, for all times at once, and what is left in the loop, in order."""
    level = equations.level
    count = {}
    linear = {}
    for eqn in reversed(equations.all):
        ok = eqn.primitive.name in ("add", "sub")
        for v in variables(eqn.invars):
            linear[v] = linear.get(v, True) and ok and (level[eqn.outvars[0]] == CARRIED or linear.get(eqn.outvars[0], True))
    for v in [*variables(equations.after), *variables(equations.y)]:
        linear[v] = False
    late, inside = set(), []
    for eqn in equations.all:
        kind = level[eqn.outvars[0]]
        if kind == GIVEN:
            stays = eqn.primitive.name in PRODUCTS and linear.get(eqn.outvars[0]) and _rows(eqn, level) >= ROWS
            if stays or any(v in late for v in variables(eqn.invars)):
                late |= set(eqn.outvars)
                inside.append(eqn)
        elif kind == CARRIED:
            inside.append(eqn)
    chosen = set(map(id, inside))
    return [eqn for eqn in equations.at(GIVEN) if id(eqn) not in chosen], inside


def _rows(eqn, level):
    if eqn.primitive.name != "dot_general" or jax.default_backend() != "cpu":
        return 0
    contracting, _ = eqn.params["dimension_numbers"]
    at = [v for v in range(2) if not isinstance(eqn.invars[v], Literal) and level[eqn.invars[v]] == GIVEN][0]
    x = eqn.invars[at].aval
    return x.size // max(1, functools.reduce(lambda a, i: a * x.shape[i], contracting[at], 1))


def fenced(equations):
    """Keep XLA from computing what a split cuts up once for every piece."""

    def instead(eqn, values):
        if eqn.primitive.name == "split" and equations.level[eqn.invars[0]] == CARRIED:
            return bind(eqn, [jax.lax.optimization_barrier(values[0])])
        return None

    return instead


def real(d):
    return None if isinstance(d, SymbolicZero) or d.dtype == jax.dtypes.float0 else d
