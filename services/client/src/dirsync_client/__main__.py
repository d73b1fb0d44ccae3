"""``dirsync-client``: the program."""

import argparse
import gc
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

# Imports make little garbage, and looking for it costs a fifth of their time.
gc.disable()
# gRPC's C core writes to stderr unless it is told before it is imported; stderr is the log's.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from dirsync.runtime.config.flags import Once  # noqa: E402
from dirsync.runtime.process.cli import Command, ExitCode, completion, run_program  # noqa: E402
from dirsync.runtime.process.lifecycle import collect_from_now_on, run_process  # noqa: E402
from dirsync_client.settings import ClientSettings  # noqa: E402

PROGRAM = "dirsync-client"


def _command(module: str, name: str) -> Callable[[ClientSettings, argparse.Namespace], ExitCode]:
    """The command, imported when it runs: `health` has to be quick and needs no gRPC."""

    def run(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
        import_module("dirsync.rpc")  # first, because it decides how gRPC starts
        command = getattr(import_module(f"dirsync_client.commands.{module}"), name)
        collect_from_now_on()
        found: ExitCode = command(settings, arguments)
        return found

    return run


def _health(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    from dirsync.runtime.http.health import probe  # noqa: PLC0415

    good = probe(settings.metrics_listen, "/readyz" if arguments.ready else "/livez")
    return ExitCode.DONE if good else ExitCode.FAILED


def _once_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--approve", action=Once, metavar="HOLD_ID", help="release the deletes that a guard held in an earlier run"
    )


def _target_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target", action=Once, metavar="NAME", help="only the server to which SERVER gives this name (default: all)"
    )


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    _target_argument(parser)
    parser.add_argument("--all", action="store_true", help="list every path, also where there are very many")


def _verify_arguments(parser: argparse.ArgumentParser) -> None:
    _target_argument(parser)
    parser.add_argument("--deep", action="store_true", help="read all content again on both sides")
    parser.add_argument("--all", action="store_true", help="list every path, also where there are very many")


def _status_arguments(parser: argparse.ArgumentParser) -> None:
    _target_argument(parser)
    parser.add_argument("--watch", dest="again", action="store_true", help="ask again each second, until interrupted")


def _sync_arguments(parser: argparse.ArgumentParser) -> None:
    _target_argument(parser)
    parser.add_argument(
        "--timeout", action=Once, metavar="TIME", help="give up after this time, such as 30s (default: 1h)"
    )


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    _target_argument(parser)
    parser.add_argument("path", metavar="PATH", help="relative to the source, or absolute in it")


def _approve_arguments(parser: argparse.ArgumentParser) -> None:
    _target_argument(parser)
    parser.add_argument("hold_id", metavar="HOLD_ID", help="the id that status, plan and the log show")


def _health_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ready", action="store_true", help="ask whether it is ready, not only alive")


COMMANDS = (
    Command("run", "full sync, then live until SIGTERM or SIGINT", _command("run", "run")),
    Command("once", "one full sync, then exit", _command("once", "once"), _once_arguments),
    Command("plan", "what a sync would do; changes nothing", _command("plan", "plan"), _plan_arguments, logs=False),
    Command(
        "verify", "compare both sides; changes nothing", _command("verify", "verify"), _verify_arguments, logs=False
    ),
    Command("status", "ask the running client", _command("agent.status", "status"), _status_arguments, logs=False),
    Command(
        "sync",
        "have the running client look again and send all; returns when that is done",
        _command("agent.sync", "sync"),
        _sync_arguments,
        logs=False,
    ),
    Command(
        "events", "print the running client's events as they happen", _command("agent.events", "events"), logs=False
    ),
    Command(
        "explain",
        "what both sides have at a path, and why it is (not) in sync",
        _command("agent.explain", "explain"),
        _explain_arguments,
        logs=False,
    ),
    Command(
        "approve", "release what a guard holds", _command("agent.approve", "approve"), _approve_arguments, logs=False
    ),
    Command("health", "exit 0 when the client is alive (--ready: ready)", _health, _health_arguments, logs=False),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; gives its exit status."""
    commands = (*COMMANDS, completion(PROGRAM, COMMANDS, ClientSettings))
    return run_program(PROGRAM, commands, ClientSettings, argv)


def program() -> NoReturn:
    """Run the program as a process, which ends with it."""
    run_process(main)


if __name__ == "__main__":
    program()
