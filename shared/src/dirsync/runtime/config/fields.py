"""Field types for settings: how each kind is parsed and shown, and the names of its variable and flag."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, PlainValidator
from pydantic.fields import FieldInfo

from dirsync.runtime.config.values import (
    Address,
    Target,
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


MAX_SIZE = 1 << 60
"""Largest size that a setting takes, in bytes: 1 EiB, more than any file system holds."""
MAX_SECONDS = 30 * 24 * 3600.0
"""Longest duration that a setting takes, in seconds: 30 days, well below what operating systems can wait for."""

ByteSize = Annotated[int, BeforeValidator(parse_size), Field(le=MAX_SIZE), Kind("SIZE", show_size)]
Duration = Annotated[float, BeforeValidator(parse_duration), Field(le=MAX_SECONDS), Kind("DURATION", show_duration)]
Mode = Annotated[int, BeforeValidator(parse_mode), Kind("MODE", show_mode)]
Count = Annotated[int, Kind("NUMBER")]
Listen = Annotated[Address, PlainValidator(Address.parse), Kind("HOST:PORT")]
Server = Annotated[Target, PlainValidator(Target.parse), Kind("TARGET")]
Directory = Annotated[Path, Kind("DIRECTORY")]
OptionalFile = Annotated[Path | None, Kind("FILE")]
SecretFilePath = Annotated[Path | None, Kind("FILE", secret=True)]


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
