"""How a command ends that has asked whether all is in sync."""

from dirsync.runtime.process.cli import ExitCode
from dirsync.wire.agent.status import TargetStatus
from dirsync.wire.agent.sync import SyncResult


def exit_code(found: TargetStatus | SyncResult) -> ExitCode:
    """The first that is the case: in sync, held, problems, or still different."""
    if found.in_sync:
        return ExitCode.DONE
    if found.holds:
        return ExitCode.HELD
    return ExitCode.PROBLEMS if found.problems else ExitCode.DIFFERENT
