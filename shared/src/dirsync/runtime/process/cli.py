"""The shape that both programs share: subcommands, settings as flags, exit codes, errors in one line.

A program is a table of :class:`Command`. :func:`run_program` parses, loads settings, sets up the log, runs one command
and converts its outcome to an exit code. Data goes to stdout, messages to stderr.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, NoReturn, TypeVar

from dirsync import __version__
from dirsync.errors import DirsyncError, UsageError
from dirsync.runtime.config.flags import (
    add_flags,
    complete_switches,
    given_flags,
    overridden,
    unknown_options,
)
from dirsync.runtime.config.settings import ServiceSettings

SHELLS = ("bash", "zsh", "fish")
"""For which there is completion."""


class ExitCode(IntEnum):
    """The exit status of a program."""

    DONE = 0
    """For ``status``: in sync. For ``plan``: a plan was printed, or there is nothing to do."""
    FAILED = 1
    """Also: no agent to ask."""
    USAGE = 2
    """A wrong argument or setting, or a directory that cannot be used."""
    HELD = 3
    """A safety guard holds operations."""
    PROBLEMS = 4
    """Done, but some paths had problems."""
    DIFFERENT = 5
    """The trees differ."""


S = TypeVar("S", bound=ServiceSettings)


def _no_arguments(_parser: argparse.ArgumentParser) -> None:
    """Most commands take settings only."""


@dataclass(frozen=True)
class Command(Generic[S]):
    """One subcommand."""

    name: str
    help: str
    run: Callable[[S, argparse.Namespace], ExitCode]
    """Does the work; the namespace has ``json`` and what ``arguments`` added."""
    arguments: Callable[[argparse.ArgumentParser], object] = _no_arguments
    logs: bool = True
    """Whether the log of a service is set up; otherwise only errors are told, as lines for people."""


def run_program(
    program: str, commands: Sequence[Command[S]], settings_class: type[S], argv: Sequence[str] | None = None
) -> int:
    """Run the command that ``argv`` names, the first of ``commands`` where it names none; returns the exit code."""
    say: Callable[[str], object] = _to_stderr
    try:
        arguments = _parse(program, commands, settings_class, list(sys.argv[1:] if argv is None else argv))
        command = next(command for command in commands if command.name == arguments.command)
        settings = settings_class.load(given_flags(arguments, settings_class))
        if command.logs:
            say = _set_up_log(settings, overridden(arguments))
        else:
            tell(program, "\n".join(overridden(arguments)))
        code = command.run(settings, arguments)
        print(end="", flush=True)
    except UsageError as error:
        tell(program, str(error), say)
        return ExitCode.USAGE
    except DirsyncError as error:
        tell(program, str(error), say)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        tell(program, "interrupted", say)
        return ExitCode.FAILED
    except BrokenPipeError:
        # The reader of our output has gone; the interpreter's last flush must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    else:
        return code


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)


def tell(program: str, message: str, say: Callable[[str], object] = _to_stderr) -> None:
    """Each line of a message to people, on stderr, with our name; ``say`` writes it where a log is written too."""
    for line in message.splitlines():
        say(f"{program}: {line}\n")


def _set_up_log(settings: ServiceSettings, notices: Sequence[str]) -> Callable[[str], object]:
    """Begin the log; returns what writes a line for people from then on."""
    from dirsync.runtime.log import events, libraries, logging  # noqa: PLC0415 - commands without a log start faster

    logging.configure(settings.service, settings.log_level, settings.log_format)
    logging.detach()
    libraries.capture_libraries(settings.log_level)
    for notice in notices:
        logging.get_logger().warning(events.Event.CONFIG_OVERRIDDEN, problem=notice)
    return logging.tell_people


class _Parser(argparse.ArgumentParser):
    """argparse with errors that are one line and ours."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing a usage of forty flags."""
        msg = f"{message} (see {self.prog} --help)"
        raise UsageError(msg)


def make_parser(
    program: str, commands: Sequence[Command[S]], settings_class: type[S], only: str | None = None
) -> argparse.ArgumentParser:
    """The parser of a program's command line; with ``only`` it knows the options of this command alone."""
    parser = _Parser(prog=program, allow_abbrev=False, epilog=f"Without a command: {commands[0].name}.")
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in commands:
        # An option of a command takes the place of a setting's flag of that name: ``status --watch``.
        sub = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.help,
            allow_abbrev=False,
            conflict_handler="resolve",
        )
        if only not in (None, command.name):
            continue
        sub.add_argument("--version", action="version", version=f"{program} {__version__}")
        sub.add_argument("--json", action="store_true", help="data as JSON on stdout")
        add_flags(sub, settings_class)
        command.arguments(sub)
    return parser


def completion(program: str, commands: Sequence[Command[S]], settings_class: type[S]) -> Command[S]:
    """The command that prints what completes this program's command line in a shell."""

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("shell", choices=SHELLS, help="the shell that is to complete")

    def run(_settings: S, arguments: argparse.Namespace) -> ExitCode:
        from dirsync.runtime.process.completion import script  # noqa: PLC0415 - no other command needs its library

        print(script(make_parser(program, [*commands, command], settings_class), arguments.shell), end="")
        return ExitCode.DONE

    command = Command(
        "completion", "print a script that completes this command in a shell", run, add_arguments, logs=False
    )
    return command


def _parse(
    program: str, commands: Sequence[Command[S]], settings_class: type[S], argv: list[str]
) -> argparse.Namespace:
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help", "--version")):
        argv = [commands[0].name, *argv]
    # Forty flags for each of ten commands would take longer than all other arguments of a start.
    parser = make_parser(program, commands, settings_class, only=argv[0])
    arguments, rest = parser.parse_known_args(complete_switches(argv, settings_class))
    if rest:
        lines = unknown_options(rest, settings_class)
        raise UsageError("\n".join(f"{line} (see {program} {arguments.command} --help)" for line in lines))
    return arguments
