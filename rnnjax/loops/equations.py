"""A step as equations, sorted by what they wait for: the params only, the input, or the state; and their evaluation."""

from typing import NamedTuple

from jax.extend.core import Literal

OPENED = {"jit", "pjit", "closed_call", "core_call"}
FIXED, GIVEN, CARRIED = range(3)

JOINING, CUTTING = {"add", "sub"}, {"split", "slice"}


class Equations(NamedTuple):
    """The equations of one step, and what its variables stand for.

    - `fixed`, `given`, `carried`: the equations of the params only, of the input too, and of the state too, in order;
    - `params`, `state`, `x`: the variables of the params and constants, of the state, and of the input;
    - `after`, `y`: the variables (or literals) of the new state and of the output;
    - `weights`: the variables of the params, or of what is made of them, that the given and carried equations read;
    - `level`: what each variable waits for, FIXED, GIVEN, or CARRIED; `uses`: how often it is read.
    """

    fixed: list
    given: list
    carried: list
    params: list
    state: list
    x: list
    after: list
    y: list
    weights: list
    level: dict
    uses: dict

    def waits(self, atom):
        """What a variable, or a literal, waits for."""
        return FIXED if isinstance(atom, Literal) else self.level[atom]


def variables(atoms):
    return [v for v in atoms if not isinstance(v, Literal)]


def alive(eqns, wanted):
    """The equations that `wanted` waits for."""
    wanted, found = set(variables(wanted)), []
    for eqn in reversed(eqns):
        if wanted.intersection(eqn.outvars):
            wanted.update(variables(eqn.invars))
            found.append(eqn)
    return found[::-1]


def read(env, atoms):
    return [v.val if isinstance(v, Literal) else env[v] for v in atoms]


def bind(eqn, values):
    """The results of one equation, a list. A call is opened."""
    if eqn.primitive.name in OPENED:
        return run(*inner(eqn), values)
    out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return out if eqn.primitive.multiple_results else [out]


def inner(eqn):
    """The jaxpr that a call runs, and its constants."""
    called = next(eqn.params[name] for name in ("jaxpr", "call_jaxpr", "fun_jaxpr") if name in eqn.params)
    return (called.jaxpr, called.consts) if hasattr(called, "consts") else (called, ())


def run(jaxpr, consts, values, bind=bind):
    """The results of a jaxpr, its equations evaluated by `bind`."""
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *values]))
    return read(evaluate(jaxpr.eqns, env, bind), jaxpr.outvars)


def evaluate(eqns, env, bind=bind):
    """Evaluate equations one after another, by `bind(eqn, values)`, in `env`, which is returned with their results."""
    for eqn in eqns:
        env |= zip(eqn.outvars, bind(eqn, read(env, eqn.invars)))
    return env
