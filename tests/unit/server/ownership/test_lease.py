"""An owner and a server that waits for its end, on clocks that start anywhere and are never compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync_server.ownership.lease import HELD_PART, Lease, Rival
from dirsync_server.ownership.record import Record, Standing, decode_record, encode_record, number_in, record_name

SECONDS = 8.0


class Time:
    """The time in the world, and two clocks that show it from different starts."""

    def __init__(self) -> None:
        self.now = 0.0

    def owner(self) -> float:
        """The owner's clock."""
        return self.now + 1000.0

    def rival(self) -> float:
        """The other one's."""
        return self.now - 50.0


@given(
    st.lists(
        st.tuples(st.sampled_from(["wait", "begin", "beat", "look"]), st.floats(0, 1.5 * SECONDS)),
        max_size=60,
    )
)
def test_nobody_takes_over_while_the_owner_may_publish(steps: list[tuple[str, float]]) -> None:
    """However late a beat is written or seen: when another server sees the end of the lease, the owner has seen it."""
    time = Time()
    lease, rival = Lease(SECONDS, time.owner), Rival(SECONDS, time.rival)
    written, began = b"0", time.owner()
    lease.renew(began)
    over = False
    for number, (step, seconds) in enumerate(steps):
        time.now += seconds
        if step == "begin":
            began = time.owner()
        elif step == "beat" and not over:
            written = b"%d" % number
            lease.renew(began)
        elif step == "look":
            over = over or rival.is_over(written)
            if over:
                assert not lease.holds(lease.lapses)


def test_what_was_begun_before_a_lapse_stays_void() -> None:
    """An owner that was stopped beats again when it goes on; what it was doing then is not covered by that."""
    time = Time()
    lease = Lease(SECONDS, time.owner)
    lease.renew(time.owner())
    before = lease.lapses
    held = [lease.holds(before)]
    time.now += SECONDS * HELD_PART
    held.append(lease.holds(before))
    lapsed = lease.renew(time.owner())
    held.append(lease.holds(before))

    assert [True, False, False] == held
    assert (True, True) == (lapsed, lease.holds(lease.lapses))


def test_a_beat_in_time_is_no_lapse() -> None:
    """An owner that beats holds on."""
    time = Time()
    lease = Lease(SECONDS, time.owner)
    lease.renew(time.owner())
    before = lease.lapses
    for _ in range(20):
        time.now += SECONDS / 4

        assert not lease.renew(time.owner())
        assert lease.holds(before)


def test_a_new_beat_starts_the_wait_again() -> None:
    """A lease is over only if the same beat was seen for all of it."""
    time = Time()
    rival = Rival(SECONDS, time.rival)
    seen = [rival.is_over(b"1")]
    time.now += SECONDS - 1
    seen.append(rival.is_over(b"2"))
    time.now += SECONDS - 1
    seen.append(rival.is_over(b"2"))
    time.now += 1
    seen.append(rival.is_over(b"2"))

    assert [False, False, False, True] == seen


@pytest.mark.parametrize(
    "raw, record",
    [
        (encode_record("ab", "host", 7), Record(Standing.OWNER, "ab")),
        (b"s" + encode_record("ab", "host", 7)[1:], Record(Standing.SUPERSEDED, "ab")),
        (b"r" + encode_record("ab", "host", 7)[1:], Record(Standing.RELEASED, "ab")),
        (b"", Record(Standing.RELEASED, "")),
        (b"o", Record(Standing.RELEASED, "")),
        (b"o{}", Record(Standing.RELEASED, "")),
        (b'o{"server": 5}', Record(Standing.OWNER, "")),
        (b"\xff\xfe", Record(Standing.RELEASED, "")),
    ],
)
def test_records(raw: bytes, record: Record) -> None:
    """A record says who the owner is; one that is not whole has none."""
    assert record == decode_record(raw)


@pytest.mark.parametrize(
    "name, number",
    [
        (record_name("a.b", 12), 12),
        (record_name("a", 12), None),
        ("owner-a.b.012", None),
        ("owner-a.b.x", None),
        ("state-a.b.12", None),
    ],
)
def test_names_of_records(name: str, number: int | None) -> None:
    """A namespace may have dots; no record is taken for that of another namespace."""
    assert number == number_in(name, "a.b")
