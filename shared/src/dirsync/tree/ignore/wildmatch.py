r"""Git's glob patterns as RE2 regular expressions over bytes.

This follows git's own matcher (``wildmatch.c``, and ``match_basename`` and ``match_pathname`` of ``dir.c``) and not its
manual, because users write rules until ``git status`` looks right. A malformed pattern never matches, and
:func:`translate` says so with ``None``. The expressions need ``dot_nl``, Latin-1 as encoding, and a full match.

    ?          any byte but /
    *          any bytes but /
    **/        any directories or none, at the start, after a slash, or after nothing but literals
    **         at the end, under the same condition: anything
    [a-f[:digit:]]  one byte of a set, negated by ! or ^, never /
    \x         x itself
"""

import string

_STAR = b"[^/]*"
_ANY_DIRECTORIES = b"(?:.*/)?"
_ANYTHING = b".*"
_ONE = b"[^/]"

_PRINTABLE = frozenset(range(0x20, 0x7F))
_SPACE = frozenset(b" \t\n\r")
_CLASSES: dict[bytes, frozenset[int]] = {
    b"alnum": frozenset((string.ascii_letters + string.digits).encode()),
    b"alpha": frozenset(string.ascii_letters.encode()),
    b"blank": frozenset(b" \t"),
    b"cntrl": frozenset((*range(0x20), 0x7F)),
    b"digit": frozenset(string.digits.encode()),
    b"graph": _PRINTABLE - _SPACE,
    b"lower": frozenset(string.ascii_lowercase.encode()),
    b"print": _PRINTABLE,
    b"punct": frozenset(string.punctuation.encode()),
    b"space": _SPACE,
    b"upper": frozenset(string.ascii_uppercase.encode()),
    b"xdigit": frozenset(string.hexdigits.encode()),
}


def translate(pattern: bytes, *, paths: bool) -> bytes | None:
    """The regular expression for ``pattern``, or ``None`` if it matches nothing.

    ``paths`` says whether it is matched against whole paths, so that ``**`` has its meaning; otherwise against names.
    """
    parts: list[bytes] = []
    at = 0
    literal = True
    while at < len(pattern):
        char = pattern[at : at + 1]
        if char == b"*":
            part, at = _stars(pattern, at, spans=paths and (literal or pattern[at - 1 : at] == b"/"))
        elif char == b"?":
            part, at = _ONE, at + 1
        elif char == b"[":
            found = _bracket(pattern, at + 1)
            if found is None:
                return None
            members, at = found
            part = _set(members)
        elif char == b"\\":
            part, at = _literal(pattern[at + 1 : at + 2]), at + 2
            if at > len(pattern):
                return None
        else:
            part, at = _literal(char), at + 1
        literal = literal and char not in b"*?[\\"
        parts.append(part)
    return b"".join(parts)


def _stars(pattern: bytes, at: int, *, spans: bool) -> tuple[bytes, int]:
    end = at
    while pattern[end : end + 1] == b"*":
        end += 1
    if spans and end - at > 1:
        if end == len(pattern) or pattern.startswith(b"\\/", end):
            return _ANYTHING, end
        if pattern.startswith(b"/", end):
            return _ANY_DIRECTORIES, end + 1
    return _STAR, end


def _bracket(pattern: bytes, at: int) -> tuple[set[int], int] | None:
    """The bytes that a bracket expression matches, and where it ends; ``None`` if it matches none."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    low: int | None = None
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        char = pattern[at : at + 1]
        if char == b"[" and (named := _class(pattern, at)) is not None:
            name, at = named
            if name not in _CLASSES:
                return None
            members |= _CLASSES[name]
            low = None
            continue
        is_range = char == b"-" and low is not None and pattern[at + 1 : at + 2] not in (b"", b"]")
        at += is_range
        at += pattern[at : at + 1] == b"\\"
        if at >= len(pattern):
            return None
        value = pattern[at]
        if is_range and low is not None:
            members.update(range(low, value + 1))
            low = None
        else:
            members.add(value)
            low = value
        at += 1
    if negated:
        members = set(range(256)) - members
    members.discard(ord("/"))
    return (members, at + 1) if members else None


def _class(pattern: bytes, at: int) -> tuple[bytes, int] | None:
    """The name of the ``[:class:]`` that starts at ``at``, and where it ends."""
    end = pattern.find(b"]", at)
    if not pattern.startswith(b"[:", at) or end < at + 3 or pattern[end - 1 : end] != b":":
        return None
    return pattern[at + 2 : end - 1], end + 1


def _set(members: set[int]) -> bytes:
    ranges: list[list[int]] = []
    for value in sorted(members):
        if ranges and ranges[-1][1] == value - 1:
            ranges[-1][1] = value
        else:
            ranges.append([value, value])
    return b"[" + b"".join(b"\\x%02x-\\x%02x" % (low, high) for low, high in ranges) + b"]"


def _literal(char: bytes) -> bytes:
    return char if char.isalnum() else b"".join(b"\\x%02x" % value for value in char)
