"""Generate ``dirsync.v1`` from ``proto/``, or check whether the committed code is up to date.

The proto package is the Python package, so the generated files need no fixing up: they are written as the plugins write
them and never edited. Stubs and servicers are not generated: handlers and callers take raw bytes, and find the methods
in the descriptors. Call it with the interpreter of ``.venv``: mypy's plugin is looked for there.
"""

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = REPOSITORY / "proto"
TARGET = REPOSITORY / "shared" / "src"
PACKAGE = Path("dirsync", "v1")
GENERATED = "*_pb2*.py*"


def main() -> int:
    """Exit status 0: written, or fresh; 1: stale, each file named, or a .proto file that does not compile."""
    parser = argparse.ArgumentParser(description="Generate dirsync.v1 from the .proto files.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the committed code is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        try:
            generate(fresh)
        except subprocess.CalledProcessError as error:
            return error.returncode
        if check:
            return report(stale(fresh / PACKAGE, TARGET / PACKAGE))
        replace(fresh / PACKAGE, TARGET / PACKAGE)
    return 0


def generate(into: Path) -> None:
    """Run protoc over every .proto file, writing below ``into``."""
    files = sorted(path.relative_to(SOURCES) for path in SOURCES.rglob("*.proto"))
    protoc(files, [f"--python_out={into}", f"--mypy_out=quiet:{into}"])


def protoc(files: Iterable[Path], outputs: list[str]) -> None:
    """Run the protoc that grpcio-tools carries."""
    beside_us = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={SOURCES}", *outputs, *map(str, files)],
        check=True,
        env={**os.environ, "PATH": beside_us},
    )


def stale(fresh: Path, committed: Path) -> list[str]:
    """The names of the files that are missing, left over, or different in ``committed``."""
    names = {path.name for directory in (fresh, committed) for path in directory.glob(GENERATED)}
    _, different, missing = filecmp.cmpfiles(fresh, committed, names, shallow=False)
    return sorted(different + missing)


def report(names: list[str]) -> int:
    """Name each stale file; the exit status."""
    for name in names:
        print(f"{TARGET.relative_to(REPOSITORY) / PACKAGE / name}: stale, run `make proto`", file=sys.stderr)
    return 1 if names else 0


def replace(fresh: Path, committed: Path) -> None:
    """Make ``committed`` hold exactly the generated files of ``fresh``."""
    for path in committed.glob(GENERATED):
        path.unlink()
    committed.mkdir(exist_ok=True)
    for path in fresh.glob(GENERATED):
        shutil.copyfile(path, committed / path.name)


if __name__ == "__main__":
    sys.exit(main())
