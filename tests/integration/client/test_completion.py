"""Completion in a shell, by the scripts that both programs print."""

import subprocess
from pathlib import Path

import pytest

from tests.support.running.programs import Service, run_command

pytestmark = pytest.mark.programs

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module", params=Service)
def service(request: pytest.FixtureRequest) -> Service:
    """Each of both programs."""
    return Service(request.param)


def script(service: Service, shell: str, place: Path) -> str:
    """What a program prints for a shell."""
    result = run_command(service, ["completion", shell], {}, place)

    assert 0 == result.code
    return result.stdout


def completed(script: str, service: Service, *words: str, place: Path) -> set[str]:
    """What bash offers for the last of these words."""
    program = f"dirsync-{service}"
    code = f"""
        source /dev/stdin
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        function_name=$(complete -p {program} | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        "$function_name" {program} "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    ended = subprocess.run(
        ["bash", "-c", code, "bash", program, *words],
        input=script,
        capture_output=True,
        text=True,
        cwd=place,
        check=True,
    )
    return set(ended.stdout.split())


@pytest.mark.needs("bash")
class TestBash:
    """The script in a real bash."""

    def test_commands(self, service: Service, tmp_path: Path) -> None:
        """Commands are completed."""
        printed = script(service, "bash", tmp_path)

        assert {"health"} == completed(printed, service, "he", place=tmp_path)
        assert {"completion"} == completed(printed, service, "comp", place=tmp_path)

    def test_flags_and_values(self, service: Service, tmp_path: Path) -> None:
        """So are the flags of a command, the words that a flag takes, and directories."""
        printed = script(service, "bash", tmp_path)
        (tmp_path / "some-directory").mkdir()
        command = {"server": "serve", "client": "run"}[service]

        assert {"--log-level", "--log-format"} == completed(printed, service, command, "--log-", place=tmp_path)
        assert {"debug"} == completed(printed, service, command, "--log-level", "de", place=tmp_path)
        assert {"some-directory"} == completed(printed, service, command, "--state-dir", "some", place=tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_name_all_commands(service: Service, shell: str, tmp_path: Path) -> None:
    """The script for each shell has the program's commands and flags."""
    printed = script(service, shell, tmp_path)
    words = {"server": ("serve", "health", "quota-bytes"), "client": ("explain", "approve", "block-size")}[service]

    assert [] == [word for word in words if word not in printed]


def test_unknown_shell(tmp_path: Path) -> None:
    """A shell that is not known is refused, and the known ones are named."""
    result = run_command(Service.CLIENT, ["completion", "ksh"], {}, tmp_path)

    assert 2 == result.code
    assert all(shell in result.messages[0] for shell in SHELLS)
