"""Encoding entries and tree options, and decoding them with all checks of what a peer sends."""

from dirsync.errors import InvalidMessage, LimitExceeded
from dirsync.limits import LIMITS
from dirsync.tree.entry import (
    DIGEST_SIZE,
    PERMISSION_BITS,
    UNKNOWN,
    Entry,
    Kind,
    is_known,
    symlink_entry,
    unread_digest,
)
from dirsync.tree.options import Attributes, TreeOptions
from dirsync.tree.path import RelPath, escape
from dirsync.v1 import entry_pb2

MAX_SIZE = (1 << 63) - 1
"""Largest file size that a message may name, in bytes: the range of off_t."""

_KINDS = {int(kind): kind for kind in Kind}


class UnknownKind(InvalidMessage):
    """An entry of a kind that only newer versions know."""

    default_reason = "UNKNOWN_KIND"


def encode_entry(entry: Entry) -> entry_pb2.Entry:
    """An entry as a message."""
    message = entry_pb2.Entry()
    fill_entry(message, entry)
    return message


def fill_entry(message: entry_pb2.Entry, entry: Entry) -> None:
    """Write an entry into a message that is part of another; cheaper than creating one and copying it."""
    kind, mode, size, mtime_ns, digest, target = entry
    message.kind = int(kind)  # type: ignore[assignment]  # the numbers are those of the wire
    message.mode = mode
    message.size = size
    message.mtime_ns = mtime_ns
    if digest != UNKNOWN:
        message.digest = digest
    if target:
        message.target = target


def decode_entry(message: entry_pb2.Entry) -> Entry:
    """The entry that a message describes; mode bits beyond the permissions are dropped.

    Raises:
        UnknownKind: a kind that this version does not know.
        InvalidMessage: fields that no correct peer would send.
    """
    kind = _KINDS.get(message.kind)
    if kind is None:
        msg = f"unknown kind of entry {message.kind}"
        raise UnknownKind(msg)
    if kind is Kind.SYMLINK:
        return symlink_entry(decode_target(message.target))
    digest = message.digest
    if digest == b"":
        digest = UNKNOWN
    elif len(digest) != DIGEST_SIZE:
        msg = f"a digest has {DIGEST_SIZE} bytes, not {len(digest)}"
        raise InvalidMessage(msg, reason="INVALID_DIGEST")
    if kind is Kind.DIRECTORY:
        return Entry(kind, message.mode & PERMISSION_BITS, digest=digest)
    if message.size > MAX_SIZE:
        msg = f"a file of {message.size} bytes cannot exist"
        raise InvalidMessage(msg, reason="INVALID_SIZE")
    return Entry(kind, message.mode & PERMISSION_BITS, message.size, message.mtime_ns, digest)


def decode_current(message: entry_pb2.Entry) -> Entry:
    """The entry that a replica has at a path. A file that comes without a digest was not read: it equals nothing.

    Raises:
        InvalidMessage: as :func:`decode_entry`.
    """
    entry = decode_entry(message)
    if entry.kind is Kind.FILE and entry.digest == UNKNOWN:
        return entry._replace(digest=unread_digest(b""))
    return entry


def decode_target(target: bytes) -> bytes:
    """Validate the target of a symbolic link."""
    if not target or b"\0" in target or len(target) > LIMITS.max_target_bytes:
        msg = f"a link target has 1 to {LIMITS.max_target_bytes} bytes and no NUL"
        raise InvalidMessage(msg, reason="INVALID_TARGET")
    return target


def encode_path_entry(path: RelPath, entry: Entry) -> entry_pb2.PathEntry:
    """An entry and its path, also in a form for people."""
    return entry_pb2.PathEntry(
        path=path,
        path_text=escape(path),
        entry=encode_entry(entry),
        digest_hex=entry.digest.hex() if is_known(entry.digest) else "",
    )


def encode_options(options: TreeOptions) -> entry_pb2.TreeOptions:
    """Tree options as a message."""
    return entry_pb2.TreeOptions(
        preserve_mode=options.attributes.mode,
        preserve_mtime=options.attributes.mtime,
        ignore_rules=options.ignore_rules,
    )


def decode_options(message: entry_pb2.TreeOptions) -> TreeOptions:
    """The tree options that a message names.

    Raises:
        LimitExceeded: too many rules, or one that is too long.
    """
    rules = message.ignore_rules
    if len(rules) > LIMITS.max_ignore_rules:
        msg = f"{len(rules)} ignore rules; at most {LIMITS.max_ignore_rules} are accepted"
        raise LimitExceeded("max_ignore_rules", msg)
    if any(len(rule) > LIMITS.max_ignore_rule_bytes for rule in rules):
        msg = f"an ignore rule has more than {LIMITS.max_ignore_rule_bytes} bytes"
        raise LimitExceeded("max_ignore_rule_bytes", msg)
    if sum(map(len, rules)) > LIMITS.max_ignore_bytes:
        msg = f"the ignore rules have more than {LIMITS.max_ignore_bytes} bytes together"
        raise LimitExceeded("max_ignore_bytes", msg)
    return TreeOptions(Attributes(message.preserve_mode, message.preserve_mtime), tuple(rules))
