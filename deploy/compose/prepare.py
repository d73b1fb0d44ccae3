#!/usr/bin/env python3
"""Let services that are not root use their mounts, whoever made them. Run as root, once, before they start.

Docker makes a missing mount point as root, and nobody but root can write there. So, for each directory:

- what the services' user can use is left as it is;
- an *empty* one that he cannot use is given to him;
- an empty one of root that he need only read is given to whoever owns the project, who is to put files into it;
- one that holds something is nobody's to give: this says who lacks what, and fails, which keeps the services down.

Nothing else is touched, and nothing below such a directory ever. A volume of the services' own holds what they remember
and nothing of anybody else: it is given to their user with all that is in it, so that a change of user forgets nothing.
It needs Python alone, so any image with one will do.
"""

import argparse
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Access(StrEnum):
    """What the services need to do in a directory."""

    READ = "read"
    WRITE = "write"
    OWN = "own"
    """Write, and nobody else has anything there."""

    @property
    def mode(self) -> int:
        """As ``access(2)`` takes it."""
        return os.R_OK | os.X_OK | (0 if self is Access.READ else os.W_OK)


class Owner(NamedTuple):
    """Who a directory belongs to."""

    uid: int
    gid: int

    @classmethod
    def parse(cls, text: str) -> "Owner":
        """From ``uid:gid``."""
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
    """A directory, and what the services do there."""

    access: Access
    path: Path
    shown: str
    """Its name outside, where people know it."""

    @classmethod
    def parse(cls, text: str) -> "Place":
        """From ``read:PATH=NAME``, ``write:PATH=NAME`` or ``own:PATH=NAME``."""
        access, _, rest = text.partition(":")
        path, _, shown = rest.partition("=")
        return cls(Access(access), Path(path), shown or path)


def new_owner(place: Place, *, usable: bool, empty: bool, owner: Owner, user: Owner, project: Owner) -> Owner | None:
    """Who is to get the directory; None where it stays as it is."""
    if not empty:
        return None
    if not usable:
        return user
    return project if place.access is Access.READ and owner.uid == ROOT.uid != project.uid else None


def as_user(user: Owner, question: Callable[[], bool]) -> bool:
    """The answer to a question that the kernel answers differently for each user: a child asks it as ``user``."""
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
    """Whether ``user`` can do there what the services do."""
    return as_user(user, lambda: os.access(place.path, place.access.mode))


def prepare(place: Place, user: Owner, project: Owner) -> str | None:
    """Give the directory away if it is to be given; a line for people if its user still cannot use it."""
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
            print(f"prepare: {place.shown} was empty and belonged to {owner}; it is {heir}'s now")
    if can or usable(place, user):
        return None
    return f"prepare: {refusal(place, user, Owner.of(place.path), place.path.stat().st_mode)}"


def take_over(place: Place, user: Owner) -> str | None:
    """Give the directory to the user with all that is in it; a line for people if that cannot be done.

    A service that runs already may remove files meanwhile.
    """
    taken = False
    try:
        for _, directories, files, descriptor in os.fwalk(place.path, onerror=_unless_gone):
            for name in (".", *directories, *files):
                taken |= _give(name, descriptor, user)
    except OSError as error:
        return f"prepare: {place.shown}: {user} cannot become the owner of all of it: {error.strerror}"
    if taken:
        print(f"prepare: {place.shown} is {user}'s now")
    return None


def _give(name: str, directory: int, user: Owner) -> bool:
    """Give one name in an open directory to the user; whether it was somebody else's."""
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
    """Who lacks what, and what to do about it."""
    done, command = ("read", "chmod -R a+rX")
    if place.access is Access.WRITE:
        done, command = ("written", f"chown -R {user}")
    return (
        f"{place.shown} (owner {owner}, mode {mode & 0o7777:04o}) cannot be {done} by uid {user.uid}, gid {user.gid}; "
        f"run the services as its owner (PUID={owner.uid} PGID={owner.gid}), or: sudo {command} {place.shown}"
    )


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when every directory can be used."""
    parser = argparse.ArgumentParser(prog="prepare", description=__doc__.partition("\n")[0])
    parser.add_argument("--user", type=Owner.parse, required=True, metavar="UID:GID", help="whom the services run as")
    parser.add_argument("--project", type=Path, required=True, metavar="FILE", help="its owner owns the project")
    parser.add_argument("places", type=Place.parse, nargs="+", metavar="read|write|own:DIRECTORY=NAME")
    arguments = parser.parse_args(argv)
    project = Owner.of(arguments.project)
    problems = [problem for place in arguments.places if (problem := prepare(place, arguments.user, project))]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
