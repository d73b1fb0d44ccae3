"""The shape of both programs."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from dirsync import __version__
from dirsync.errors import Unavailable
from dirsync.runtime.process.cli import Command, ExitCode, run_program
from dirsync_client.settings import ClientSettings

seen: list[tuple[str, object, argparse.Namespace]] = []


def note(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Remember what a command was called with."""
    seen.append((arguments.command, settings, arguments))
    return ExitCode.DONE


def fail(_settings: ClientSettings, _arguments: argparse.Namespace) -> NoReturn:
    """Fail as the server may."""
    message = "the server is not there\ntry again"
    raise Unavailable(message)


def interrupt(_settings: ClientSettings, _arguments: argparse.Namespace) -> NoReturn:
    """Be interrupted."""
    raise KeyboardInterrupt


COMMANDS = [
    Command("run", "sync", note, logs=False),
    Command("approve", "approve a hold", note, lambda parser: parser.add_argument("hold_id"), logs=False),
    Command("fail", "fail", fail, logs=False),
    Command("held", "hold", lambda _settings, _arguments: ExitCode.HELD, logs=False),
    Command("interrupt", "be interrupted", interrupt, logs=False),
]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test starts in an empty directory without any of our variables."""
    for name in os.environ:
        if name.startswith("DIRSYNC_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    seen.clear()


def run(*argv: str) -> int:
    """Run the program."""
    return run_program("dirsync-client", COMMANDS, ClientSettings, argv)


@pytest.mark.parametrize(
    "argv, command, block_size, insecure",
    [
        ([], "run", 4096, False),
        (["--block-size", "8KiB"], "run", 8192, False),
        (["run", "--block-size=8KiB", "--insecure"], "run", 8192, True),
        (["approve", "--insecure", "abc"], "approve", 4096, True),
        (["approve", "--insecure", "false", "abc"], "approve", 4096, False),
        (["approve", "--insecure=true", "abc", "--json"], "approve", 4096, True),
    ],
)
def test_settings_are_flags(argv: list[str], command: str, block_size: int, insecure: bool) -> None:
    """Every setting is a flag of every command; a switch needs no value and takes no other argument for one."""
    assert ExitCode.DONE == run(*argv)

    ((name, settings, arguments),) = seen
    assert isinstance(settings, ClientSettings)
    assert (command, block_size, insecure) == (name, settings.block_size, settings.insecure)
    assert ("abc" if command == "approve" else None) == getattr(arguments, "hold_id", None)
    assert arguments.json is ("--json" in argv)


def test_flags_of_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start makes the flags of the command that it runs, and not those of all the others."""
    made = []
    monkeypatch.setattr("dirsync.runtime.process.cli.add_flags", lambda parser, _settings: made.append(parser.prog))

    assert ExitCode.DONE == run("run")
    assert ["dirsync-client run"] == made


def test_flags_keep_odd_names() -> None:
    """A path on the command line that is not UTF-8 is the same path in the settings."""
    assert ExitCode.DONE == run("--source", os.fsdecode(b"a\xff"))

    ((_, settings, _),) = seen
    assert isinstance(settings, ClientSettings)
    assert b"a\xff" == os.fsencode(settings.source)


@pytest.mark.case("L03")
@pytest.mark.parametrize(
    "argv, line",
    [
        (["bogus"], "argument COMMAND: invalid choice: 'bogus'"),
        (["run", "--bogus", "1"], "--bogus: no such option (see dirsync-client run --help)"),
        (["run", "--block-sise=1"], "--block-sise: no such option; did you mean --block-size? (see "),
        (["run", "--block", "1"], "--block: no such option"),
        (["run", "a"], "a: no argument is expected here"),
        (["run", "\u2013block-size", "4KiB"], "\u2013block-size: no argument is expected here"),
        (["run", "--block-size", "4KiB", "--block-size", "8KiB"], "--block-size is given more than once, as 4KiB and "),
        (["run", "--block-size=4KiB", "--json", "--block-size=4KiB"], "--block-size is given more than once, as 4KiB "),
        (["run", "--insecure", "--insecure"], "--insecure is given more than once, as true and true; give it once"),
        (["run", "--token-file", "a", "--token-file", "b"], "--token-file is given more than once; give it once"),
        (["run", "--source", "a", "--source", "b", "--source", "a"], "--source is given more than once, as b and a; "),
        (["approve"], "the following arguments are required: hold_id"),
        (["run", "--block-size", "x"], "--block-size=x: a size is"),
        (["run", "--source", ""], "--source: is set but empty"),
    ],
)
def test_bad_usage(capsys: pytest.CaptureFixture[str], argv: list[str], line: str) -> None:
    """A wrong argument is one line on stderr and exit code 2."""
    assert ExitCode.USAGE == run(*argv)

    out, err = capsys.readouterr()
    assert "" == out
    assert err.startswith(f"dirsync-client: {line}")
    assert 1 == err.count("\n")


@pytest.mark.case("K09")
def test_unknown_options_tell_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    """The value after an option that is none may be a secret, so it is not repeated."""
    assert ExitCode.USAGE == run("run", "--token", "hunter2")

    err = capsys.readouterr().err
    assert err.startswith("dirsync-client: --token: no such option; did you mean --token-file?")
    assert "hunter2" not in err


def test_lists_accumulate() -> None:
    """A list takes the values of all its flags."""
    assert ExitCode.DONE == run("--ignore", ".env", "--source", "a", "--ignore=node_modules/, *.o")

    ((_, settings, _),) = seen
    assert isinstance(settings, ClientSettings)
    assert (".env", "node_modules/", "*.o") == settings.ignore


@pytest.mark.parametrize("name", ["source", "state_dir", "server", "listen", "metrics_listen"])
def test_places_are_overridden_once(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A flag that says where may be given once more, after that of a wrapper: the later counts, and a line says so."""
    first, second = ("127.0.0.1:1", "127.0.0.1:2") if name in ("server", "listen", "metrics_listen") else ("a", "b")
    flag = f"--{name.replace('_', '-')}"

    assert ExitCode.DONE == run("run", flag, first, "--insecure", flag, second)

    ((_, settings, _),) = seen
    assert second == str(getattr(settings, name))
    assert f"dirsync-client: {flag}={first} is overridden by {flag}={second}\n" == capsys.readouterr().err


def test_failures_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of ours is printed line by line with the program's name, with exit code 1; so is an interruption."""
    assert ExitCode.FAILED == run("fail")
    assert ExitCode.FAILED == run("interrupt")

    expected = ["the server is not there", "try again", "interrupted"]
    assert [f"dirsync-client: {line}" for line in expected] == capsys.readouterr().err.splitlines()


def test_exit_code_is_the_command_s(capsys: pytest.CaptureFixture[str]) -> None:
    """What a command says is what the program returns."""
    assert 3 == run("held")
    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--version"], ["run", "--version"]])
def test_version(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    """Every command prints the version."""
    with pytest.raises(SystemExit):
        run(*argv)

    assert f"dirsync-client {__version__}\n" == capsys.readouterr().out


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """Help has each flag with what it means, its default and its variable."""
    with pytest.raises(SystemExit):
        run("run", "--help")

    text = " ".join(capsys.readouterr().out.split())
    for name in ClientSettings.model_fields:
        assert f"--{name.replace('_', '-')} " in text
        assert f"DIRSYNC_CLIENT_{name.upper()})" in text
    assert "delta block; doubles as needed for large files (default: 4KiB; DIRSYNC_CLIENT_BLOCK_SIZE)" in text


READER_GONE = """
import time
import sys
from dirsync_client.settings import ClientSettings
from dirsync.runtime.process.cli import *
def chatter(settings, arguments):
    for _ in range(int(sys.argv[1])): print("x" * 100)
    time.sleep(0.2)
    return ExitCode.DONE
sys.exit(run_program("dirsync-client", [Command("run", "run", chatter, logs=False)], ClientSettings, []))
"""


@pytest.mark.parametrize("lines", ["100000", "1"])
def test_reader_that_leaves(tmp_path: Path, lines: str) -> None:
    """``plan | head`` ends without a traceback, however much was left to say."""
    with subprocess.Popen(
        [sys.executable, "-c", READER_GONE, lines], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        err = process.stderr.read()
        process.wait(10)

    assert (b"", 1) == (err, process.returncode)
