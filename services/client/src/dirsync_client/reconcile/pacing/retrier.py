"""Trying again what failed or waits: at the time that is set, when its cause may be gone, or when a person asks."""

from dirsync_client.reconcile.commands import LookAt, ProbeSource
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.path_states import LATER, Phase


class Retrier:
    """Has paths looked at again. Pure: the time is the context's."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def advance(self) -> None:
        """Have everything looked at that is due."""
        self._probe()
        due = tuple(self._context.retries.take(self._context.now))
        later = tuple(path for path in due if self._context.table.phase(path) in LATER)
        if later:
            self._context.emit(LookAt(later, retry=True))

    def try_all(self) -> None:
        """Try everything now."""
        context = self._context
        for path, state in context.table.states(Phase.FAILED):
            state.attempts = 0
            context.retries.set(path, context.now)
        context.pacing.clear()
        for path in context.table.paths(Phase.PACED):
            context.retries.set(path, context.now)

    @property
    def wake_at(self) -> float | None:
        """When something is due; ``None``: nothing will be."""
        context = self._context
        times = [context.retries.earliest()]
        if not context.options.at_once:
            times.append(context.probes.wake_at(context.table, context.source.problems.values()))
        return min((time for time in times if time is not None), default=None)

    def _probe(self) -> None:
        context = self._context
        if context.options.at_once:
            return
        source = context.source
        trees = (source.tree, context.replica)
        due = context.probes.due(context.table, trees, source.problems.values(), context.now)
        if due.at_source:
            context.emit(ProbeSource(due.at_source))
        for path in due.at_server:
            context.retries.set(path, context.now)
