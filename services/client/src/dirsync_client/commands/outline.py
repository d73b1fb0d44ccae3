"""What a person is shown of very many paths: directories with counts, as deep as there is room."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from dirsync.tree.path import escape

SHOWN = 50
"""Lines that are listed one by one."""
GROUPS = 30
"""Directories that are shown instead of more lines."""


@dataclass
class _Group:
    """What lies in one directory, at any depth."""

    path: bytes
    """Empty for the root."""
    counts: Counter[str] = field(default_factory=Counter)
    below: dict[bytes, "_Group"] = field(default_factory=dict)
    here: Counter[str] = field(default_factory=Counter)
    """What lies in it directly."""
    only: bytes | None = None
    """The one path in it, where there is only one."""

    @property
    def total(self) -> int:
        """How many paths."""
        return self.counts.total()


def outline(lines: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """A line for each directory: how many paths of which kind; ``lines`` are kinds and paths.

    The directories with the most paths are opened, as long as there are few enough lines.
    """
    root = _gather(lines)
    shown: dict[bytes, str] = {}
    count = 1
    heap = [(-root.total, root.path, root)]
    closed: list[_Group] = []
    while heap:
        _, _, group = heappop(heap)
        count += len(group.below) - (not group.here)
        if not group.below or count > GROUPS:
            count -= len(group.below) - (not group.here)
            closed.append(group)
            continue
        if group.here:
            shown[group.path + b"/"] = _line(group.here, _name(group.path, "*" if group.path else "(top)"))
        for child in group.below.values():
            heappush(heap, (-child.total, child.path, child))
    for group in closed:
        one = group.only if group.total == 1 else None
        shown[group.path + b"/"] = _line(group.counts, escape(one) if one is not None else _name(group.path, ""))
    for _, line in sorted(shown.items()):
        yield line


def show(lines: Sequence[tuple[str, bytes, str]], *, everything: bool) -> None:
    """Print lines, or, if they are too many and not all are asked for, the directories that their paths are in.

    A line comes with its kind and its path.
    """
    if everything or len(lines) <= SHOWN:
        for _, _, line in lines:
            print(line)
        return
    for line in outline((kind, path) for kind, path, _ in lines):
        print(line)
    print(f"({len(lines):,} paths, counted by directory; --all lists them)")


def _gather(lines: Iterable[tuple[str, bytes]]) -> _Group:
    root = _Group(b"")
    for kind, path in lines:
        group = root
        group.counts[kind] += 1
        *parents, _ = path.split(b"/")
        for name in parents:
            child = group.below.get(name)
            if child is None:
                child = group.below[name] = _Group(group.path + b"/" + name if group.path else name)
            group = child
            group.counts[kind] += 1
            group.only = path
        group.here[kind] += 1
    return root


def _name(path: bytes, rest: str) -> str:
    return f"{escape(path)}/{rest}" if path else rest or "(everything)"


def _line(counts: Counter[str], name: str) -> str:
    return f"{name:<40}  {', '.join(f'{number:,} {kind}' for kind, number in counts.most_common())}"
