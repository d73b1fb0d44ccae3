"""Files that are read again when they change, and secrets."""

import io
import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from dirsync.errors import UsageError
from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.files import reloading_file
from dirsync.runtime.files.reloading_file import MAX_FILE_BYTES, read_file
from dirsync.runtime.files.secrets import SecretFile, TokenFile, digest_of
from dirsync.runtime.log import logging

SETTING = "DIRSYNC_CLIENT_TOKEN_FILE"
CANARY = "canary-9f8e7d"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log of a test."""
    stream = io.StringIO()
    logging.configure("client", LogLevel.DEBUG, LogFormat.JSON, stream=stream)
    yield stream
    logging.configure("dirsync")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a secret."""
    path = tmp_path / "token"
    path.write_text(f"  {CANARY}\n")
    return path


def replace(path: Path, content: bytes) -> None:
    """Swap a file as an orchestrator does."""
    fresh = path.with_name("fresh")
    fresh.write_bytes(content)
    fresh.rename(path)


def test_white_space_is_no_part(path: Path) -> None:
    """A line end in the file is no part of the secret."""
    assert CANARY == SecretFile(path, SETTING).get()


class TestPipe:
    """A path that is no regular file."""

    @pytest.fixture(autouse=True)
    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody waits for long."""
        monkeypatch.setattr(reloading_file, "PIPE_SECONDS", 0.2)

    @pytest.fixture
    def pipe(self, tmp_path: Path) -> Path:
        """A pipe with a name."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        return pipe

    def test_nobody_writes(self, pipe: Path) -> None:
        """It is refused in time, and nothing waits for a writer for ever."""
        with pytest.raises(UsageError, match=f"{SETTING}: it is a pipe into which nobody writes"):
            read_file(pipe, SETTING)

    def test_writer_without_an_end(self, pipe: Path) -> None:
        """So is one whose writer goes on."""
        writer = os.open(pipe, os.O_RDWR)
        try:
            for content in (b"", b"secret"):
                os.write(writer, content)
                with pytest.raises(UsageError, match=f"{SETTING}: it is a pipe"):
                    read_file(pipe, SETTING)
        finally:
            os.close(writer)

    def test_output_of_a_command(self) -> None:
        """What a shell makes of ``<(command)`` is read whole, though it comes in pieces."""
        reader, writer = os.pipe()

        def write() -> None:
            for piece in (b"first", b" second"):
                time.sleep(0.02)
                os.write(writer, piece)
            os.close(writer)

        thread = Thread(target=write)
        thread.start()
        try:
            content = read_file(Path(f"/dev/fd/{reader}"), SETTING)
        finally:
            thread.join()
            os.close(reader)

        assert b"first second" == content

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
    def test_device(self, device: str) -> None:
        """A device is no file."""
        with pytest.raises(UsageError, match=f"{SETTING}: it is a device or socket; name a file"):
            read_file(Path(device), SETTING)


@pytest.mark.case("K07")
def test_rotation(path: Path, log: io.StringIO) -> None:
    """A new secret counts as soon as it is there, written over or swapped in, and the log says so."""
    secret = SecretFile(path, SETTING)
    path.write_text("second-secret")
    second = secret.get()
    replace(path, b"third")
    third = secret.get()

    assert ("second-secret", "third") == (second, third)
    assert ["config.reloaded"] * 2 == [json.loads(line)["event"] for line in log.getvalue().splitlines()]


@pytest.mark.case("K07")
@pytest.mark.parametrize("bad", [b"", b" \n", b"a\nb", b"\xff\xfe", b"x" * 5000])
def test_bad_rotation(path: Path, log: io.StringIO, bad: bytes) -> None:
    """A file that became invalid leaves the last valid secret, is reported once, and is loaded when it is valid."""
    secret = SecretFile(path, SETTING)
    replace(path, bad)
    kept = [secret.get() for _ in range(3)]
    replace(path, b"good")

    assert [CANARY] * 3 == kept
    assert "good" == secret.get()
    assert ["config.rejected", "config.reloaded"] == [json.loads(line)["event"] for line in log.getvalue().splitlines()]


def events(log: io.StringIO) -> list[str]:
    """The names of what was logged."""
    return [json.loads(line)["event"] for line in log.getvalue().splitlines()]


def test_removed_file(path: Path, log: io.StringIO) -> None:
    """A missing file with our own secret leaves the last valid secret, and is reported once."""
    secret = SecretFile(path, SETTING)
    path.unlink()

    assert [CANARY] * 3 == [secret.get() for _ in range(3)]
    assert "No such file" in log.getvalue()
    assert ["config.rejected"] == events(log)


@pytest.mark.case("K12")
def test_nobody_enters_without_the_file(path: Path, log: io.StringIO) -> None:
    """While the file with the secrets of callers is missing or no file, nothing is valid, and that is reported once."""
    token = TokenFile(path, SETTING)
    before = token.get()
    path.rename(path.with_name("aside"))
    gone = [token.get() for _ in range(3)]
    path.mkdir()
    no_file = token.get()
    path.rmdir()
    path.with_name("aside").rename(path)

    assert {digest_of(CANARY)} == before
    assert [frozenset()] * 4 == [*gone, no_file]
    assert before == token.get()
    assert ["config.rejected", "config.reloaded"] == events(log)
    assert "no caller is accepted" in log.getvalue()


@pytest.mark.case("K07", "K12")
def test_bad_content_closes_nothing(path: Path, log: io.StringIO) -> None:
    """A file that is being written leaves the last good token valid: that is how some rotate it."""
    token = TokenFile(path, SETTING)
    path.write_text("")

    assert {digest_of(CANARY)} == token.get()


@pytest.mark.case("K12")
def test_unreadable_without_a_change(path: Path, log: io.StringIO) -> None:
    """What could not be read for a reason that is not the file's own is tried again without waiting for a change."""
    token = TokenFile(path, SETTING)
    replace(path, b"second")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        closed = token.get()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert frozenset() == closed
    assert "Too many open files" in log.getvalue()
    assert {digest_of("second")} == token.get()


def test_swapped_link(tmp_path: Path) -> None:
    """A link that points elsewhere is a change: so Kubernetes updates a mounted Secret."""
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(f"secret-{name}")
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "token").symlink_to("..data/token")
    secret = SecretFile(tmp_path / "token", SETTING)
    (tmp_path / "fresh").symlink_to("2")
    (tmp_path / "fresh").rename(tmp_path / "..data")

    assert "secret-2" == secret.get()


@pytest.mark.case("K09")
def test_secrets_are_not_shown(path: Path, log: io.StringIO) -> None:
    """Neither repr nor errors nor the log contain a secret, wherever it was put."""
    secret = SecretFile(path, SETTING)
    replace(path, f"{CANARY}\n{CANARY}".encode())
    secret.get()
    path.with_name("second").write_text(CANARY)
    with pytest.raises(UsageError) as missing:
        SecretFile(Path(CANARY), SETTING)

    token = TokenFile(path.with_name("second"), SETTING)
    shown = f"{secret!r} {secret} {token!r} {token} {token.get()} {missing.value!r} {missing.value} {log.getvalue()}"

    assert CANARY not in shown
    assert SETTING in str(missing.value)
    assert f"uid {os.geteuid()}" in str(missing.value)


def test_unusable_at_start(tmp_path: Path) -> None:
    """At the start a file must be readable, and no larger than a file of its kind."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * (MAX_FILE_BYTES + 1))

    for path in (tmp_path / "missing", tmp_path, large, Path("a\0b")):
        with pytest.raises(UsageError, match=SETTING):
            read_file(path, SETTING)
