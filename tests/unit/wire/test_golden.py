"""The wire of earlier versions: what they wrote is read the same, and what is written now can be read by them.

``tests/golden/wire-VERSION.json`` holds the descriptors and some messages of a released version. It is written when
the version is released, and never changed.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from dirsync.v1 import agent_service_pb2, entry_pb2, replica_service_pb2, sync_service_pb2
from tests.property.wire.test_codec import CODECS

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("wire-*.json"))
BEYOND = b"\x9a\x3e\x05later"
"""A field of number 995: no version has one."""
NOW = {
    module.DESCRIPTOR.name: module.DESCRIPTOR
    for module in (entry_pb2, sync_service_pb2, replica_service_pb2, agent_service_pb2)
}
MESSAGES = [
    pytest.param(name, bytes.fromhex(raw), id=f"{file.stem}-{name}-{number}")
    for file in GOLDEN
    for name, raws in json.loads(file.read_text())["messages"].items()
    for number, raw in enumerate(raws)
]


def written(file: Path) -> list[descriptor_pb2.FileDescriptorProto]:
    """The descriptors of an earlier version."""
    encoded = json.loads(file.read_text())["descriptors"]
    return [descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(raw)) for raw in encoded]


def fields(messages: Any, prefix: str) -> dict[str, tuple[Any, ...]]:
    """Every field of some messages, nested ones included: what its bytes on the wire depend on."""
    found: dict[str, tuple[Any, ...]] = {}
    for message in messages:
        name = f"{prefix}.{message.name}"
        for field in message.field:
            found[f"{name}.{field.name}"] = (field.number, field.type, field.label, field.type_name)
        found |= fields(message.nested_type, name)
    return found


def values(file: descriptor_pb2.FileDescriptorProto) -> dict[str, int]:
    """Every value of every enumeration."""
    return {f"{enum.name}.{value.name}": value.number for enum in file.enum_type for value in enum.value}


def methods(file: descriptor_pb2.FileDescriptorProto) -> dict[str, tuple[Any, ...]]:
    """Every method of every service."""
    return {
        f"{service.name}.{m.name}": (m.input_type, m.output_type, m.client_streaming, m.server_streaming)
        for service in file.service
        for m in service.method
    }


@pytest.mark.case("L01")
@pytest.mark.parametrize("name, raw", MESSAGES)
def test_messages_are_read_the_same(name: str, raw: bytes) -> None:
    """What an earlier version wrote is understood, loses nothing, and unknown fields beside it change nothing."""
    codec = CODECS[name]
    understood = codec.decode(raw)

    assert raw == codec.encode(understood)
    assert understood == codec.decode(raw + BEYOND)


@pytest.mark.case("L01")
@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_nothing_was_changed(file: Path) -> None:
    """Fields, values and methods of an earlier version are there as they were: both versions read each other."""
    for before in written(file):
        now = descriptor_pb2.FileDescriptorProto()
        NOW[before.name].CopyToProto(now)

        assert fields(before.message_type, "").items() <= fields(now.message_type, "").items()
        assert values(before).items() <= values(now).items()
        assert methods(before).items() <= methods(now).items()
