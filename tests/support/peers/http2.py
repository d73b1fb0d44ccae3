"""A peer that speaks HTTP/2 frame by frame, so that a test can say what no library says, or stop where none stops.

It answers SETTINGS and PING as RFC 9113 asks, in a thread of its own, unless reading is switched off; everything else
is up to the test. Header fields are written as literals (RFC 7541, section 6.2.2), so nothing is compressed or
remembered.
"""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from enum import IntEnum
from typing import Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
_HEAD = 9
_WINDOW_SETTING = 4
_CONNECT_SECONDS = 15.0


class Kind(IntEnum):
    """Types of frames (RFC 9113, section 6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


def frame(kind: Kind, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(Kind.SETTINGS, b"".join(struct.pack(">HI", key, value) for key, value in values.items()))


def field(name: bytes, value: bytes) -> bytes:
    """A header field, literal and never indexed."""
    return b"\x10" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    if len(text) < 0x7F:
        return bytes((len(text),)) + text
    rest, length = len(text) - 0x7F, bytearray(b"\x7f")
    while rest >= 0x80:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((*length, rest)) + text


def request_fields(path: str, extra: Iterable[tuple[str, str]] = ()) -> bytes:
    """The header fields of a gRPC call."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *extra,
    ]
    return b"".join(field(name.encode(), value.encode()) for name, value in fields)


def message(payload: bytes, *, compressed: bool = False) -> bytes:
    """A gRPC message with its prefix."""
    return struct.pack(">?I", compressed, len(payload)) + payload


class Peer:
    """One connection; use as a context manager. Whatever the other side says of it is kept as counts."""

    def __init__(self, address: str, *, window: int = 65_535, reads: bool = True, source: str = "127.0.0.1") -> None:
        """Connect and greet.

        Args:
            address: ``host:port``.
            window: How much of each response the other side may send.
            reads: Whether anything is read at all.
            source: The address of ours that the other side sees.
        """
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), _CONNECT_SECONDS, (source, 0))
        self.socket.settimeout(None)
        self.seen = Counter[Kind]()
        """Frames of the other side, by kind."""
        self.ended: set[int] = set()
        """Streams that the other side has ended or reset."""
        self.closed = threading.Event()
        """Whether the connection is over."""
        self._greeted = threading.Event()
        self._streams = 1
        self._lock = threading.Lock()
        self._sends = True
        self.send(PREFACE + settings({_WINDOW_SETTING: window}))
        if reads:
            threading.Thread(target=self._read, daemon=True).start()
            # Before its greeting is answered, the other side holds us to the windows that HTTP/2 begins with.
            self._greeted.wait(_CONNECT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def send(self, raw: bytes) -> bool:
        """Send bytes; False once the other side does not take them any more."""
        with self._lock:
            if self._sends:
                try:
                    self.socket.sendall(raw)
                except OSError:
                    self._sends = False
            return self._sends

    def headers(self, path: str, extra: Iterable[tuple[str, str]] = (), *, end: bool = False) -> int:
        """Start a call without a message. Returns its stream."""
        stream = self.next_stream()
        flags = END_HEADERS | (END_STREAM if end else 0)
        self.send(frame(Kind.HEADERS, request_fields(path, extra), flags=flags, stream=stream))
        return stream

    def next_stream(self) -> int:
        """The number of a new stream."""
        stream, self._streams = self._streams, self._streams + 2
        return stream

    def call(self, path: str, payload: bytes, extra: Iterable[tuple[str, str]] = ()) -> int:
        """A whole call of one small message. Returns its stream."""
        stream = self.headers(path, extra)
        self.send(frame(Kind.DATA, message(payload), flags=END_STREAM, stream=stream))
        return stream

    def _read(self) -> None:
        buffer = bytearray()
        with suppress(OSError):
            while piece := self.socket.recv(1 << 16):
                buffer += piece
                while len(buffer) >= _HEAD:
                    size = int.from_bytes(buffer[:3])
                    if len(buffer) < _HEAD + size:
                        break
                    self._take(bytes(buffer[: _HEAD + size]))
                    del buffer[: _HEAD + size]
        self.closed.set()
        self._greeted.set()

    def _take(self, raw: bytes) -> None:
        kind, flags, stream, payload = raw[3], raw[4], int.from_bytes(raw[5:_HEAD]), raw[_HEAD:]
        if kind == Kind.RST_STREAM or (kind in (Kind.DATA, Kind.HEADERS) and flags & END_STREAM):
            self.ended.add(stream)
        if kind == Kind.SETTINGS and not flags & ACK:
            self.send(frame(Kind.SETTINGS, flags=ACK))
            self._greeted.set()
        if kind == Kind.PING and not flags & ACK:
            self.send(frame(Kind.PING, payload, flags=ACK))
        if kind in Kind.__members__.values():
            self.seen[Kind(kind)] += 1
