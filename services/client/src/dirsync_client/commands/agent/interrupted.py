"""Commands that go on until somebody ends them."""

import os
import signal
import sys
from collections.abc import Callable


def until_interrupted(work: Callable[[], object]) -> None:
    """Do this until it ends, the command is interrupted, or nobody reads the output any more."""
    # A shell that starts a command in the background has it ignore interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        work()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Python writes what is left at its end, which would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
