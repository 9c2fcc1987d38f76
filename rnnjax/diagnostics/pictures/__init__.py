"""Pictures as PNG files: credit over time, gates over a sentence, where attention looks, a network unrolled."""

from rnnjax.diagnostics.pictures.attention import attention
from rnnjax.diagnostics.pictures.flows import flows
from rnnjax.diagnostics.pictures.gates import gates
from rnnjax.diagnostics.pictures.network import network

__all__ = ["attention", "flows", "gates", "network"]
