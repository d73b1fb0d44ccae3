"""Parsing bytes into a protobuf message, with an error that is the sender's.

Handlers take raw bytes, because the library's own deserialisers answer INTERNAL to bytes that do not parse, which would
mean an error of the receiver.
"""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from dirsync.errors import InvalidMessage

M = TypeVar("M", bound=Message)


def parse(message_type: type[M], raw: bytes) -> M:
    """Parse ``raw``.

    Raises:
        InvalidMessage: the bytes are no such message.
    """
    try:
        return message_type.FromString(raw)
    except DecodeError:
        msg = f"the bytes do not parse as {message_type.DESCRIPTOR.full_name}"
        raise InvalidMessage(msg) from None
