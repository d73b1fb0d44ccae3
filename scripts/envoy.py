"""Write the configurations of Envoy from their template, or check that they are up to date.

One template, because what the configurations share is most of them. A line ``#? WORDS`` says for which the lines after
it are: those that have all of the words; ``#?`` alone says for all. A line ``#! TEXT`` stands for one item for each
server.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).with_name("envoy.template.yaml")
COMPONENTS = "deploy/kubernetes/components"
PODS = tuple(f"dirsync-server-{number}.dirsync-server-headless" for number in range(16))
"""As many as the autoscaler may make."""
EXAMPLE = tuple(f"dirsync-server-{number}.example.com" for number in range(3))


class Configuration(NamedTuple):
    """One file."""

    path: str
    words: frozenset[str]
    servers: tuple[str, ...]


CONFIGURATIONS = (
    Configuration("deploy/envoy/shared.yaml", frozenset({"shared", "tls"}), EXAMPLE),
    Configuration("deploy/envoy/own.yaml", frozenset({"own", "tls"}), EXAMPLE),
    Configuration(
        "deploy/envoy/compose.yaml", frozenset({"shared"}), tuple(f"server-scale-{number}" for number in range(1, 4))
    ),
    Configuration(f"{COMPONENTS}/scale-out/envoy.yaml", frozenset({"shared"}), PODS),
    Configuration(f"{COMPONENTS}/scale-out-tls/envoy.yaml", frozenset({"shared", "tls"}), PODS),
    Configuration(f"{COMPONENTS}/own-volumes/envoy.yaml", frozenset({"own"}), PODS),
)


def render(template: str, configuration: Configuration) -> str:
    """The text of one configuration."""
    return "".join(f"{line}\n" for line in _lines(template, configuration))


def _lines(template: str, configuration: Configuration) -> Iterator[str]:
    wanted: frozenset[str] = frozenset()
    for line in template.splitlines():
        if line.startswith("#?"):
            wanted = frozenset(line.removeprefix("#?").split())
        elif not wanted <= configuration.words:
            continue
        elif line.startswith("#!"):
            item = line.removeprefix("#!").strip()
            yield from (f"{' ' * 14}- {item.replace('NAME', name)}" for name in configuration.servers)
        else:
            yield line


def main() -> int:
    """Write or check; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    check = parser.parse_args().check
    template = TEMPLATE.read_text()
    stale = []
    for configuration in CONFIGURATIONS:
        path, text = REPOSITORY / configuration.path, render(template, configuration)
        if path.exists() and path.read_text() == text:
            continue
        stale.append(configuration.path)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if check and stale:
        print(f"stale, run make envoy: {', '.join(stale)}", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
