"""Tokens as the tenants file names them: by their digest, perhaps with a time when they count. Pure.

::

    tokens_sha256 = [
      "<64 hexadecimal digits>",
      { sha256 = "<64 hexadecimal digits>", not_before = 2026-01-01T00:00:00Z, not_after = 2026-12-31T23:59:59Z },
    ]

Several count at once, so a token is rotated by adding the new one, giving it to the clients, and removing the old one.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from dirsync.rpc.auth.bearer import matches

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NOTHING = hashlib.sha256(b"").digest()
_KEYS = ("sha256", "not_before", "not_after")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Token(NamedTuple):
    """A token that counts from ``not_before`` to ``not_after``, both included, in nanoseconds since the epoch."""

    sha256: bytes
    not_before: int | None = None
    not_after: int | None = None

    def counts_at(self, now: int) -> bool:
        """Whether it counts at this time."""
        return (self.not_before is None or self.not_before <= now) and (self.not_after is None or now <= self.not_after)


def is_valid(presented: bytes | None, tokens: Iterable[Token], now: int) -> bool:
    """Whether one of the tokens that count ``now`` has this digest. The time it takes depends only on their number."""
    known = tuple(tokens)
    fits = matches(presented, [token.sha256 for token in known])
    counts = [token.counts_at(now) for token in known]
    return any([fit and count for fit, count in zip(fits, counts, strict=True)])  # noqa: C419 - no early exit


def parse_tokens(entries: object) -> tuple[Token, ...]:
    """The value of ``tokens_sha256``.

    Raises:
        ValueError: saying what is allowed; it repeats nothing, because the token itself may have been written there.
    """
    if not isinstance(entries, list) or not entries:
        msg = "is a list of SHA-256 digests of tokens in hexadecimal, with at least one"
        raise ValueError(msg)
    return tuple(_parse(entry) for entry in entries)


def _parse(entry: object) -> Token:
    if not isinstance(entry, Mapping):
        return Token(_parse_digest(entry))
    if not set(entry) <= set(_KEYS):
        msg = f"has an entry with an unknown key; known are {', '.join(_KEYS)}"
        raise ValueError(msg)
    token = Token(_parse_digest(entry.get("sha256")), _parse_time(entry, "not_before"), _parse_time(entry, "not_after"))
    if token.not_before is not None and token.not_after is not None and token.not_after < token.not_before:
        msg = "has an entry whose not_after comes before its not_before"
        raise ValueError(msg)
    return token


def _parse_digest(text: object) -> bytes:
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        msg = "has an entry that is no SHA-256 digest: 64 hexadecimal digits in lower case"
        raise ValueError(msg)
    digest = bytes.fromhex(text)
    if digest == _NOTHING:
        msg = "has the digest of the empty text, which is no token"
        raise ValueError(msg)
    return digest


def _parse_time(entry: Mapping[str, Any], key: str) -> int | None:
    value = entry.get(key)
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        msg = f"has an entry whose {key} is no date and time with an offset, such as 2026-01-01T00:00:00Z"
        raise ValueError(msg)
    return (value - _EPOCH) // timedelta(microseconds=1) * 1000
