"""``dirsync-client run``: full sync, then live."""

import argparse

from dirsync.runtime.process.cli import ExitCode
from dirsync_client.settings import ClientSettings


def run(settings: ClientSettings, _arguments: argparse.Namespace) -> ExitCode:
    """Sync until told to stop."""
    from dirsync_client.app import Client  # noqa: PLC0415  # other commands start faster without

    Client(settings).run()
    return ExitCode.DONE
