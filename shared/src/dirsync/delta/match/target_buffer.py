"""The part of the target that is not decided yet: the rest of earlier frames, and the current frame.

A frame is not copied while it is in use. Only the part that is undecided when the caller takes the frame back is
copied. Offsets count from the start of the target.
"""


class TargetBuffer:
    """Bytes of the target from offset ``start`` up to, not including, ``end``."""

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self._rest = bytearray()
        self._rest_at = 0
        self._frame = memoryview(b"")
        self._frame_at = 0
        # The rest and the start of the frame in one piece, for views that cover parts of both. Immutable, because
        # literals are views of it.
        self._bridge = b""

    def append(self, frame: memoryview) -> None:
        """Take the next frame; :meth:`keep` must have been called since the last one."""
        self._frame, self._frame_at = frame, self.end
        self.end += len(frame)

    def view(self, start: int, end: int) -> memoryview:
        """The bytes between two offsets, in one piece."""
        if start >= self._frame_at:
            return self._frame[start - self._frame_at : end - self._frame_at]
        if end > self._rest_at + len(self._bridge):
            # Doubling the borrowed part of the frame bounds the copying, however slowly views move into it.
            borrowed = max(end - self._frame_at, 2 * (len(self._bridge) - len(self._rest)))
            self._bridge = b"".join((self._rest, self._frame[: max(0, borrowed)]))
        return memoryview(self._bridge)[start - self._rest_at : end - self._rest_at]

    def release(self, offset: int) -> None:
        """Drop everything before ``offset``."""
        self.start = offset

    def keep(self) -> None:
        """Copy what is still needed of the frame, so that the caller can have it back."""
        if self.start >= self._frame_at:
            self._rest = bytearray(self._frame[self.start - self._frame_at :])
        else:
            del self._rest[: self.start - self._rest_at]
            self._rest += self._frame
        self._rest_at = self.start
        self._bridge = b""
        self._frame, self._frame_at = memoryview(b""), self.end
