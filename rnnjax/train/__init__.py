"""Training: an update compiled once, and around it a loop that one can read in a page."""

from rnnjax.train.accumulate import accumulate
from rnnjax.train.checkpoint import Checkpoints
from rnnjax.train.evaluate import evaluate
from rnnjax.train.fit import fit
from rnnjax.train.mixed import mixed
from rnnjax.train.online import online
from rnnjax.train.update import Metrics, Training, begin, update

__all__ = ["Checkpoints", "Metrics", "Training", "accumulate", "begin", "evaluate", "fit", "mixed", "online", "update"]
