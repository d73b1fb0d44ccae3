"""The agent's Unix socket: ``agent.sock`` in STATE_DIR.

Only the user that the client runs as may connect: the socket has mode 0600. A running client holds the lock of its
STATE_DIR, so a socket that lies there when a client starts is that of a dead process, and is replaced.

The path of a socket may have some hundred bytes only, and gRPC reads it as a URI. On Linux it is therefore reached
through a descriptor of its directory, whatever that is called and however deep it lies.
"""

import contextlib
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Self
from urllib.parse import quote

SOCKET = "agent.sock"
_MAX_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""What ``sockaddr_un`` holds beside the final zero."""


class UnixSocket:
    """One end's way to the socket of a state directory; a context manager that closes it."""

    def __init__(self, state_dir: Path) -> None:
        """Open the directory; the way there works until :meth:`close`.

        Raises:
            OSError: it cannot be opened, or its path is too long.
        """
        self._directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._path = _address(self._directory, state_dir)
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def target(self) -> str:
        """The address for gRPC."""
        return f"unix:{quote(self._path)}"

    @property
    def answers(self) -> bool:
        """Whether a process listens there that we may connect to."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(self._path)
            except OSError:
                return False
        return True

    def remove(self) -> None:
        """Remove the socket, if there is one."""
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.stat(SOCKET, dir_fd=self._directory, follow_symlinks=False).st_mode):
                os.unlink(SOCKET, dir_fd=self._directory)

    def close(self) -> None:
        """Close the directory; may be called again."""
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1


def _address(directory: int, state_dir: Path) -> str:
    through = f"/proc/self/fd/{directory}"
    path = os.path.join(through if os.path.isdir(through) else os.path.abspath(state_dir), SOCKET)
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        msg = f"a socket's path may have {_MAX_PATH_BYTES} bytes"
        raise OSError(msg)
    return path
