"""Names and ids with control bytes: escaped wherever they are shown, and no part of a metric."""

import pytest

from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.operations import batch, commit, make_directory, put
from tests.support.peers.wire import SYNC, Wire
from tests.support.running.log import Event
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import build

pytestmark = pytest.mark.programs

EVIL = "\x1b[31m\r\n\x07\x9b\u202e\u2028{}"
CONTROL = {*range(32), 0x7F} - {0x0A}


def controls(text: str) -> set[int]:
    """The control characters and line separators in a text."""
    return {ord(c) for c in text if ord(c) in CONTROL or 0x80 <= ord(c) < 0xA0 or c in "\u2028\u202e"}


def shown_escaped(events: list[Event]) -> bool:
    """Positive control: names with control bytes were really shown, in their escaped form."""
    return any("\\x1b[31m" in str(value) for event in events for value in event.values())


@pytest.mark.case("I28")
def test_server(pair: Pair) -> None:
    """Ids with control bytes are refused, paths escaped: each event stays one line without any; no new series."""
    server = pair.server(log_level="debug")
    before = {(name, labels) for name, labels in server.metrics().keys if name.startswith("dirsync")}
    name = EVIL.format("n").encode()
    with Wire(server.address) as wire:
        evil = [
            pb.OpenSessionRequest(protocol_version=1, namespace=EVIL, client_id="c", instance_id="i"),
            pb.OpenSessionRequest(protocol_version=1, namespace="default", client_id=EVIL, instance_id="i"),
            pb.OpenSessionRequest(protocol_version=1, namespace="default", client_id="c", instance_id=EVIL),
            pb.OpenSessionRequest(
                protocol_version=1, namespace="default", client_id="c", instance_id="i", client_version=EVIL
            ),
        ]
        ids = [wire.call(SYNC + "OpenSession", request).status for request in evil]
        for number in range(20):
            session = wire.open_session(client_id="c", instance_id="i")
            push = wire.push(session.session_id)
            push.send(batch(make_directory(1, b"%d" % number + name), put(2, b"x" + name, b"x")), commit())
            push.finish()
            wire.close_session(session.session_id)
        session = wire.open_session(client_id="c", instance_id="i")
        refused = [*ids, wire.list(b"nobody", name).status, wire.list(session.session_id, b"none" + name).status]
    page, after = server.get("/").body, server.metrics()
    events = server.log.events

    assert [] == server.log.messages
    assert shown_escaped(events)
    assert {"INVALID_ARGUMENT", "NOT_FOUND"} >= {status.code for status in ids[:3]}
    assert set() == set().union(*(controls(str(value)) for event in events for value in event.values()))
    assert set() == set().union(*(controls(status.message) for status in refused))
    assert set() == controls(page.replace("\t", "").replace("\r", ""))
    assert before == {(name, labels) for name, labels in after.keys if name.startswith("dirsync")}


@pytest.mark.case("I28")
def test_client(pair: Pair) -> None:
    """File names in the log, in status, explain and the page of a client: one line each, without control bytes."""
    name = EVIL.format("n").replace("\x9b", "")
    build(pair.source, {name: "x", f"d{name}/{name}": "y"})
    pair.server()
    client = pair.client(namespace="default")
    before = client.metrics().keys
    build(pair.source, {f"late{name}": "z"})
    until((pair.replica / f"late{name}").exists, "it arrives")
    (pair.source / name).unlink()
    until(lambda: not (pair.replica / name).exists(), "it is gone")
    texts = [client.command(*asked).stdout for asked in (("explain", f"late{name}"), ("status",))] + [
        client.get("/").body
    ]
    events = client.log.events

    assert [] == client.log.messages
    assert shown_escaped(events)
    assert "\\x1b[31m" in texts[0]
    assert set() == set().union(*(controls(text.replace("\t", "")) for text in texts))
    assert set() == set().union(*(controls(str(value)) for event in events for value in event.values()))
    assert before == client.metrics().keys
