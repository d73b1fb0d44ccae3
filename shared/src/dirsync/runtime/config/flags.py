"""Every setting as a command-line flag, with help made from the setting itself.

A flag that is given twice is refused: argparse would drop the first value without a word. A list takes all values. A
flag that says *where* (a directory, an address) may be given once more, because images and unit files begin a command
line that a person continues; the later value counts, and :func:`overridden` says so.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from typing import Any

from dirsync.errors import UsageError
from dirsync.runtime.config.fields import Kind, flag_name, is_switch, kind_of, show, variable_name
from dirsync.runtime.config.settings import ServiceSettings
from dirsync.tree.path import abbreviate

_BOOLEANS = ("true", "false")
_OVERRIDDEN = "overridden_flags"


class Once(argparse.Action):
    """Stores a value that may be given once."""

    kind = Kind("TEXT")

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the value, add it to a list, or refuse it."""
        text, kind = str(values), self.kind
        before: str | None = getattr(namespace, self.dest, None)
        if before is not None and kind.is_list:
            text = f"{before}\n{text}"
        elif before is not None:
            flag = option_string or self.dest
            told: dict[str, str] = vars(namespace).setdefault(_OVERRIDDEN, {})
            if not kind.is_place or flag in told:
                raise UsageError(_repeated(flag, () if kind.secret else (before, text)))
            told[flag] = f"{_shown(before)} is overridden by {flag}={_shown(text)}"
        setattr(namespace, self.dest, text)


def overridden(arguments: argparse.Namespace) -> list[str]:
    """A line for each flag that was given once more."""
    return [f"{flag}={line}" for flag, line in vars(arguments).get(_OVERRIDDEN, {}).items()]


def add_flags(parser: argparse.ArgumentParser, settings_class: type[ServiceSettings]) -> None:
    """Add a flag for each setting; a flag that is not given is not in the namespace."""
    group = parser.add_argument_group("settings", "each also as a variable, with the prefix of this service")
    for name, field in settings_class.model_fields.items():
        default = show(field, field.default)
        group.add_argument(
            flag_name(name),
            dest=name,
            action=type("Setting", (Once,), {"kind": kind_of(field)}),
            metavar=kind_of(field).placeholder,
            default=argparse.SUPPRESS,
            help=_help(
                f"{field.description} (default: {default or 'unset'}; {variable_name(settings_class.service, name)})"
            ),
        )


def given_flags(arguments: argparse.Namespace, settings_class: type[ServiceSettings]) -> dict[str, str]:
    """The settings among parsed arguments, as texts by field name."""
    return {name: text for name, text in vars(arguments).items() if name in settings_class.model_fields}


def complete_switches(argv: Sequence[str], settings_class: type[ServiceSettings]) -> list[str]:
    """Write a bare ``--insecure`` as ``--insecure=true``, so that it does not swallow the argument after it."""
    switches = {flag_name(name) for name, field in settings_class.model_fields.items() if is_switch(field)}
    following = [*argv[1:], ""]
    return [
        f"{argument}=true" if argument in switches and after not in _BOOLEANS else argument
        for argument, after in zip(argv, following, strict=True)
    ]


def unknown_options(rest: Sequence[str], settings_class: type[ServiceSettings]) -> Iterator[str]:
    """A line for each option that no command has; their values are not repeated, one may be a secret."""
    import difflib  # noqa: PLC0415 - only who mistyped an option waits for it

    flags = [flag_name(name) for name in settings_class.model_fields]
    options = [argument.partition("=")[0] for argument in rest if argument.startswith("-")]
    for option in options:
        near = difflib.get_close_matches(option, flags, n=1, cutoff=0.6)
        yield f"{_shown(option)}: no such option" + (f"; did you mean {near[0]}?" if near else "")
    if not options:
        yield f"{_shown(rest[0])}: no argument is expected here"


def _repeated(flag: str, values: tuple[str, ...]) -> str:
    given = f", as {' and '.join(map(_shown, values))}" if values else ""
    return f"{flag} is given more than once{given}; give it once"


def _shown(text: str) -> str:
    return abbreviate(os.fsencode(text))


def _help(text: str) -> str:
    return text.replace("%", "%%")
