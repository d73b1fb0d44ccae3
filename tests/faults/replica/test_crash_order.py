"""The order of a commit is that of docs/crash-order.md, call by call."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults.syscalls import MUTATING, Call, traced
from tests.support.peers.history import COMMITS, told
from tests.support.peers.operations import commit
from tests.support.peers.wire import Wire
from tests.support.running.programs import Pair
from tests.support.running.waiting import until

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "crash-order.md"
STAGE, SEAL, FILES, PUBLISH, DIRECTORIES, TIDY = 1, 2, 3, 4, 5, 7
PHASES = {STAGE: "s", SEAL: "s", FILES: "s", PUBLISH: "p", DIRECTORIES: "d", TIDY: "t"}


def documented() -> dict[int, set[str]]:
    """The calls of each step of the document that is carried out by calls."""
    rows = re.findall(r"^\| (\d) \|[^|]*\|([^|]*)\|", DOCUMENT.read_text(), re.MULTILINE)
    return {int(step): calls for step, by in rows if (calls := set(re.findall(r"`(\w+)`", by)))}


def steps(calls: list[Call], replica: Path) -> Iterator[tuple[int, Call]]:
    """The step that each call belongs to; what is done for the index or the log belongs to none."""
    published = False
    for call in calls:
        step = _step(call, replica, published)
        if step:
            published = step == PUBLISH or (published and step == DIRECTORIES)
            yield step, call


def _step(call: Call, replica: Path, published: bool) -> int:
    built = "/built-" in call.names or "\nbuilt-" in call.names
    staged = built or "/staged-" in call.names or "\nstaged-" in call.names
    inside = str(replica) in call.names
    match call.name:
        case "openat":
            return STAGE if staged and "O_CREAT" in call.arguments else 0
        case "write" | "ftruncate":
            return STAGE if staged else 0
        case "fchmod" | "utimensat":
            return SEAL if staged else PUBLISH if inside else 0
        case "fsync":
            return FILES if staged else DIRECTORIES if inside else 0
        case "syncfs":
            return DIRECTORIES if published else FILES
        case "mkdirat" if built or ("dirsync-staging" in call.names and not staged):
            return STAGE
        case "unlinkat" if "dirsync-staging" in call.names and not staged:
            return TIDY
        case "mkdirat" | "symlinkat" | "renameat" | "renameat2" | "unlinkat":
            return PUBLISH
        case _:
            return 0


@pytest.mark.needs("strace")
@pytest.mark.case("A03")
@pytest.mark.parametrize("fsync", ["batch", "always"])
def test_document(pair: Pair, fsync: str) -> None:
    """Every commit stages, publishes, makes directories durable and tidies up, by the documented calls."""
    server = pair.server(fsync=fsync)
    with Wire(server.address) as wire, traced(server.pid, pair.place / "strace", names=MUTATING) as trace:
        push = wire.push(wire.open_session().session_id)
        answers = [push.send(*step.messages, commit()).receive() for step in told("area", builds=fsync == "batch")]
        push.finish()
        until(lambda: not list(pair.place.glob(".*staging")), "the staging directory to be removed")
    taken = list(steps(trace.calls(), pair.replica))
    seen: dict[int, set[str]] = {}
    for step, call in taken:
        seen.setdefault(step, set()).add(call.name)
    order = re.sub(r"(.)\1+", r"\1", "".join(PHASES[step] for step, _ in taken))

    assert COMMITS == sum(not answer.failures for answer in answers)
    assert documented().keys() == seen.keys()
    assert {} == {step: strange for step, calls in seen.items() if (strange := calls - documented()[step])}
    assert re.fullmatch(rf"(s?pdt?){{{COMMITS}}}", order), order
