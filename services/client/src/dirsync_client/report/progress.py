"""The progress display of a run on a terminal: files, bytes, rate, time left."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dirsync_client.engine import Engine
from dirsync_client.targets.boards import Boards

REFRESH_SECONDS = 0.2


@contextmanager
def showing_progress(engine: Engine, boards: Boards) -> Iterator[None]:
    """Show progress on stderr inside, if that is a terminal; else do nothing."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    engine.measure_plans()
    thread = threading.Thread(target=_show, args=(engine, boards, done), name="dirsync-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show(engine: Engine, boards: Boards, done: threading.Event) -> None:
    # Imported late: only a terminal pays for it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[files]} files"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(boards.status.state.value, total=None, files=0)
        while not done.wait(REFRESH_SECONDS):
            work = engine.work
            progress.update(
                task,
                description=boards.status.state.value,
                completed=work.bytes_done,
                total=work.bytes_planned or None,
                files=f"{work.files_done}/{work.files_planned}" if work.files_planned else work.files_done,
            )
