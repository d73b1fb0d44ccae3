"""Namespaces: which replicas there are, where each lives, who may write it, and how much it may hold."""

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from dirsync.errors import UsageError
from dirsync.runtime.values import parse_size
from dirsync_server.quota import Quota

DEFAULT_NAMESPACE = "default"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAMESPACE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_KEYS = {"root", "tokens_sha256", "quota_bytes", "quota_entries", "max_file_size"}

TokenDigests = Callable[[], frozenset[bytes]]
"""The SHA-256 digests of the tokens that are valid now; asked at each call, so that rotation needs no restart."""


class Tenant(NamedTuple):
    """One namespace."""

    namespace: str
    root: Path
    quota: Quota
    tokens: TokenDigests | None
    """``None``: no token is asked for."""


def single_tenant(root: Path, quota: Quota, token: Callable[[], str] | None) -> dict[str, Tenant]:
    """The default namespace alone, with at most one token."""

    def digests() -> frozenset[bytes]:
        assert token is not None
        return frozenset((hashlib.sha256(token().encode()).digest(),))

    return {DEFAULT_NAMESPACE: Tenant(DEFAULT_NAMESPACE, root, quota, digests if token else None)}


def read_tenants(file: Path, quota: Quota) -> dict[str, Tenant]:
    """The namespaces of a tenants file; what a namespace leaves out comes from ``quota``.

    ::

        [namespaces.photos]
        root = "/srv/photos"
        tokens_sha256 = ["<64 hexadecimal digits>"]   # several are valid at once while tokens are rotated
        quota_bytes = "10GiB"
        quota_entries = 100000
        max_file_size = "1GiB"

    Raises:
        UsageError: naming the file, the namespace and the key.
    """
    try:
        parsed = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _usage(file, str(error)) from None
    namespaces = parsed.get("namespaces")
    if set(parsed) != {"namespaces"} or not isinstance(namespaces, dict) or not namespaces:
        raise _usage(file, "must have tables [namespaces.NAME] and nothing else")
    tenants = {name: _tenant(file, name, table, quota) for name, table in namespaces.items()}
    _refuse_overlap(file, tenants)
    return tenants


def _tenant(file: Path, name: str, table: Any, quota: Quota) -> Tenant:
    where = f"[namespaces.{name}]"
    if not _NAMESPACE.fullmatch(name):
        raise _usage(file, f"{where}: a namespace has 1 to 63 letters, digits, dots, dashes and underscores")
    if not isinstance(table, Mapping) or not isinstance(table.get("root"), str):
        raise _usage(file, f"{where} needs root, the directory of its replica")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise _usage(file, f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    tokens = table.get("tokens_sha256")
    if not isinstance(tokens, list) or not tokens or not all(_is_digest(token) for token in tokens):
        raise _usage(file, f"{where} needs tokens_sha256, a list of SHA-256 digests of tokens in hexadecimal")
    digests = frozenset(bytes.fromhex(token) for token in tokens)
    try:
        own = Quota(
            max_file_size=_bound(table, "max_file_size", quota.max_file_size),
            max_bytes=_bound(table, "quota_bytes", quota.max_bytes),
            max_entries=_bound(table, "quota_entries", quota.max_entries),
            min_free_bytes=quota.min_free_bytes,
        )
    except ValueError as error:
        raise _usage(file, f"{where}: {error}") from None
    return Tenant(name, Path(table["root"]), own, lambda: digests)


def _is_digest(token: object) -> bool:
    return isinstance(token, str) and _DIGEST.fullmatch(token) is not None


def _bound(table: Mapping[str, Any], key: str, default: int) -> int:
    value = table.get(key)
    if value is None:
        return default
    size = parse_size(value)
    if size < 1:
        msg = f"{key} must be at least 1"
        raise ValueError(msg)
    return size


def _refuse_overlap(file: Path, tenants: Mapping[str, Tenant]) -> None:
    roots = sorted((tenant.root.resolve(), name) for name, tenant in tenants.items())
    for (upper, first), (lower, second) in pairwise(roots):
        if lower == upper or upper in lower.parents:
            raise _usage(
                file, f"the roots of {first!r} and {second!r} overlap; each namespace needs a directory of its own"
            )


def _usage(file: Path, message: str) -> UsageError:
    return UsageError(f"DIRSYNC_SERVER_TENANTS_FILE={file}: {message}")
