"""Which versions somebody wrote, and nobody took away: these have to be somewhere at the end.

People do one act at a time, and each act shows what it wrote and what it took away: replaced, removed, or cut short.
Content is told by its bytes, and the people of these worlds write no bytes twice.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from tests.simulation.invariants import Violation, below, find
from tests.simulation.machine.disk import Disk, Inode

Content = tuple[int, int]
"""The length and the hash of some content: within one world that tells it from all other."""
EMPTY: Content = (0, hash(b""))
"""Empty files are not told from each other."""


class Survival:
    """Watches all acts of all people."""

    def __init__(self) -> None:
        self.written: dict[Content, str] = {}
        """Contents that have to be somewhere, and who wrote them where."""
        self._known: set[Content] = set()

    def acts(self, disk: Disk, root: bytes, who: str, deed: Iterator[float]) -> Iterator[float]:
        """The same deed, watched act by act."""
        while True:
            before = contents(disk, root)
            try:
                pause = next(deed)
            except StopIteration:
                self._note(before, contents(disk, root), who)
                return
            self._note(before, contents(disk, root), who)
            yield pause

    def power_cut(self, disk: Disk, root: bytes, cut: Callable[[], None]) -> None:
        """The power goes at a machine: what nobody had made durable there was lost by that."""
        before = contents(disk, root)
        cut()
        for content in set(before.values()) - set(contents(disk, root).values()):
            self.written.pop(content, None)

    def _note(self, before: dict[bytes, Content], after: dict[bytes, Content], who: str) -> None:
        had, has = Counter(before.values()), Counter(after.values())
        for path, content in after.items():
            if content not in had:
                self.written[content] = f"{path!r} of {who}"
                self._known.add(content)
        for content in had:
            if has[content] < had[content]:
                self.written.pop(content, None)

    def check(self, disks: list[tuple[Disk, bytes]]) -> None:
        """Everything that has to be somewhere is everywhere, now that all sides are equal."""
        for disk, root in disks:
            lost = self.written.keys() - set(contents(disk, root).values()) - {EMPTY}
            if lost:
                msg = f"P13: a version is lost that nobody took away: {[self.written[content] for content in lost][:3]}"
                raise Violation(msg)

    def gone(self, disk: Disk, root: bytes) -> set[Content]:
        """What was written once, and is nowhere now that all sides are equal."""
        return self._known - set(contents(disk, root).values()) - {EMPTY}


def contents(disk: Disk, root: bytes) -> dict[bytes, Content]:
    """The digests of all files and links of a directory, by path."""
    return {path: _told(inode) for path, inode in below(find(disk, root)) if inode.is_file}


def _told(inode: Inode) -> Content:
    if inode.told is None:
        inode.told = len(inode.content), hash(bytes(inode.content))
    return inode.told
