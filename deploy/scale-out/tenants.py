#!/usr/bin/env python3
"""Make namespaces with a random token each: a tenants file for servers, and the tokens for clients. Needs only Python.

In the directory that is named there is a file ``tenants.toml`` then, and a directory ``tokens`` with a file for each
namespace. What is there already stays as it is, so a larger number adds namespaces. Keep the tokens as secrets; the
tenants file has their digests only.
"""

import argparse
import hashlib
import secrets
import sys
from pathlib import Path


def main() -> int:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, required=True, help="how many namespaces")
    parser.add_argument("--root", type=Path, required=True, help="where the servers have the replicas")
    parser.add_argument("--name", default="project", help="names are NAME-0, NAME-1, and so on")
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    tokens = arguments.directory / "tokens"
    tokens.mkdir(parents=True, exist_ok=True)
    tables = []
    for number in range(arguments.count):
        name = f"{arguments.name}-{number}"
        file = tokens / name
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_hex(32))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        tables.append(f'[namespaces.{name}]\nroot = "{arguments.root / name}"\ntokens_sha256 = ["{digest}"]\n')
    (arguments.directory / "tenants.toml").write_text("\n".join(tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
