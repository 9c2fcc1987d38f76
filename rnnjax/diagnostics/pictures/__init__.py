"""Pictures of a diagnosis, as PNG files: credit over time, gates over a sentence, a network unrolled."""

from rnnjax.diagnostics.pictures.flows import flows
from rnnjax.diagnostics.pictures.gates import gates
from rnnjax.diagnostics.pictures.network import network

__all__ = ["flows", "gates", "network"]
