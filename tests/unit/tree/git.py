"""Git itself, as the judge of ignore rules."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from dirsync.tree.path import RelPath, ancestors

_ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


class Repository:
    """A repository in which ``files`` could be; only their directories are."""

    def __init__(self, root: Path, files: Sequence[RelPath]) -> None:
        self.root = root
        self.directories = {above for path in files for above in ancestors(path) if above}
        self.paths = sorted({*files, *self.directories})
        self._git("init", "--quiet")
        for directory in self.directories:
            os.makedirs(os.path.join(os.fsencode(root), directory), exist_ok=True)

    def ignored(self, lines: Sequence[bytes]) -> set[RelPath]:
        """The paths that git ignores with these lines as the root's ignore file."""
        (self.root / ".gitignore").write_bytes(b"\n".join(lines) + b"\n")
        asked = b"".join(b"./" + path + b"\0" for path in self.paths)
        answer = self._git("check-ignore", "--no-index", "-z", "--stdin", given=asked)
        return {RelPath(path.removeprefix(b"./")) for path in answer.split(b"\0") if path}

    def _git(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["git", *arguments]
        run = subprocess.run(
            command, cwd=self.root, env=_ENVIRONMENT, input=given, capture_output=True, check=False, timeout=60
        )
        if run.returncode > 1:
            raise RuntimeError(run.stderr)
        return run.stdout
