"""Where one target is, and by what it is known there."""

from pathlib import Path
from typing import NamedTuple

from dirsync.runtime.config.addresses import Target


class TargetPlace(NamedTuple):
    """One server, and what is set for it."""

    name: str
    """Empty where there is only one, and it was given no name."""
    address: Target
    namespace: str
    token_file: Path | None
