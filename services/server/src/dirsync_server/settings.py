"""What the server can be told (``DIRSYNC_SERVER_*``); the settings that both services know are in the base."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from dirsync.fs.write.durable import Fsync
from dirsync.limits import GIB, MIB
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.config.fields import (
    ByteSize,
    Count,
    Directory,
    Duration,
    Listen,
    Mode,
    OptionalFile,
    SecretFilePath,
    prefix,
)
from dirsync.runtime.config.library import Field, SettingsConfigDict
from dirsync.runtime.config.settings import ServiceSettings
from dirsync.runtime.files.directories import lies_within


class Permissions(StrEnum):
    """Whose permission bits replica entries get."""

    PRESERVE = "preserve"
    FIXED = "fixed"


class Storage(StrEnum):
    """Who reaches the replicas."""

    OWN = "own"
    SHARED = "shared"


class ServerSettings(ServiceSettings):
    """All settings of the server."""

    service: ClassVar[str] = "server"
    model_config = SettingsConfigDict(env_prefix=prefix(service))

    listen: Listen = Field(Address("127.0.0.1", 50051), description="gRPC address to listen on")
    metrics_listen: Listen = Field(
        Address("127.0.0.1", 9101), description="HTTP address of /metrics, /livez, /readyz and the status page"
    )
    state_dir: Directory = Field(
        Path(".dirsync/server"), description="cache of the state of the replica; losing it costs a rescan"
    )
    root: Directory = Field(Path("dirsync_to"), description="replica root")
    token_file: SecretFilePath = Field(None, description="bearer token that clients must present; reloaded on change")
    tenants_file: OptionalFile = Field(None, description="TOML: namespaces with their roots, tokens, quotas and policy")
    fsync: Fsync = Field(Fsync.BATCH, description="sync content to disk: per file, once per commit, or never")
    permissions: Permissions = Field(
        Permissions.PRESERVE, description="permission bits of the source, or the fixed FILE_MODE and DIR_MODE"
    )
    file_mode: Mode = Field(0o644, description="mode of files with PERMISSIONS=fixed")
    dir_mode: Mode = Field(0o755, description="mode of directories with PERMISSIONS=fixed")
    max_file_size: ByteSize = Field(
        16 * 1024 * GIB, ge=1, description="largest file accepted; the default is the limit of ext4"
    )
    quota_bytes: ByteSize = Field(1 << 60, ge=1, description="bytes that a replica may hold; unlimited by default")
    quota_entries: Count = Field(10_000_000, ge=1, description="entries that a replica may hold; each costs memory")
    min_free_bytes: ByteSize = Field(64 * MIB, description="free space that stays on the disk")
    max_sessions: Count = Field(
        64, ge=1, le=1024, description="clients connected at a time; each may hold a thread, in two-way mode two"
    )

    max_connection_age: Duration = Field(
        0.0,
        description="end connections that are older, so that clients connect again, perhaps to another server; 0: none",
    )
    storage: Storage = Field(
        Storage.OWN,
        description="whether other servers have the same replicas, on a volume that all of them mount",
    )
    lease: Duration = Field(
        6.0,
        ge=2,
        le=60,
        description="with STORAGE=shared: another server takes over from one that shows no life for this long",
    )
    namespace_idle: Duration = Field(
        0.0,
        description="close a namespace that no client has used for this long, and open it for the next call; "
        "0: all are open from the start",
    )

    @property
    def opens_on_demand(self) -> bool:
        """Whether a namespace is opened for the first call that names it."""
        return self.namespace_idle > 0 or self.storage is Storage.SHARED

    def relations(self, names: Mapping[str, str]) -> Iterator[str]:
        """A line for each pair of settings that do not go together."""
        yield from super().relations(names)
        if self.tls_given and not self.tls_cert_file:
            yield f"TLS is enabled, but {names['tls_cert_file']} and {names['tls_key_file']} are not set"
        if self.tls_cert_file:
            for name in ("tls_ca_file", "tls_server_name"):
                if getattr(self, name) is not None:
                    yield (
                        f"{names[name]}: a server connects to nobody; "
                        f"to ask its clients for certificates set {names['tls_client_ca_file']}"
                    )
        if self.permissions is Permissions.PRESERVE:
            for name in ("file_mode", "dir_mode"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    yield f"{names[name]} is for {names['permissions']}=fixed; set that too, or unset this"
        if self.storage is Storage.OWN and self.lease != type(self).model_fields["lease"].default:
            yield f"{names['lease']} is for {names['storage']}=shared; set that too, or unset this"
        if self.token_file and self.tenants_file:
            yield f"{names['token_file']} and {names['tenants_file']} exclude each other: the tenants file names tokens"
        if lies_within(self.state_dir, self.root):
            yield (
                f"{names['state_dir']}={self.state_dir} lies in {names['root']}={self.root}, "
                "where it would be mirrored away; set it to a directory outside"
            )
