"""Whether two directories are equal: names, kinds and content. What programs keep for themselves is left out."""

import filecmp
import os
from contextlib import suppress
from pathlib import Path

_OWN = {".stfolder", ".stversions"}


def difference(one: Path, other: Path) -> str:
    """The first difference; empty if there is none."""
    ours, theirs = _listed(one), _listed(other)
    odd = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name, -2) != theirs.get(name, -2))
    if odd:
        return f"{len(odd)} names or sizes differ, the first is {odd[0]}"
    files = [name for name, size in ours.items() if size >= 0]
    different = next((name for name in files if not _same(one / name, other / name)), None)
    return "" if different is None else f"{different} has other content"


def _same(one: Path, other: Path) -> bool:
    with suppress(FileNotFoundError):
        return filecmp.cmp(one, other, shallow=False)
    return False


def _listed(top: Path) -> dict[str, int]:
    """Every path with its size; a directory's is -1."""
    found: dict[str, int] = {}
    for place, directories, files in os.walk(top):
        directories[:] = [name for name in directories if name not in _OWN]
        above = os.path.relpath(place, top)
        found |= {os.path.normpath(os.path.join(above, name)): -1 for name in directories}
        for name in files:
            with suppress(FileNotFoundError):  # a program that is at work has files that come and go
                found[os.path.normpath(os.path.join(above, name))] = os.lstat(os.path.join(place, name)).st_size
    return found
