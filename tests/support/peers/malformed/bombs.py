"""Small messages that are large once they are parsed or decompressed."""

import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

MIB = 1 << 20
_LENGTH_DELIMITED = 2
_DEPTH = 4


def parse_bombs(message: Any, size: int = MIB - 4096) -> Iterator[tuple[str, bytes]]:
    """For each field that ``message`` can hold, a message of about ``size`` bytes with as many of it as fit.

    Fields within fields are filled too, to a depth of four, and each is as empty as it can be.
    """
    yield from _filled(message, size, "", _DEPTH)
    yield "unknown fields", b"\xf8\x7f\x00" * (size // 3)
    yield "groups", b"\x0b" * size
    for number in range(1, 7):
        yield f"nested in field {number}", nested(number, size)


def _filled(message: Any, size: int, place: str, depth: int) -> Iterator[tuple[str, bytes]]:
    for field in message.fields:
        name = f"{place}{field.name}"
        if field.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_STRING):
            yield name, _many(field.number, size)
        if field.message_type is not None and depth:
            for inner, raw in _filled(field.message_type, size - 8, f"{name}.", depth - 1):
                yield inner, _tag(field.number, _LENGTH_DELIMITED) + _varint(len(raw)) + raw


@cache
def _many(number: int, size: int) -> bytes:
    one = _tag(number, _LENGTH_DELIMITED) + b"\0"
    return one * (size // len(one))


@cache
def nested(number: int, size: int) -> bytes:
    """A field in a field in a field, as deep as fits into ``size`` bytes."""
    tag, parts, length = _tag(number, _LENGTH_DELIMITED), [], 0
    while length < size:
        parts.append(tag + _varint(length))
        length += len(parts[-1])
    return b"".join(reversed(parts))


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def compressed_zeros(encoding: str, size: int) -> bytes:
    """So many zeros as gRPC's ``gzip`` (RFC 1952) or ``deflate`` (RFC 1950) packs them."""
    packer = zlib.compressobj(9, wbits={"gzip": 31, "deflate": 15}[encoding])
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(size // MIB)), packer.flush()])
