"""What proves that a file was not touched, and what does not."""

import os
from pathlib import Path

import pytest

from dirsync.fs.fingerprint import (
    FINGERPRINT_SIZE,
    MOUNT,
    RACY,
    directory_record,
    file_record,
    flags_of,
    from_stat,
    is_racy,
    matches,
    parse,
    symlink_record,
    with_flags,
)
from dirsync.fs.volume import volume_of
from dirsync.tree.entry import MAX_MTIME_NS, fingerprint_of, identity_of, unpack

MS = 1_000_000
SECOND = 1000 * MS
NOW = 1_700_000_000 * SECOND + 123


@pytest.mark.parametrize(
    "ctime_ns, looked_at_ns, expected",
    [
        pytest.param(NOW - 51 * MS, NOW, False, id="long-ago"),
        pytest.param(NOW - 49 * MS, NOW, True, id="just-now"),
        pytest.param(NOW, NOW, True, id="now"),
        pytest.param(NOW + 49 * MS, NOW, True, id="between-clock-and-look"),
        pytest.param(NOW + 3600 * SECOND, NOW, False, id="clock-went-back"),
        pytest.param(NOW // SECOND * SECOND, NOW + 2 * SECOND, True, id="whole-seconds-recent"),
        pytest.param(NOW // SECOND * SECOND, NOW + 3 * SECOND, False, id="whole-seconds-old"),
    ],
)
@pytest.mark.case("D04")
def test_racy(ctime_ns: int, looked_at_ns: int, expected: bool) -> None:
    """A change within a tick of the look proves nothing; the tick is longer where only seconds are kept."""
    assert expected is is_racy(ctime_ns, looked_at_ns)


@pytest.mark.case("D04")
def test_racy_never_matches(tmp_path: Path) -> None:
    """The same untouched file matches only if it was looked at late enough."""
    (tmp_path / "f").touch()
    status = os.lstat(tmp_path / "f")
    early, late = (file_record(status, status.st_ctime_ns + wait) for wait in (MS, SECOND * 3))

    assert [False, True] == [matches(early, status), matches(late, status)]


@pytest.mark.case("D03")
def test_restored_mtime_does_not_match(tmp_path: Path) -> None:
    """Same size and same mtime, but changed: ctime shows it."""
    file = tmp_path / "f"
    file.write_text("abc")
    before = os.lstat(file)
    record = file_record(before, before.st_ctime_ns + 3 * SECOND)
    file.write_text("xyz")
    os.utime(file, ns=(before.st_mtime_ns, before.st_mtime_ns))

    assert not matches(record, os.lstat(file))


def test_directory_is_never_racy(tmp_path: Path) -> None:
    """A directory's record holds only what its fingerprint shows."""
    status = os.lstat(tmp_path)

    assert matches(directory_record(status), status)


def test_fields(tmp_path: Path) -> None:
    """A fingerprint can be unpacked into its fields."""
    (tmp_path / "f").write_text("abc")
    status = os.lstat(tmp_path / "f")
    fields = parse(from_stat(status, 0, MOUNT))

    assert fields is not None
    assert (
        MOUNT,
        status.st_mode,
        3,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        volume_of(status.st_dev),
    ) == fields
    assert parse(b"") is None


def test_flags_of_a_record(tmp_path: Path) -> None:
    """Flags can be read and replaced in a record of any kind, and nothing else changes."""
    (tmp_path / "l").symlink_to("target")
    status = os.lstat(tmp_path / "l")
    record = symlink_record(status, 0, b"target")
    marked = with_flags(record, RACY | MOUNT)

    assert RACY | MOUNT == flags_of(marked)
    assert unpack(record) == unpack(marked)
    assert (volume_of(status.st_dev), status.st_ino) == identity_of(fingerprint_of(marked))
    assert len(fingerprint_of(marked)) == FINGERPRINT_SIZE


@pytest.mark.case("D05")
def test_absurd_times_fit(tmp_path: Path) -> None:
    """Times beyond 64 bits of nanoseconds are clamped, those before the epoch kept."""
    (tmp_path / "f").touch()
    status = os.lstat(tmp_path / "f")
    far = os.stat_result((*status[:7], 0, 0, 0, 0.0, 0.0, 0.0, 0, MAX_MTIME_NS * 4, -(1 << 70)))
    fields = parse(from_stat(far, 0))
    os.utime(tmp_path / "f", ns=(-1, -1))

    assert fields is not None
    assert (MAX_MTIME_NS, -MAX_MTIME_NS - 1) == (fields.mtime_ns, fields.ctime_ns)
    assert unpack(file_record(os.lstat(tmp_path / "f"), 0)).mtime_ns == -1
