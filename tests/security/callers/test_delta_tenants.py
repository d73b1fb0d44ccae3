"""Content of one tenant is unknown to another: naming it has the same result as naming content that does not exist."""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.v1 import sync_service_pb2 as pb
from tests.support.inside.deltas import based, copied, copy_content, delta, signature
from tests.support.peers.operations import Request, batch, begin, commit, data, digest, end
from tests.support.peers.wire import OK, Push, Status, Wire
from tests.support.running.programs import Pair
from tests.support.trees.content import random_bytes

SECRET = random_bytes(100_000, seed=1)
NOBODYS = random_bytes(100_000, seed=2)
OWN = random_bytes(100_000, seed=3)
_numbers = itertools.count(10)
"""Of operations: they grow along the stream that the tests of this module share."""


class Tenant(NamedTuple):
    """A session of one tenant."""

    wire: Wire
    session_id: bytes
    push: Push

    def settle(self, *messages: Request) -> pb.PushChangesResponse:
        """Send messages and a commit."""
        return self.push.send(*messages, commit()).receive()

    def store(self, content: bytes) -> None:
        """Have a file of this content."""
        committed = self.settle(begin(1, b"file", len(content)), data(1, content), end(1, digest(content)))

        assert [1] == list(committed.files)


def _table(name: str, root: Path) -> str:
    token = hashlib.sha256(name.encode()).hexdigest()
    return f'[namespaces.{name}]\nroot = "{root}"\ntokens_sha256 = ["{token}"]\n'


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tenant, Tenant]]:
    """Two tenants of one server; the first has the secret, the second something of its own."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    file = pair.place / "tenants.toml"
    file.write_text("".join(_table(name, pair.place / name) for name in ("red", "blue")))
    address = pair.server(tenants_file=file).address
    with Wire(address, "red") as red, Wire(address, "blue") as blue:
        both = []
        for wire, name in ((red, "red"), (blue, "blue")):
            session_id = wire.open_session(namespace=name).session_id
            both.append(Tenant(wire, session_id, wire.push(session_id)))
        both[0].store(SECRET)
        both[1].store(OWN)
        yield both[0], both[1]
        statuses = [tenant.push.finish()[1] for tenant in both]
    wrong = pair.end()

    assert [OK, OK] == statuses
    assert wrong == []


def _said(failures: list[pb.Failure]) -> list[bytes]:
    """The failures as they are on the wire, but for their numbers."""
    for failure in failures:
        failure.number = 0
    return [failure.SerializeToString() for failure in failures]


@pytest.mark.case("I19", "I20")
def test_basis(tenants: tuple[Tenant, Tenant]) -> None:
    """A basis that only another tenant has is as unknown as one that does not exist; the tenant's own works."""
    blue = tenants[1]
    answers = []
    for content, number in zip((SECRET, NOBODYS, OWN), _numbers, strict=False):
        made = digest(content[:4096])
        frames = [based(number, b"new", 4096, digest(content)), delta(number, copied(0)), end(number, made)]
        answers.append(list(blue.settle(*frames).failures))

    assert ["CONTENT_NOT_FOUND"] == [failure.reason for failure in answers[0]]
    assert _said(answers[0]) == _said(answers[1])
    assert [] == answers[2]


@pytest.mark.case("I19")
def test_copy(tenants: tuple[Tenant, Tenant]) -> None:
    """Nor can it be copied."""
    blue = tenants[1]
    contents = zip((SECRET, NOBODYS, OWN), _numbers, strict=False)
    answers = [list(blue.settle(batch(copy_content(number, b"copy", what))).failures) for what, number in contents]

    assert ["CONTENT_NOT_FOUND"] == [failure.reason for failure in answers[0]]
    assert _said(answers[0]) == _said(answers[1])
    assert [] == answers[2]


@pytest.mark.case("I19")
def test_signature(tenants: tuple[Tenant, Tenant]) -> None:
    """Nor is it described: not even to a caller that knows a session of the tenant, but not its token."""
    red, blue = tenants

    def asked(session_id: bytes, content: bytes) -> tuple[int, Status]:
        pages, status = signature(blue.wire, session_id, digest(content))
        return len(pages), status

    secret, nobodys, own = (asked(blue.session_id, content) for content in (SECRET, NOBODYS, OWN))
    stolen = asked(red.session_id, SECRET)

    assert (0, "NOT_FOUND", "CONTENT_NOT_FOUND") == (secret[0], *secret[1][:2])
    assert secret == nobodys
    assert (1, OK) == own
    assert (0, "UNAUTHENTICATED") == (stolen[0], stolen[1].code)
