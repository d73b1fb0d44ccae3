"""The source as `plan` and `verify` read it: nothing is locked, nothing is written."""

from collections.abc import Iterator
from contextlib import contextmanager

from dirsync.endpoint.source.source import Source
from dirsync.fs.index.index import Index
from dirsync.fs.read.hashing import resolve, unknown_files
from dirsync.tree.entry import UNKNOWN, fingerprint_of, pack, unpack
from dirsync_client.core import open_source
from dirsync_client.settings import ClientSettings
from dirsync_client.state import INDEX


@contextmanager
def open_source_readonly(settings: ClientSettings) -> Iterator[Source]:
    """Open the source and scan it; files that the index does not prove have unknown digests."""
    with scanned(open_source(settings, Index.open(settings.state_dir, INDEX, read_only=True))) as source:
        yield source


@contextmanager
def scanned(source: Source) -> Iterator[Source]:
    """Scan a source, and close it at the end."""
    try:
        for _ in source.scan():
            pass
        yield source
    finally:
        source.close()


def read_all(source: Source, *, again: bool) -> None:
    """Find every unknown digest; with ``again`` read all files, whatever the index says."""
    tree = source.tree
    if again:
        for path, record in list(tree.files()):
            tree.put(path, pack(unpack(record)._replace(digest=UNKNOWN), fingerprint_of(record)))
    for problem in resolve(source.root, tree, list(unknown_files(tree))):
        source.fail(problem)
