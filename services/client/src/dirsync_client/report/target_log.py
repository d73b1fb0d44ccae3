"""The log of one target: its events say which target, namespace and session they are about."""

from collections.abc import Mapping, Sequence
from typing import Any

from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger, info_each, set_context


class TargetLog:
    """Where one target logs. The only target of a client, without a name, has the context of the whole process."""

    def __init__(self, namespace: str = "", name: str = "") -> None:
        """``name``: of the target."""
        self._namespace = namespace
        self._name = name
        self.to = get_logger()
        """Takes the events."""
        self._fields: dict[str, object] = {}

    def about(self, *, session: str | None) -> None:
        """From now on the events are about this session."""
        if not self._name:
            set_context(namespace=self._namespace, session=session)
            return
        self._fields = {"namespace": self._namespace, "session": session, "target": self._name}
        self.to = get_logger(**self._fields)

    def info(self, event: Event, **fields: Any) -> None:
        """Log an event."""
        self.to.info(event, **fields)

    def warning(self, event: Event, **fields: Any) -> None:
        """Log an event that a person may have to look at."""
        self.to.warning(event, **fields)

    def info_each(
        self, event: Event, rows: Sequence[Mapping[str, object]], shared: Mapping[str, object] | None = None
    ) -> None:
        """Log the same event many times: see :func:`~dirsync.runtime.log.logging.info_each`."""
        info_each(event, rows, {**self._fields, **(shared or {})})
