"""What a person approved: lists of paths, also such as were shown a while ago."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from dirsync.limits import LIMITS
from dirsync.tree.guards.hold import GRAVITY, Approval, Guard, Hold
from dirsync.tree.guards.hold import hold_id as hold_id_of
from dirsync.tree.path import RelPath, abbreviate

_NAMED = 3


class Released(NamedTuple):
    """What an approval does; it does nothing where ``paths`` is 0."""

    paths: int
    message: str = ""
    """For people: what changed since the hold had this id, and what to approve now."""


class Approvals:
    """The holds that were shown, and which of them were approved.

    A list stays approved for its own paths until each of them is deleted or is not to be deleted any more.
    """

    def __init__(self) -> None:
        self._shown: dict[str, tuple[Guard, tuple[RelPath, ...]]] = {}
        """Holds by id, the latest last."""
        self._given: dict[str, tuple[Guard, set[RelPath]]] = {}

    def show(self, hold: Hold) -> None:
        """A person may approve this hold from now on."""
        self._shown.pop(hold.id, None)
        self._shown[hold.id] = hold.guard, tuple(step.path for step in hold.operations)
        count = sum(len(paths) for _, paths in self._shown.values())
        while count > LIMITS.max_shown_paths and len(self._shown) > 1:
            oldest = next(iter(self._shown))
            count -= len(self._shown.pop(oldest)[1])

    def give(self, hold_id: str, present: Hold | None) -> bool:
        """Approve the paths of this hold; returns whether that is possible."""
        shown = self._shown.get(hold_id)
        if shown is None or present is None or GRAVITY[present.guard] > GRAVITY[shown[0]]:
            return False
        self.add(hold_id, *shown)
        return True

    def add(self, hold_id: str, guard: Guard, paths: Iterable[RelPath]) -> None:
        """Paths are approved under an id that someone gave."""
        self._given[hold_id] = guard, set(paths)

    def given(self) -> dict[str, Approval]:
        """What is approved and not done."""
        return {hold_id: Approval(guard, paths) for hold_id, (guard, paths) in self._given.items()}

    def covers(self, path: RelPath) -> bool:
        """Whether the removal at ``path`` was approved."""
        return any(path in paths for _, paths in self._given.values())

    def done(self, path: RelPath) -> bool:
        """The removal at ``path`` is done; returns whether it was approved."""
        covered = False
        for hold_id, (_, paths) in list(self._given.items()):
            if path in paths:
                covered = True
                paths.discard(path)
                if not paths:
                    del self._given[hold_id]
        return covered

    def keep(self, is_open: Callable[[RelPath], bool]) -> None:
        """Forget approved paths that are not to be removed any more: another removal there is another matter."""
        for hold_id, (guard, paths) in list(self._given.items()):
            left = {path for path in paths if is_open(path)}
            if left:
                self._given[hold_id] = guard, left
            else:
                del self._given[hold_id]

    def answer(self, hold_id: str, present: Hold | None, is_waiting: Callable[[RelPath], bool]) -> Released:
        """What approving this id would do now."""
        if present is not None and present.id == hold_id:
            return Released(len(present.operations))
        now = f"`dirsync-client approve {present.id}` approves what is held now. {present.message}" if present else ""
        shown = self._shown.get(hold_id)
        if shown is None:
            return Released(0, now or "nothing is held")
        guard, paths = shown
        if present is None:
            return Released(0, "that hold is over, and nothing is held")
        if GRAVITY[present.guard] > GRAVITY[guard]:
            return Released(0, f"since then there is a graver reason: {present.guard.value}. {now}")
        waiting = sum(is_waiting(path) for path in paths)
        if not waiting:
            return Released(0, f"none of its paths is held any more. {now}")
        known = set(paths)
        added = [step for step in present.operations if step.path not in known]
        changes = [f"no longer held since then: {len(paths) - waiting} paths of it"] if waiting < len(paths) else []
        if added:
            names = _listed(sorted(step.path for step in added))
            changes.append(
                f"not approved, because they came since then: {names}. If they are held as well: "
                f"dirsync-client approve {hold_id_of(added)}"
            )
        return Released(waiting, "; ".join(changes))


def _listed(paths: list[RelPath]) -> str:
    named = ", ".join(abbreviate(path) for path in paths[:_NAMED])
    return f"{named} and {len(paths) - _NAMED} more" if len(paths) > _NAMED else named
