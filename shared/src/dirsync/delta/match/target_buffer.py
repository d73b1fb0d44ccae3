"""The part of the target that is not decided yet: what is left of former frames, and the current one.

Frames are not copied while they are looked at; only what is undecided when its caller wants the frame back is. Offsets
count from the start of the target.
"""


class Tape:
    """Bytes of the target from offset ``start`` up to, not including, ``end``."""

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self._rest = bytearray()
        self._rest_at = 0
        self._frame = memoryview(b"")
        self._frame_at = 0
        # The rest and the beginning of the frame in one piece, for views that reach from one into the other. Immutable,
        # because literals are views of it.
        self._bridge = b""

    def append(self, frame: memoryview) -> None:
        """Take the next frame; :meth:`keep` has been called since the last one."""
        self._frame, self._frame_at = frame, self.end
        self.end += len(frame)

    def view(self, start: int, end: int) -> memoryview:
        """The bytes between two offsets, in one piece."""
        if start >= self._frame_at:
            return self._frame[start - self._frame_at : end - self._frame_at]
        if end > self._rest_at + len(self._bridge):
            # Doubling what is borrowed of the frame bounds the copying, however slowly views move into it.
            borrowed = max(end - self._frame_at, 2 * (len(self._bridge) - len(self._rest)))
            self._bridge = b"".join((self._rest, self._frame[: max(0, borrowed)]))
        return memoryview(self._bridge)[start - self._rest_at : end - self._rest_at]

    def release(self, offset: int) -> None:
        """Nothing before ``offset`` is looked at any more."""
        self.start = offset

    def keep(self) -> None:
        """Copy what is still needed, so that the frame may go."""
        if self.start >= self._frame_at:
            self._rest = bytearray(self._frame[self.start - self._frame_at :])
        else:
            del self._rest[: self.start - self._rest_at]
            self._rest += self._frame
        self._rest_at = self.start
        self._bridge = b""
        self._frame, self._frame_at = memoryview(b""), self.end
