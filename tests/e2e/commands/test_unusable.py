"""Directories that cannot be used: each ends the program at once, with one line that says what to do about it.

Who runs the programs here may do what the permission bits say and nothing more; another user is :data:`OTHER`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.faults.privileges import bind_mount, tmpfs, without_override
from tests.support.running.programs import Pair, Result, Service, Setting, run_command
from tests.support.running.waiting import until
from tests.support.trees.trees import build, equal

pytestmark = pytest.mark.programs

OTHER = 4321
UID = os.geteuid()

Arrange = Callable[[Path], None]

as_root = pytest.mark.needs("privileged")


def give_away(path: Path, mode: int = 0o755) -> Path:
    """Make a directory that belongs to another user."""
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    os.chown(path, OTHER, OTHER)
    return path


def leave(path: Path) -> None:
    """Make a file in a directory of ours that a run of another user left there."""
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    os.chown(path, OTHER, OTHER)


def serve(pair: Pair, **settings: Path) -> Result:
    """Start a server that has to end by itself."""
    told: dict[str, Setting] = {
        "listen": pair.server_address,
        "metrics_listen": "127.0.0.1:0",
        "state_dir": pair.place / "server-state",
    }
    return run_command(Service.SERVER, ["serve"], {**told, **settings}, pair.place, prefix=without_override())


def refusal(result: Result) -> str:
    """The one line of a program that refused to start."""
    assert (2, "") == (result.code, result.stdout), result
    (line,) = result.messages
    return line.partition(": ")[2]


class TestServer:
    """ROOT and STATE_DIR of the server."""

    @as_root
    def test_root_of_another(self, pair: Pair) -> None:
        """A replica's directory of another user is reported with its owner."""
        root = give_away(pair.replica)

        assert refusal(serve(pair, root=root)) == (
            f"DIRSYNC_SERVER_ROOT={root}: cannot be written by uid {UID}: Permission denied "
            f"(owner {OTHER}:{OTHER}, mode 0755); chown {UID} {root}, or run as uid {OTHER}"
        )

    def test_root_of_our_own(self, pair: Pair) -> None:
        """One that is ours, and which we may not write, only takes other bits."""
        pair.replica.mkdir(mode=0o500)
        line = refusal(serve(pair, root=pair.replica))

        assert f"DIRSYNC_SERVER_ROOT={pair.replica}: cannot be written by uid {UID}" in line
        assert line.endswith(f"; chmod u+rwx {pair.replica}")

    @as_root
    def test_root_that_cannot_be_made(self, pair: Pair) -> None:
        """One that is missing where nothing can be made says where, and whose that is."""
        above = give_away(pair.place / "others")
        root = above / "new" / "replica"

        assert refusal(serve(pair, root=root)) == (
            f"DIRSYNC_SERVER_ROOT={root}: cannot be made by uid {UID}: Permission denied "
            f"({above}: owner {OTHER}:{OTHER}, mode 0755); install -d -o {UID} {root}, or run as uid {OTHER}"
        )

    @as_root
    def test_root_read_only(self, pair: Pair) -> None:
        """For a read-only mount the message does not suggest chown."""
        pair.replica.mkdir()
        with bind_mount(pair.replica, pair.replica, read_only=True):
            line = refusal(serve(pair, root=pair.replica))

        assert f"DIRSYNC_SERVER_ROOT={pair.replica}: cannot be written by uid {UID}: Read-only file system; " in line
        assert line.endswith("; mount it writable, or set DIRSYNC_SERVER_ROOT to another")

    def test_root_is_a_file(self, pair: Pair) -> None:
        """A file is no replica."""
        pair.replica.touch()
        line = refusal(serve(pair, root=pair.replica))

        assert f"DIRSYNC_SERVER_ROOT={pair.replica}: cannot be made by uid {UID}: File exists; " in line
        assert line.endswith("set DIRSYNC_SERVER_ROOT to a directory")

    @as_root
    def test_tenant(self, pair: Pair) -> None:
        """A namespace's root is blamed on the tenants file, by the name of the namespace."""
        root = give_away(pair.replica)
        file = pair.place / "tenants.toml"
        file.write_text(f'[namespaces.default]\nroot = "{root}"\ntokens_sha256 = ["{"0" * 64}"]\n')
        line = refusal(serve(pair, tenants_file=file))

        assert line.startswith(f"DIRSYNC_SERVER_TENANTS_FILE: [namespaces.default] root={root}: cannot be written")

    @as_root
    def test_state_of_another(self, pair: Pair) -> None:
        """STATE_DIR is named for itself, and for what a run of another user left in it."""
        state = give_away(pair.place / "their-state", 0o700)
        index = pair.place / "server-state" / "default.sqlite"
        leave(index)
        directory = refusal(serve(pair, root=pair.replica, state_dir=state))
        file = refusal(serve(pair, root=pair.replica))

        assert directory.startswith(f"DIRSYNC_SERVER_STATE_DIR={state}: cannot be written by uid {UID}: ")
        assert file == (
            f"DIRSYNC_SERVER_STATE_DIR={index.parent}: cannot be used by uid {UID}: Permission denied "
            f"({index}: owner {OTHER}:{OTHER}, mode 0600); "
            f"chown -R {UID} {index.parent}, or empty it, or run as uid {OTHER}"
        )

    def test_state_in_use(self, pair: Pair) -> None:
        """A second server with another root names the setting that it shares with the first."""
        pair.server()
        line = refusal(serve(pair, root=pair.place / "other"))

        assert line.startswith(f"DIRSYNC_SERVER_STATE_DIR: {pair.place}/server-state/default.sqlite is in use")


class TestClient:
    """SOURCE and STATE_DIR of the client."""

    @pytest.mark.parametrize("command", ["run", "plan"])
    @pytest.mark.needs("modes")
    def test_source_that_cannot_be_entered(self, pair: Pair, command: str) -> None:
        """A source that we may list and not enter is blamed, and not the first file that was looked for in it."""
        build(pair.source, {"file": "content"})
        pair.source.chmod(0o600)
        line = refusal(pair.command(command, prefix=without_override()))

        assert f"DIRSYNC_CLIENT_SOURCE={pair.source}: cannot be read by uid {UID}: Permission denied" in line
        assert line.endswith(f"; chmod u+rwx {pair.source}")

    @as_root
    def test_source_of_another(self, pair: Pair) -> None:
        """A source of another user is reported with its owner; only reading is required."""
        give_away(pair.source, 0o700)

        assert refusal(pair.once(prefix=without_override())) == (
            f"DIRSYNC_CLIENT_SOURCE={pair.source}: cannot be read by uid {UID}: Permission denied "
            f"(owner {OTHER}:{OTHER}, mode 0700); chmod a+rx {pair.source}, or run as uid {OTHER}"
        )

    @pytest.mark.needs("modes")
    def test_ignore_file(self, pair: Pair) -> None:
        """Rules that cannot be read are not taken for none."""
        build(pair.source, {".dirsyncignore": "secret\n", "secret": "x"})
        (pair.source / ".dirsyncignore").chmod(0)
        pair.server()
        line = refusal(pair.once(prefix=without_override()))

        assert line == (
            f"DIRSYNC_CLIENT_IGNORE_FILE: cannot open .dirsyncignore: Permission denied (uid {UID}); "
            f"see to {pair.source}: nothing is mirrored without its rules"
        )
        assert [] == list(pair.replica.iterdir())

    @as_root
    @pytest.mark.parametrize("command, name", [("run", "lock"), ("once", "state.json"), ("once", "index.sqlite")])
    def test_state_of_another_run(self, pair: Pair, command: str, name: str) -> None:
        """What a run of another user left in STATE_DIR is one line, and no new identity."""
        file = pair.place / "client-state" / name
        leave(file)

        assert refusal(pair.command(command, prefix=without_override())) == (
            f"DIRSYNC_CLIENT_STATE_DIR={file.parent}: cannot be used by uid {UID}: Permission denied "
            f"({file}: owner {OTHER}:{OTHER}, mode 0600); "
            f"chown -R {UID} {file.parent}, or empty it, or run as uid {OTHER}"
        )

    @as_root
    def test_state_of_another(self, pair: Pair) -> None:
        """A STATE_DIR of another user, for every command that would write there."""
        state = give_away(pair.place / "client-state", 0o700)
        lines = [
            refusal(pair.command(*command, prefix=without_override()))
            for command in (("once",), ("run",), ("approve", "0" * 16))
        ]
        expected = (
            f"DIRSYNC_CLIENT_STATE_DIR={state}: cannot be written by uid {UID}: Permission denied "
            f"(owner {OTHER}:{OTHER}, mode 0700); chown {UID} {state}, or run as uid {OTHER}"
        )

        assert [expected] * 3 == lines

    @as_root
    def test_state_that_fills_up(self, pair: Pair) -> None:
        """A disk that fills up under STATE_DIR does not end the mirror; what was agreed is kept once there is room."""
        build(pair.source, {"a": "1"})
        with tmpfs(pair.place / "client-state", size="2m") as state:
            client = pair.client(synced=False)
            client.wait_for("connection.lost")
            fill(state / "ballast")
            pair.server()
            client.wait_for("sync.completed", seconds=45)
            build(pair.source, {"b": "2"})
            until(lambda: equal(pair.source, pair.replica), "the mirror goes on")
            before = (state / "state.json").read_text()
            (state / "ballast").unlink()
            client.stop()
            after = (state / "state.json").read_text()

        assert "adopted" not in before
        assert "adopted" in after


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    room = os.statvfs(path.parent)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
