"""What a diagnosis suggests to do."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from rnnjax.diagnostics.flow import Flow, memory_length
from rnnjax.diagnostics.gates import Saturation
from rnnjax.types import AnyArray

SHORT = 0.5  # of the steps looked at: a memory within so many is vanishing
LARGE = 100.0  # a norm beyond it is exploding
CHAOS = 0.01  # nats a step, the largest Lyapunov exponent beyond which it is chaos
SHUT = {"tanh": 0.5, "logistic": 0.9}  # more saturated values than this share

CLIP = "Clip the gradient, optax.chain(optax.clip_by_global_norm(1.0), ...), or start with smaller recurrent weights."
REMEMBER = (
    "Start from an orthogonal recurrent weight (recurrent=weights.orthogonal, under relu weights.identity()), use a "
    "gated cell (lstm, gru), or open its gates (bias=weights.chrono({}))."
)
SHRINK = "Start with smaller weights (weights.uniform) or a bias nearer to 0, unless it is so by intent."


class Advice(NamedTuple):
    """What was found ("vanishing", "exploding", "saturated" or "healthy"), the figures, and the remedy."""

    finding: str
    reason: str
    remedy: str


def advise(
    flow: Flow, saturations: Iterable[Saturation] = (), exponents: Float[AnyArray, " d"] | Sequence[float] = ()
) -> list[Advice]:
    """The remedies that a diagnosis suggests, the most pressing first; one that says "healthy" if it needs none.

    - exploding: ‖∂s_T/∂s_{T-k}‖ exceeds 100 or is not finite, or the largest Lyapunov exponent exceeds 0.01 nats a
      step: clip the gradient by its global norm;
    - vanishing: the effective memory (`memory_length`, 1 %) ends within half of the longest lag: an orthogonal or
      identity recurrent weight, a gated cell, or chrono biases;
    - saturated: more than half of a tanh's values, or 90 % of a gate's, are saturated: smaller weights or biases. (A
      forget gate that chrono biases hold open is so by intent.)

    Args:
        flow: from `gradient_flow`. saturations: from `saturation`. exponents: from `lyapunov`, descending.

    Example:
        >>> from rnnjax.diagnostics import advise, gradient_flow
        >>> cell = rnnjax.rnn(3, 4, recurrent=rnnjax.weights.identity(0.5))
        >>> params = cell.init(jax.random.key(0))
        >>> for advice in advise(gradient_flow(cell, params, cell.start(params), jnp.zeros((20, 3)))):
        ...     print(advice.finding, "-", advice.reason)
        vanishing - ‖∂s_T/∂s_{T-k}‖ is below 1 % from lag 7 on, of 20
    """
    norms, longest, memory, found = flow.jacobian, int(flow.lags[-1]), memory_length(flow), []
    top = float(jnp.max(norms))
    if not top <= LARGE:
        lag = int(flow.lags[jnp.argmax(norms)])
        found.append(f"‖∂s_T/∂s_{{T-k}}‖ reaches {top:.3g} at lag {lag}")
    if len(exponents) and exponents[0] > CHAOS:
        found.append(f"the largest Lyapunov exponent is {float(exponents[0]):+.3f} nats a step")
    advice = [Advice("exploding", "; ".join(found), CLIP)] if found else []
    if memory <= SHORT * longest:
        reason = f"‖∂s_T/∂s_{{T-k}}‖ is below 1 % from lag {memory} on, of {longest}"
        advice.append(Advice("vanishing", reason, REMEMBER.format(max(3, longest))))
    for gate, low, high in saturations:
        if low + high > SHUT[gate.kind]:
            reason = f"{gate.layer} {gate.name}: {low:.0%} of its values low, {high:.0%} high".lstrip()
            advice.append(Advice("saturated", reason, SHRINK))
    reached = f"beyond lag {longest}" if memory == math.inf else f"up to lag {memory}"
    fine = Advice("healthy", f"‖∂s_T/∂s_{{T-k}}‖ stays from 1 % {reached} and at most {top:.3g}", "Nothing to do.")
    return advice or [fine]
