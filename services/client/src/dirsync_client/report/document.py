"""What ``/status.json`` of a client has beside what both services have (:mod:`dirsync.runtime.page.document`)."""

from pydantic import Field

from dirsync.runtime.page.document import Document, Part


class Sync(Part):
    """How source and replica stand to each other."""

    state: str = Field(description="where the client is: `starting`, `connecting`, `syncing`, `live` or `stopping`")
    in_sync: bool = Field(description="whether the root digests of both sides are known to be equal")
    first_sync_done: bool = Field(description="whether everything that could be synced was synced since the start")
    pending: int = Field(description="paths known to differ")
    lag_seconds: float = Field(description="age of the oldest change that is not acknowledged; 0 without one")
    entries: int = Field(description="entries of the source")
    last_success: float | None = Field(description="when both sides were last proved equal; null before that")
    source_digest: str = Field(description="root digest of the source, hexadecimal")
    replica_digest: str = Field(description="root digest of the replica as last known, hexadecimal")


class Held(Part):
    """What a guard holds."""

    id: str = Field(description="id of the hold")
    guard: str = Field(description="which guard")
    paths: int = Field(description="how many paths it holds")
    message: str = Field(description="a sentence for people")
    shown: list[str] = Field(description="10 of these paths, escaped; empty where paths are not shown")
    more: int = Field(description="paths that are not in `shown`")
    command: str = Field(description="the command that releases it")


class ProblemsOfKind(Part):
    """The problems of one kind."""

    kind: str = Field(description="as the label of `dirsync_problems`")
    count: int = Field(description="how many there are")
    advice: str = Field(description="what to do")


class ProblemShown(Part):
    """One path that cannot be synced."""

    path: str = Field(description="the path, escaped; of a long one the beginning and the end")
    kind: str = Field(description="why")
    message: str = Field(description="a sentence for people")
    command: str = Field(description="the command that says more; empty if the path is too long for it")


class Problems(Part):
    """The paths that cannot be synced at present."""

    count: int = Field(description="how many there are")
    kinds: list[ProblemsOfKind] = Field(description="those by kind")
    shown: list[ProblemShown] = Field(description="the first 10; empty where paths are not shown")
    more: int = Field(description="problems that are not in `shown`")


class UntrackedShown(Part):
    """One path that is left alone."""

    path: str = Field(description="the path, escaped; of a long one the beginning and the end")
    reason: str = Field(description="why, in words for people")


class UntrackedPaths(Part):
    """What is neither mirrored nor ignored."""

    count: int = Field(description="how many there are")
    shown: list[UntrackedShown] = Field(description="the first 10; empty where paths are not shown")


class ConflictShown(Part):
    """A path that both sides had changed."""

    path: str = Field(description="the path, escaped; of a long one the beginning and the end")
    winner: str = Field(description="the side whose version got the name: `source` or `replica`")
    resolution: str = Field(description="the policy, as CONFLICTS names it")
    kept_as: str = Field(description="where both sides keep the other version; empty if it is not kept")
    time: float = Field(description="when it was resolved")


class Conflicts(Part):
    """Paths that both sides had changed, since the start."""

    count: int = Field(description="how many there were")
    shown: list[ConflictShown] = Field(description="the latest 10, the newest first; empty where paths are not shown")
    more: int = Field(description="conflicts that are not in `shown`")


class TwoWay(Part):
    """What came to the source, since the start."""

    received_changes: int = Field(description="changes of the replica that were applied at the source")
    received_bytes: int = Field(description="content that came, before compression")
    saved_bytes: int = Field(description="content that the source had, and what compression saved")
    conflicts: Conflicts = Field(description="paths that both sides had changed")


class Watch(Part):
    """How changes are noticed."""

    mode: str = Field(description="what is in force: `native`, `poll` or `off`")
    watches: int = Field(description="directories that are watched")
    overflows: int = Field(description="times that change events were lost since the start; each costs a rescan")


class TargetShown(Part):
    """One of several servers."""

    target: str = Field(description="the name that SERVER gives it")
    server: str = Field(description="its address")
    namespace: str = Field(description="the replica there")
    state: str = Field(description="as the state of the verdict, for this server alone")
    text: str = Field(description="a sentence for people")
    in_sync: bool = Field(description="as in `sync`")
    pending: int = Field(description="as in `sync`")
    lag_seconds: float = Field(description="as in `sync`")
    command: str = Field(description="the command that releases what is held there alone; empty without")


class Targets(Part):
    """The servers, where they have names. All that is said elsewhere is about all of them, and shows the worst."""

    count: int = Field(description="how many there are; 0 where there is one without a name")
    in_sync: int = Field(description="how many of them are in sync")
    shown: list[TargetShown] = Field(description="the first 16, those that are not in sync before the others")
    more: int = Field(description="servers that are not in `shown`")


class ClientDocument(Document):
    """What a client shows."""

    server: str = Field(description="the setting SERVER")
    namespace: str = Field(description="the setting NAMESPACE")
    names_shown: bool = Field(description="false where AGENT_TOKEN_FILE is set: then no path is shown")
    sync: Sync = Field(description="how both sides stand to each other")
    targets: Targets = Field(description="each server, where they have names")
    hold: Held | None = Field(description="what a guard holds; null without")
    problems: Problems = Field(description="what cannot be synced")
    untracked: UntrackedPaths = Field(description="what is left alone")
    two_way: TwoWay | None = Field(description="what came to the source; null of a mirror")
    watch: Watch = Field(description="how changes are noticed")
