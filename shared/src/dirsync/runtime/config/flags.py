"""Every setting as a command-line flag, with help made from the setting itself."""

import argparse
from collections.abc import Sequence

from dirsync.runtime.config.fields import flag_name, is_switch, kind_of, show, variable_name
from dirsync.runtime.config.settings import ServiceSettings

_BOOLEANS = ("true", "false")


def add_flags(parser: argparse.ArgumentParser, settings_class: type[ServiceSettings]) -> None:
    """Add a flag for each setting; a flag that is not given is not in the namespace."""
    group = parser.add_argument_group("settings", "each also as a variable, with the prefix of this service")
    for name, field in settings_class.model_fields.items():
        default = show(field, field.default)
        group.add_argument(
            flag_name(name),
            dest=name,
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


def _help(text: str) -> str:
    return text.replace("%", "%%")
