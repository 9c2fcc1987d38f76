"""Ctrl-C and SIGTERM as a question that the training loop asks between steps."""

import contextlib
import signal


@contextlib.contextmanager
def interruptible():
    """Within it the first Ctrl-C or SIGTERM only makes the yielded function say True; a second Ctrl-C stops at once."""
    asked = []

    def ask(number, frame):
        asked.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def terminable():
    """Within it SIGTERM is a `KeyboardInterrupt`, as Ctrl-C is."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
