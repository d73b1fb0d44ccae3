"""The ignore file of a source: what cannot be used as rules is a failure of its path, not of the client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.fs.failure import Unreadable
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root

UNUSABLE = [
    (".env\n".encode("utf-16"), "is not plain text"),
    (b"a\0b\n", "is not plain text"),
    (b"x\n" * 1001, "there are 1001 ignore rules"),
    (b"x" * 1025, "is longer than 1024 bytes"),
]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """A source whose ignore file has one rule."""
    (tmp_path / "source").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "source/.dirsyncignore").write_bytes(b".env\n")
    index = Index.open(tmp_path / "state", "index.sqlite")
    source = Source(Root.open(tmp_path / "source"), index, SourceOptions(b".dirsyncignore"))
    yield source
    source.close()


@pytest.mark.parametrize("text, reason", UNUSABLE)
def test_unusable_text(source: Source, text: bytes, reason: str) -> None:
    """Text that is no list of rules is a failure of the file, and the rules stay as they were."""
    Path(source.root.path.decode(), ".dirsyncignore").write_bytes(text)
    with pytest.raises(Unreadable, match=reason) as caught:
        source.refresh_ignore_rules()

    assert (b".dirsyncignore", (b".env",)) == (caught.value.path, source.ignore.lines)
