"""Every message of the push stream in every state of the stream, by one table: pure, and through the wire."""

from collections.abc import Sequence

import pytest

from dirsync.errors import DirsyncError, LimitExceeded, OutOfTurn
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.push.messages import PushMessage, decode_push
from dirsync_server.ingest.protocol import Phase, PushState
from tests.support.peers.operations import Inside, abort, batch, begin, commit, data, digest, end, put, section
from tests.support.peers.wire import OK, SYNC, Status, Wire, stream_open

SESSION = b"0123456789abcdef"
CONTENT = b"content"
OPEN = stream_open(SESSION)

STATES: dict[str, Sequence[pb.PushChangesRequest]] = {
    "start": (),
    "ready": (OPEN,),
    "one_open": (OPEN, batch(put(3, b"three", CONTENT)), begin(5, b"five", len(CONTENT))),
    "ended": (OPEN, begin(5, b"five", len(CONTENT)), data(5, CONTENT), end(5, digest(CONTENT))),
    "aborted": (OPEN, begin(5, b"five", len(CONTENT)), abort(5)),
    "all_open": (OPEN, *(begin(number, b"f%d" % number, len(CONTENT)) for number in (2, 3, 4, 5))),
    "building": (OPEN, section(5, b"five", Inside(b"a", CONTENT), last=False)),
    "built": (OPEN, section(5, b"five", Inside(b"a", CONTENT))),
    "closed": (OPEN, OPEN),
}
MESSAGES = {
    "open": OPEN,
    "empty_batch": batch(),
    "batch": batch(put(7, b"seven", CONTENT), put(9, b"nine", CONTENT)),
    "batch_same_number": batch(put(5, b"again", CONTENT)),
    "batch_falling": batch(put(9, b"nine", CONTENT), put(7, b"seven", CONTENT)),
    "batch_zero": batch(put(0, b"zero", CONTENT)),
    "begin": begin(7, b"large", len(CONTENT)),
    "begin_same_number": begin(5, b"again", len(CONTENT)),
    "begin_zero": begin(0, b"zero", len(CONTENT)),
    "data": data(5, CONTENT),
    "data_unknown": data(6, CONTENT),
    "end": end(5, digest(CONTENT)),
    "end_unknown": end(6, digest(CONTENT)),
    "abort": abort(5),
    "abort_unknown": abort(6),
    "section": section(7, b"seven", Inside(b"a", CONTENT)),
    "section_same_number": section(5, b"again"),
    "section_more": section(5, None, Inside(b"b", CONTENT)),
    "section_unknown": section(6, None),
    "commit": commit(),
    "commit_rescan": commit(rescan=True),
}
TABLE = """
                     start   ready   one_open  ended   aborted  all_open  building  built  closed
open                 ok      turn    turn      turn    turn     turn      turn      turn   turn
empty_batch          turn    ok      ok        ok      ok       ok        ok        ok     turn
batch                turn    ok      ok        ok      ok       ok        ok        ok     turn
batch_same_number    turn    ok      turn      turn    turn     turn      turn      turn   turn
batch_falling        turn    turn    turn      turn    turn     turn      turn      turn   turn
batch_zero           turn    turn    turn      turn    turn     turn      turn      turn   turn
begin                turn    ok      ok        ok      ok       limit     ok        ok     turn
begin_same_number    turn    ok      turn      turn    turn     limit     turn      turn   turn
begin_zero           turn    turn    turn      turn    turn     limit     turn      turn   turn
data                 turn    turn    ok        turn    turn     ok        turn      turn   turn
data_unknown         turn    turn    turn      turn    turn     turn      turn      turn   turn
end                  turn    turn    ok        turn    turn     ok        turn      turn   turn
end_unknown          turn    turn    turn      turn    turn     turn      turn      turn   turn
abort                turn    turn    ok        turn    turn     ok        turn      turn   turn
abort_unknown        turn    turn    turn      turn    turn     turn      turn      turn   turn
section              turn    ok      ok        ok      ok       ok        turn      ok     turn
section_same_number  turn    ok      turn      turn    turn     turn      turn      turn   turn
section_more         turn    turn    turn      turn    turn     turn      ok        turn   turn
section_unknown      turn    turn    turn      turn    turn     turn      turn      turn   turn
commit               turn    ok      ok        ok      ok       ok        ok        ok     turn
commit_rescan        turn    ok      ok        ok      ok       ok        ok        ok     turn
"""
ERRORS = {"turn": OutOfTurn, "limit": LimitExceeded}
STATUSES = {"turn": ("FAILED_PRECONDITION", "OUT_OF_TURN"), "limit": ("RESOURCE_EXHAUSTED", "MAX_OPEN_FILES")}


def rows() -> list[tuple[str, str, str]]:
    """Message, state and outcome of each cell of the table."""
    header, *lines = TABLE.strip("\n").splitlines()
    return [
        (line.split()[0], state, outcome)
        for line in lines
        for state, outcome in zip(header.split(), line.split()[1:], strict=True)
    ]


def machine(state: str) -> PushState:
    """A machine in a state."""
    push = PushState()
    for message in STATES[state]:
        try:
            push.receive(decode(message))
        except OutOfTurn:
            assert state == "closed"
    return push


def decode(message: pb.PushChangesRequest) -> PushMessage:
    """The message as the server sees it."""
    return decode_push(message.SerializeToString())


def test_total() -> None:
    """The table has every message in every state, and the messages are all that the protocol has."""
    cells = {(message, state) for message, state, _ in rows()}
    kinds = {message.WhichOneof("message") for message in MESSAGES.values()}
    known = {field.name for field in pb.PushChangesRequest.DESCRIPTOR.oneofs_by_name["message"].fields}

    assert {(message, state) for message in MESSAGES for state in STATES} == cells
    # What is compressed is not any more by the time the machine sees it.
    assert known - {"compressed_batch", "compressed_section"} == kinds


@pytest.mark.case("I14")
@pytest.mark.parametrize("message, state, outcome", rows())
def test_machine(message: str, state: str, outcome: str) -> None:
    """The machine accepts what the table accepts, and is closed for good after anything else."""
    push = machine(state)
    raised: type[DirsyncError] | None = None
    try:
        push.receive(decode(MESSAGES[message]))
    except DirsyncError as error:
        raised = type(error)

    assert ERRORS.get(outcome) == raised
    if raised:
        assert Phase.CLOSED is push.phase
        with pytest.raises(OutOfTurn):
            push.receive(decode(commit()))


@pytest.mark.case("I14")
@pytest.mark.parametrize("message, state, outcome", [row for row in rows() if row[1] != "closed"])
def test_wire(wire: Wire, message: str, state: str, outcome: str) -> None:
    """Through a real server: the stream goes on, or ends with the status that says why and its session is over."""
    session_id = wire.open_session().session_id
    opening = stream_open(session_id)
    messages = [opening if m is OPEN else m for m in (*STATES[state], MESSAGES[message])]
    answers, status = wire.push().send(*messages).finish()

    if outcome == "ok":
        assert OK == status
        assert int(message.startswith("commit")) == len(answers)
        assert OK == wire.list(session_id, b"").status
        return
    assert ([], *STATUSES[outcome], "dirsync") == (answers, *status[:3])
    if state != "start":
        assert over() == wire.list(session_id, b"").status._replace(message="", details=b"")


def over() -> Status:
    """How calls end whose session is over."""
    return Status("FAILED_PRECONDITION", "SESSION_UNKNOWN", "dirsync")


@pytest.mark.case("I14")
@pytest.mark.parametrize("message", MESSAGES)
def test_superseded(wire: Wire, message: str) -> None:
    """Once a newer session took over, nothing that comes on the old one's stream has any effect but its end."""
    old = wire.open_session()
    push = wire.push(old.session_id)
    push.send(commit()).receive()
    new = wire.open_session()
    answers, status = push.send(MESSAGES[message], commit()).finish()

    assert [] == answers
    assert status.code in ("ABORTED", "CANCELLED")
    assert "ABORTED" == wire.list(old.session_id, b"").status.code
    assert new.root_digest == wire.open_session().root_digest


@pytest.mark.case("I14")
@pytest.mark.parametrize("message", MESSAGES)
def test_closed_session(wire: Wire, message: str) -> None:
    """Once the session was closed, nothing that comes on its stream has any effect but its end."""
    session = wire.open_session()
    push = wire.push(session.session_id)
    push.send(commit()).receive()
    closed = wire.close_session(session.session_id)
    answers, status = push.send(MESSAGES[message], commit()).finish()

    assert (OK, []) == (closed, answers)
    assert status.code in ("FAILED_PRECONDITION", "CANCELLED")
    assert session.root_digest == wire.open_session().root_digest


@pytest.mark.parametrize("session_id", [SESSION, b"", b"short", bytes(64)])
def test_unknown_session(wire: Wire, session_id: bytes) -> None:
    """A session that was never opened, or cannot be one, is refused on every method that names one."""
    answers = [
        wire.push(session_id).finish()[1],
        wire.list(session_id, b"").status,
        wire.call(SYNC + "ListDirectories", pb.ListDirectoriesRequest(session_id=session_id, paths=[b".."])).status,
    ]
    possible = "FAILED_PRECONDITION" if len(session_id) == len(SESSION) else "INVALID_ARGUMENT"

    assert [possible, possible, "INVALID_ARGUMENT"] == [status.code for status in answers]


def test_one_stream_at_a_time(wire: Wire) -> None:
    """A second push stream of the same session is refused, and the first goes on unharmed."""
    session_id = wire.open_session().session_id
    first = wire.push(session_id)
    first.send(commit()).receive()
    refused = wire.push(session_id).send(commit()).finish()[1]
    first.send(commit()).receive()

    assert ("FAILED_PRECONDITION", "OUT_OF_TURN") == refused[:2]
    assert OK == first.finish()[1]


def test_closing_twice(wire: Wire) -> None:
    """Closing a session that is over already succeeds."""
    session_id = wire.open_session().session_id

    assert [OK, OK] == [wire.close_session(session_id), wire.close_session(session_id)]
