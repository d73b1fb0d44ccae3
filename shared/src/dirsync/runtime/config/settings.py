"""Settings: one class per service on this base, read from environment and flags, checked before anything starts.

A setting is a field: its variable is the prefix and the field's name in capitals, its flag is the name with dashes. A
flag wins over a variable; a flag that is given twice is refused (:mod:`dirsync.runtime.config.flags`). All problems are
reported together, one line each, with the name that the person used (:class:`dirsync.errors.UsageError`). A value that
is not understood is never replaced by a default. A variable that is set but empty is an error too: a path that expanded
to nothing must not switch a check off. Line ends and blanks around a value are removed, because files and
here-documents leave them; those around a path may be part of its name, so they are refused, as are quotes that no shell
has removed.

Settings hold parsed values (bytes, seconds, paths). They stop at a service's ``app.py``; the code below gets plain
arguments. pydantic-settings reads them; this module adds the check for unknown variables, one spelling for each kind of
value, and messages for people.
"""

import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Self

from dirsync.errors import UsageError
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.config.environment import unknown_variables
from dirsync.runtime.config.fields import (
    Directory,
    Duration,
    Kind,
    Listen,
    OptionalFile,
    OptionalHost,
    SecretFilePath,
    flag_name,
    kind_of,
    prefix,
    show,
    variable_name,
)
from dirsync.runtime.config.hook_fields import HookCommand, Statuses, Webhook
from dirsync.runtime.config.library import (
    BaseSettings,
    ErrorDetails,
    Field,
    FieldInfo,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from dirsync.runtime.config.values import refuse_quotes
from dirsync.tree.path import escape

_SHOWN_BYTES = 100


class LogLevel(StrEnum):
    """The least severe log events that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log events are written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class Tls(StrEnum):
    """Whether connections are encrypted; ``auto``: where any other TLS setting is made."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class ServiceSettings(BaseSettings):
    """What both services can be told. A subclass adds its own fields and relations.

    It names its ``service``, and the prefix of its variables in ``model_config``.
    """

    service: ClassVar[str]

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        enable_decoding=False,  # lists and addresses are parsed by their fields: JSON is no spelling of ours
        hide_input_in_errors=True,
        defer_build=True,  # the base itself is never built, and no class before it is loaded
    )

    listen: Listen = Field(Address("127.0.0.1", 50051), description="gRPC address to listen on")
    metrics_listen: Listen = Field(
        Address("127.0.0.1", 9101), description="HTTP address of /metrics, /livez, /readyz and the status page"
    )
    state_dir: Directory = Field(Path(".dirsync"), description="cache; losing it costs a rescan")
    log_level: LogLevel = Field(LogLevel.INFO, description="least severe log events written")
    log_format: LogFormat = Field(
        LogFormat.AUTO, description="format of log events; auto: console on a terminal, otherwise json"
    )
    reflection: bool = Field(default=True, description="gRPC server reflection")
    tls: Tls = Field(Tls.AUTO, description="encrypt connections; auto: if any other TLS setting is set")
    tls_cert_file: OptionalFile = Field(None, description="own certificate chain, PEM; reloaded on change")
    tls_key_file: SecretFilePath = Field(None, description="key of the own certificate, PEM; reloaded on change")
    tls_ca_file: OptionalFile = Field(
        None, description="authorities to trust when connecting, PEM; by default the system's"
    )
    tls_server_name: OptionalHost = Field(None, description="name that the server's certificate must have")
    tls_client_ca_file: OptionalFile = Field(None, description="require client certificates of this authority, PEM")
    insecure: bool = Field(default=False, description="allow to listen or connect off loopback without TLS")
    status_page: bool = Field(default=True, description="the status page at / and /status.json of METRICS_LISTEN")
    shutdown_grace: Duration = Field(8.0, description="time to finish work in flight at shutdown")
    hook_command: HookCommand = Field(
        None, description="program to run after a sync, with its arguments; no shell is started"
    )
    hook_webhook: Webhook = Field(None, description="http or https URL to POST to after a sync")
    hook_success_status: Statuses = Field(("2xx",), description="statuses by which the webhook says that it succeeded")
    hook_timeout: Duration = Field(30.0, ge=0.001, description="a hook that runs longer is ended, and tried again")
    hook_debounce: Duration = Field(1.0, description="a hook waits until nothing has changed for this long")

    @classmethod
    def load(cls, flags: Mapping[str, str] | None = None) -> Self:
        """Read and check all settings; ``flags`` are texts by field name and win over the environment.

        Raises:
            UsageError: one line for each problem, naming the variable or flag and what is allowed.
        """
        given: dict[str, Any] = dict(flags or {})
        names = {name: variable_name(cls.service, name) for name in cls.model_fields}
        problems = [*unknown_variables(os.environ, names.values(), prefix(cls.service))]
        names |= {name: flag_name(name) for name in given}
        try:
            settings = cls(**given)
        except ValidationError as error:
            problems += [_line(names, cls.model_fields, detail) for detail in error.errors(include_url=False)]
        else:
            problems += settings.relations(names)
            if not problems:
                return settings
        raise UsageError("\n".join(problems))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - this and the last two as in the base class
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then variables; nothing is read from files."""
        return init_settings, env_settings

    @field_validator("*", mode="before")
    @classmethod
    def _trim(cls, value: object, info: ValidationInfo) -> object:
        """The text without what surrounds it: line ends always, blanks where they are not part of a name."""
        if not isinstance(value, str):
            return value
        kind = kind_of(cls.model_fields[str(info.field_name)])
        text = value.strip("\r\n") if kind.is_path or kind.is_list else value.strip()
        if not text.strip() and not kind.may_be_empty:
            msg = "is set but empty; unset it or set a value"
            raise ValueError(msg)
        return text if kind.is_words else refuse_quotes(text)

    @property
    def tls_given(self) -> bool:
        """Whether connections are to be encrypted."""
        made = (
            self.tls_cert_file,
            self.tls_key_file,
            self.tls_ca_file,
            self.tls_server_name,
            self.tls_client_ca_file,
        )
        return self.tls is Tls.ON or (self.tls is Tls.AUTO and any(value is not None for value in made))

    @property
    def serves_tls(self) -> bool:
        """Whether what we listen on is encrypted."""
        return self.tls_given and self.tls_cert_file is not None

    def relations(self, names: Mapping[str, str]) -> Iterator[str]:
        """A line for each pair of settings that do not go together; ``names`` as the person knows them."""
        yield from self._void_hook_settings(names)
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            yield f"{names['tls_cert_file']} and {names['tls_key_file']} belong together; set both or neither"
        if self.tls_client_ca_file and not self.tls_cert_file:
            yield f"{names['tls_client_ca_file']} requires client certificates, but {names['tls_cert_file']} is not set"
        if self.tls_client_ca_file and self.tls is Tls.OFF:
            yield f"{names['tls_client_ca_file']} requires client certificates, but {names['tls']}=off; unset one"
        if not (self.listen.is_loopback or self.serves_tls or self.insecure):
            yield (
                f"{names['listen']}={self.listen} is not loopback and has no TLS; set {names['tls_cert_file']} and "
                f"{names['tls_key_file']}, or {names['insecure']}=true to go without"
            )

    def _void_hook_settings(self, names: Mapping[str, str]) -> Iterator[str]:
        command, webhook = names["hook_command"], names["hook_webhook"]
        if self.hook_webhook is None and self._is_made("hook_success_status"):
            yield f"{names['hook_success_status']} is for {webhook}; set that too, or unset this"
        if self.hook_webhook is None and self.hook_command is None:
            for name in ("hook_timeout", "hook_debounce"):
                if self._is_made(name):
                    yield f"{names[name]} is for {command} and {webhook}; set one of them, or unset this"

    def _is_made(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)


def effective(settings: ServiceSettings) -> dict[str, str | None]:
    """Every setting as it would be written, for the log; of secrets only whether one is set."""
    return {name: show(field, getattr(settings, name)) for name, field in type(settings).model_fields.items()}


def _line(names: Mapping[str, str], fields: Mapping[str, FieldInfo], detail: ErrorDetails) -> str:
    """One problem for people: which setting, what was given, what is allowed."""
    name = str(detail["loc"][0])
    if name not in fields:
        return f"{names[name]}: no such setting"
    kind = kind_of(fields[name])
    given = detail["input"] if isinstance(detail["input"], str) else kind.show(detail["input"])
    shown = f"={_shown(given)}" if given and not kind.secret else ""
    return f"{names[name]}{shown}: {_allowed(detail, kind)}"


def _allowed(detail: ErrorDetails, kind: Kind) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "enum":
            return f"must be one of {kind.placeholder.replace('|', ', ')}"
        case "greater_than_equal":
            return f"must be at least {kind.show(context['ge'])}"
        case "less_than_equal":
            return f"must be at most {kind.show(context['le'])}"
        case "bool_parsing":
            return "must be true or false"
        case "int_parsing" | "int_from_float":
            return "must be a whole number"
        case _:
            return detail["msg"]


def _shown(text: str) -> str:
    return escape(text.encode(errors="surrogateescape")[:_SHOWN_BYTES])
