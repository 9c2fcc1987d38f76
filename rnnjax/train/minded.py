"""What becomes of many processes when one of them fails: none is left to wait for it."""

import contextlib
import os
import sys
import traceback

import jax

FAILED, LOST = 2, 3
"""The exit codes of a process that has failed, and of one that has lost another."""


@contextlib.contextmanager
def minded(again: str):
    """Within it the failure of this process, or the loss of another, ends it at once, with a message.

    At a usual exit JAX would wait for the others, which wait for this one. `again` is the command that goes on.
    """
    try:
        yield
    except Exception as error:
        if jax.process_count() == 1:
            raise
        ours = isinstance(error, ValueError | OSError)
        said = " ".join(str(error).split())
        if not ours:
            traceback.print_exc()
            said = (
                f"train: all processes must live, but one was lost, or this one failed ({said[:200]}). "
                f"Start all again, with: {again}"
            )
        print(f"rnnjax: {said}", file=sys.stderr, flush=True)
        os._exit(FAILED if ours else LOST)
