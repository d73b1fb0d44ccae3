"""Limits failed authentication by network. Pure; time is a parameter.

Each network that calls come from has a token bucket: each failure takes one token, and tokens come back one by one. A
network without tokens is refused, so guessing is no faster than tokens come back, however many calls guess in parallel.
A bounded number of networks is remembered; an attacker with more networks guesses as fast as it can change them.
"""

from collections import OrderedDict
from dataclasses import dataclass

from dirsync.clock import Monotonic, monotonic
from dirsync.limits import LIMITS


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float
    """When that many were left, in seconds."""
    told: bool = False


class AuthThrottle:
    """The recent failures of each network. Not thread-safe: a check and its failure are one step under a lock."""

    def __init__(
        self,
        *,
        burst: int = LIMITS.auth_burst,
        refill_seconds: float = LIMITS.auth_refill_seconds,
        networks: int = LIMITS.auth_networks,
        clock: Monotonic = monotonic,
    ) -> None:
        self._burst = burst
        self._refill = refill_seconds
        self._networks = networks
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def exhausted(self, network: str) -> bool:
        """Whether the network has no attempt left."""
        bucket = self._refilled(network)
        return bucket is not None and bucket.left < 1

    def failed(self, network: str) -> bool:
        """Count a failed attempt.

        Returns:
            Whether it was the last one; true once until the network has all its attempts again.
        """
        now = self._clock()
        bucket = self._refilled(network) or _Bucket(self._burst, now)
        bucket.left, bucket.at = max(bucket.left - 1, 0.0), now
        self._buckets[network] = bucket
        self._buckets.move_to_end(network)
        if len(self._buckets) > self._networks:
            self._buckets.popitem(last=False)
        first = bucket.left < 1 and not bucket.told
        bucket.told = bucket.told or first
        return first

    def _refilled(self, network: str) -> _Bucket | None:
        """The network's bucket with the tokens that have come back; None where it is full."""
        bucket = self._buckets.get(network)
        if bucket is None:
            return None
        now = self._clock()
        bucket.left, bucket.at = bucket.left + (now - bucket.at) / self._refill, now
        if bucket.left < self._burst:
            return bucket
        del self._buckets[network]
        return None
