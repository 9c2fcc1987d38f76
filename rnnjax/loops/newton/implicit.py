"""The derivative of the states that solve s' = f(s, x), by the theorem of implicit functions."""

import functools

import jax

from rnnjax.loops.carry import before
from rnnjax.loops.newton.jacobian import full_jacobian
from rnnjax.loops.segments import segmented


def implicit(f, linear, size):
    """`(params, first, xs, states) -> states`, of (T, B, D) states, however they were found, whose derivative is

    ds'_t = J_t ds'_(t-1) + ∂f/∂params dparams + ∂f/∂x_t dx_t
    """

    def over_time(params, s, x):
        return jax.vmap(jax.vmap(f, (None, 0, 0)), (None, 0, 0))(params, s, x)

    @jax.custom_jvp
    def solution(params, first, xs, states):
        return states

    @solution.defjvp
    def rule(primals, tangents):
        params, first, xs, _ = primals
        d_params, d_first, d_xs, _ = tangents
        states = solution(*primals)
        old = before(states, first, reverse=False)
        _, b = jax.jvp(lambda params, xs: over_time(params, old, xs), (params, xs), (d_params, d_xs))

        def piece(ds, now):
            old, x, b = now
            _, J = jax.vmap(lambda s, x: full_jacobian.taken(lambda s: f(params, s, x), s))(old, x)
            after = linear(full_jacobian, J, b, ds)
            return after[-1], after

        run = jax.checkpoint(jax.vmap(piece, (0, 1), (0, 1)))
        return states, segmented(functools.partial(jax.lax.scan, run), run, d_first, (old, xs, b), size)[1]

    return solution
