"""Nothing outside a root is reached, whatever is swapped in, and at any depth."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dirsync.errors import UsageError
from dirsync.fs.failure import Changing, PathFailure, Unreadable, Vanished
from dirsync.fs.root import Root, RootState
from dirsync.limits import LIMITS
from dirsync.tree.path import ROOT, RelPath, join
from tests.unit.fs.places import as_nobody, make, path_of


@pytest.mark.parametrize(
    "words, name, reason",
    [
        ("", "missing", "does not exist"),
        ("file=x", "file", "is not a directory"),
        ("real/ link->real", "link", "is a symbolic link"),
        ("real/ link->real", "link/", "is a symbolic link"),
    ],
)
def test_open_refuses(tmp_path: Path, words: str, name: str, reason: str) -> None:
    """What is no directory of its own is refused with a sentence that names it."""
    make(tmp_path, words)

    with pytest.raises(UsageError, match=rf"{name.rstrip('/')} {reason}"):
        Root.open(f"{tmp_path}/{name}")


def test_open_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative root keeps its meaning when the process changes its directory."""
    make(tmp_path, "r/ other/")
    monkeypatch.chdir(tmp_path)
    with Root.open("./r") as root:
        os.chdir("other")

        assert RootState.SAME is root.state()
        assert os.fsencode(tmp_path / "r") == root.path


@pytest.mark.parametrize("ending", ["/", "//", "/."])
def test_slash_at_the_end(tmp_path: Path, ending: str) -> None:
    """A slash at the end means nothing: it is the same directory, under the same name."""
    make(tmp_path, "r/")
    with Root.open(tmp_path / "r") as root, Root.open(f"{tmp_path}/r{ending}") as same:
        assert root.identity == same.identity
        assert ending == "/." or root.path == same.path
        assert RootState.SAME is same.state()


@pytest.mark.parametrize("path", ["d/x", "d/sub/x", "l/x", "d/l/x"])
@pytest.mark.parametrize(
    "reach",
    [Root.open_file, Root.readlink, Root.directory, Root.parent],
    ids=["open_file", "readlink", "directory", "parent"],
)
def test_links_lead_nowhere(tmp_path: Path, path: str, reach: Callable[[Root, RelPath], object]) -> None:
    """A link in place of a directory on the way is not followed, whatever it leads to."""
    make(tmp_path, "outside/x=secret outside/sub/x=secret r/")
    make(tmp_path / "r", "d->../outside l->../outside")
    with Root.open(tmp_path / "r") as root:
        with pytest.raises(PathFailure):
            reach(root, path_of(path))

        assert root.lstat(path_of(path)) is None


def test_last_component_is_not_followed(tmp_path: Path) -> None:
    """A link where a file was is no file."""
    make(tmp_path, "secret=x r/")
    make(tmp_path / "r", "f->../secret")
    with Root.open(tmp_path / "r") as root, pytest.raises(Changing, match="f is no regular file"):
        root.open_file(path_of("f"))


def test_swapped_component_after_forget(tmp_path: Path) -> None:
    """A directory that was used before and is a link now leads nowhere once it is forgotten."""
    make(tmp_path, "outside/x=secret r/d/x=ours")
    with Root.open(tmp_path / "r") as root:
        os.close(root.open_file(path_of("d/x"))[0])
        (tmp_path / "r/d").rename(tmp_path / "r/e")
        (tmp_path / "r/d").symlink_to("../outside")
        root.forget(path_of("d"))
        with pytest.raises(Vanished):
            root.open_file(path_of("d/x"))

        assert os.pread(root.open_file(path_of("e/x"))[0], 9, 0) == b"ours"


@pytest.mark.case("D12")
def test_fifo_does_not_block(tmp_path: Path) -> None:
    """A FIFO where a file was is refused at once, without waiting for its writer."""
    make(tmp_path, "p|")
    with Root.open(tmp_path) as root, pytest.raises(Changing, match="p is no regular file"):
        root.open_file(path_of("p"))


@pytest.mark.case("D17")
def test_depth(tmp_path: Path) -> None:
    """Two thousand directories deep, a path longer than PATH_MAX, with a bounded number of descriptors."""
    path = ROOT
    idle = len(os.listdir("/proc/self/fd"))
    with Root.open(tmp_path) as root:
        for _ in range(2000):
            os.mkdir(b"d" * 50, dir_fd=root.directory(path))
            path = join(path, b"d" * 50)
        open_before = len(os.listdir("/proc/self/fd"))
        os.close(os.open(b"f", os.O_CREAT | os.O_WRONLY, dir_fd=root.directory(path)))
        root.forget_all()
        found = root.lstat(join(path, b"f"))

        assert found is not None
        assert len(os.listdir("/proc/self/fd")) <= open_before
        assert open_before <= idle + LIMITS.directory_descriptors + 2
        while path:
            holder, name = root.parent(path)
            descriptor = os.open(name, os.O_RDONLY, dir_fd=holder)
            for below in os.listdir(descriptor):
                (os.unlink if below == "f" else os.rmdir)(below, dir_fd=descriptor)
            os.close(descriptor)
            path = RelPath(path.rpartition(b"/")[0])


def test_lstat(tmp_path: Path) -> None:
    """Absent is None, also below a file; a link is itself; the root has a status too."""
    make(tmp_path, "d/f=abc l->d/f")
    with Root.open(tmp_path) as root:
        sizes = {
            path: status.st_size
            for path in ("d/f", "l", "d/g", "d/f/g", "x/y")
            if (status := root.lstat(path_of(path))) is not None
        }

        assert {"d/f": 3, "l": 3} == sizes
        assert root.lstat(ROOT) is not None


def test_unreadable_is_not_absent(tmp_path: Path) -> None:
    """What permission bits hide is unreadable, and the message names the user."""
    make(tmp_path, "d/f=abc").joinpath("d").chmod(0)
    with Root.open(tmp_path) as root, as_nobody(tmp_path):
        tmp = path_of("d/f")
        with pytest.raises(Unreadable, match=r"d: Permission denied \(uid \d+\)"):
            root.lstat(tmp)


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda r: None, RootState.SAME),
        (lambda r: r.rmdir(), RootState.VANISHED),
        (lambda r: (r.rmdir(), r.touch()), RootState.CHANGED_KIND),
        (lambda r: (r.rename(r.with_name("old")), r.symlink_to("old")), RootState.CHANGED_KIND),
        (lambda r: (r.rename(r.with_name("old")), r.mkdir()), RootState.REPLACED),
    ],
    ids=["same", "vanished", "file", "link", "replaced"],
)
def test_state(tmp_path: Path, change: Callable[[Path], object], expected: RootState) -> None:
    """A root knows whether its name still leads to it."""
    make(tmp_path, "r/")
    with Root.open(tmp_path / "r") as root:
        change(tmp_path / "r")

        assert expected is root.state()


LOCKER = """
import sys
from dirsync.fs.root import Root
root = Root.open(sys.argv[1])
root.lock()
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.mark.case("H03", "A16")
def test_lock_holds_between_processes(tmp_path: Path) -> None:
    """A second process is refused with the path, and a killed one leaves nothing to clean up."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with Root.open(tmp_path) as root:
            with pytest.raises(UsageError, match=rf"{tmp_path} is in use by another process"):
                root.lock()
            other.kill()
            other.wait()
            root.lock()


def test_clone_is_independent(tmp_path: Path) -> None:
    """A clone works when the original is closed, lists on its own, and does not hold the lock."""
    make(tmp_path, "d/f=abc")
    with Root.open(tmp_path) as root:
        root.lock()
        twin = root.clone()
    with twin, Root.open(tmp_path) as other:
        other.lock()

        assert twin.lstat(path_of("d/f")) is not None
        assert os.listdir(twin.descriptor) == ["d"]


def test_descriptors_are_bounded(tmp_path: Path) -> None:
    """However many directories are used, no more than the limit stay open."""
    many = LIMITS.directory_descriptors * 2
    make(tmp_path, " ".join(f"d{n}/f=x" for n in range(many)))
    with Root.open(tmp_path) as root:
        before = len(os.listdir("/proc/self/fd"))
        for n in range(many):
            root.lstat(path_of(f"d{n}/f"))

        assert len(os.listdir("/proc/self/fd")) == before + LIMITS.directory_descriptors


def test_free_bytes(tmp_path: Path) -> None:
    """The space is that of the root's own file system."""
    status = os.statvfs(tmp_path)
    with Root.open(tmp_path) as root:
        assert 0 < root.free_bytes() <= status.f_blocks * status.f_frsize
