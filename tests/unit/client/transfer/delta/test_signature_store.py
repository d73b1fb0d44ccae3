"""Remembered signatures: kept within bounds, believed only where they fit, and never in the way."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.built import BuiltSignature
from dirsync.delta.signature.stored import dump_signature
from dirsync.limits import KIB, LIMITS, MIB
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync_client.transfer.delta.signature_store import RememberedSignatures, SignatureStore, builder_for
from tests.support.running.metrics import samples
from tests.support.trees.content import random_bytes

BLOCK = 4 * KIB
SIZE = 300 * KIB
DIGESTS = [bytes([number]) * 32 for number in range(8)]


def signature(size: int = SIZE, block_size: int = BLOCK) -> BuiltSignature:
    """That of some content."""
    builder = SignatureBuilder(block_size)
    builder.feed(random_bytes(size))
    made = builder.finish()
    assert made is not None
    return made


def lookups(metrics: PrometheusMetrics) -> dict[str, int]:
    """How often what was the answer."""
    return {
        result: int(samples(metrics).value("dirsync_cache_lookups_total", cache="signature", result=result))
        for result in ("hit", "miss", "stale")
    }


class TestRemembered:
    """What the preparer sees."""

    def test_round_trip(self, tmp_path: Path) -> None:
        """What was saved is found, also by the next process; what was not is not; both are counted."""
        metrics = PrometheusMetrics()
        directory = tmp_path / "signatures"
        RememberedSignatures(directory, metrics).save(DIGESTS[0], signature())
        remembered = RememberedSignatures(directory, metrics)
        found = remembered.load(DIGESTS[0], SIZE, BLOCK)

        assert found is not None
        assert signature().strong_sums == found.strong_sums.tobytes()
        assert signature().group_sums == found.group_sums.tobytes()
        assert remembered.load(DIGESTS[1], SIZE, BLOCK) is None
        assert {"hit": 1, "miss": 1, "stale": 0} == lookups(metrics)

    def test_several_servers(self, tmp_path: Path) -> None:
        """Threads that remember at the same time, each for its server, lose nothing."""
        remembered, made = RememberedSignatures(tmp_path, PrometheusMetrics()), signature()
        digests = [hashlib.sha256(bytes([number])).digest() for number in range(64)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda digest: remembered.save(digest, made), digests))

        assert all(remembered.load(digest, SIZE, BLOCK) is not None for digest in digests)

    @pytest.mark.parametrize("size,block_size", [(SIZE + 1, BLOCK), (SIZE, 2 * BLOCK)])
    def test_of_something_else(self, tmp_path: Path, size: int, block_size: int) -> None:
        """A signature of another size or of other blocks than are wanted is stale, and forgotten."""
        metrics = PrometheusMetrics()
        remembered = RememberedSignatures(tmp_path, metrics)
        remembered.save(DIGESTS[0], signature())

        assert remembered.load(DIGESTS[0], size, block_size) is None
        assert {"hit": 0, "miss": 0, "stale": 1} == lookups(metrics)
        assert [] == list(tmp_path.iterdir())

    def test_read_only(self, tmp_path: Path) -> None:
        """A reader leaves names, times and unsound files as they are, and creates nothing."""
        RememberedSignatures(tmp_path, PrometheusMetrics()).save(DIGESTS[0], signature())
        (tmp_path / DIGESTS[1].hex()).write_bytes(b"unsound")
        for path in tmp_path.iterdir():
            os.utime(path, ns=(1, 1))
        reader = RememberedSignatures(tmp_path, PrometheusMetrics(), read_only=True)
        found = [reader.load(digest, SIZE, BLOCK) for digest in DIGESTS[:3]]
        reader.save(DIGESTS[3], signature())

        assert [True, False, False] == [each is not None for each in found]
        assert {DIGESTS[0].hex(), DIGESTS[1].hex()} == {path.name for path in tmp_path.iterdir()}
        assert {1} == {path.stat().st_mtime_ns for path in tmp_path.iterdir()}


class TestStore:
    """What is on disk."""

    def test_least_recently_used_goes(self, tmp_path: Path) -> None:
        """When there is no room, what was not asked for longest goes; so it is after a restart."""
        store = SignatureStore(tmp_path, limit=30)
        for digest in DIGESTS[:3]:
            store.save(digest, b"x" * 10)
        store.load(DIGESTS[0])
        store.save(DIGESTS[3], b"x" * 10)
        kept = {path.name for path in tmp_path.iterdir()}
        for age, digest in enumerate((DIGESTS[2], DIGESTS[3], DIGESTS[0])):
            os.utime(tmp_path / digest.hex(), ns=(age, age))
        again = SignatureStore(tmp_path, limit=30)
        again.load(DIGESTS[2])
        again.save(DIGESTS[4], b"x" * 15)

        assert {DIGESTS[number].hex() for number in (0, 2, 3)} == kept
        assert {DIGESTS[number].hex() for number in (2, 4)} == {path.name for path in tmp_path.iterdir()}

    def test_replaced(self, tmp_path: Path) -> None:
        """A signature that takes the place of another of the same content counts once."""
        store = SignatureStore(tmp_path, limit=25)
        for _ in range(5):
            store.save(DIGESTS[0], b"x" * 12)
        store.save(DIGESTS[1], b"y" * 12)

        assert (b"x" * 12, b"y" * 12) == (store.load(DIGESTS[0]), store.load(DIGESTS[1]))

    def test_too_large(self, tmp_path: Path) -> None:
        """What would take all the room is not kept, and throws nothing out."""
        store = SignatureStore(tmp_path, limit=20)
        store.save(DIGESTS[0], b"x" * 10)
        store.save(DIGESTS[1], b"y" * 21)

        assert (b"x" * 10, None) == (store.load(DIGESTS[0]), store.load(DIGESTS[1]))

    def test_no_place(self, tmp_path: Path) -> None:
        """A directory that cannot be made or read costs the memory, nothing else."""
        (tmp_path / "file").write_bytes(b"")
        store = SignatureStore(tmp_path / "file")
        store.save(DIGESTS[0], b"x")
        store.forget(DIGESTS[0])

        assert store.load(DIGESTS[0]) is None

    def test_other_files(self, tmp_path: Path) -> None:
        """What is not ours in the directory is neither counted nor removed."""
        (tmp_path / "notes").write_bytes(b"n" * 100)
        (tmp_path / "unfinished").write_bytes(b"half")
        store = SignatureStore(tmp_path, limit=20)
        store.save(DIGESTS[0], b"x" * 10)
        store.save(DIGESTS[1], b"y" * 10)

        assert {"notes", DIGESTS[0].hex(), DIGESTS[1].hex()} == {path.name for path in tmp_path.iterdir()}


class TestBuilder:
    """Of which files a signature is made."""

    def test_small(self) -> None:
        """Of none that asking for costs no more than keeping."""
        assert builder_for(LIMITS.min_remembered_bytes - 1, BLOCK) is None
        assert builder_for(LIMITS.min_remembered_bytes, BLOCK) is not None

    def test_block_size(self) -> None:
        """Blocks grow with the file; where they would have to be larger than allowed there is none."""
        builder = builder_for(LIMITS.max_blocks * BLOCK + 1, BLOCK)

        assert builder is not None
        assert 2 * BLOCK == builder.block_size
        assert builder_for(LIMITS.max_blocks * LIMITS.max_block_size + 1, BLOCK) is None

    def test_of_an_earlier_version(self) -> None:
        """What is taken over from the signature of an earlier version is what would have been found anyway."""
        content = random_bytes(2 * MIB)
        before = signature(2 * MIB)
        changed = content[:MIB] + b"!" + content[MIB + 1 :]
        made = []
        for like in (None, before.signature()):
            builder = builder_for(len(changed), BLOCK, like=like)
            assert builder is not None
            builder.feed(changed)
            finished = builder.finish()
            assert finished is not None
            made.append(dump_signature(finished))

        assert made[0] == made[1] != dump_signature(before)
