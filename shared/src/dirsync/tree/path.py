"""Relative paths, the form in which both sides name files and directories.

A path is bytes, because file names are (POSIX allows every byte but ``/`` and NUL). It is relative to a root. Its
components are separated by single slashes; none is empty, ``.`` or ``..``. The root itself is the empty path. Paths
from a peer are validated by :func:`parse_path`; a :data:`RelPath` need not be checked again.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NewType

from dirsync.errors import InvalidMessage
from dirsync.limits import LIMITS

RelPath = NewType("RelPath", bytes)
"""A validated path relative to a root."""

ROOT = RelPath(b"")

_ESCAPE = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_FORBIDDEN = (b"", b".", b"..")
_QUOTED_BYTES = 100


class InvalidPath(InvalidMessage):
    """An invalid path: absolute, with ``..``, not clean, with a NUL, or too long."""

    default_reason = "INVALID_PATH"


def parse_path(raw: bytes) -> RelPath:
    """Validate a path that came from a peer or a user.

    Raises:
        InvalidPath: with the path and the rule that it breaks.
    """
    if raw == b"":
        return ROOT
    if len(raw) > LIMITS.max_path_bytes:
        msg = f"path of {len(raw)} bytes is longer than {LIMITS.max_path_bytes}"
        raise InvalidPath(msg)
    if b"\0" in raw:
        msg = f"path {abbreviate(raw)} contains a NUL byte"
        raise InvalidPath(msg)
    for component in raw.split(b"/"):
        if component in _FORBIDDEN:
            msg = f"path {abbreviate(raw)} is absolute, climbs, or is not clean"
            raise InvalidPath(msg)
        if len(component) > LIMITS.max_name_bytes:
            msg = f"path {abbreviate(raw)} has a component of more than {LIMITS.max_name_bytes} bytes"
            raise InvalidPath(msg)
    return RelPath(raw)


def parse_entry_path(raw: bytes) -> RelPath:
    """Validate a path that must name something below the root."""
    path = parse_path(raw)
    if path == ROOT:
        msg = "the path is empty, but an entry below the root is needed"
        raise InvalidPath(msg)
    return path


def parse_name(raw: bytes) -> bytes:
    """Validate one component."""
    if b"/" in raw or raw == b"":
        msg = f"{abbreviate(raw)!r} is not the name of a directory entry"
        raise InvalidPath(msg)
    return parse_path(raw)


def join(parent: RelPath, name: bytes) -> RelPath:
    """The path of the entry ``name`` in the directory ``parent``."""
    return RelPath(parent + b"/" + name if parent else name)


def split(path: RelPath) -> tuple[RelPath, bytes]:
    """The directory that holds ``path``, and its name there."""
    parent, _, name = path.rpartition(b"/")
    return RelPath(parent), name


def components(path: RelPath) -> list[bytes]:
    """The names from the root down; none for the root."""
    return path.split(b"/") if path else []


def is_within(path: RelPath, ancestor: RelPath) -> bool:
    """Whether ``path`` is ``ancestor`` or lies below it."""
    return not ancestor or path == ancestor or path.startswith(ancestor + b"/")


def require_apart(first: RelPath, second: RelPath) -> None:
    """Refuse two paths that cannot be exchanged, because one is, or lies within, the other.

    Raises:
        ValueError: one is, or lies within, the other.
    """
    if is_within(first, second) or is_within(second, first):
        msg = f"{escape(first)!r} and {escape(second)!r}: one is, or lies within, the other"
        raise ValueError(msg)


def ancestors(path: RelPath) -> Iterator[RelPath]:
    """The directories above ``path``, nearest first, the root last; none for the root."""
    while path:
        path, _ = split(path)
        yield path


def escape(raw: bytes) -> str:
    """A path or name as one line of text for people and logs.

    Bytes that are not UTF-8, control characters, line and paragraph separators and bidirectional overrides become
    backslash escapes, so that no name can forge a log line or reorder the text around it. A backslash is doubled, so
    that :func:`unescape` returns the original bytes.
    """
    text = raw.decode("utf-8", "surrogateescape")
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(_escape_character(c) for c in text)


def unescape(text: str) -> bytes:
    """The bytes whose :func:`escape` is ``text``; any other text stands for itself."""
    return _ESCAPE.sub(_unescape_one, text).encode("utf-8", "surrogateescape")


def _unescape_one(match: re.Match[str]) -> str:
    escaped = match[0]
    if escaped[1] == "\\":
        return "\\"
    form, digits = escaped[1], escaped[2:]
    point = int(digits, 16)
    if form == "x":
        return chr(point if point < 0x80 else point + 0xDC00)
    return chr(point) if point <= 0x10FFFF and not 0xD800 <= point < 0xE000 else escaped


def abbreviate(raw: bytes) -> str:
    """As :func:`escape`, but only the end of a long path or name: for messages that must stay short."""
    return escape(raw) if len(raw) <= _QUOTED_BYTES else f"...{escape(raw[-_QUOTED_BYTES:])}"


def _escape_character(c: str) -> str:
    point = ord(c)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    if c == "\\":
        return "\\\\"
    if c.isprintable() and unicodedata.category(c) not in ("Cf", "Zl", "Zp", "Cs"):
        return c
    return f"\\x{point:02x}" if point < 0x80 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
