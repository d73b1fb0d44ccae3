"""The starts of a machine, as the programs on it see them: each has an id of its own, by which a power cut is known.

A program gets a mount namespace in which the file that holds the id is another one; needs the capability ``loop``.
"""

import uuid
from pathlib import Path

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Boots:
    """One machine."""

    def __init__(self, place: Path) -> None:
        """``place``: where the file with the id is kept, not on a disk that is cut off."""
        self._file = place / "boot_id"
        self.restart()

    def restart(self) -> None:
        """The machine is started again."""
        self._file.write_text(f"{uuid.uuid4()}\n")

    def prefix(self) -> list[str]:
        """A command that runs the command after it on this machine."""
        script = f'mount --bind "$0" {_BOOT_ID} && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, str(self._file)]
