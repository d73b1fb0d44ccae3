"""How settings are written: sizes, durations, octal modes, numbers, paths.

Each kind of value has one spelling that is parsed and shown by the functions here. Any other spelling is an error: a
size that is misunderstood is worse than one that is refused. Nothing here knows pydantic or the names of settings: a
``ValueError`` says what is allowed, and the caller adds the name.
"""

import re

from dirsync.limits import GIB, KIB, MIB

_SIZE = re.compile(r"([0-9]{1,19})(KiB|MiB|GiB)?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h)", re.ASCII)
_MODE = re.compile(r"0?[0-7]{3}", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,19}", re.ASCII)
_UNEXPANDED = re.compile(r"\$[({A-Za-z_]|%[A-Za-z_]+%")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)

_SIZE_UNITS = {"GiB": GIB, "MiB": MIB, "KiB": KIB}
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


def parse_size(text: str | int) -> int:
    """Bytes from ``4096``, ``4KiB``, ``16MiB`` or ``2GiB``; a number is taken as bytes."""
    match = _SIZE.fullmatch(str(text))
    if not match:
        msg = "a size is a whole number of bytes, or one with KiB, MiB or GiB, such as 4096 or 4KiB"
        raise ValueError(msg)
    return int(match[1]) * _SIZE_UNITS.get(match[2], 1)


def show_size(size: int) -> str:
    """The shortest exact spelling of a size in bytes."""
    for unit, factor in _SIZE_UNITS.items():
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def parse_duration(text: str | float) -> float:
    """Seconds from ``250ms``, ``30s``, ``5m`` or ``1h``; a number is taken as seconds."""
    if isinstance(text, int | float):
        return float(text)
    match = _DURATION.fullmatch(text)
    if not match:
        msg = "a duration is a whole number with ms, s, m or h, such as 250ms or 30s"
        raise ValueError(msg)
    return int(match[1]) * _MILLISECONDS[match[2]] / 1000


def show_duration(seconds: float) -> str:
    """The shortest exact spelling of a duration in seconds, to the millisecond."""
    milliseconds = round(seconds * 1000)
    if not milliseconds:
        return "0s"
    unit, factor = next((unit, factor) for unit, factor in _MILLISECONDS.items() if milliseconds % factor == 0)
    return f"{milliseconds // factor}{unit}"


def parse_mode(text: str | int) -> int:
    """Permission bits from octal text, such as ``0644``; setuid, setgid and sticky cannot be written."""
    if isinstance(text, int):
        return text
    if not _MODE.fullmatch(text):
        msg = "a mode is three octal digits, such as 0644"
        raise ValueError(msg)
    return int(text, 8)


def show_mode(mode: int) -> str:
    """Permission bits as four octal digits."""
    return f"{mode:04o}"


def parse_count(text: str | int) -> int:
    """A whole number without a sign."""
    if isinstance(text, int):
        return text
    if not _COUNT.fullmatch(text):
        msg = "must be a whole number, such as 64"
        raise ValueError(msg)
    return int(text)


def check_path(text: str, *, is_file: bool) -> str:
    """A path as it is to be opened; refused is what a shell, a unit file or an URL would have made another path of.

    A name that really looks like that is written with ``./`` before it or, where it ends in a blank, ``/`` after it.
    """
    if text != text.strip():
        msg = "starts or ends with a blank; remove it, or write ./ before or / after a name that has one"
    elif "\0" in text:
        msg = "holds a NUL, which no path can have"
    elif text.startswith("~"):
        msg = "starts with ~, which only a shell expands; write the whole path"
    elif _UNEXPANDED.match(text) or "${" in text or "$(" in text:
        msg = "holds a variable that nothing has expanded; write the whole path"
    elif _URL.match(text):
        msg = "is a URL; write a path"
    elif is_file and text.endswith("/"):
        msg = "ends in a slash, as a directory does; write the path of a file"
    else:
        return text
    raise ValueError(msg)


def refuse_quotes(text: str) -> str:
    """Text without quotes around it: ``--env-file`` and unit files keep those that a shell would have removed."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        msg = "is in quotes, which nothing has removed; write it without"
        raise ValueError(msg)
    return text
