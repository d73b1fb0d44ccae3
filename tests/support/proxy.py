"""A TCP relay on loopback that counts what really passes, and can hold it up or cut it, as networks do."""

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

from tests.support.running.ports import free_port

PIECE = 1 << 16
"""Bytes that are relayed at a time, at most."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""


def end_connection(end: socket.socket, *, reset: bool = False) -> None:
    """Close one end of a connection; with ``reset`` its peer gets an RST."""
    with suppress(OSError):
        if reset:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # A socket is not closed while another thread waits to read from it.
        end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
    end.close()


class Proxy:
    """Relays connections to one address; use as a context manager."""

    def __init__(self, target: str, *, source: str = "127.0.0.1") -> None:
        """``target`` is ``host:port``; there need not be a listener yet. It sees its callers come from ``source``."""
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._source = (source, 0)
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.sent = 0
        """Bytes to the target, headers of every protocol above TCP included."""
        self.received = 0
        """Bytes from the target."""
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        """Start to relay."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cut everything."""
        # A blocked accept does not notice that its socket is closed; it does notice a shutdown.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        self._flows.set()
        self.cut()

    def freeze(self) -> None:
        """Hold everything up, in both directions, without ending a connection."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let everything flow on."""
        self._flows.set()

    def cut(self) -> None:
        """End all connections; new ones are taken."""
        with self._lock:
            ended, self._open = self._open, set()
        for end in ended:
            end_connection(end)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._target, source_address=self._source)
                except OSError:
                    near.close()
                    continue
                for end in (near, far):
                    # What is relayed was meant to go at once; nothing waits for what may follow.
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open |= {near, far}
                threading.Thread(target=self._relay, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._relay, args=(far, near, False), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, to_target: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                self._flows.wait()
                self._count(piece, to_target)
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def _count(self, piece: bytes, to_target: bool) -> None:
        with self._lock:
            if to_target:
                self.sent += len(piece)
            else:
                self.received += len(piece)
