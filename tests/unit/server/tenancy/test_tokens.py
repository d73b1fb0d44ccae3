"""Tokens of the tenants file: how they are written, when they count, and that comparing them discloses nothing."""

import ast
import hashlib
import inspect
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.rpc.auth import bearer, gate
from dirsync_server.tenancy import authority as auth
from dirsync_server.tenancy import tenants, tokens
from dirsync_server.tenancy.tokens import Token, is_valid, parse_tokens

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DIGESTS = [hashlib.sha256(word).digest() for word in (b"one", b"two", b"three")]


def ns(time: datetime) -> int:
    """Nanoseconds since the epoch."""
    return int(time.timestamp()) * 10**9


def entry(**times: object) -> dict[str, object]:
    """An entry of the file with these times."""
    return {"sha256": DIGESTS[0].hex(), **times}


@pytest.mark.case("K04")
def test_times() -> None:
    """A token counts from its first moment to its last, both included, wherever their offsets are."""
    (token,) = parse_tokens([entry(not_before=NOON, not_after=NOON.astimezone(timezone(timedelta(hours=5))))])
    moments = [ns(NOON) - 1, ns(NOON), ns(NOON) + 1]

    assert [False, True, False] == [is_valid(DIGESTS[0], [token], now) for now in moments]


@pytest.mark.case("K07")
def test_several_count_at_once() -> None:
    """While one token takes another's place, both count for as long as the file says."""
    old, new = entry(not_after=NOON), {"sha256": DIGESTS[1].hex(), "not_before": NOON - timedelta(hours=1)}
    known = parse_tokens([old, new, DIGESTS[2].hex()])

    def valid(now: datetime) -> list[bool]:
        return [is_valid(digest, known, ns(now)) for digest in DIGESTS]

    assert [True, False, True] == valid(NOON - timedelta(hours=2))
    assert [True, True, True] == valid(NOON - timedelta(minutes=1))
    assert [False, True, True] == valid(NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    "entries, said",
    [
        ([], "at least one"),
        ("0" * 64, "is a list"),
        (["s3cret-token"], "64 hexadecimal digits"),
        (["A" * 64], "lower case"),
        ([hashlib.sha256(b"").hexdigest()], "empty text"),
        ([{}], "64 hexadecimal digits"),
        ([entry(not_after=datetime(2026, 1, 1))], "offset, such as 2026-01-01T00:00:00Z"),  # noqa: DTZ001 - the case
        ([entry(not_after=NOON.date())], "offset"),
        ([entry(not_before="2026-01-01T00:00:00Z")], "offset"),
        ([entry(not_before=NOON, not_after=NOON - timedelta(seconds=1))], "before its not_before"),
        ([entry(expires=NOON)], "unknown key"),
    ],
)
def test_refused(entries: object, said: str) -> None:
    """What cannot be understood exactly is refused, without repeating what may be a token."""
    with pytest.raises(ValueError, match=r"entry|list|digest") as refused:
        parse_tokens(entries)

    assert said in str(refused.value)
    assert "s3cret-token" not in str(refused.value)


@given(
    st.lists(st.integers(0, 2), max_size=5),
    st.lists(st.tuples(st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)), min_size=5, max_size=5),
    st.none() | st.integers(0, 2),
    st.integers(0, 9),
)
def test_is_any_of_them(
    listed: list[int], times: list[tuple[int | None, int | None]], shown: int | None, now: int
) -> None:
    """A token is valid exactly if an entry has its digest and counts now, wherever it stands in the list."""
    known = [Token(DIGESTS[one], *when) for one, when in zip(listed, times, strict=False)]
    expected = any(
        one == shown and (first is None or first <= now) and (last is None or now <= last)
        for one, (first, last) in zip(listed, times, strict=False)
    )

    assert expected == is_valid(None if shown is None else DIGESTS[shown], known, now)


@pytest.mark.case("K05")
def test_all_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each digest is compared in constant time, whichever of them fits, or none."""
    compared: list[bytes] = []

    class Hmac:
        @staticmethod
        def compare_digest(_first: bytes, second: bytes) -> bool:
            compared.append(second)
            return _first == second

    monkeypatch.setattr(bearer, "hmac", Hmac)
    known = [Token(digest) for digest in DIGESTS]
    found = [is_valid(shown, known, 0) for shown in (*DIGESTS, hashlib.sha256(b"x").digest(), None)]

    assert [True, True, True, False, False] == found
    assert DIGESTS * 5 == compared


@pytest.mark.case("K05")
@pytest.mark.parametrize("module", [auth, bearer, gate, tenants, tokens], ids=lambda module: module.__name__)
def test_no_digest_is_compared_otherwise(module: Any) -> None:
    """No module on the way of a token compares one, or its digest, with an operator that may stop early."""
    compared = {
        node.id if isinstance(node, ast.Name) else node.attr
        for comparison in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(comparison, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in comparison.ops)
        for node in ast.walk(comparison)
        if isinstance(node, ast.Name | ast.Attribute)
    }

    assert set() == compared & {"presented", "proven", "sha256", "token", "tokens"}
