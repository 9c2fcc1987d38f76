"""The fast loop: only what waits for the state runs inside it, forward and back."""

import functools

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from rnnjax.cell import Cell
from rnnjax.loops.carry import before, checked, placed, steps, typed
from rnnjax.loops.credit import entrances, passed_on
from rnnjax.loops.equations import CARRIED, CUTTING, FIXED, GIVEN, alive, bind, evaluate, read, variables
from rnnjax.loops.products import beside, hoisted, product, regular
from rnnjax.loops.rolled import rolled
from rnnjax.loops.tangents import kept, over_time, reads
from rnnjax.loops.trace import trace
from rnnjax.types import Params, State, Steps


def deferred(
    cell: Cell, params: Params, state: State, xs: Steps, *, reverse: bool = False, unroll: int = 1
) -> tuple[State, Steps]:
    """Run `cell` over time-leading `xs` as `rolled` does, in less time and memory. The loop of `scan` by default.

    The step is traced to its equations. Those of the params alone, and of what each step leaves as it was in the
    state, run once; those of the params and the input run once for all times, as large products (on a CPU, a plain
    product stays inside where that is as fast). When the run is differentiated, what is dear to compute again is kept,
    and the reverse loop gives only the cotangents of the places where params and inputs enter: one product over all
    times, after it, finishes each weight's gradient, where `jax.lax.scan` adds to it at every step.

    Any cell will do, with no annotation, and the result is an ordinary JAX function, with forward and reverse
    derivatives of any order, `vmap`, `jax.checkpoint`. Sums are reordered: what does not wait for the state is added
    first. A cell whose step has side effects, callbacks, a `lax.cond` or a `custom_vjp` function, or decides in Python
    on the value of a param, is run by `rolled`. Options are those of `rolled`.

        >>> cell = rnnjax.lstm(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> state, ys = rnnjax.deferred(cell, params, cell.start(params), jnp.ones((7, 3)))
        >>> bool((state.h == ys[-1]).all())
        True

    Weight gradients after the loop: Appleyard et al. 2016, https://arxiv.org/abs/1604.01946
    """
    T = steps("deferred", xs)
    plain = functools.partial(rolled, cell, params, reverse=reverse, unroll=unroll)
    if not jax.tree.leaves(state) or T == 0:
        return plain(state, xs)
    body = checked("deferred", cell, params)
    first = jax.tree.map(lambda x: x[0], xs)
    state = typed(body, placed(body, state, xs, params), first)
    traced = trace(lambda p, s, x: checked("deferred", cell, p)(s, x), params, state, first)
    if traced is None:
        return plain(state, xs)
    equations, values, tree, moving = traced
    state, shape = jax.tree.flatten(state)
    env = evaluate(equations.fixed, dict(zip(equations.params, values)))
    outs = [v for v in dict.fromkeys(variables(equations.y)) if equations.level[v] == CARRIED]
    known = dict(length=T) if isinstance(T, int) else {}  # of a symbolic T, as jax.export has, scan asks its xs
    scan = functools.partial(jax.lax.scan, reverse=reverse, unroll=unroll, **known)
    xs = jax.tree.leaves(xs)
    begin = [s for s, moves in zip(state, moving) if moves]
    after, ys = _run(equations, outs, scan, T)(read(env, equations.weights), begin, xs)
    env |= over_time(alive(equations.given, equations.y), env | dict(zip(equations.x, xs)), equations)
    ys = read(env | dict(zip(outs, ys)), equations.y)
    still = [equations.waits(v) == FIXED for v in equations.y]
    ys = [jnp.broadcast_to(y, (T, *jnp.shape(y))) if fixed else y for y, fixed in zip(ys, still)]
    after = iter(after)
    after = [next(after) if moves else s for s, moves in zip(state, moving)]
    return jax.tree.unflatten(shape, after), jax.tree.unflatten(tree, ys)


def _run(equations, outs, scan, T):
    """The loop itself, `(weights, state, xs) -> (state, outs at all times)` on lists, with a derivative of its own."""
    ahead, inside = hoisted(equations)
    saved, again = kept(equations)
    # the state before a step is what it was after the one before, where that is kept or given out anyway
    there = {*outs, *saved} - {*equations.state}
    shifted = {s: v for s, v in zip(equations.state, equations.after) if s in saved and v in there}
    emitted = [v for v in saved if v not in shifted and v not in outs]
    read_at_all = [v for eqn in (*equations.given, *equations.carried) for v in reads(eqn)]
    needed = alive(equations.given, read_at_all + [v for eqn in again for v in eqn.invars])

    cut = {eqn.invars[0] for eqn in equations.carried if eqn.primitive.name in CUTTING}

    def in_loop(eqn, values):
        at = beside(eqn, equations)
        plain = at is None or not regular(*values)
        out = bind(eqn, values) if plain else [product(eqn, values[at], values[1 - at], at)]
        # what is cut up is a result of its own, or XLA computes it once for every piece
        return jax.lax.optimization_barrier(out) if cut.intersection(eqn.outvars) else out

    def forward(weights, state, xs, keep):
        fixed = dict(zip(equations.weights, weights))
        env = over_time(ahead, fixed | dict(zip(equations.x, xs)), equations)
        wanted = dict.fromkeys(variables([v for eqn in inside for v in eqn.invars] + equations.after))
        given = [v for v in wanted if equations.level[v] == GIVEN and v in env]

        def body(now, scanned):
            local = fixed | dict(zip(equations.state, now)) | dict(zip(given, scanned))
            local = evaluate(inside, local, in_loop)
            return read(local, equations.after), (read(local, outs), read(local, keep))

        after, (ys, stacks) = scan(body, state, read(env, given))
        return after, ys, stacks

    @jax.custom_jvp
    def run(weights, state, xs):
        return forward(weights, state, xs, [])[:2]

    def rule(primals, tangents):
        weights, state, xs = primals
        d_weights, d_state, d_xs = ([_moving(d) for d in tree] for tree in tangents)
        after, ys, stacks = forward(*primals, emitted)
        values = dict(zip(equations.weights, weights)) | dict(zip(equations.x, xs))
        values |= dict(zip(emitted, stacks)) | dict(zip(outs, ys))
        values |= {
            s: before(values[shifted[s]], begin, reverse=scan.keywords["reverse"])
            for s, begin in zip(equations.state, state)
            if s in shifted
        }
        values = over_time(needed, values, equations)
        changes = dict(zip(equations.weights, d_weights)) | dict(zip(equations.x, d_xs))
        found = entrances(equations, over_time(again, dict(values), equations), changes, T)
        return (after, ys), passed_on(equations, again, outs, values, found, d_state, scan, T)

    run.defjvp(rule, symbolic_zeros=True)
    return run


def _moving(d):
    return None if isinstance(d, SymbolicZero) or d.dtype == jax.dtypes.float0 else d
