"""pydantic and pydantic-settings, imported without what they have for programs that are not ours.

They import asyncio for commands that are coroutines, what finds plugins among the installed distributions, and what
reads files of variables. That is a sixth of what they take to start.
"""

from dirsync.runtime.process.imports import deferred

with deferred("asyncio", "importlib.metadata", "dotenv", functions=("entry_points", "dotenv_values")):
    from pydantic import (
        AfterValidator,
        BeforeValidator,
        Field,
        PlainValidator,
        ValidationError,
        ValidationInfo,
        field_validator,
    )
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

__all__ = [
    "AfterValidator",
    "BaseSettings",
    "BeforeValidator",
    "ErrorDetails",
    "Field",
    "FieldInfo",
    "PlainValidator",
    "PydanticBaseSettingsSource",
    "SettingsConfigDict",
    "ValidationError",
    "ValidationInfo",
    "field_validator",
]
