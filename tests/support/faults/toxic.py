"""A TCP relay that behaves as bad networks do: it is slow, far away, cuts, resets, loses answers, or flips a byte.

The model is toxiproxy: each fault is a field that may be set and cleared while connections are open.
"""

import queue
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.proxy import PIECE, Proxy, end_connection


@dataclass
class Cut:
    """A connection ends after so many bytes of one direction, counted from now; it happens once."""

    after: int
    to_server: bool = True
    reset: bool = True


class _Due(NamedTuple):
    at: float
    piece: bytes


class Toxic(Proxy):
    """A relay whose faults are set by its fields."""

    def __init__(self, target: str, *, source: str = "127.0.0.1") -> None:
        super().__init__(target, source=source)
        self.latency = 0.0
        """Seconds that each byte takes, in each direction."""
        self.bytes_per_second = 0
        """Bytes that each direction of a connection carries in a second; 0: no bound."""
        self.flip_after: int | None = None
        """So many bytes to the server from now on, one bit is flipped, once."""
        self.answers_lost = False
        """Nothing of what the server sends arrives."""
        self.pending_cut: Cut | None = None
        """The next cut; ``None`` again once it has happened."""
        self.connections = 0
        """Connections that carried something."""
        self.turns = 0
        """How often bytes went the other way than those before: two for each round trip."""
        self._towards_server: bool | None = None

    @property
    def was_cut(self) -> bool:
        """Whether no cut is pending any more."""
        return self.pending_cut is None

    def _relay(self, source: socket.socket, target: socket.socket, to_target: bool) -> None:
        line: queue.SimpleQueue[_Due | None] = queue.SimpleQueue()
        writer = threading.Thread(target=self._write, args=(line, source, target), daemon=True)
        writer.start()
        carried = False
        with suppress(OSError):
            while piece := source.recv(PIECE):
                self._flows.wait()
                if not to_target and self.answers_lost:
                    continue
                self._count(piece, to_target)
                if to_target:
                    self.connections += not carried
                    carried = True
                    piece = self._flipped(piece)
                kept, cut = self._cut_piece(piece, to_target)
                line.put(_Due(time.monotonic() + self.latency, kept))
                if cut is not None:
                    line.put(None)
                    writer.join()
                    for end in (source, target):
                        end_connection(end, reset=cut.reset)
                    return
        line.put(None)
        writer.join()
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _count(self, piece: bytes, to_target: bool) -> None:
        super()._count(piece, to_target)
        with self._lock:
            if self._towards_server is not to_target:
                self._towards_server = to_target
                self.turns += 1

    def _flipped(self, piece: bytes) -> bytes:
        with self._lock:
            if self.flip_after is None:
                return piece
            if self.flip_after >= len(piece):
                self.flip_after -= len(piece)
                return piece
            at, self.flip_after = self.flip_after, None
        return piece[:at] + bytes([piece[at] ^ 0x10]) + piece[at + 1 :]

    def _cut_piece(self, piece: bytes, to_target: bool) -> tuple[bytes, Cut | None]:
        with self._lock:
            cut = self.pending_cut
            if cut is None or cut.to_server is not to_target:
                return piece, None
            if cut.after > len(piece):
                cut.after -= len(piece)
                return piece, None
            self.pending_cut = None
        return piece[: cut.after], cut

    def _write(self, line: "queue.SimpleQueue[_Due | None]", source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while (due := line.get()) is not None:
                time.sleep(max(0.0, due.at - time.monotonic()))
                if self.bytes_per_second:
                    self._trickle(due.piece, target)
                else:
                    target.sendall(due.piece)
            return
        # The other side is gone; its peer has to learn of it, though it may only be reading.
        with suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)

    def _trickle(self, piece: bytes, target: socket.socket) -> None:
        step = max(1, self.bytes_per_second // 20)
        for start in range(0, len(piece), step):
            part = piece[start : start + step]
            time.sleep(len(part) / self.bytes_per_second)
            target.sendall(part)
