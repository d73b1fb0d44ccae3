"""What the client can be told (``DIRSYNC_CLIENT_*``); the settings that both services know are in the base."""

import os
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

from dirsync.errors import LimitExceeded
from dirsync.limits import KIB, LIMITS
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.config.fields import (
    ByteSize,
    Count,
    Directory,
    Duration,
    Kind,
    Listen,
    SecretFilePath,
    prefix,
)
from dirsync.runtime.config.library import AfterValidator, BeforeValidator, Field, SettingsConfigDict
from dirsync.runtime.config.settings import ServiceSettings
from dirsync.runtime.config.targets import Namespaces, PerTarget, SecretFiles, Servers, TargetList, check_name
from dirsync.runtime.config.values import check_path, refuse_quotes
from dirsync.runtime.files.directories import is_named_within
from dirsync.tree.ignore.rules import IgnoreRules, can_match
from dirsync.tree.merge.policy import Conflicts
from dirsync.tree.path import escape
from dirsync_client.targets.place import TargetPlace


class Compression(StrEnum):
    """How content is compressed on the wire."""

    AUTO = "auto"
    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class Delete(StrEnum):
    """What happens at the replica to what left the source."""

    PROPAGATE = "propagate"
    NEVER = "never"


class Watch(StrEnum):
    """How changes are noticed between rescans."""

    AUTO = "auto"
    NATIVE = "native"
    POLL = "poll"
    OFF = "off"


class Mode(StrEnum):
    """Which way changes go."""

    MIRROR = "mirror"
    TWO_WAY = "two-way"


class Symlinks(StrEnum):
    """What happens to symbolic links."""

    PRESERVE = "preserve"
    IGNORE = "ignore"


def _check_optional_name(text: str | None) -> str | None:
    return text if text is None else check_name(text)


def _check_file_name(text: str) -> str:
    check_path(text, is_file=True)
    if (
        text in (".", "..")
        or "/" in text
        or "\0" in text
        or len(text.encode(errors="surrogateescape")) > LIMITS.max_name_bytes
    ):
        msg = "must be the name of a file directly in the source"
        raise ValueError(msg)
    return text


def _split_rules(value: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    rules = tuple(rule for item in re.split(r"[,\n]", value) if (rule := _trim_rule(item)))
    for rule in rules:
        refuse_quotes(rule)
        if not can_match(os.fsencode(rule)):
            msg = f"the rule {escape(os.fsencode(rule))} matches no path; correct or remove it"
            raise ValueError(msg)
    try:
        IgnoreRules(tuple(os.fsencode(rule) for rule in rules))
    except LimitExceeded as error:
        raise ValueError(str(error)) from None
    return rules


def _trim_rule(item: str) -> str:
    """The rule without the white space around it, which a list has between its items; a comment is no rule."""
    rule = item.strip()
    backslashes = len(rule) - len(rule.rstrip("\\"))
    if backslashes % 2 and item.rstrip("\r\t").endswith(" "):
        rule += " "  # a backslash protects it, as in git
    return "" if rule.startswith("#") else rule


OptionalName = Annotated[str | None, AfterValidator(_check_optional_name), Kind("NAME")]
FileName = Annotated[str, AfterValidator(_check_file_name), Kind("NAME", is_path=True)]
Rules = Annotated[
    tuple[str, ...], BeforeValidator(_split_rules), Kind("RULES", ",".join, may_be_empty=True, is_list=True)
]


DEFAULT_NAMESPACE = "default"


class ClientSettings(ServiceSettings):
    """All settings of the client."""

    service: ClassVar[str] = "client"
    model_config = SettingsConfigDict(env_prefix=prefix(service))

    listen: Listen = Field(Address("127.0.0.1", 50052), description="gRPC address of the agent")
    metrics_listen: Listen = Field(
        Address("127.0.0.1", 9102), description="HTTP address of /metrics, /livez, /readyz and the status page"
    )
    state_dir: Directory = Field(
        Path(".dirsync/client"),
        description="cache of the state of the source, and identity of this client; losing it costs a rescan",
    )
    source: Directory = Field(Path("dirsync_from"), description="directory to mirror; written to only in MODE=two-way")
    server: Servers = Field(
        TargetList.parse("127.0.0.1:50051"),
        description="server: host:port or any gRPC target; several: a:50051,b:50051 or name=target,...",
    )
    namespace: Namespaces = Field(
        PerTarget(DEFAULT_NAMESPACE),
        description="name of the replica at the server; name=NAMESPACE,... if it differs by target",
    )
    client_id: OptionalName = Field(
        None, description="identity of this writer; by default made once and kept in STATE_DIR"
    )
    token_file: SecretFiles = Field(
        None, description="bearer token for the server; reloaded when it changes; name=FILE,... if it differs by target"
    )
    agent_token_file: SecretFilePath = Field(None, description="bearer token that the agent requires")
    block_size: ByteSize = Field(
        4 * KIB,
        ge=LIMITS.min_block_size,
        le=LIMITS.max_block_size,
        description="delta block; doubles as needed for large files",
    )
    compression: Compression = Field(
        Compression.AUTO, description="compression of content; auto: zstd if a sample shrinks"
    )
    mode: Mode = Field(Mode.MIRROR, description="mirror: the source is never written to; two-way: changes go both ways")
    conflicts: Conflicts = Field(
        Conflicts.KEEP_BOTH, description="two-way: which version of a file that both sides changed gets the name"
    )
    delete: Delete = Field(Delete.PROPAGATE, description="never: keep entries that were deleted in the source")
    delete_settle: Duration = Field(0.5, description="deletes wait until none was added for this long")
    watch: Watch = Field(Watch.AUTO, description="how changes are detected; off: by rescans only")
    settle: Duration = Field(0.05, description="time without a write before an open file is sent")
    rescan_interval: Duration = Field(60.0, ge=1, description="how often both sides are compared in full")
    poll_interval: Duration = Field(2.0, ge=0.05, description="how often to look for changes without events")
    ignore_file: FileName = Field(
        ".dirsyncignore", description="file in the source with ignore rules, gitignore syntax"
    )
    ignore: Rules = Field((), description="further ignore rules, separated by commas or line ends; may be repeated")
    symlinks: Symlinks = Field(Symlinks.PRESERVE, description="preserve links, never following them; or ignore them")
    preserve_mtime: bool = Field(default=True, description="preserve modification times of regular files")
    guard_max_delete_percent: Count = Field(
        50, ge=0, le=100, description="hold deletes of a larger share than this; 100: off"
    )
    guard_max_delete_count: Count = Field(10_000, ge=0, description="hold more deletes than this at once")
    bandwidth_limit: ByteSize = Field(0, description="bytes per second on the wire; 0: no limit")

    @property
    def connects_tls(self) -> bool:
        """Whether the connection to the server is encrypted."""
        return self.tls_given

    def relations(self, names: Mapping[str, str]) -> Iterator[str]:
        """A line for each pair of settings that do not go together."""
        yield from super().relations(names)
        far = [target for target in self.server.targets if not target.address.is_loopback]
        if far and not (self.connects_tls or self.insecure):
            yield (
                f"{names['server']}={far[0]} is not loopback and would be contacted without TLS; "
                f"set {names['tls']}=on or {names['tls_ca_file']}, or {names['insecure']}=true to go without"
            )
        yield from self._target_relations(names)
        # What a mode needs comes before what is void without it: setting that may make up for both.
        if self.mode is Mode.TWO_WAY:
            for name, usable in (("delete", Delete.PROPAGATE), ("symlinks", Symlinks.PRESERVE)):
                if getattr(self, name) is not usable:
                    yield f"{names['mode']}=two-way needs {names[name]}={usable.value}, so that both sides are equal"
        yield from self._void(names)
        # By name only: `status` and `health` have to answer while the source does not. What links hide is found by
        # those commands that open the source.
        if is_named_within(self.state_dir, self.source):
            yield self.state_in_source(names["state_dir"], names["source"])

    def _void(self, names: Mapping[str, str]) -> Iterator[str]:
        for name, needed, value, is_void in (
            ("conflicts", "mode", "two-way", self.mode is Mode.MIRROR),
            ("delete_settle", "delete", "propagate", self.delete is Delete.NEVER),
            ("poll_interval", "watch", "auto or poll", self.watch is Watch.OFF),
        ):
            if is_void and self._is_made(name):
                yield f"{names[name]} is for {names[needed]}={value}; set that too, or unset this"

    def _target_relations(self, names: Mapping[str, str]) -> Iterator[str]:
        for name, values in (("namespace", self.namespace), ("token_file", self.token_file)):
            for line in values.unknown(self.server) if values is not None else ():
                yield f"{names[name]} {line}"
        places: dict[tuple[str, str], str] = {}
        for target in self.targets:
            place = str(target.address), target.namespace
            if place in places:
                yield (
                    f"{names['server']}: {places[place]} and {target.name} are both the namespace {target.namespace} "
                    f"at {target.address}; remove one, or set {names['namespace']} for each"
                )
            places[place] = target.name
        if self.mode is Mode.TWO_WAY and self.server.are_named and len(self.server.targets) > 1:
            yield (
                f"{names['mode']}=two-way goes with one server, and {names['server']} has {len(self.server.targets)}; "
                "use MODE=mirror, or let each further machine run a two-way client of its own with the one server"
            )

    @property
    def targets(self) -> tuple[TargetPlace, ...]:
        """The servers, with what is set for each."""
        return tuple(
            TargetPlace(
                name,
                address,
                self.namespace.of(name) or DEFAULT_NAMESPACE,
                None if self.token_file is None else self.token_file.of(name),
            )
            for name, address in self.server.targets
        )

    def state_in_source(self, state_dir: str, source: str) -> str:
        """A line that says that STATE_DIR lies in SOURCE, for settings that a person knows by these names."""
        return (
            f"{state_dir}={self.state_dir} lies in {source}={self.source}, "
            "which would be mirrored with it; set it to a directory outside"
        )
