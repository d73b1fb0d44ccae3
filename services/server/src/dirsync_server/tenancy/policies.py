"""What a table of the tenants file says of how its replica is kept; what it leaves out is as in the settings. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from dirsync.endpoint.quota import Quota
from dirsync.endpoint.replica import ReplicaPolicy
from dirsync.fs.write.durable import Fsync
from dirsync.fs.write.modes import ModePolicy
from dirsync.runtime.config.values import parse_mode, parse_size

T = TypeVar("T")

POLICY_KEYS = frozenset(
    {"quota_bytes", "quota_entries", "max_file_size", "permissions", "file_mode", "dir_mode", "fsync"}
)
"""The keys that are read here."""
_PRESERVE, _FIXED = "preserve", "fixed"


class Defaults(NamedTuple):
    """What the settings say."""

    quota: Quota
    fsync: Fsync
    fixed: bool
    """Whether permission bits are fixed; then these are the modes."""
    file_mode: int
    dir_mode: int

    @property
    def policy(self) -> ReplicaPolicy:
        """The policy of a namespace that says nothing."""
        return parse_policy({}, self)


def parse_policy(table: Mapping[str, Any], defaults: Defaults) -> ReplicaPolicy:
    """The policy of a namespace.

    Raises:
        ValueError: naming the key, and what is allowed.
    """
    quota = Quota(
        max_file_size=_value(table, "max_file_size", _parse_bound, defaults.quota.max_file_size),
        max_bytes=_value(table, "quota_bytes", _parse_bound, defaults.quota.max_bytes),
        max_entries=_value(table, "quota_entries", _parse_bound, defaults.quota.max_entries),
        min_free_bytes=defaults.quota.min_free_bytes,
    )
    return ReplicaPolicy(quota, _value(table, "fsync", _parse_fsync, defaults.fsync), _parse_modes(table, defaults))


def _parse_modes(table: Mapping[str, Any], defaults: Defaults) -> ModePolicy:
    fixed = _value(table, "permissions", _parse_fixed, defaults.fixed)
    file_mode = _value(table, "file_mode", _parse_mode, defaults.file_mode)
    dir_mode = _value(table, "dir_mode", _parse_mode, defaults.dir_mode)
    if fixed:
        return ModePolicy.fixed(file_mode, dir_mode)
    if {"file_mode", "dir_mode"} & table.keys():
        msg = f'file_mode and dir_mode are for permissions = "{_FIXED}"'
        raise ValueError(msg)
    return ModePolicy.preserve()


def _value(table: Mapping[str, Any], key: str, parse: Callable[[Any], T], default: T) -> T:
    if key not in table:
        return default
    try:
        return parse(table[key])
    except ValueError as error:
        msg = f"{key}: {error}"
        raise ValueError(msg) from None


def _parse_bound(value: object) -> int:
    size = parse_size(value if isinstance(value, str | int) else "")
    if size < 1:
        msg = "must be at least 1"
        raise ValueError(msg)
    return size


def _parse_mode(value: object) -> int:
    # A number would be decimal: 640 is 0o1200.
    return parse_mode(value if isinstance(value, str) else "")


def _parse_fixed(value: object) -> bool:
    if value not in (_PRESERVE, _FIXED):
        msg = f"is {_PRESERVE} or {_FIXED}"
        raise ValueError(msg)
    return value == _FIXED


def _parse_fsync(value: Any) -> Fsync:
    try:
        return Fsync(value)
    except ValueError:
        msg = f"is {', '.join(Fsync)}"
        raise ValueError(msg) from None
