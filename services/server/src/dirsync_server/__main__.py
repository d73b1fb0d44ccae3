"""``dirsync-server``: the program."""

import argparse
import gc
import os
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

# Imports make little garbage, and looking for it costs a fifth of their time.
gc.disable()
# gRPC's C core writes to stderr unless it is told before it is imported; stderr is the log's.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from dirsync.runtime.process.cli import Command, ExitCode, completion, run_program  # noqa: E402
from dirsync.runtime.process.lifecycle import collect_from_now_on, run_process, run_until_stopped  # noqa: E402
from dirsync_server.settings import ServerSettings  # noqa: E402

PROGRAM = "dirsync-server"


def serve(settings: ServerSettings, _arguments: argparse.Namespace) -> ExitCode:
    """Serve until told to stop."""
    # Imported late: `health` has to be quick and needs none of it.
    import_module("dirsync.rpc")  # first, because it decides how gRPC starts
    from dirsync_server.app import Server  # noqa: PLC0415

    collect_from_now_on()
    server = Server(settings)
    run_until_stopped(server.start, server.stop)
    return ExitCode.DONE


def health(settings: ServerSettings, arguments: argparse.Namespace) -> ExitCode:
    """Ask the running server."""
    from dirsync.runtime.http.health import probe  # noqa: PLC0415

    good = probe(settings.metrics_listen, "/readyz" if arguments.ready else "/livez")
    return ExitCode.DONE if good else ExitCode.FAILED


def namespaces(settings: ServerSettings, arguments: argparse.Namespace) -> ExitCode:
    """List what this server has of each namespace."""
    from dirsync_server.commands.namespaces import namespaces as run  # noqa: PLC0415 - `health` has to be quick

    return run(settings, arguments)


def drop(settings: ServerSettings, arguments: argparse.Namespace) -> ExitCode:
    """Remove this server's copy of a namespace."""
    from dirsync_server.commands.drop import drop as run  # noqa: PLC0415 - `health` has to be quick

    return run(settings, arguments)


def _drop_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("namespace", help="whose copy is removed")
    parser.add_argument("--yes", action="store_true", help="remove it; otherwise it is only shown")


def _health_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ready", action="store_true", help="ask whether it is ready, not only alive")


COMMANDS = (
    Command("serve", "serve until SIGTERM or SIGINT", serve),
    Command("namespaces", "list what this server has of each namespace, used or not", namespaces, logs=False),
    Command(
        "drop", "remove this server's copy of a namespace that nobody uses here", drop, _drop_arguments, logs=False
    ),
    Command("health", "exit 0 when the server is alive (--ready: ready)", health, _health_arguments, logs=False),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    commands = (*COMMANDS, completion(PROGRAM, COMMANDS, ServerSettings))
    return run_program(PROGRAM, commands, ServerSettings, argv)


def program() -> NoReturn:
    """Run the program as a process, which ends with it."""
    run_process(main)


if __name__ == "__main__":
    program()
