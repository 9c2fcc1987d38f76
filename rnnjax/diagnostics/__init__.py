"""What happens to credit and state over time in any cell, and what to do about it.

`pictures`, which needs matplotlib, is imported by its own name.
"""

from rnnjax.diagnostics.advice import Advice, advise
from rnnjax.diagnostics.flow import Flow, gradient_flow, memory_length
from rnnjax.diagnostics.gates import Gate, Saturation, activations, saturation
from rnnjax.diagnostics.layers import layers
from rnnjax.diagnostics.lyapunov import lyapunov

__all__ = [
    "Advice",
    "Flow",
    "Gate",
    "Saturation",
    "activations",
    "advise",
    "gradient_flow",
    "layers",
    "lyapunov",
    "memory_length",
    "saturation",
]
