"""Namespaces: which replicas there are, where each lives, who may write it, and how it is kept."""

import os
import re
import tomllib
from collections.abc import Mapping
from enum import Enum, auto
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from dirsync.endpoint.replica import ReplicaPolicy
from dirsync.errors import UsageError
from dirsync.rpc.auth.bearer import Caller
from dirsync.runtime.config.values import check_path
from dirsync.runtime.files.reloading_file import read_file
from dirsync.tree.path import escape
from dirsync_server.tenancy.policies import POLICY_KEYS, Defaults, parse_policy
from dirsync_server.tenancy.tokens import Token, is_valid, parse_tokens

DEFAULT_NAMESPACE = "default"
SETTING = "DIRSYNC_SERVER_TENANTS_FILE"
_NAMESPACE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_KEYS = POLICY_KEYS | {"root", "tokens_sha256", "client_names"}


class Decision(Enum):
    """Whether a caller may use a namespace."""

    ALLOW = auto()
    WRONG_CERTIFICATE = auto()
    """They have the namespace's own token, and so may know that it exists; but not with this certificate."""
    UNKNOWN = auto()
    """They have shown nothing that the namespace knows."""


class Tenant(NamedTuple):
    """One namespace."""

    namespace: str
    root: Path
    policy: ReplicaPolicy
    tokens: tuple[Token, ...] | None
    """``None``: no token is asked for."""
    client_names: frozenset[str] | None = None
    """Names of which the caller's certificate must have one; ``None``: any certificate, or none."""
    setting: str = "DIRSYNC_SERVER_ROOT"
    """What names its root, for messages."""

    def decide(self, caller: Caller, now: int) -> Decision:
        """Whether the caller may use the namespace at this time (nanoseconds since the epoch)."""
        known = self.tokens is None or is_valid(caller.token, self.tokens, now)
        named = self.client_names is None or not self.client_names.isdisjoint(caller.names)
        if known and named:
            return Decision.ALLOW
        return Decision.WRONG_CERTIFICATE if known and self.tokens is not None else Decision.UNKNOWN


def read_tenants(file: Path, defaults: Defaults, *, certificates: bool) -> dict[str, Tenant]:
    """The namespaces of a tenants file.

    ::

        [namespaces.photos]
        root = "/srv/photos"
        tokens_sha256 = ["<64 hexadecimal digits>"]     # or with times, see dirsync_server.tenancy.tokens
        client_names = ["photos.example.com"]           # one of which the client's certificate must have
        quota_bytes = "10GiB"                           # from here on as the settings of these names
        quota_entries = 100000
        max_file_size = "1GiB"
        permissions = "fixed"
        file_mode = "0640"
        dir_mode = "0750"
        fsync = "always"

    ``tokens_sha256`` may be left out where ``client_names`` is given. ``certificates`` is whether the server asks its
    clients for certificates: without them no caller has a name.

    Raises:
        Unreadable: there is no such file, or it may not be read.
        UsageError: naming the file, the namespace and the key.
    """
    raw = read_file(file, SETTING)
    try:
        parsed = tomllib.loads(raw.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _usage(file, str(error)) from None
    namespaces = parsed.get("namespaces")
    if set(parsed) != {"namespaces"} or not isinstance(namespaces, dict) or not namespaces:
        raise _usage(file, "must have tables [namespaces.NAME] and nothing else")
    tenants = {}
    for name, table in namespaces.items():
        try:
            tenants[name] = _tenant(name, table, defaults, certificates=certificates)
        except ValueError as error:
            raise _usage(file, f"[namespaces.{escape(name.encode())}]: {error}") from None
    _refuse_overlap(file, tenants)
    return tenants


def _tenant(name: str, table: Any, defaults: Defaults, *, certificates: bool) -> Tenant:
    if not _NAMESPACE.fullmatch(name):
        msg = "a namespace has 1 to 63 letters, digits, dots, dashes and underscores, a letter or digit at both ends"
        raise ValueError(msg)
    if not isinstance(table, Mapping) or not isinstance(table.get("root"), str) or not table["root"]:
        msg = "needs root, the directory of its replica"
        raise ValueError(msg)
    try:
        check_path(table["root"], is_file=False)
    except ValueError as error:
        msg = f"root {error}"
        raise ValueError(msg) from None
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        msg = f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}"
        raise ValueError(msg)
    client_names = _parse_client_names(table["client_names"], certificates) if "client_names" in table else None
    return Tenant(
        name,
        Path(table["root"]),
        parse_policy(table, defaults),
        _parse_tokens(table, client_names),
        client_names,
        f"{SETTING}: [namespaces.{name}] root",
    )


def _parse_tokens(table: Mapping[str, Any], client_names: frozenset[str] | None) -> tuple[Token, ...] | None:
    if "tokens_sha256" not in table:
        if client_names is not None:
            return None
        msg = "needs tokens_sha256, a list of SHA-256 digests of tokens in hexadecimal, or client_names"
        raise ValueError(msg)
    try:
        return parse_tokens(table["tokens_sha256"])
    except ValueError as error:
        msg = f"tokens_sha256 {error}"
        raise ValueError(msg) from None


def _parse_client_names(names: object, certificates: bool) -> frozenset[str]:  # noqa: FBT001 - one of two arguments
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        msg = "client_names is a list of names, with at least one"
        raise ValueError(msg)
    if not certificates:
        msg = "client_names needs DIRSYNC_SERVER_TLS_CLIENT_CA_FILE: only a client's certificate has a name"
        raise ValueError(msg)
    return frozenset(names)


def _refuse_overlap(file: Path, tenants: Mapping[str, Tenant]) -> None:
    roots = sorted((Path(os.path.realpath(tenant.root)), name) for name, tenant in tenants.items())
    for (upper, first), (lower, second) in pairwise(roots):
        if lower == upper or upper in lower.parents:
            raise _usage(
                file, f"the roots of {first!r} and {second!r} overlap; each namespace needs a directory of its own"
            )


def _usage(file: Path, message: str) -> UsageError:
    return UsageError(f"{SETTING}={file}: {message}")
