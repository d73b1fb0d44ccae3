"""Which way the content of a file goes to the replica: moved or copied there, made from what is there, or sent.

Nothing that the replica has is sent again. So a large file that may be known is read before it is sent, and one whose
content may be on its way already waits for that. Small files are decided by the sender, where they are read.
"""

from dirsync.limits import LIMITS
from dirsync.tree.entry import UNKNOWN, Entry, Kind, is_known, unpack
from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, MakeDirectory, Move, PutFile, PutSymlink, TryFile
from dirsync.tree.strategy import Choice, Reason, Strategy, choose
from dirsync_client.reconcile.commands import Basis, DropEstimate, EstimateSimilarity, ProbeFile, Sent, Transmit
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.path_states import REMOVING, Phase
from dirsync_client.reconcile.renames import Renames


class ContentRoutes:
    """One session's choices for the content of files."""

    def __init__(self, context: Context, renames: Renames) -> None:
        self._context = context
        self._renames = renames
        self._on_their_way: dict[bytes, dict[RelPath, bytes]] = {}
        """Large files whose content is being sent, by what a probe showed of them, with the digest that was planned."""

    @property
    def _dedups(self) -> bool:
        return Strategy.DEDUP in self._context.offered

    @property
    def _deltas(self) -> bool:
        return Strategy.DELTA in self._context.offered

    def reset(self) -> None:
        """A new session begins."""
        self._on_their_way.clear()

    def only_here(self, old: Entry, new: Entry) -> bool:
        """Whether no large file has the size of ``new`` but the one that it replaces: only that may be equal."""
        return _may_be_equal(old, new) and not self._elsewhere(old, new)

    def may_copy(self, old: Entry | None, new: Entry) -> bool:
        """Whether a large file may have content that the replica has elsewhere; told without reading it."""
        if new.kind is not Kind.FILE or new.size <= LIMITS.inline_file_bytes or not self._dedups:
            return False
        content = self._context.content
        content.fill(self._context.replica)
        return self._elsewhere(old, new) if new.digest == UNKNOWN else content.has(new.digest)

    def needs_hash(self, path: RelPath, old: Entry | None, new: Entry) -> bool | None:
        """Whether a file has to be read before anything is decided, because another may have its content.

        ``None``: a probe has to tell, and has been asked for.
        """
        if new.kind is not Kind.FILE or new.size <= LIMITS.inline_file_bytes or not self._dedups:
            return False
        state = self._context.table.get(path)
        if new.digest != UNKNOWN or (state is not None and state.force_whole):
            return False
        self._context.content.fill(self._context.replica)
        if self._elsewhere(old, new):
            return True
        if not self._on_their_way:
            return False
        probe = self._probe(path)
        return None if probe is None else probe in self._on_their_way

    def send(self, step: PutFile, changed_at: float) -> None:
        """Have a file made: at once, after an estimate, or when what may have its content is settled."""
        context = self._context
        context.content.fill(context.replica)
        path, expected, entry = step
        state = context.table.get(path)
        if state is not None and state.asks_first and entry.size:
            context.transmit(TryFile(path, expected, entry), changed_at)
        elif state is not None and state.force_whole:
            self._send_whole(step, changed_at, Reason.AFTER_MISMATCH)
        elif entry.size <= LIMITS.inline_file_bytes:
            context.transmit(step, changed_at, Choice(Strategy.WHOLE, Reason.SMALL))
        elif self._dedups and entry.digest != UNKNOWN and context.content.has(entry.digest):
            self._reuse(step, changed_at)
        elif (probe := self._probe(path)) is None:
            return
        elif self._may_be_on_its_way(probe, entry):
            context.table.block(path, probe)
        else:
            self._on_their_way.setdefault(probe, {})[path] = entry.digest
            self._send_large(step, changed_at, probe)

    def estimated(self, path: RelPath, similarity: float | None) -> None:
        """An estimate has come: choose, and send the file."""
        state = self._context.table.get(path)
        if state is None or state.phase is not Phase.ESTIMATING or state.transmit is None:
            return
        transmit = state.transmit._replace(choice=choose(state.transmit.size, similarity))
        if transmit.choice.strategy is not Strategy.DELTA:
            self._context.emit(DropEstimate(path))
        self._context.send(transmit)

    def applied(self, sent: Sent) -> None:
        """The server made what was sent: the replica has other content now."""
        operation = sent.operation
        if isinstance(operation, PutFile | CopyContent | PutSymlink | MakeDirectory) and operation.expected is not None:
            self._context.content.remove(operation.expected)
        if isinstance(operation, PutFile | CopyContent) and sent.record is not None:
            self._context.content.put(unpack(sent.record))
        self.settled(sent.path)

    def failed(self, sent: Sent, outcome: Outcome) -> None:
        """The server did not make it. Where it could not make it from what it has, it is sent whole, once."""
        if outcome is Outcome.MISMATCH:
            if isinstance(sent.operation, CopyContent):
                self._context.content.refute(sent.operation.entry.digest)
            state = self._context.table.get(sent.path)
            if sent.choice.strategy in (Strategy.DEDUP, Strategy.DELTA) and state is not None:
                state.force_whole = True
        self.settled(sent.path)

    def settled(self, path: RelPath) -> None:
        """The file at ``path`` is not on its way any more: what waits for it is compared again."""
        state = self._context.table.get(path)
        probe = state.probe if state is not None else None
        if state is None or probe is None:
            return
        state.probe = None
        same = self._on_their_way.get(probe)
        if same is not None and same.pop(path, None) is not None:
            if not same:
                del self._on_their_way[probe]
            self._context.table.release(probe)

    def _probe(self, path: RelPath) -> bytes | None:
        """What a probe showed of a large file; ``None``: it is asked for."""
        state = self._context.table.get(path)
        if state is not None and state.probe is not None:
            return state.probe
        self._context.table.to(path, Phase.PROBING)
        self._context.emit(ProbeFile(path))
        return None

    def _elsewhere(self, old: Entry | None, new: Entry) -> bool:
        """Whether a large file of the replica other than ``old`` has the size of ``new``."""
        itself = old is not None and _may_be_equal(old, new)
        return self._context.content.of_size(new.size) > itself

    def _send_large(self, step: PutFile, changed_at: float, probe: bytes) -> None:
        basis = _basis(step.expected) or self._former_content(step.path)
        if basis is None or not self._deltas:
            self._send_whole(step, changed_at, Reason.NEW if basis is None else Reason.NOT_OFFERED)
        else:
            context = self._context
            planned = context.source.tree.record(step.path)
            context.table.to(step.path, Phase.ESTIMATING).transmit = Transmit(step, planned, changed_at)
            context.emit(EstimateSimilarity(step.path, step.entry.size, basis))
        state = self._context.table.get(step.path)
        assert state is not None
        state.probe = probe

    def _send_whole(self, step: PutFile, changed_at: float, reason: Reason) -> None:
        self._context.transmit(step, changed_at, Choice(Strategy.WHOLE, reason))

    def _former_content(self, path: RelPath) -> Basis | None:
        """What the file at ``path`` was when it was elsewhere, if the replica still has that content."""
        record = self._context.source.tree.record(path)
        found = None if record is None else self._context.source.renames.previous_entry(record)
        if found is None or not self._context.content.has(found.digest):
            return None
        return Basis(found.digest, found.size)

    def _reuse(self, step: PutFile, changed_at: float) -> None:
        """Have the file made from content that the replica has."""
        path, expected, entry = step
        replaces_directory = expected is not None and expected.is_directory
        source = None if replaces_directory else self._leaving(path, entry.digest)
        if source is None:
            copy = CopyContent(path, expected, entry)
            self._context.transmit(copy, changed_at, Choice(Strategy.DEDUP, Reason.KNOWN_CONTENT))
            return
        before = self._context.replica.get(source)
        assert before is not None
        move = Move(path, expected, source, before)
        self._context.transmit(move, changed_at, Choice(Strategy.RENAME, Reason.SAME_CONTENT))

    def _leaving(self, wanted: RelPath, digest: bytes) -> RelPath | None:
        """A file of the replica with this content that is about to be removed, and may be moved to ``wanted``."""
        context, renames = self._context, self._renames
        if not (renames.allowed and renames.may_leave) or renames.was_refused(wanted):
            return None
        for phase in sorted(REMOVING):
            for path in context.table.paths(phase):
                entry = context.replica.get(path)
                known = entry is not None and entry.kind is Kind.FILE and entry.digest == digest
                if known and path not in context.source.tree and not renames.covers(path):
                    return path
        return None

    def _may_be_on_its_way(self, probe: bytes, entry: Entry) -> bool:
        """Whether a file is being sent whose content may be this one.

        A file that has not been read yet is sent at once where nothing else looks like it, so it never gets here.
        """
        if not self._dedups or entry.digest == UNKNOWN:
            return False
        return any(digest in (UNKNOWN, entry.digest) for digest in self._on_their_way.get(probe, {}).values())


def _may_be_equal(old: Entry, new: Entry) -> bool:
    """Whether the replica's file may have the content of ``new``; what the server cannot read counts as different."""
    return old.kind is Kind.FILE and old.size == new.size and is_known(old.digest)


def _basis(expected: Entry | None) -> Basis | None:
    """What the replica has at the path itself, if blocks of it may be worth copying."""
    if expected is None or expected.kind is not Kind.FILE or expected.size < LIMITS.min_block_size:
        return None
    if not is_known(expected.digest):
        return None
    return Basis(expected.digest, expected.size)
