"""structlog, imported without what it would draw tracebacks with: that is a third of a short run's start."""

from dirsync.runtime.process.imports import deferred, without

with without("rich", "better_exceptions"), deferred("asyncio"):
    from structlog import DropEvent, configure, get_logger, make_filtering_bound_logger
    from structlog.contextvars import merge_contextvars
    from structlog.dev import ConsoleRenderer
    from structlog.typing import FilteringBoundLogger, Processor

__all__ = [
    "ConsoleRenderer",
    "DropEvent",
    "FilteringBoundLogger",
    "Processor",
    "configure",
    "get_logger",
    "make_filtering_bound_logger",
    "merge_contextvars",
]
