"""Which compression a piece of content travels with."""

from dirsync.wire.compression import Compression, shrinks

SAMPLE_BYTES = 64 * 1024
"""How much of some content is compressed to see whether it shrinks."""


class Compressor:
    """Chooses by the setting, what the server offers, and a sample of the content."""

    def __init__(self, setting: str, offered: frozenset[Compression]) -> None:
        """``setting`` is that of COMPRESSION; what the server did not offer is not used."""
        wanted = Compression.GZIP if setting == "gzip" else Compression.ZSTD
        usable = setting != "none" and wanted in offered
        self._compression = wanted if usable else Compression.NONE
        self._sample = setting == "auto"

    def choose(self, sample: bytes) -> Compression:
        """The compression for content that starts like ``sample``."""
        if self._compression is Compression.NONE or not sample:
            return Compression.NONE
        if self._sample and not shrinks(sample[:SAMPLE_BYTES]):
            return Compression.NONE
        return self._compression
