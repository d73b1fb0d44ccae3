"""Which deletes wait, by which guard, and under which id."""

import pytest

from dirsync.tree.diff import diff
from dirsync.tree.guards.history import History
from dirsync.tree.guards.hold import DEFAULT_POLICY, Facts, Guard, GuardPolicy, Verdict, hold_id
from dirsync.tree.guards.judge import is_foreign, judge
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Delete, Operation, Plan
from dirsync.tree.tree import Tree
from tests.support.trees.plans import set_apart
from tests.unit.tree.builders import entry_of, path_of, shown, tree_of

F1 = entry_of("f=1")[1]


def deletes(count: int, directory: str = "d") -> list[Operation]:
    """That many deletes of files."""
    return [Delete(path_of(f"{directory}/{number:05}"), F1) for number in range(count)]


def verdict(
    steps: list[Operation],
    facts: Facts | None = None,
    *,
    entries: int = 100,
    done: int = 0,
    policy: GuardPolicy = DEFAULT_POLICY,
    approved: tuple[str, ...] = (),
) -> Verdict:
    """The verdict over a replica of so many entries, of which some were deleted a moment ago."""
    history = History(0.0, entries)
    history.acknowledged(1.0, entries - done, done)
    return judge(steps, facts or Facts(entries=50), history, now=2.0, policy=policy, approved=approved)


def guard_of(result: Verdict) -> Guard | None:
    """Why something is held."""
    return result.hold and result.hold.guard


@pytest.mark.case("G06")
@pytest.mark.parametrize(
    "count, entries, done, policy, expected",
    [
        pytest.param(0, 0, 0, GuardPolicy(), None, id="nothing"),
        pytest.param(50, 100, 0, GuardPolicy(), None, id="half"),
        pytest.param(51, 100, 0, GuardPolicy(), Guard.DELETE_PERCENT, id="more-than-half"),
        pytest.param(9, 9, 0, GuardPolicy(), None, id="too-few-to-ask"),
        pytest.param(10, 11, 0, GuardPolicy(), Guard.DELETE_PERCENT, id="ten-are-enough-to-ask"),
        pytest.param(100, 100, 0, GuardPolicy(max_delete_percent=100), None, id="percent-off"),
        pytest.param(1, 100, 0, GuardPolicy(max_delete_percent=0, min_entries=1), Guard.DELETE_PERCENT, id="any"),
        pytest.param(21, 100, 30, GuardPolicy(), Guard.DELETE_PERCENT, id="with-those-done"),
        pytest.param(20, 100, 30, GuardPolicy(), None, id="half-with-those-done"),
        pytest.param(10_000, 100_000, 0, GuardPolicy(), None, id="count"),
        pytest.param(10_001, 100_000, 0, GuardPolicy(), Guard.DELETE_COUNT, id="more-than-the-count"),
        pytest.param(1, 100_000, 10_000, GuardPolicy(), Guard.DELETE_COUNT, id="count-with-those-done"),
        pytest.param(11, 100, 0, GuardPolicy(100, 10), Guard.DELETE_COUNT, id="count-without-percent"),
    ],
)
def test_share_and_count(count: int, entries: int, done: int, policy: GuardPolicy, expected: Guard | None) -> None:
    """More than the share or the number is held as a whole, and nothing else is."""
    steps = deletes(count)
    result = verdict(steps, entries=entries, done=done, policy=policy)

    assert expected == guard_of(result)
    assert (steps if expected is None else []) == result.released
    assert result.hold is None or tuple(steps) == result.hold.operations


def test_replacing_a_directory_is_no_delete_but_waits_with_them() -> None:
    """The file that takes a directory's place is not counted, and is held when the directory's content is."""
    plan = Plan(diff(tree_of(" ".join(f"d/{n}=1" for n in range(10))), tree_of("d=1")))
    assert [] == list(plan.immediate())

    assert guard_of(verdict(plan.deletes, entries=20)) is None
    assert [] == verdict(plan.deletes, entries=11).released


def test_replacing_alone_needs_no_approval_by_number() -> None:
    """An empty directory that becomes a file is released however many deletes went before."""
    plan = Plan(diff(tree_of("d/"), tree_of("d=1")))
    assert [] == list(plan.immediate())

    assert ["PutFile d"] == shown(verdict(plan.deletes, done=50, policy=GuardPolicy(max_delete_count=10)).released)


@pytest.mark.case("G03", "G04", "G05")
def test_another_root_holds_everything() -> None:
    """When the source's root is gone or is another, not even one delete goes."""
    result = verdict(deletes(1), Facts(entries=50, root_intact=False))

    assert (Guard.ROOT_CHANGED, []) == (guard_of(result), result.released)


@pytest.mark.case("G01", "G02")
@pytest.mark.parametrize("entries, expected", [(1, None), (2, Guard.ROOT_EMPTIED), (100, Guard.ROOT_EMPTIED)])
def test_emptied_source_holds_everything(entries: int, expected: Guard | None) -> None:
    """From two entries on, a source that is empty is more likely unmounted than emptied."""
    assert expected == guard_of(verdict(deletes(1), Facts(entries=0), entries=entries))


@pytest.mark.case("G02")
def test_source_that_empties_slowly_keeps_half() -> None:
    """Deletes one by one are held at the limit, and all of them once the source is empty."""
    history = History(0.0, 100)
    gone = 0
    while True:
        now = gone * 0.5
        result = judge(deletes(1), Facts(entries=99 - gone), history, now=now)
        if result.hold:
            break
        gone += 1
        history.acknowledged(now, 100 - gone, 1)

    assert (50, Guard.DELETE_PERCENT) == (gone, result.hold.guard)
    assert Guard.ROOT_EMPTIED == guard_of(judge(deletes(50), Facts(entries=0), history, now=30.0))


def test_window_ends() -> None:
    """Deletes older than the window no longer count, nor does the tree as it was then."""
    history = History(0.0, 100)
    history.acknowledged(1.0, 50, 50)

    assert (100, 50) == (history.largest(60.0), history.deletes(60.0))
    assert (50, 0) == (history.largest(63.0), history.deletes(63.0))


def test_window_is_never_shorter_than_promised() -> None:
    """A delete late in a slice counts for the whole window."""
    history = History(0.0, 100)
    history.acknowledged(1.1, 99, 1)
    history.acknowledged(1.9, 98, 1)

    assert 2 == history.deletes(61.9)


def test_tree_of_long_ago_is_still_in_force() -> None:
    """Where nothing was acknowledged lately the last tree counts, however old."""
    history = History(0.0, 100)

    assert (100, 0) == (history.largest(1e6), history.deletes(1e6))
    history.acknowledged(1e6, 40, 60)
    assert (100, 60) == (history.largest(1e6 + 59), history.deletes(1e6 + 59))


def test_history_stays_small() -> None:
    """Any number of acknowledgements within the window take bounded memory and lose nothing."""
    history = History(0.0, 1_000_000)
    for number in range(20_000):
        history.acknowledged(number * 0.002, 1_000_000 - number, 1)

    assert len(history._slices) <= 62
    assert (1_000_000, 20_000) == (history.largest(41.0), history.deletes(41.0))


def test_approved_deletes_start_afresh() -> None:
    """After an approved list the tree as it is now is what counts."""
    history = History(0.0, 1000)
    history.acknowledged(1.0, 900, 100)
    history.restart(2.0, 20)

    assert (20, 0) == (history.largest(3.0), history.deletes(3.0))


@pytest.mark.case("G06")
def test_approval_releases_exactly_that_list() -> None:
    """An approved id fits the same paths again, and no other list."""
    held = verdict(deletes(51)).hold
    assert held is not None

    assert deletes(51) == verdict(deletes(51), approved=(held.id,)).released
    assert Guard.DELETE_PERCENT == guard_of(verdict(deletes(52), approved=(held.id,)))


def test_hold_dissolves_with_its_reason() -> None:
    """Nothing remembers a hold: a plan within the limits goes."""
    assert verdict(deletes(51)).hold
    assert verdict(deletes(50)).hold is None


def test_id_is_made_of_paths_alone() -> None:
    """Order and expectations do not matter; where one name ends and the next begins does."""
    first, second = Delete(path_of("a"), F1), Delete(path_of("b"), F1)

    assert hold_id([first, second]) == hold_id([second, Delete(path_of("a"), None)])
    assert hold_id([first, second]) != hold_id([Delete(path_of("ab"), F1)])
    assert hold_id([Delete(path_of("a"), F1), Delete(path_of("bc"), F1)]) != hold_id(
        [Delete(path_of("ab"), F1), Delete(path_of("c"), F1)]
    )
    assert len(hold_id([])) == 16


def test_message_says_what_and_how_to_go_on() -> None:
    """How many of how many, some paths without tricks, and the command that approves."""
    steps = [*deletes(60), Delete(RelPath(b"a\nb"), F1)]
    hold = verdict(steps).hold
    assert hold is not None

    assert (
        "61 of 100 entries would be deleted: more than 50 %. Held: a\\x0ab, d/00000, d/00001 and 58 more. "
        f"If that is what you want: dirsync-client approve {hold.id}"
    ) == hold.message


@pytest.mark.parametrize(
    "facts, words",
    [
        (Facts(entries=50, root_intact=False), "the source directory is gone"),
        (Facts(entries=0), "the source is empty"),
        (Facts(entries=50, foreign=True), "wrong replica?"),
        (Facts(entries=50, mounts_changed={path_of("d")}), "mounted at d in the source is not what it was"),
    ],
)
def test_every_guard_says_its_reason(facts: Facts, words: str) -> None:
    """A person can tell from the message what made us careful."""
    hold = verdict(deletes(2), facts).hold
    assert hold is not None

    assert words in hold.message
    assert f"approve {hold.id}" in hold.message


def test_what_comes_and_goes_takes_nothing_away() -> None:
    """A file that is made and removed again and again counts once, however often; what is really gone counts still."""
    history = History(0.0, 20)
    for number in range(30):
        history.acknowledged(number * 0.5, 21)
        history.acknowledged(number * 0.5, 20, 1)

    assert 1 == history.missing(16.0)
    assert guard_of(judge(deletes(9), Facts(entries=11), history, now=16.0)) is None
    history.acknowledged(17.0, 11, 9)
    assert Guard.DELETE_PERCENT == guard_of(judge(deletes(1), Facts(entries=10), history, now=18.0))


def test_message_tells_deletes_that_went_before() -> None:
    """A trickle is explained: the list itself may be short."""
    hold = verdict(deletes(21), done=30).hold
    assert hold is not None

    assert "21 of 100 entries would be deleted, after 30 in the last 60 s: more than 50 %" in hold.message


@pytest.mark.case("G10")
def test_lost_mount_holds_what_was_below_it() -> None:
    """Deletes below the mount wait, and the directories that cannot go before it; others go."""
    plan = Plan(diff(tree_of("a=1 m/disk/x=1 m/disk/y/z=1 m/o=1 mm=1"), tree_of("keep=1")))
    assert ["PutFile keep"] == shown(plan.immediate())
    result = verdict(plan.deletes, Facts(entries=1, mounts_changed={path_of("m/disk")}))
    assert result.hold is not None

    assert Guard.MOUNT_CHANGED == result.hold.guard
    assert ["Delete mm", "Delete m/o", "Delete a"] == shown(result.released)
    assert ["Delete m/disk/y/z", "Delete m/disk/y", "Delete m/disk/x", "Delete m/disk", "Delete m"] == shown(
        result.hold.operations
    )


def test_lost_mount_and_too_many_others_are_one_hold() -> None:
    """When both wait, one hold has everything under the graver name."""
    steps = [*deletes(3, "disk"), *deletes(51)]
    result = verdict(steps, Facts(entries=50, mounts_changed={path_of("disk")}))

    assert (Guard.MOUNT_CHANGED, []) == (guard_of(result), result.released)
    assert result.hold is not None
    assert tuple(steps) == result.hold.operations


def test_approved_others_go_though_a_mount_is_lost() -> None:
    """An approval of the others counts while the mount's deletes wait."""
    others = deletes(51)
    result = verdict(
        [*deletes(3, "disk"), *others],
        Facts(entries=50, mounts_changed={path_of("disk")}),
        approved=(hold_id(others),),
    )

    assert others == result.released
    assert result.hold is not None
    assert tuple(deletes(3, "disk")) == result.hold.operations


def test_lost_mount_without_deletes_holds_nothing() -> None:
    """A mount that went away and left the same files behind is no problem."""
    assert guard_of(verdict(deletes(3), Facts(entries=50, mounts_changed={path_of("disk")}))) is None


@pytest.mark.parametrize(
    "facts, expected",
    [
        (Facts(0, root_intact=False, foreign=True, mounts_changed={path_of("d")}), Guard.ROOT_CHANGED),
        (Facts(0, foreign=True, mounts_changed={path_of("d")}), Guard.ROOT_EMPTIED),
        (Facts(9, foreign=True, mounts_changed={path_of("d")}), Guard.FOREIGN),
    ],
)
def test_gravest_reason_gives_the_name(facts: Facts, expected: Guard) -> None:
    """Of several reasons the hold names the gravest."""
    assert expected == guard_of(verdict(deletes(100), facts))


@pytest.mark.case("G07")
@pytest.mark.parametrize(
    "source, replica, expected",
    [
        pytest.param("a=1", "", False, id="empty-replica"),
        pytest.param("", "", False, id="both-empty"),
        pytest.param("", "a=1", True, id="empty-source"),
        pytest.param("a=1 b=1", "a=2 b=2 c=1", False, id="same-names-other-content"),
        pytest.param("a=1", "a=1 b=1", False, id="half"),
        pytest.param("a=1", "a=1 b=1 c=1", True, id="more-than-half"),
        pytest.param("d/x=1", "d/y=1 d/z=1", True, id="same-directory-other-content"),
        pytest.param("d=1", "d/y=1", True, id="file-against-directory"),
        pytest.param("d/y=1", "d=1", True, id="directory-against-file"),
        pytest.param("a->x", "a=1", True, id="link-against-file"),
        pytest.param("d/e/f/x=1", "d/e/f/y=1", False, id="mostly-known-directories"),
        pytest.param("a=1 b=1", "a=1 d/e/x=1 d/y=1", True, id="unknown-subtree"),
    ],
)
def test_foreign_replica(source: str, replica: str, expected: bool) -> None:
    """A replica is foreign when the source lacks more than half of its paths, or has other kinds there."""
    assert expected is is_foreign(tree_of(source), tree_of(replica))


@pytest.mark.case("G07")
def test_foreign_replica_only_grows() -> None:
    """Creates go; overwrites and deletes are held together until approved."""
    replica = tree_of("a=1 d=1 k/x=1 l->y m=1 r/x=1 u=1")
    source = tree_of("a=2 d/n=1 d/o/p=1 da=1 k/new=1 l->z m=1:600 r=1")
    plan = Plan(diff(replica, source))
    overwrites: list[Operation] = []

    assert ["PutFile da", "PutFile k/new"] == shown(set_apart(plan.immediate(), overwrites))
    result = verdict([*overwrites, *plan.deletes], Facts(len(source), foreign=True))
    assert [] == result.released
    assert result.hold is not None
    assert [
        "PutFile a",
        "MakeDirectory d",
        "PutFile d/n",
        "MakeDirectory d/o",
        "PutFile d/o/p",
        "PutSymlink l",
        "SetMetadata m",
        "Delete u",
        "Delete r/x",
        "PutFile r",
        "Delete k/x",
    ] == shown(result.hold.operations)
    assert "3 of 100 entries would be deleted and 8 overwritten" in result.hold.message


def test_known_replica_is_judged_as_usual() -> None:
    """A tree compared with itself is not foreign to itself."""
    assert not is_foreign(tree_of("a=1 d/x=1"), tree_of("a=1 d/x=1"))
    assert not is_foreign(Tree(), Tree())
