"""Newton's method for the states of all steps: the loop, and the loop with a report."""

from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, kind, sizes
from rnnjax.loops.carry import begun, steps
from rnnjax.loops.newton.jacobian import Jacobian, full_jacobian
from rnnjax.loops.newton.linear import Linear, parallel, stepwise
from rnnjax.loops.newton.streams import Solution, streams
from rnnjax.loops.rolled import rolled
from rnnjax.types import Params, State, Steps


def newton(cell: Cell, params: Params, state: State, xs: Steps, **options: Any) -> tuple[State, Steps]:
    """Run any cell over time-leading `xs` in parallel over time, by Newton's method for all its states at once.

        s'_t = f(s_(t-1), x_t) + J_t (s'_(t-1) - s_(t-1)),   J_t = ∂f/∂s at s_(t-1)

    An iteration takes f and J of all steps and solves a linear recurrence, which is associative, until the states are
    those of the steps one after another. Where that fails, they are run so instead. `solve` is this loop with a
    report, and lists its options. The gradient goes through the solution and not through the iterations, by the theorem
    of implicit functions: one more linear recurrence, always with the full Jacobian. Derivatives of any order.

    For a state of D numbers an iteration takes D³ operations a step in parallel, where the steps take D², and there are
    Jacobians in memory. So it is for small states, long sequences and devices with many idle lanes; on a CPU `deferred`
    is faster. It takes many iterations where the network is chaotic.

        >>> cell = rnnjax.gru(3, 4)
        >>> params, xs = cell.init(jax.random.key(0)), jnp.ones((50, 3))
        >>> (h, _), (by_steps, _) = (
        ...     rnnjax.scan(cell, loop).step(params, jnp.zeros(4), xs) for loop in (rnnjax.newton, rnnjax.deferred)
        ... )
        >>> bool(jnp.allclose(h, by_steps, atol=1e-5))
        True

    Lim et al. 2024 (DEER), https://arxiv.org/abs/2309.12252; Gonzalez et al. 2024 (quasi-DEER, ELK),
    https://arxiv.org/abs/2407.19115
    """
    found = solve(cell, params, state, xs, **options)
    return found.state, found.ys


def solve(
    cell: Cell, params: Params, state: State, xs: Steps, *,
    reverse: bool = False, jacobian: Jacobian = full_jacobian, damping: float = 0.0, tolerance: float | None = None,
    most: int = 100, size: int | None = None, linear: Linear | None = None,
) -> Solution:  # fmt: skip
    """Run a cell as the loop `newton` does, and report how it went: a `Solution`.

    Args:
        jacobian: `full_jacobian` (DEER), or `diagonal_jacobian` (quasi-DEER), cheaper, in more iterations.
        damping: above 0 an iteration is a Kalman filter that keeps the states near those before it (ELK), for
            iterations that run away. It is multiplied by the residual where that is below 1, so that it fades.
        tolerance: of the residual; by default ε^(3/4) for the state's precision ε, 6e-6 in float32.
        most: the number of iterations after which it gives up.
        size: the number of steps whose Jacobians are held at a time, by default as many as fit into 16 MiB on a CPU and
            256 MiB elsewhere. The linear recurrence is sequential from one such piece to the next.
        linear: the linear recurrence, `stepwise` or `parallel` of `rnnjax.loops.newton.linear`, by default the former
            on a CPU and the latter elsewhere.

    Raises `TypeError` if the state is not all of floating-point numbers, `ValueError` for options out of range. Under
    a `vmap` of your own the steps are run in sequence as well, whatever converges; `batch` runs them so only where it
    must. What is chosen by backend is chosen for that of the process, also when exporting for another.

        >>> cell = rnnjax.lstm(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> found = rnnjax.solve(cell, params, cell.start(params), jnp.ones((50, 3)))
        >>> bool(found.converged), int(found.iterations) < 10
        (True, True)
    """
    T = steps("newton", xs)
    sizes("newton", most=most, **({} if size is None else {"size": size}))
    if not damping >= 0:
        raise ValueError(f"newton: damping must not be negative, but damping is {damping}. Give 0 for none.")
    if not isinstance(jacobian, Jacobian):
        raise TypeError(f"newton: jacobian must be full_jacobian or diagonal_jacobian, but jacobian is {jacobian!r}.")
    if not (linear is None or callable(linear)):
        raise TypeError(f"newton: linear must be a function, stepwise or parallel, but linear is {linear!r}.")
    if T == 0 or not jax.tree.leaves(state):
        lanes = () if cell.one is None else jax.tree.leaves(xs)[0].shape[1:2]
        done = jnp.int32(0), jnp.zeros(lanes), jnp.ones(lanes, bool)
        return Solution(*rolled(cell, params, state, xs, reverse=reverse), *done)
    state = begun("newton", cell, params, state, xs)
    _floating(state)
    if tolerance is None:
        tolerance = max(float(jnp.finfo(s.dtype).eps) for s in jax.tree.leaves(state)) ** 0.75
    linear = linear or (stepwise if jax.default_backend() == "cpu" else parallel)
    options = dict(jacobian=jacobian, damping=damping, tolerance=tolerance, most=most, size=size, linear=linear)
    if reverse:
        xs = jax.tree.map(lambda x: x[::-1], xs)
    if cell.one is not None:
        found = streams(cell, params, state, xs, **options)
    else:
        batch = cell._replace(step=jax.vmap(cell.step, (None, 0, 0)), one=cell)
        found = streams(batch, params, _expanded(state, 0), _expanded(xs, 1), **options)
        state, ys, residual, converged = (
            jax.tree.map(lambda a: jnp.squeeze(a, axis), tree)
            for axis, tree in ((0, found.state), (1, found.ys), (0, found.residual), (0, found.converged))
        )
        found = Solution(state, ys, found.iterations, residual, converged)
    return found._replace(ys=jax.tree.map(lambda y: y[::-1], found.ys)) if reverse else found


def _expanded(tree, axis):
    return jax.tree.map(lambda a: jnp.expand_dims(a, axis), tree)


def _floating(state):
    for path, s in jax.tree.leaves_with_path(state):
        if not jnp.issubdtype(jnp.result_type(s), jnp.inexact):
            raise TypeError(
                f"newton: the state must be of floating-point numbers, but state{jax.tree_util.keystr(path)} is "
                f"{kind(s)}. Use deferred, or keep what is counted or drawn outside this cell."
            )
