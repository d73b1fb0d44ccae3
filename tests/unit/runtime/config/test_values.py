"""How settings are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.runtime.config.values import (
    parse_duration,
    parse_mode,
    parse_size,
    show_duration,
    show_mode,
    show_size,
)


@pytest.mark.parametrize(
    "text, size",
    [("0", 0), ("4096", 4096), ("4KiB", 4096), ("16MiB", 16 << 20), ("2GiB", 2 << 30)],
)
def test_size(text: str, size: int) -> None:
    """A size is bytes, or a number with a binary unit."""
    assert size == parse_size(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4k",
        "4KB",
        "4kib",
        "4 KiB",
        " 4KiB",
        "4KiB\n",
        "-1",
        "+1",
        "1.5MiB",
        "1e3",
        "0x10",
        "4TiB",
        "٤",
        "9" * 20,
        "8E",
        "500B",
        "10MB",
        "off",
    ],
)
def test_size_refused(text: str) -> None:
    """Any other spelling of a size is refused."""
    with pytest.raises(ValueError, match="a size is"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=1 << 60))
def test_size_round_trip(size: int) -> None:
    """A size is shown so that it is parsed back."""
    assert size == parse_size(show_size(size))


@pytest.mark.parametrize(
    "text, seconds", [("250ms", 0.25), ("0s", 0.0), ("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("1500ms", 1.5)]
)
def test_duration(text: str, seconds: float) -> None:
    """A duration is a number with a unit, in seconds."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize("text", ["", "30", "30 s", "1.5s", "1d", "5M", "-5s", "1h30m", "30s\n", "inf", "9" * 13 + "s"])
def test_duration_refused(text: str) -> None:
    """Any other spelling of a duration is refused."""
    with pytest.raises(ValueError, match="a duration is"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**10))
def test_duration_round_trip(milliseconds: int) -> None:
    """A duration is shown so that it is parsed back, to the millisecond."""
    assert milliseconds / 1000 == parse_duration(show_duration(milliseconds / 1000))


@pytest.mark.parametrize("text, mode", [("0644", 0o644), ("755", 0o755), ("0000", 0)])
def test_mode(text: str, mode: int) -> None:
    """A mode is octal text."""
    assert mode == parse_mode(text)
    assert mode == parse_mode(show_mode(mode))


@pytest.mark.parametrize("text", ["", "64", "4755", "07777", "0o644", "rw-r--r--", "888"])
def test_mode_refused(text: str) -> None:
    """Set-id bits, the sticky bit and other spellings are refused."""
    with pytest.raises(ValueError, match="three octal digits"):
        parse_mode(text)
