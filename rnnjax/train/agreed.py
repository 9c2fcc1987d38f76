"""What each of several processes finds by itself, and all must act upon alike."""

from collections.abc import Callable
from typing import TypeVar, cast

import jax
import numpy as np
from jax.experimental import multihost_utils

Found = TypeVar("Found")


def agreed(ask: Callable[[], Found], *kinds: type[Exception]) -> Found:
    """What `ask()` gives here, if it raises none of `kinds` in any process; if it does, the last of the kinds that any
    process has raised is raised in all, so that none goes on to what they do together while another does not."""
    found, error, mine = None, None, 0
    try:
        found = ask()
    except kinds as raised:
        error, mine = raised, 1 + next(i for i, kind in enumerate(kinds) if isinstance(raised, kind))
    last = mine if jax.process_count() == 1 else int(multihost_utils.process_allgather(np.int32(mine)).max())
    if last == 0:
        return cast(Found, found)
    if error is not None and last == mine:
        raise error
    raise kinds[last - 1]("another process has found it so")
