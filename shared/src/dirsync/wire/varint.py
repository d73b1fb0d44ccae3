"""Variable-length integers of protobuf, for the few messages that are put together and taken apart by hand.

Bulk content is not copied into a message and out of it again by protobuf; what surrounds it is a few of these.
"""


def encode_varint(value: int) -> bytes:
    """The bytes of a number that is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at an offset, and the offset behind it.

    Raises:
        IndexError: there is no whole number of 64 bits.
    """
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError
