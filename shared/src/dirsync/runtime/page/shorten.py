"""Text of bounded size for a document, and paths as a shell takes them. Pure."""

import shlex

from dirsync.tree.path import escape

PATH_BYTES = 120
"""Bytes of a path that a document shows."""
TEXT_BYTES = 200
"""Bytes of any other text that a document shows."""
_MARK = "\N{HORIZONTAL ELLIPSIS}"


def shorten(text: str, limit: int = TEXT_BYTES) -> str:
    """The text, or its beginning and its end, in at most ``limit`` bytes of UTF-8."""
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    kept = limit - len(_MARK.encode())
    head, tail = raw[: kept // 2], raw[-(kept - kept // 2) :]
    return f"{head.decode(errors='ignore')}{_MARK}{tail.decode(errors='ignore')}"


def shorten_path(path: bytes) -> str:
    """A path for people, escaped and of bounded size."""
    if len(path) > 2 * PATH_BYTES:
        # Of a long one the middle is not shown, so it need not be escaped either.
        return shorten(escape(path[:PATH_BYTES]) + escape(path[-PATH_BYTES:]), PATH_BYTES)
    return shorten(escape(path), PATH_BYTES)


def quote_path(path: bytes) -> str:
    """The path as one word for a shell; what cannot be shown is written as ``$'...'``, which bash, ksh and zsh read."""
    shown = escape(path)
    if shown.encode(errors="surrogateescape") == path:
        return shlex.quote(shown)
    return "$'" + "".join(map(_quote_byte, path)) + "'"


def _quote_byte(byte: int) -> str:
    character = chr(byte)
    if character in "\\'":
        return f"\\{character}"
    return character if character.isascii() and character.isprintable() else f"\\x{byte:02x}"
