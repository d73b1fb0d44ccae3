#!/usr/bin/env python3
"""Give mount points to services that do not run as root. Run once, as root, before they start.

Docker creates a missing mount point as root, and only root can write there. So, for each directory:

- a directory that the services' user can use is left as it is;
- an *empty* one that the user cannot use is given to the user;
- an empty one of root that the user only has to read is given to the owner of the project, who puts files into it;
- one that is not empty is left as it is. If the user cannot use it, this program says why and fails, so the services do
  not start.

Nothing else is changed, and nothing below such a directory. The services' own volumes hold only their state. They are
given to the user with everything in them, so that the state survives a change of user. This program requires only
Python, so any image with Python can run it.
"""

import argparse
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Access(StrEnum):
    """The access that the services need to a directory."""

    READ = "read"
    WRITE = "write"
    OWN = "own"
    """Write, in a directory that only the services use."""

    @property
    def mode(self) -> int:
        """The mode for ``access(2)``."""
        return os.R_OK | os.X_OK | (0 if self is Access.READ else os.W_OK)


class Owner(NamedTuple):
    """The owner of a directory."""

    uid: int
    gid: int

    @classmethod
    def parse(cls, text: str) -> "Owner":
        """Parse ``uid:gid``."""
        uid, _, gid = text.partition(":")
        return cls(int(uid), int(gid))

    @classmethod
    def of(cls, path: Path) -> "Owner":
        """The owner of what is at ``path``."""
        status = path.stat()
        return cls(status.st_uid, status.st_gid)

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


ROOT = Owner(0, 0)


class Place(NamedTuple):
    """A directory, and the access that the services need."""

    access: Access
    path: Path
    shown: str
    """Its path outside of the container, for messages."""

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Parse ``read:PATH=NAME``, ``write:PATH=NAME`` or ``own:PATH=NAME``."""
        access, _, rest = text.partition(":")
        path, _, shown = rest.partition("=")
        return cls(Access(access), Path(path), shown or path)


def new_owner(place: Place, *, usable: bool, empty: bool, owner: Owner, user: Owner, project: Owner) -> Owner | None:
    """The new owner of the directory; None if it stays as it is."""
    if not empty:
        return None
    if not usable:
        return user
    return project if place.access is Access.READ and owner.uid == ROOT.uid != project.uid else None


def as_user(user: Owner, question: Callable[[], bool]) -> bool:
    """Evaluate ``question`` with the rights of ``user``, in a child process."""
    child = os.fork()
    if child == 0:
        answer = False
        try:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
            answer = question()
        finally:
            os._exit(0 if answer else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def usable(place: Place, user: Owner) -> bool:
    """Whether ``user`` has the access that the services need."""
    return as_user(user, lambda: os.access(place.path, place.access.mode))


def prepare(place: Place, user: Owner, project: Owner) -> str | None:
    """Change the owner of the directory if necessary. Returns a message if the user still cannot use it."""
    if place.access is Access.OWN:
        return take_over(place, user)
    owner = Owner.of(place.path)
    can = usable(place, user)
    empty = not any(place.path.iterdir())
    heir = new_owner(place, usable=can, empty=empty, owner=owner, user=user, project=project)
    if heir is not None:
        try:
            os.chown(place.path, *heir)
        except OSError as error:
            print(f"prepare: {place.shown}: {heir} cannot become its owner: {error.strerror}", file=sys.stderr)
        else:
            print(f"prepare: {place.shown} was empty and belonged to {owner}; it belongs to {heir} now")
    if can or usable(place, user):
        return None
    return f"prepare: {refusal(place, user, Owner.of(place.path), place.path.stat().st_mode)}"


def take_over(place: Place, user: Owner) -> str | None:
    """Give the directory to the user with everything in it. Returns a message if that fails.

    A running service may remove files meanwhile.
    """
    taken = False
    try:
        for _, directories, files, descriptor in os.fwalk(place.path, onerror=_unless_gone):
            for name in (".", *directories, *files):
                taken |= _give(name, descriptor, user)
    except OSError as error:
        return f"prepare: {place.shown}: {user} cannot become the owner of all of it: {error.strerror}"
    if taken:
        print(f"prepare: {place.shown} belongs to {user} now")
    return None


def _give(name: str, directory: int, user: Owner) -> bool:
    """Give one entry of an open directory to the user. Returns whether it had another owner."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if Owner(status.st_uid, status.st_gid) == user:
            return False
        os.chown(name, *user, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def refusal(place: Place, user: Owner, owner: Owner, mode: int) -> str:
    """A message: the directory, the missing access, and what to do."""
    done, command = ("read", "chmod -R a+rX")
    if place.access is Access.WRITE:
        done, command = ("written", f"chown -R {user}")
    return (
        f"{place.shown} (owner {owner}, mode {mode & 0o7777:04o}) cannot be {done} by uid {user.uid}, gid {user.gid}; "
        f"run the services as its owner (PUID={owner.uid} PGID={owner.gid}), or: sudo {command} {place.shown}"
    )


def main(argv: list[str] | None = None) -> int:
    """Prepare all directories. Returns 0 if every one can be used."""
    parser = argparse.ArgumentParser(prog="prepare", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--user", type=Owner.parse, required=True, metavar="UID:GID", help="user and group of the services"
    )
    parser.add_argument(
        "--project",
        type=Path,
        required=True,
        metavar="FILE",
        help="a file of the project; its owner gets an empty source",
    )
    parser.add_argument("places", type=Place.parse, nargs="+", metavar="read|write|own:DIRECTORY=NAME")
    arguments = parser.parse_args(argv)
    project = Owner.of(arguments.project)
    problems = [problem for place in arguments.places if (problem := prepare(place, arguments.user, project))]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
