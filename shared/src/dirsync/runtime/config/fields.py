"""Field types for settings: how each kind is parsed and shown, and the names of its variable and flag."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from dirsync.runtime.config.addresses import Address, parse_server_name
from dirsync.runtime.config.library import BeforeValidator, Field, FieldInfo, PlainValidator
from dirsync.runtime.config.values import (
    check_path,
    parse_count,
    parse_duration,
    parse_mode,
    parse_size,
    show_duration,
    show_mode,
    show_size,
)


class Kind(NamedTuple):
    """How values of one field type are shown, and their placeholder in help."""

    placeholder: str
    show: Callable[[Any], str] = str
    secret: bool = False
    """Names a file with a secret. Only whether it is set is shown: a person may put the secret itself there."""
    may_be_empty: bool = False
    is_path: bool = False
    """A path: white space around it is part of a name, so it is refused, not removed."""
    is_list: bool = False
    """Several values, separated by line ends; a flag that is repeated adds to them."""
    is_words: bool = False
    """Words as a shell splits them: quotes in it mean something, so they stay."""
    is_place: bool = False
    """Says where a program works. Wrappers set such flags, so one may be given once more: the later one counts."""


def _unless_unset(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: parse(value) if isinstance(value, str) else value


def _path(*, is_file: bool) -> Callable[[Any], Any]:
    return _unless_unset(lambda text: check_path(text, is_file=is_file))


MAX_SIZE = 1 << 60
"""Largest size that a setting takes, in bytes: 1 EiB, more than any file system holds."""
MAX_SECONDS = 30 * 24 * 3600.0
"""Longest duration that a setting takes, in seconds: 30 days, well below what operating systems can wait for."""

ByteSize = Annotated[int, BeforeValidator(parse_size), Field(le=MAX_SIZE), Kind("SIZE", show_size)]
Duration = Annotated[float, BeforeValidator(parse_duration), Field(le=MAX_SECONDS), Kind("DURATION", show_duration)]
MAX_COUNT = 10**15
"""Largest number that a setting takes: more than there are entries or bytes of memory anywhere."""
Mode = Annotated[int, BeforeValidator(parse_mode), Kind("MODE", show_mode)]
Count = Annotated[int, BeforeValidator(parse_count), Field(le=MAX_COUNT), Kind("NUMBER")]
Listen = Annotated[Address, PlainValidator(Address.parse), Kind("HOST:PORT", is_place=True)]
OptionalHost = Annotated[str | None, BeforeValidator(_unless_unset(parse_server_name)), Kind("NAME")]
Directory = Annotated[Path, BeforeValidator(_path(is_file=False)), Kind("DIRECTORY", is_path=True, is_place=True)]
OptionalFile = Annotated[Path | None, BeforeValidator(_path(is_file=True)), Kind("FILE", is_path=True)]
SecretFilePath = Annotated[Path | None, BeforeValidator(_path(is_file=True)), Kind("FILE", secret=True, is_path=True)]


def kind_of(field: FieldInfo) -> Kind:
    """The kind of a field; for enums and booleans made from the values that they take."""
    for item in field.metadata:
        if isinstance(item, Kind):
            return item
    if field.annotation is bool:
        return Kind("true|false", lambda value: "true" if value else "false")
    if isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum):
        return Kind("|".join(field.annotation))
    return Kind("TEXT")


def is_switch(field: FieldInfo) -> bool:
    """Whether the flag of this field may stand without a value."""
    return field.annotation is bool


def show(field: FieldInfo, value: object) -> str | None:
    """A field's value as it would be written; None where it is unset, and no content of secret fields."""
    kind = kind_of(field)
    if value is None:
        return None
    return "(set)" if kind.secret else kind.show(value)


def variable_name(service: str, field_name: str) -> str:
    """``DIRSYNC_CLIENT_BLOCK_SIZE`` of ``block_size``."""
    return f"{prefix(service)}{field_name.upper()}"


def flag_name(field_name: str) -> str:
    """``--block-size`` of ``block_size``."""
    return f"--{field_name.replace('_', '-')}"


def prefix(service: str) -> str:
    """What the variables of a service (``server``, ``client``) start with."""
    return f"DIRSYNC_{service.upper()}_"
