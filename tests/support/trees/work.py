"""Real programs at work in a directory: what developers, databases and services do to a source all day.

Each worker has a directory of its own in the source, and whatever else it needs outside of it. A worker ends a step
with everything closed, so that the directory is at rest between two steps of all of them.
"""

import gzip
import os
import random
import shutil
import sqlite3
import subprocess
import sysconfig
import tarfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

ROTATIONS = 4
"""Old logs that are kept."""
_IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Worker(Protocol):
    """A program at work."""

    def step(self) -> None:
        """Work for a moment."""


def run(*command: str, at: Path, told: str = "") -> None:
    """A program to its end; one that fails fails the test, with what it said."""
    done = subprocess.run(
        command, cwd=at, env={**os.environ, **_IDENTITY}, input=told, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, f"{' '.join(command)}: {done.stdout}{done.stderr}"


class Git:
    """Commits, branches, merges, rebases and garbage collection."""

    def __init__(self, place: Path, dice: random.Random) -> None:
        self._place, self._dice = place, dice
        self._number = 0
        place.mkdir()
        run("git", "init", "--quiet", "--initial-branch=main", at=place)
        self._commit(10)

    def step(self) -> None:
        """A branch that is merged or rebased, now and then with a collection after it."""
        branch = f"topic{self._number}"
        run("git", "switch", "--quiet", "--create", branch, at=self._place)
        for _ in range(self._dice.randint(1, 3)):
            self._commit(self._dice.randint(1, 6))
        run("git", "switch", "--quiet", "main", at=self._place)
        if self._dice.random() < 0.5:
            run("git", "merge", "--quiet", "--no-ff", "--message", branch, branch, at=self._place)
        else:
            run("git", "rebase", "--quiet", branch, at=self._place)
        run("git", "branch", "--quiet", "--delete", "--force", branch, at=self._place)
        if self._dice.random() < 0.3:
            run("git", "gc", "--quiet", "--prune=now", at=self._place)
        if self._dice.random() < 0.3:
            run("git", "checkout", "--quiet", "HEAD~1", at=self._place)
            run("git", "checkout", "--quiet", "main", at=self._place)

    def _commit(self, files: int) -> None:
        for _ in range(files):
            path = self._place / f"src{self._dice.randrange(5)}" / f"module{self._dice.randrange(40)}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(f"line {self._dice.random()}\n" for _ in range(self._dice.randint(1, 300))))
        self._number += 1
        run("git", "add", "--all", at=self._place)
        run("git", "commit", "--quiet", "--message", f"change {self._number}", at=self._place)


class Npm:
    """Packages that are installed, upgraded, and removed with everything in them."""

    PACKAGES, FILES = 12, 25

    def __init__(self, place: Path, elsewhere: Path, dice: random.Random) -> None:
        self._place, self._elsewhere, self._dice = place, elsewhere, dice
        self._version = 0
        place.mkdir()
        elsewhere.mkdir(parents=True)
        (place / "package.json").write_text('{"name": "application", "version": "1.0.0"}')

    def step(self) -> None:
        """Install new versions, or everything anew."""
        self._version += 1
        if self._dice.random() < 0.3:
            shutil.rmtree(self._place / "node_modules", ignore_errors=True)
        chosen = self._dice.sample(range(self.PACKAGES), self._dice.randint(2, self.PACKAGES))
        packed = [str(self._pack(f"package{number}")) for number in chosen]
        options = ("--offline", "--no-audit", "--no-fund", "--loglevel=error", f"--cache={self._elsewhere / 'cache'}")
        run("npm", "install", *options, *packed, at=self._place)

    def _pack(self, name: str) -> Path:
        archive = self._elsewhere / f"{name}-1.0.{self._version}.tgz"
        content = self._elsewhere / "package"
        (content / "lib").mkdir(parents=True, exist_ok=True)
        (content / "package.json").write_text(f'{{"name": "{name}", "version": "1.0.{self._version}"}}')
        for number in range(self.FILES):
            (content / "lib" / f"{number}.js").write_text(f"// {self._dice.random()}\n" * self._dice.randint(1, 90))
        with tarfile.open(archive, "w:gz") as file:
            file.add(content, "package")
        return archive


class Database:
    """A database with a write-ahead log, or with a journal, that is grown, shrunk and compacted."""

    def __init__(self, place: Path, dice: random.Random) -> None:
        self._place, self._dice = place, dice
        place.mkdir()
        with self._open() as database:
            database.execute("create table if not exists t (id integer primary key, body blob)")
        database.close()

    def step(self) -> None:
        """Some transactions, with the mode of the journal chosen anew."""
        database = self._open()
        database.execute(f"pragma journal_mode = {self._dice.choice(('wal', 'delete', 'truncate', 'persist'))}")
        for _ in range(self._dice.randint(5, 40)):
            with database:
                database.execute(
                    "insert into t (body) values (?)", (self._dice.randbytes(self._dice.randint(1, 9000)),)
                )
                database.execute("update t set body = ? where id % 17 = ?", (b"x" * 500, self._dice.randrange(17)))
                database.execute("delete from t where id % 29 = ?", (self._dice.randrange(29),))
        if self._dice.random() < 0.3:
            database.execute("vacuum")
        database.close()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._place / "data.sqlite")


class Logs:
    """Logs that are appended to, renamed when they are full, compressed, and cut after they were copied."""

    def __init__(self, place: Path, dice: random.Random) -> None:
        self._place, self._dice = place, dice
        place.mkdir()

    def step(self) -> None:
        """Append lines, and rotate."""
        for name in ("renamed.log", "copied.log"):
            with (self._place / name).open("a") as log:
                for _ in range(self._dice.randint(50, 2000)):
                    log.write(f"{self._dice.random()} something happened\n")
                    if self._dice.random() < 0.01:
                        log.flush()
        if self._dice.random() < 0.5:
            self._rotate("renamed.log", lambda log, to: log.rename(to))
            self._rotate("copied.log", self._copy_and_cut)

    def _rotate(self, name: str, take_away: Callable[[Path, Path], object]) -> None:
        for number in range(ROTATIONS, 1, -1):
            older = self._place / f"{name}.{number - 1}.gz"
            if older.exists():
                older.rename(self._place / f"{name}.{number}.gz")
        log, taken = self._place / name, self._place / f"{name}.1"
        take_away(log, taken)
        log.touch()
        with gzip.open(f"{taken}.gz", "wb") as packed:
            packed.write(taken.read_bytes())
        taken.unlink()

    @staticmethod
    def _copy_and_cut(log: Path, to: Path) -> None:
        shutil.copy2(log, to)
        os.truncate(log, 0)


class Archives:
    """Trees that are unpacked over what is there, copied, moved and removed."""

    def __init__(self, place: Path, elsewhere: Path, dice: random.Random) -> None:
        self._place, self._dice = place, dice
        place.mkdir()
        elsewhere.mkdir(parents=True)
        library = Path(sysconfig.get_path("stdlib"))
        self._archives = [elsewhere / f"{name}.tar" for name in ("email", "json", "importlib", "unittest", "xml")]
        for archive in self._archives:
            run("tar", "cf", str(archive), archive.stem, at=library)

    def step(self) -> None:
        """One of those."""
        archive = self._dice.choice(self._archives)
        run("tar", "xf", str(archive), at=self._place)
        unpacked = self._place / archive.stem
        match self._dice.randrange(4):
            case 0:
                shutil.rmtree(self._place / "release", ignore_errors=True)
                unpacked.rename(self._place / "release")
            case 1:
                run("cp", "-a", archive.stem, f"copy{self._dice.randrange(3)}", at=self._place)
            case 2:
                link = self._place / "current.new"
                link.symlink_to(archive.stem)
                link.rename(self._place / "current")
            case _:
                shutil.rmtree(unpacked)


class Editors:
    """Files that are saved in the ways of editors."""

    NAMES = 30

    def __init__(self, place: Path, dice: random.Random) -> None:
        self._place, self._dice = place, dice
        place.mkdir()

    def step(self) -> None:
        """Save a few of them."""
        for _ in range(self._dice.randint(3, 12)):
            path = self._place / f"note{self._dice.randrange(self.NAMES)}.txt"
            content = "".join(f"{self._dice.random()}\n" for _ in range(self._dice.randint(0, 2000)))
            match self._dice.randrange(6):
                case 0:
                    path.write_text(content)
                case 1:  # beside, then over it
                    beside = path.with_name(f".{path.name}.swp")
                    beside.write_text(content)
                    beside.rename(path)
                case 2:  # the old one is kept
                    if path.exists():
                        path.rename(f"{path}~")
                    path.write_text(content)
                case 3:
                    path.touch()
                    run("sed", "-i", "-e", "1i first", "-e", "s/0/o/", path.name, at=self._place)
                case 4:
                    path.touch()
                    run("ed", "-s", path.name, at=self._place, told=f"a\n{content}.\nw\nq\n")
                case _:
                    path.touch()
                    path.chmod(self._dice.choice((0o600, 0o644, 0o755)))
                    if self._dice.random() < 0.3:
                        path.unlink()


NEEDED = {"git": ("git",), "npm": ("npm",), "archives": ("tar", "cp"), "editors": ("ed", "sed")}
"""The programs that a worker starts."""


def make_workers(source: Path, elsewhere: Path, seed: int, names: Collection[str] | None = None) -> dict[str, Worker]:
    """The workers of these names, or all, that this machine has the programs for."""
    made: dict[str, Callable[[random.Random], Worker]] = {
        "git": lambda dice: Git(source / "repository", dice),
        "npm": lambda dice: Npm(source / "application", elsewhere / "npm", dice),
        "database": lambda dice: Database(source / "database", dice),
        "logs": lambda dice: Logs(source / "logs", dice),
        "archives": lambda dice: Archives(source / "archives", elsewhere / "tar", dice),
        "editors": lambda dice: Editors(source / "notes", dice),
    }
    return {
        name: make(random.Random(f"{seed} {name}"))
        for name, make in made.items()
        if (names is None or name in names) and all(shutil.which(program) for program in NEEDED.get(name, ()))
    }
