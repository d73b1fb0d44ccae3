"""Real pairs in each state that a status page can tell of, and what the page has to say then."""

import shutil
from collections.abc import Callable
from typing import NamedTuple

from dirsync.limits import KIB, MIB
from tests.support.running.programs import Client, Pair, Process
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes, text
from tests.support.trees.trees import build

HOSTILE = ("<img src=x onerror=document.title='x'>.bin", "escape\x1b[31m\nline \N{RIGHT-TO-LEFT OVERRIDE}.bin")
"""Names that want to be more than names."""


class PageState(NamedTuple):
    """A state, and how a pair comes to it."""

    name: str
    """As ``verdict.state`` says."""
    title: str
    """In the words of the page."""
    make: Callable[[Pair], Process]
    """Brings a pair there; returns the program whose page shows it."""


def in_sync(pair: Pair) -> Client:
    """A pair that has worked for a while and is in sync: every strategy was used."""
    pair.server(quota_bytes="1GiB")
    photos = {f"photos/2026-0{7 + day % 2}/{day:02}.jpg": random_bytes(40 * KIB, day) for day in range(1, 29)}
    build(pair.source, {**photos, "notes/todo.md": text(9 * KIB), "database.sqlite": random_bytes(2 * MIB)})
    client = pair.client()
    work(pair, client)
    return client


def work(pair: Pair, client: Client, number: int = 1) -> None:
    """An edit, a copy, a rename, a delete and new files, all of them synced; each number makes other content."""
    database = pair.source / "database.sqlite"
    content = bytearray(database.read_bytes())
    content[MIB : MIB + 3 * KIB] = random_bytes(3 * KIB, number)
    database.write_bytes(content)
    shutil.copyfile(pair.source / "photos/2026-08/01.jpg", pair.source / "copy.jpg")
    until((pair.replica / "copy.jpg").exists, "the copy")
    (pair.source / "copy.jpg").rename(pair.source / "best.jpg")
    until((pair.replica / "best.jpg").exists, "the rename")
    (pair.source / "best.jpg").unlink()
    until(lambda: not (pair.replica / "best.jpg").exists(), "the delete")
    (pair.source / "notes/todo.md").chmod(0o600 + number % 2 * 0o40)
    day = f"notes/day-{number:03}.md"
    (pair.source / day).write_bytes(text(20 * KIB + number))
    until((pair.replica / day).exists, "a new file")
    client.wait_until_in_sync()


def first_sync(pair: Pair) -> Client:
    """A first sync over a slow line."""
    pair.server()
    build(pair.source, {f"archive/{number:04}.bin": random_bytes(48 * KIB, number) for number in range(1200)})
    client = pair.client(synced=False, bandwidth_limit="512KiB")
    until(lambda: sum(1 for _ in pair.replica.rglob("*.bin")) >= 40, "the first files")
    return client


def held(pair: Pair) -> Client:
    """A source that was emptied."""
    client = in_sync(pair)
    for child in pair.source.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    client.wait_for("guard.held")
    return client


def problems(pair: Pair) -> Client:
    """Files that are larger than the server allows, some of them with names that want to be more than names."""
    pair.server(max_file_size="64KiB")
    names = ("disk.img", "films/holiday.mp4", *HOSTILE)
    large = {name: random_bytes(80 * KIB, number) for number, name in enumerate(names)}
    build(pair.source, {**large, "notes/todo.md": text(9 * KIB), "photos/01.jpg": random_bytes(40 * KIB)})
    client = pair.client(synced=False)
    until(lambda: client.metrics().value("dirsync_problems", kind="limit") == len(large), "all problems")
    return client


def server_lost(pair: Pair) -> Client:
    """A server that ended."""
    client = in_sync(pair)
    for server in pair.servers:
        server.stop()
    client.wait_for("connection.lost")
    return client


def serving(pair: Pair) -> Process:
    """The server of a pair that is in sync."""
    in_sync(pair)
    return pair.servers[0]


STATES = (
    PageState("first_sync", "First sync under way", first_sync),
    PageState("in_sync", "In sync", in_sync),
    PageState("held", "Held", held),
    PageState("problems", "Problems", problems),
    PageState("server_lost", "Server lost", server_lost),
    PageState("serving", "Serving", serving),
)
