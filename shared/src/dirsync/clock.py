"""Time as a parameter.

Whatever waits, expires or measures takes a clock, so that a test can move time by hand instead of sleeping.
Both readings are of this host only: no clock of a peer is ever compared with one of ours.
"""

import time
from collections.abc import Callable

Monotonic = Callable[[], float]
"""Seconds from an arbitrary start, never going back (``time.monotonic``)."""

WallNanoseconds = Callable[[], int]
"""Nanoseconds since the epoch as the file system's clock counts them (``time.time_ns``)."""

monotonic: Monotonic = time.monotonic
wall_ns: WallNanoseconds = time.time_ns
