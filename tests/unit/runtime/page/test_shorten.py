"""Text of bounded size, and paths for a shell."""

import subprocess

import pytest

from dirsync.runtime.page.shorten import PATH_BYTES, quote_path, shorten, shorten_path


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", ""),
        ("short", "short"),
        ("0123456789", "0123456789"),
        ("0123456789x", "012\N{HORIZONTAL ELLIPSIS}789x"),
        ("\N{GRINNING FACE}" * 5, "\N{HORIZONTAL ELLIPSIS}\N{GRINNING FACE}"),
        ("\udcff", "?"),
    ],
)
def test_shorten(text: str, expected: str) -> None:
    """What is too long loses its middle, and no character is cut in two."""
    assert expected == shorten(text, 10)


@pytest.mark.parametrize(
    "path", [b"a" * 5000, b"\xff" * 5000, "\N{GRINNING FACE}".encode() * 500, b"\x1b]0;x\x07" * 99]
)
def test_paths_are_bounded(path: bytes) -> None:
    """The bound is one of bytes as they are sent, after escaping."""
    shown = shorten_path(path)

    assert len(shown.encode()) <= PATH_BYTES
    assert shown.isprintable()


@pytest.mark.parametrize(
    "path, expected",
    [
        (b"plain/name.txt", "plain/name.txt"),
        (b"two words", "'two words'"),
        ("\N{GREEK SMALL LETTER ALPHA}".encode(), "'\N{GREEK SMALL LETTER ALPHA}'"),
        (b"it's", "'it'\"'\"'s'"),
        (b"a\nb'c\\d\xff", "$'a\\x0ab\\'c\\\\d\\xff'"),
        (b"$(reboot)", "'$(reboot)'"),
        (b"a\\b", "$'a\\\\b'"),
    ],
)
def test_quoted_for_a_shell(path: bytes, expected: str) -> None:
    """A path is one word, which a shell reads as that path and nothing else."""
    quoted = quote_path(path)
    read = subprocess.run(["bash", "-c", f"printf %s {quoted}"], check=True, capture_output=True).stdout

    assert (expected, path) == (quoted, read)
