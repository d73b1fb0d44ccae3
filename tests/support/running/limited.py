"""A program with other limits than its own, so that no test waits for a minute or needs a gigabyte.

:func:`limited` returns a prefix for :class:`tests.support.running.programs.Process`; run as a script, this sets the
limits before the program is imported, and then is the program.
"""

import sys
from pathlib import Path


def limited(**limits: float) -> list[str]:
    """A prefix that runs a program with these fields of :data:`dirsync.limits.LIMITS`."""
    return [sys.executable, str(Path(__file__)), *(f"{name}={value}" for name, value in limits.items()), "--"]


def _run(arguments: list[str]) -> None:
    import runpy  # noqa: PLC0415

    from dirsync.limits import LIMITS, Limits  # noqa: PLC0415

    end = arguments.index("--")
    for name, _, value in (argument.partition("=") for argument in arguments[:end]):
        # The class reads a field, from its slots; all modules share it.
        setattr(Limits, name, type(getattr(LIMITS, name))(value))
    _python, _m, module, *rest = arguments[end + 1 :]
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # The directory of a script comes first in its path, where our helpers would hide modules of the same names.
    del sys.path[0]
    _run(sys.argv[1:])
