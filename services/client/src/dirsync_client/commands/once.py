"""``dirsync-client once``: one full sync, then exit."""

import argparse
from collections.abc import Callable, Mapping
from functools import partial

from dirsync.runtime.log.logging import tell_people
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.runtime.process.cli import ExitCode
from dirsync.runtime.process.lifecycle import Lifetime, collect_rarely, end_now
from dirsync.tree.path import RelPath, escape
from dirsync_client.commands.each_target import Data, for_each
from dirsync_client.core import Core
from dirsync_client.lifecycle.ending import Left
from dirsync_client.lifecycle.engine_thread import EngineThread
from dirsync_client.report.progress import showing_progress
from dirsync_client.report.status import Status
from dirsync_client.settings import ClientSettings
from dirsync_client.targets.assembly import Made

PROBLEMS_TOLD = 20
"""Problems that are listed one by one; the log and ``--json`` have all."""


def once(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Sync, and say how it ended."""
    collect_rarely()
    lifetime = Lifetime()
    core = Core(settings, NoMetrics(catalogue=CLIENT_CATALOGUE), once=True)
    try:
        if arguments.approve is not None:
            core.approve(arguments.approve)
        engine = EngineThread(core.engine, lifetime, once=True)
        with lifetime.signals(), showing_progress(core.engine, core.boards):
            engine.start()
            lifetime.wait()
            if engine.is_alive and not engine.end(settings.shutdown_grace, sends=False):
                _warn("interrupted: the source or a disk does not answer, so what was left is not known")
                core.abandon()
                end_now(ExitCode.FAILED)
        if engine.error is not None:
            raise engine.error
        with lifetime.signals():
            core.hooks.stop(settings.shutdown_grace if engine.left else settings.hook_timeout)
        return for_each(
            settings.targets,
            arguments,
            lambda place, _target: _outcome(core.targets[place], engine.left, as_data=arguments.json),
        )
    finally:
        core.close()


def _outcome(made: Made, left: Mapping[str, Left], *, as_data: bool) -> tuple[ExitCode, Data, Callable[[], None]]:
    """How the sync of one target ended; the data is empty unless it is printed.

    Raises:
        DirsyncError: it failed.
    """
    if made.engine.error is not None:
        raise made.engine.error
    status = made.board.status
    data = _as_data(status) if as_data else {}
    told = partial(_tell, status)
    if made.settings.name not in left or (made.engine.is_over and status.in_sync):
        return outcome(status), data, told
    _warn(_named(made.settings.name, _interrupted(left[made.settings.name])))
    return ExitCode.FAILED, data, told


def _named(name: str, line: str) -> str:
    return f"target {name}: {line}" if name else line


def _interrupted(left: Left) -> str:
    if not left.number:
        return "interrupted before everything was compared; run it again"
    named = ", ".join(escape(RelPath(path)) for path in left.paths)
    more = f" and {left.number - len(left.paths)} more" if left.number > len(left.paths) else ""
    return f"interrupted: {left.number} paths are not at the server yet: {named}{more}; run it again"


def _warn(line: str) -> None:
    tell_people(f"dirsync-client: {line}\n")


def outcome(status: Status) -> ExitCode:
    """The exit status that a client's status means."""
    if status.hold is not None:
        return ExitCode.HELD
    if status.problems:
        return ExitCode.PROBLEMS
    return ExitCode.DONE if status.in_sync else ExitCode.FAILED


def _tell(status: Status) -> None:
    if status.hold is not None:
        print(f"held {status.hold.id} ({status.hold.guard.value}): {status.hold.message}")
    for problem in status.problems[:PROBLEMS_TOLD]:
        print(f"problem: {problem.message}")
    if status.problem_count > PROBLEMS_TOLD:
        print(f"and {status.problem_count - PROBLEMS_TOLD} more problems")
    verdict = "in sync" if status.in_sync else "not in sync"
    print(f"{verdict}, {status.entries} entries, root digest {status.replica_digest.hex()}")


def _as_data(status: Status) -> Data:
    # Only what is printed as JSON needs the agent's messages.
    from dirsync.wire.agent.hold import view_hold  # noqa: PLC0415
    from dirsync.wire.agent.status import view_untracked  # noqa: PLC0415

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
        "untracked_paths": [shown._asdict() for shown in view_untracked(status.untracked_named)],
    }
