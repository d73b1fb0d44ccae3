"""Paths from outside are validated once, and shown without harm."""

import pytest

from dirsync.limits import LIMITS
from dirsync.tree.path import (
    ROOT,
    InvalidPath,
    RelPath,
    abbreviate,
    ancestors,
    components,
    escape,
    is_within,
    join,
    parse_entry_path,
    parse_name,
    parse_path,
    split,
    unescape,
)


@pytest.mark.case("E01")
@pytest.mark.parametrize(
    "raw",
    [
        b"/",
        b"/etc/passwd",
        b"a/",
        b"a//b",
        b".",
        b"..",
        b"./a",
        b"a/.",
        b"a/./b",
        b"../a",
        b"a/..",
        b"a/../../b",
        b"\0",
        b"a\0b",
        b"a/b\0",
    ],
)
def test_unclean_path_is_refused(raw: bytes) -> None:
    """A path that is absolute, climbs, is not clean or has a NUL is an error of who sent it."""
    with pytest.raises(InvalidPath) as caught:
        parse_path(raw)

    assert (caught.value.status, caught.value.reason) == ("INVALID_ARGUMENT", "INVALID_PATH")


@pytest.mark.parametrize("raw", [b"", b"a", b"a/b", b"...", b"..a/.b", b"-rf", b" ", b"a\\b", b"\n", b"~", b"C:"])
def test_clean_path_is_kept_as_it_is(raw: bytes) -> None:
    """Whatever POSIX allows as a name is a path."""
    assert raw == parse_path(raw)


@pytest.mark.case("E03")
def test_path_need_not_be_utf8() -> None:
    """Bytes that are no UTF-8 are names like others."""
    raw = bytes(range(0x80, 0x100))

    assert raw == parse_path(raw)


@pytest.mark.case("E04")
def test_name_of_255_bytes_is_the_longest() -> None:
    """One byte more than NAME_MAX is refused, wherever the component stands."""
    longest = b"n" * LIMITS.max_name_bytes

    assert longest + b"/" + longest == parse_path(longest + b"/" + longest)
    with pytest.raises(InvalidPath):
        parse_path(b"a/" + longest + b"n")


@pytest.mark.case("E04")
def test_path_length_is_bounded() -> None:
    """A path of exactly the limit is accepted, and one byte more is not."""
    longest = b"n/" * (LIMITS.max_path_bytes // 2 - 1) + b"nn"

    assert longest == parse_path(longest)
    with pytest.raises(InvalidPath):
        parse_path(longest + b"n")


def test_refusal_of_a_huge_path_is_short() -> None:
    """An error about a path can travel in the metadata of a call, however long the path is."""
    with pytest.raises(InvalidPath) as caught:
        parse_path(b"\xff/" * 60_000 + b"..")

    assert len(str(caught.value)) < 1000


def test_entry_path_is_below_the_root() -> None:
    """What names an entry to change may not be the root itself."""
    assert parse_entry_path(b"a") == b"a"
    with pytest.raises(InvalidPath):
        parse_entry_path(b"")


@pytest.mark.parametrize("raw", [b"", b"/", b"a/b", b".", b"..", b"a\0", b"n" * 256])
def test_name_is_one_component(raw: bytes) -> None:
    """Anything else than one clean component is no name."""
    with pytest.raises(InvalidPath):
        parse_name(raw)


@pytest.mark.parametrize("parent, name, path", [(b"", b"a", b"a"), (b"a", b"b", b"a/b"), (b"a/b", b"c", b"a/b/c")])
def test_join_and_split_are_inverse(parent: RelPath, name: bytes, path: RelPath) -> None:
    """A path is its directory and its name."""
    assert path == join(parent, name)
    assert (parent, name) == split(path)


def test_components_and_ancestors() -> None:
    """Components go down from the root, ancestors up to it; the root has neither."""
    assert [b"a", b"b", b"c"] == components(RelPath(b"a/b/c"))
    assert [b"a/b", b"a", b""] == list(ancestors(RelPath(b"a/b/c")))
    assert [] == components(ROOT)
    assert [] == list(ancestors(ROOT))


@pytest.mark.parametrize(
    "path, ancestor, expected",
    [
        (b"a", b"", True),
        (b"", b"", True),
        (b"a", b"a", True),
        (b"a/b", b"a", True),
        (b"ab", b"a", False),
        (b"a-/b", b"a", False),
        (b"a", b"a/b", False),
        (b"", b"a", False),
    ],
)
def test_is_within_goes_by_components(path: RelPath, ancestor: RelPath, expected: bool) -> None:
    """A common prefix of bytes is no common directory."""
    assert expected == is_within(path, ancestor)


@pytest.mark.case("E02")
@pytest.mark.parametrize(
    "raw, expected",
    [
        (b"plain name-1.txt", "plain name-1.txt"),
        ("Grüße/日本".encode(), "Grüße/日本"),
        (b"a\nb", "a\\x0ab"),
        (b"\x1b[31m", "\\x1b[31m"),
        (b"\x7f", "\\x7f"),
        ("\x9b".encode(), "\\u009b"),
        ("\u202eexe".encode(), "\\u202eexe"),
        ("\u2028".encode(), "\\u2028"),
        ("\u200b".encode(), "\\u200b"),
        ("\U000e0001".encode(), "\\U000e0001"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ],
)
def test_escape_leaves_nothing_that_acts(raw: bytes, expected: str) -> None:
    """Control characters, separators, overrides and stray bytes are shown, not obeyed."""
    assert expected == escape(raw)


def test_abbreviate_keeps_the_end() -> None:
    """A long path is quoted by its end, where paths differ."""
    assert escape(b"a\nb") == abbreviate(b"a\nb")
    assert abbreviate(b"x" * 500 + b"/end").endswith("x/end")
    assert len(abbreviate(b"\xff" * 500)) < 500


@pytest.mark.parametrize(
    "text, expected",
    [
        ("plain/é", "plain/é".encode()),
        ("\\xff\\u202e\\U000e0001\\\\x41", b"\xff\xe2\x80\xae\xf3\xa0\x80\x81\\x41"),
        ("\\q \\ud800 \\Uffffffff \\x4", b"\\q \\ud800 \\Uffffffff \\x4"),
    ],
)
def test_unescape_takes_what_escape_shows(text: str, expected: bytes) -> None:
    """What a person copies from a message names the path again; what is no escape of ours stands for itself."""
    assert expected == unescape(text)
