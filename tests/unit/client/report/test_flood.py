"""A hundred thousand problems at once: the log, the metrics and the status say how many, and stay small."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from dirsync.limits import KIB
from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.log import logging
from dirsync.runtime.log.limiter import BURST
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.wire.agent.problems import decode_problems
from dirsync.wire.agent.status import decode_agent_status
from dirsync_client.agent.auth import AgentAuth
from dirsync_client.agent.service import AgentServicer
from dirsync_client.mailbox import Mailbox
from dirsync_client.report.reporter import Reporter
from dirsync_client.report.status import MAX_SHOWN_PROBLEMS, StatusBoard
from dirsync_client.report.transfer_metrics import TransferMetrics
from dirsync_client.targets.boards import Boards
from tests.support.running.events import faults
from tests.support.running.metrics import samples
from tests.unit.client.reconcile.harness import Harness
from tests.unit.client.reconcile.model import path

UNREADABLE, TOO_LONG = 60_000, 40_000
MANY = UNREADABLE + TOO_LONG
NO_CONTEXT: Any = None


def kind_of(number: int) -> ProblemKind:
    """What is the matter with the path of that number."""
    return ProblemKind.UNREADABLE if number < UNREADABLE else ProblemKind.NAME_TOO_LONG


@pytest.mark.case("L09")
def test_many_problems() -> None:
    """The log has a few lines of each kind and their sum, no series is added, the status has the count, once."""
    stream = io.StringIO()
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream)
    sync = Harness()
    for number in range(MANY):
        at = path(f"p{number}")
        sync.source.problems[at] = Problem(at, kind_of(number), f"p{number} cannot be read")
    sync.connect()
    sync.run()
    metrics, board = PrometheusMetrics((), CLIENT_CATALOGUE), StatusBoard()
    before = samples(metrics).keys
    untracked = SimpleNamespace(count=0, named=())
    source: Any = SimpleNamespace(tree=sync.source.tree, untracked=untracked)
    reporter = Reporter(source, board, TransferMetrics(metrics), metrics)
    for _ in range(3):  # what is known already is not told again
        reporter.mark_dirty(0.0)
        reporter.publish(sync.reconciler.view, None, quiet=True)
    logging.flush()
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [event for event in events if event["event"] == "file.problem"]
    agent = AgentServicer(Mailbox(), Boards({"": board}), (), ("server", "default"), AgentAuth(None))
    status = agent.get_status(b"", NO_CONTEXT)
    pages = list(agent.list_problems(b"", NO_CONTEXT))

    assert [] == [fault for event in events for fault in faults(event)]
    assert 2 * BURST == sum("path" in event for event in told)
    assert {"unreadable": UNREADABLE - BURST, "name_too_long": TOO_LONG - BURST} == _suppressed(told)
    assert 3 == sum(event["event"] == "sync.completed" for event in events)
    assert 32 * KIB > len(stream.getvalue())
    assert before == samples(metrics).keys
    assert {"unreadable": UNREADABLE, "name_too_long": TOO_LONG} == {
        kind: count for kind, count in samples(metrics).sums("dirsync_problems", "kind").items() if count
    }
    assert MANY == decode_agent_status(status).overall.problems
    assert 2 * KIB > len(status)
    assert MAX_SHOWN_PROBLEMS == len(list(decode_problems(pages)))
    assert 1024 * KIB > max(map(len, pages))


def _suppressed(told: list[dict[str, Any]]) -> dict[str, int]:
    return {event["kind"]: event["suppressed"] for event in told if "suppressed" in event}
