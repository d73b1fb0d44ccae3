"""What a replica may hold, to the last byte."""

import pytest

from dirsync.endpoint.quota import Quota, Usage, check_entry, check_file
from dirsync.errors import DirsyncError, LimitExceeded, StorageError
from dirsync.tree.path import RelPath

QUOTA = Quota(max_file_size=100, max_bytes=1000, max_entries=10, min_free_bytes=50)
ROOMY = Usage(bytes=0, free_bytes=10_000)
PATH = RelPath(b"docs/x")


@pytest.mark.case("I18")
@pytest.mark.parametrize(
    "usage, size, replaced, named",
    [
        (ROOMY, 100, 0, None),
        (ROOMY, 101, 0, "MAX_FILE_SIZE"),
        (Usage(950, 10_000), 50, 0, None),
        (Usage(950, 10_000), 51, 0, "QUOTA_BYTES"),
        (Usage(1000, 10_000), 100, 100, None),
        (Usage(1000, 10_000), 100, 99, "QUOTA_BYTES"),
        (Usage(0, 150), 100, 0, None),
        (Usage(0, 149), 100, 0, "MIN_FREE_BYTES"),
        (Usage(0, 149), 100, 100, "MIN_FREE_BYTES"),
        (Usage(0, 49), 0, 0, "MIN_FREE_BYTES"),
    ],
)
def test_files(usage: Usage, size: int, replaced: int, named: str | None) -> None:
    """Each bound is reached and not passed; the refusal names the setting and the path."""
    refused: DirsyncError | None = None
    try:
        check_file(QUOTA, usage, PATH, size, replaced)
    except (LimitExceeded, StorageError) as error:
        refused = error

    assert named is None if refused is None else str(named) in str(refused)
    assert refused is None or "docs/x" in str(refused)


def test_entries() -> None:
    """As many entries as allowed, and not one more."""
    check_entry(QUOTA, 9, PATH)
    with pytest.raises(LimitExceeded, match=r"docs/x .* QUOTA_ENTRIES \(10\)"):
        check_entry(QUOTA, 10, PATH)
