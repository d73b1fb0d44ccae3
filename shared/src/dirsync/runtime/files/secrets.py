"""Secrets: read from files only, followed when the files change, and never shown."""

import hashlib
from pathlib import Path

from dirsync.errors import UsageError
from dirsync.runtime.files.reloading_file import ReloadingFile, read_file

MAX_SECRET_CHARACTERS = 4096
"""Longest secret: it must fit into the metadata of a call."""


class SecretFile(ReloadingFile[str]):
    """A token in a file that we show to others, without the white space around it. It stays while the file is gone."""

    def __init__(self, path: Path, setting: str) -> None:
        """Read ``path``; ``setting`` is the name that the person knows it by.

        Raises:
            UsageError: unreadable, empty, or nothing that a call's metadata could carry.
        """
        super().__init__((setting,), (path,), lambda: _read_secret(path, setting))


class TokenFile(ReloadingFile[frozenset[bytes]]):
    """A token in a file that others must show, by its :func:`digest_of`. While the file is gone no token is valid."""

    def __init__(self, path: Path, setting: str) -> None:
        """As for :class:`SecretFile`."""

        def load() -> frozenset[bytes]:
            return frozenset((digest_of(_read_secret(path, setting)),))

        super().__init__((setting,), (path,), load, fallback=frozenset())


def digest_of(secret: str) -> bytes:
    """The SHA-256 by which a secret is known."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()


def _read_secret(path: Path, setting: str) -> str:
    secret = read_file(path, setting).strip()
    if not secret:
        msg = f"{setting}: the file is empty"
        raise UsageError(msg)
    if len(secret) > MAX_SECRET_CHARACTERS or not secret.isascii() or not secret.decode("ascii").isprintable():
        msg = f"{setting}: the file must hold one line of at most {MAX_SECRET_CHARACTERS} printable ASCII characters"
        raise UsageError(msg)
    return secret.decode("ascii")
