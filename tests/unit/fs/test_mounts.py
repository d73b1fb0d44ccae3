"""The table of mounts, and which of them can be reached below a directory."""

import os
from pathlib import Path

import pytest

from dirsync.fs.mounts import Mount, MountTable, mount_of, parse_mount_id, parse_mounts, visible_below
from tests.support.faults.privileges import bind_mount, tmpfs

TABLE = rb"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
24 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 0:40 /share /mnt/my\040share rw master:3 propagate_from:2 - nfs4 host:/share rw,vers=4.2
garbage
"""


def test_parse() -> None:
    """Optional fields are skipped, escapes undone, and lines of another form left out."""
    mounts = parse_mounts(TABLE)

    assert [22, 24, 40] == [mount.id for mount in mounts]
    assert Mount(40, b"/mnt/my share", b"nfs4", b"host:/share", 22) == mounts[2]


def test_parse_this_machine() -> None:
    """The mount that a descriptor says it is on is in this machine's own table."""
    with Path("/proc/self/status").open("rb") as file:
        mount_id = parse_mount_id(Path(f"/proc/self/fdinfo/{file.fileno()}").read_bytes())
        found = mount_of(file.fileno())

    assert found is not None
    assert (mount_id, b"proc") == (found.id, found.type)


def test_no_mount_id() -> None:
    """A kernel that does not tell the mount of a descriptor is no failure."""
    assert parse_mount_id(b"pos:\t0\nflags:\t0100000\n") == -1


def mounts(*lines: str) -> list[Mount]:
    """Each is "ID PARENT POINT"."""
    fields = (line.split() for line in lines)
    return [Mount(int(own), point.encode(), b"tmpfs", b"none", int(parent)) for own, parent, point in fields]


@pytest.mark.parametrize(
    "lines, expected",
    [
        pytest.param([], {}, id="none"),
        pytest.param(["2 1 /src/a", "3 1 /srca", "4 1 /other"], {"a": 2}, id="beside"),
        pytest.param(["2 1 /src/a", "3 2 /src/a/b"], {"a": 2, "a/b": 3}, id="nested"),
        pytest.param(["2 1 /src/a", "3 2 /src/a"], {"a": 3}, id="stacked"),
        pytest.param(["2 1 /src/a", "3 2 /src/a/b", "4 2 /src/a"], {"a": 4}, id="nested-and-hidden"),
        pytest.param(["2 1 /src/a/b", "3 1 /src/a"], {"a": 3}, id="hidden-by-a-mount-above"),
        pytest.param(["2 1 /src", "3 2 /src/a"], {}, id="in-what-hides-the-root"),
        pytest.param(["1 1 /", "2 1 /src/a"], {"a": 2}, id="a-root-that-is-its-own-parent"),
    ],
)
def test_visible(lines: list[str], expected: dict[str, int]) -> None:
    """Only what can be reached from the directory counts, and of several at one point the last."""
    found = visible_below(mounts(*lines), 1, b"/src")

    assert {point.encode(): own for point, own in expected.items()} == found


@pytest.mark.needs("privileged")
def test_table_follows(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The table is read again after a mount, and only then; a bind mount of the same file system shows, too."""
    table = MountTable()
    request.addfinalizer(table.close)
    (tmp_path / "other").mkdir()
    (tmp_path / "point").mkdir()
    first = table.refresh()
    with bind_mount(tmp_path / "other", tmp_path / "point"):
        mounted = table.refresh()

        assert os.fsencode(tmp_path / "point") in {mount.point for mount in table.mounts}
        with tmpfs(tmp_path / "other"):
            pass
    assert first < mounted < table.refresh() == table.refresh()
    assert os.fsencode(tmp_path / "point") not in {mount.point for mount in table.mounts}


def test_no_table(tmp_path: Path) -> None:
    """Where there is no such file, there is no table, and that is no failure."""
    table = MountTable(str(tmp_path / "absent"))

    assert 0 == table.refresh()
    assert () == table.mounts
