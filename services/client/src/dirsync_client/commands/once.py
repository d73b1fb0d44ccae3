"""``dirsync-client once``: one full sync, then exit."""

import argparse
import json
from typing import Any

from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.runtime.process.cli import ExitCode
from dirsync.runtime.process.lifecycle import collect_rarely, interruptible
from dirsync.tree.path import escape
from dirsync_client.app import Core
from dirsync_client.report.progress import showing_progress
from dirsync_client.report.status import Status
from dirsync_client.settings import ClientSettings

PROBLEMS_TOLD = 20
"""Problems that are listed one by one; the log and ``--json`` have all."""


def once(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Sync, and say how it ended."""
    collect_rarely()
    core = Core(settings, NoMetrics(catalogue=CLIENT_CATALOGUE), once=True)
    try:
        if arguments.approve:
            core.state.approve(arguments.approve)
        with interruptible(), showing_progress(core.engine, core.board):
            core.engine.run(once=True)
        status = core.board.status
        _tell(status, as_json=arguments.json)
        return outcome(status)
    finally:
        core.close()


def outcome(status: Status) -> ExitCode:
    """The exit status that a client's status means."""
    if status.hold is not None:
        return ExitCode.HELD
    if status.problems:
        return ExitCode.PROBLEMS
    return ExitCode.DONE if status.in_sync else ExitCode.FAILED


def _tell(status: Status, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_as_data(status)))
        return
    if status.hold is not None:
        print(f"held {status.hold.id} ({status.hold.guard.value}): {status.hold.message}")
    for problem in status.problems[:PROBLEMS_TOLD]:
        print(f"problem: {problem.message}")
    if len(status.problems) > PROBLEMS_TOLD:
        print(f"and {len(status.problems) - PROBLEMS_TOLD} more problems")
    verdict = "in sync" if status.in_sync else "not in sync"
    print(f"{verdict}, {status.entries} entries, root digest {status.replica_digest.hex()}")


def _as_data(status: Status) -> dict[str, Any]:
    from dirsync.wire.agent import view_hold  # noqa: PLC0415 - only what is printed as JSON needs the agent's messages

    hold = view_hold(status.hold) if status.hold else None
    return {
        "in_sync": status.in_sync,
        "entries": status.entries,
        "root_digest": status.replica_digest.hex(),
        "pending": status.pending,
        "holds": [hold._asdict()] if hold else [],
        "problems": [
            {"path": escape(problem.path), "kind": problem.kind.value, "message": problem.message}
            for problem in status.problems
        ],
        "untracked": status.untracked,
    }
