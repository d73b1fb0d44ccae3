"""What people and programs do to a source, drawn from a seed and done to a real directory.

Whatever a client could notice is the seed's: names, contents, modes and mtimes. Nothing is ever unlinked, only moved
out of the source, so that no file system gives a number of an inode again that a client remembers.
"""

import os
import random
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dirsync.tree.path import RelPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INLINE_BYTES = 4096
"""Files above this size are large here."""
_LARGEST = 8 * INLINE_BYTES
_EPOCH_NS = 1_600_000_000_123_456_789
_TICK_NS = 1_000_000_007
_DIRECTORIES = ("d", "e", "lib", "logs")
_FILES = ("a", "b", "c", "data", "log", "x.py", "y.py", "z")
_MODES = (0o644, 0o600, 0o755)
_DIRECTORY_MODES = (0o755, 0o700, 0o750)
_DEEPEST = 3


class _Seen(NamedTuple):
    """What is below the source: paths relative to it, in order."""

    files: list[str]
    directories: list[str]
    links: list[str]


class Editor:
    """Edits one directory. Each edit gives the paths at which something happened."""

    def __init__(self, rolls: random.Random, top: Path, bin_: Path) -> None:
        """``bin_`` is a directory beside ``top``, for what leaves it."""
        self._rolls = rolls
        self._top = top
        self._bin = bin_
        self._ticks = 0
        self._gone = 0
        self._kept: list[bytes] = []
        """Contents that went, and may come back."""

    def populate(self, count: int) -> None:
        """Make so many files, some in directories, some large, some equal."""
        for _ in range(count):
            self._create()
        for _ in range(count // 6):
            self._copy()
        for _ in range(count // 10):
            self._link()

    def edit(self) -> set[RelPath]:
        """Do one thing, drawn at random; the paths at which a watcher would see something."""
        names, weights = zip(*_EDITS.items(), strict=True)
        (name,) = self._rolls.choices(names, weights)
        edit: Callable[[], Iterator[str] | list[str]] = getattr(self, f"_{name}")
        return {RelPath(os.fsencode(path)) for path in edit()}

    # New content.

    def _create(self) -> list[str]:
        path = self._free_file()
        return [*self._make_parents(path), self._write(path, self._content())]

    def _recreate(self) -> list[str]:
        """What was deleted comes back, maybe elsewhere."""
        if not self._kept:
            return []
        path = self._free_file()
        return [*self._make_parents(path), self._write(path, self._rolls.choice(self._kept))]

    def _make_directory(self) -> list[str]:
        path = self._free_directory()
        return [] if path is None else self._make_parents(f"{path}/-")

    def _link(self) -> list[str]:
        seen = self._look()
        path = self._rolls.choice(seen.links) if seen.links and self._rolls.random() < 0.3 else self._free_file()
        made = self._make_parents(path)
        self._discard(path)
        os.symlink(self._rolls.choice(["a", "../b", "nowhere", "d"]), self._at(path))
        return [*made, path]

    # Other content at the same path.

    def _rewrite(self) -> list[str]:
        """Other content; of the same size, half of the time."""
        path = self._any_file()
        if path is None:
            return []
        size = self._at(path).stat().st_size
        content = self._rolls.randbytes(size) if self._rolls.random() < 0.5 else self._content()
        return [self._write(path, content, replace=self._rolls.random() < 0.5)]

    def _append(self) -> list[str]:
        path = self._any_file()
        if path is None:
            return []
        more = self._rolls.randbytes(self._rolls.choice((1, 100, 700, 3000)))
        return [self._write(path, self._at(path).read_bytes() + more, replace=False)]

    def _change(self) -> list[str]:
        """An edit within a file, a large one if there is one."""
        path = self._any_file(large=True)
        if path is None:
            return []
        return [self._write(path, self._edited(self._at(path).read_bytes()), replace=self._rolls.random() < 0.5)]

    def _become_equal(self) -> list[str]:
        """A file gets the content of another one."""
        one, other = self._any_file(large=self._rolls.random() < 0.5), self._any_file()
        if one is None or other is None or one == other:
            return []
        return [self._write(other, self._at(one).read_bytes(), replace=self._rolls.random() < 0.5)]

    def _touch(self) -> list[str]:
        path = self._any_file()
        if path is None:
            return []
        self._stamp(path)
        return [path]

    def _chmod(self) -> list[str]:
        seen = self._look()
        path = self._rolls.choice([*seen.files, *seen.directories] or [""])
        if path:
            mode = stat.S_IMODE(self._at(path).stat().st_mode)
            modes = _MODES if path in seen.files else _DIRECTORY_MODES
            self._at(path).chmod(self._rolls.choice([other for other in modes if other != mode]))
        return [path] if path else []

    # The same content elsewhere.

    def _rename(self) -> list[str]:
        """A file gets another name, maybe in another directory, maybe that of a file that goes."""
        old = self._any_file(large=self._rolls.random() < 0.5)
        if old is None:
            return []
        other = self._any_file() if self._rolls.random() < 0.2 else None
        new = self._free_file() if other is None or other == old else other
        made = self._make_parents(new)
        return [*made, *self._move(old, new)]

    def _rename_changed(self) -> list[str]:
        """A file gets another name, and other content too."""
        moved = self._rename()
        if moved:
            path = moved[-1]
            self._write(path, self._edited(self._at(path).read_bytes()), replace=False)
        return moved

    def _rename_directory(self) -> list[str]:
        old = self._any_directory()
        new = self._free_directory(apart_from=old)
        if old is None or new is None:
            return []
        made = self._make_parents(new)
        return [*made, *self._move(old, new)]

    def _rename_and_fill(self) -> list[str]:
        """A directory gets another name, and one of the old name is made at once."""
        moved = self._rename_directory()
        if moved:
            old = moved[-2]
            self._at(old).mkdir()
            self._at(old).chmod(0o755)
            moved.append(self._write(f"{old}/{self._rolls.choice(_FILES)}", self._content()))
        return moved

    def _swap(self) -> list[str]:
        return self._rotate_files(2)

    def _circle(self) -> list[str]:
        return self._rotate_files(3)

    def _swap_directories(self) -> list[str]:
        return self._rotate_directories(2)

    def _circle_directories(self) -> list[str]:
        return self._rotate_directories(3)

    def _rotate_log(self) -> list[str]:
        """Each file of a series takes the place of the next, and the first is new."""
        path = self._any_file(large=self._rolls.random() < 0.7)
        if path is None or path.count(".") > 1:
            return []
        touched: list[str] = []
        for number in (2, 1, 0):
            old, new = f"{path}.{number}" if number else path, f"{path}.{number + 1}"
            if self._at(old).is_file() and not self._at(old).is_symlink() and not self._at(new).is_dir():
                touched += self._move(old, new)
        return [*touched, self._write(path, self._content())]

    def _copy(self) -> list[str]:
        old = self._any_file(large=self._rolls.random() < 0.6)
        if old is None:
            return []
        new = self._free_file()
        made = self._make_parents(new)
        self._write(new, self._at(old).read_bytes())
        if self._rolls.random() < 0.3:
            shutil.copystat(self._at(old), self._at(new))
        return [*made, new]

    def _copy_directory(self) -> list[str]:
        old = self._any_directory()
        new = self._free_directory(apart_from=old)
        if old is None or new is None:
            return []
        made = self._make_parents(f"{new}/-")
        for name in sorted(os.listdir(self._at(old))):
            if self._at(f"{old}/{name}").is_file() and not self._at(f"{old}/{name}").is_symlink():
                self._write(f"{new}/{name}", self._at(f"{old}/{name}").read_bytes())
        return made

    # Other kinds of things, and nothing.

    def _become_directory(self) -> list[str]:
        path = self._any_file()
        if path is None or path.count("/") >= _DEEPEST - 1:
            return []
        self._discard(path)
        made = self._make_parents(f"{path}/-")
        return [*made, self._write(f"{path}/{self._rolls.choice(_FILES)}", self._content())]

    def _become_file(self) -> list[str]:
        path = self._any_directory()
        if path is None:
            return []
        self._discard(path)
        return [self._write(path, self._content())]

    def _become_link(self) -> list[str]:
        path = self._any_file()
        if path is None:
            return []
        self._discard(path)
        os.symlink("a", self._at(path))
        return [path]

    def _delete(self) -> list[str]:
        seen = self._look()
        path = self._rolls.choice([*seen.files, *seen.links] or [""])
        if path:
            self._discard(path)
        return [path] if path else []

    def _delete_directory(self) -> list[str]:
        path = self._any_directory()
        if path is None:
            return []
        self._discard(path)
        return [path]

    def _delete_and_recreate(self) -> list[str]:
        """A file goes and comes back, equal or not."""
        path = self._any_file()
        if path is None:
            return []
        content = self._at(path).read_bytes()
        self._discard(path)
        return [self._write(path, content if self._rolls.random() < 0.5 else self._content())]

    # What edits are made of.

    def _rotate_files(self, count: int) -> list[str]:
        files = [path for path in self._look().files if self._at(path).stat().st_size]
        if len(files) < count:
            return []
        return self._rotate(self._rolls.sample(files, count))

    def _rotate_directories(self, count: int) -> list[str]:
        directories = self._look().directories
        if len(directories) < count:
            return []
        chosen = self._rolls.sample(directories, count)
        if any(one != other and f"{one}/".startswith(f"{other}/") for one in chosen for other in chosen):
            return []
        return self._rotate(chosen)

    def _rotate(self, paths: list[str]) -> list[str]:
        """Each takes the name of the next one."""
        aside = self._bin / "aside"
        os.rename(self._at(paths[-1]), aside)
        for old, new in zip(paths[-2::-1], paths[:0:-1], strict=True):
            os.rename(self._at(old), self._at(new))
        os.rename(aside, self._at(paths[0]))
        return paths

    def _move(self, old: str, new: str) -> list[str]:
        self._discard(new)
        os.rename(self._at(old), self._at(new))
        return [old, new]

    def _write(self, path: str, content: bytes, *, replace: bool = True) -> str:
        """Write a file: a new one that takes the place of what is there, or the one that is there."""
        full = self._at(path)
        if replace:
            self._discard(path)
        with full.open("wb") as file:
            file.write(content)
        if replace:
            full.chmod(self._rolls.choice(_MODES))
        self._stamp(path)
        return path

    def _stamp(self, path: str) -> None:
        """Give it a later mtime than anything has."""
        self._ticks += 1
        mtime_ns = _EPOCH_NS + self._ticks * _TICK_NS
        os.utime(self._at(path), ns=(mtime_ns, mtime_ns))

    def _discard(self, path: str) -> None:
        """Take what is at a path out of the source, if something is."""
        full = self._at(path)
        if not os.path.lexists(full):
            return
        if full.is_file() and not full.is_symlink():
            self._kept = [*self._kept[-5:], full.read_bytes()]
        self._gone += 1
        os.rename(full, self._bin / str(self._gone))

    def _make_parents(self, path: str) -> list[str]:
        """The directories above a path; gives those that were not there."""
        made: list[str] = []
        names = path.split("/")[:-1]
        for depth in range(1, len(names) + 1):
            above = "/".join(names[:depth])
            if not self._at(above).is_dir():
                self._at(above).mkdir()
                self._at(above).chmod(0o755)
                made.append(above)
        return made

    def _content(self) -> bytes:
        roll = self._rolls.random()
        if roll < 0.04:
            return b""
        if roll < 0.08:
            return bytes(self._rolls.randrange(1, _LARGEST))
        if roll < 0.5:
            return self._rolls.randbytes(self._rolls.randrange(1, INLINE_BYTES + 1))
        return self._rolls.randbytes(self._rolls.choice((6000, 9000, self._rolls.randrange(INLINE_BYTES, _LARGEST))))

    def _edited(self, content: bytes) -> bytes:
        at, new = self._rolls.randrange(len(content) + 1), self._rolls.randbytes(self._rolls.randrange(1, 400))
        way = self._rolls.choice(("over", "over", "in", "out", "before", "end", "turned"))
        match way:
            case "over":
                return (content[:at] + new + content[at + len(new) :])[: max(len(content), 1)]
            case "in":
                return content[:at] + new + content[at:]
            case "out":
                return content[:at] + content[at + len(new) :]
            case "before":
                return new + content
            case "end":
                return content + new
            case _:
                return content[at:] + content[:at]

    def _any_file(self, *, large: bool = False) -> str | None:
        """A file; a large one if that is asked for and there is one."""
        files = self._look().files
        wanted = [path for path in files if self._at(path).stat().st_size > INLINE_BYTES] if large else []
        return self._rolls.choice(wanted or files) if files else None

    def _any_directory(self) -> str | None:
        directories = self._look().directories
        return self._rolls.choice(directories) if directories else None

    def _free_file(self) -> str:
        """A path at which nothing is."""
        for attempt in range(1000):
            above = self._above()
            path = f"{above}{self._rolls.choice(_FILES)}{attempt // 10 or ''}"
            if not os.path.lexists(self._at(path)):
                return path
        raise AssertionError

    def _free_directory(self, apart_from: str | None = None) -> str | None:
        """A path at which nothing is, not within the directory that is named."""
        for attempt in range(60):
            path = f"{self._above(_DEEPEST - 2)}{self._rolls.choice(_DIRECTORIES)}{attempt // 10 or ''}"
            within = apart_from is not None and f"{path}/".startswith(f"{apart_from}/")
            if not within and not os.path.lexists(self._at(path)):
                return path
        return None

    def _above(self, deepest: int = _DEEPEST - 1) -> str:
        """The directory that something new is in, with a slash at its end; it need not be there, but can be made."""
        names: list[str] = []
        for _ in range(self._rolls.randrange(deepest + 1)):
            names.append(self._rolls.choice(_DIRECTORIES))
            full = self._at("/".join(names))
            if os.path.lexists(full) and (full.is_symlink() or not full.is_dir()):
                names.pop()
                break
        return "".join(f"{name}/" for name in names)

    def _look(self) -> _Seen:
        files: list[str] = []
        directories: list[str] = []
        links: list[str] = []
        for above, below, others in os.walk(self._top):
            below.sort()
            for name in sorted([*below, *others]):
                full = os.path.join(above, name)
                path = os.path.relpath(full, self._top)
                if os.path.islink(full):
                    links.append(path)
                else:
                    (directories if os.path.isdir(full) else files).append(path)
        return _Seen(files, directories, links)

    def _at(self, path: str) -> Path:
        return self._top / path


_EDITS = {
    "create": 10,
    "recreate": 4,
    "make_directory": 2,
    "link": 3,
    "rewrite": 8,
    "append": 6,
    "change": 12,
    "become_equal": 4,
    "touch": 4,
    "chmod": 4,
    "rename": 12,
    "rename_changed": 4,
    "rename_directory": 7,
    "rename_and_fill": 2,
    "swap": 5,
    "circle": 3,
    "swap_directories": 3,
    "circle_directories": 2,
    "rotate_log": 4,
    "copy": 8,
    "copy_directory": 2,
    "become_directory": 2,
    "become_file": 2,
    "become_link": 2,
    "delete": 6,
    "delete_directory": 2,
    "delete_and_recreate": 3,
}
"""How often each is drawn, relative to the others."""
