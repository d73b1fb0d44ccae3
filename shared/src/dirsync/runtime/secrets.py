"""Secrets: read from files only, followed when the files change, and never shown."""

from pathlib import Path

from dirsync.errors import UsageError
from dirsync.runtime.follow import Followed, read_file

MAX_SECRET_CHARACTERS = 4096
"""Longest secret: it must fit into the metadata of a call."""


class SecretFile(Followed[str]):
    """A token in a file, without the white space around it."""

    def __init__(self, path: Path, setting: str) -> None:
        """Read ``path``; ``setting`` is the name that the person knows it by.

        Raises:
            UsageError: unreadable, empty, or nothing that a call's metadata could carry.
        """
        super().__init__((setting,), (path,), lambda: _read_secret(path, setting))


def _read_secret(path: Path, setting: str) -> str:
    secret = read_file(path, setting).strip()
    if not secret:
        msg = f"{setting}: the file is empty"
        raise UsageError(msg)
    if len(secret) > MAX_SECRET_CHARACTERS or not secret.isascii() or not secret.decode("ascii").isprintable():
        msg = f"{setting}: the file must hold one line of at most {MAX_SECRET_CHARACTERS} printable ASCII characters"
        raise UsageError(msg)
    return secret.decode("ascii")
