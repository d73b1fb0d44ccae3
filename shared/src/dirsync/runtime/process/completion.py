"""``completion``: prints the script by which a shell completes commands, flags and values."""

import argparse
from collections.abc import Iterator

import shtab

_COMPLETED = {"FILE": shtab.FILE, "DIRECTORY": shtab.DIRECTORY, "PATH": shtab.FILE}
"""What is completed with names of files, by its placeholder."""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell, one of ``SHELLS``."""
    for action in _actions(parser):
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        if metavar in _COMPLETED:
            action.complete = _COMPLETED[metavar]  # type: ignore[attr-defined]  # where the library looks for it
        elif "|" in metavar and action.option_strings:
            action.choices = metavar.split("|")
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Those of the parser, and of the parsers of its commands."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way, and the library looks here too
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action
