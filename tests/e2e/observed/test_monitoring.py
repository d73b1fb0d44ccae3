"""The dashboard and the rules against real programs: what they name is there, and a real Prometheus shows it.

One pair, with TLS on both sides, works for two minutes: small files, growing, edited, renamed, copied and removed ones.
"""

import json
import math
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.limits import KIB
from tests.support.outside.prometheus import Prometheus, filled_in, panels, prometheus, rules, unknown
from tests.support.peers.authority import Authority
from tests.support.running.metrics import Samples
from tests.support.running.programs import Client, Pair, Server
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes, text
from tests.support.trees.trees import File, build

pytestmark = [pytest.mark.programs, pytest.mark.needs("prometheus"), pytest.mark.timeout(240)]

SECONDS = 120.0
"""How long Prometheus scrapes before it is asked."""
PAUSE_SECONDS = 0.5


class Watched(NamedTuple):
    """A pair that has worked, and the Prometheus that has watched it."""

    server: Server
    client: Client
    prometheus: Prometheus

    @property
    def samples(self) -> dict[str, Samples]:
        """A scrape of each service."""
        return {"server": self.server.metrics(), "client": self.client.metrics()}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A pair that works for :data:`SECONDS` under the eyes of Prometheus, and is in sync at the end."""
    place = tmp_path_factory.mktemp("watched")
    authority = Authority(place, "authority")
    pair = Pair(place / "pair")
    server = pair.server(**authority.issue("server", "127.0.0.1"), max_sessions=8)
    build(pair.source, {"large": File(random_bytes(2_000 * KIB)), "d/one": "1"})
    client = pair.client(tls_ca_file=authority.file, rescan_interval="2s", **authority.issue("client", "client.test"))
    ports = {"dirsync-server": server.http_port, "dirsync-client": client.http_port}
    with prometheus(place / "prometheus", ports) as running:
        end = time.monotonic() + SECONDS
        number = 0
        while time.monotonic() < end:
            work(pair.source, number)
            number += 1
            time.sleep(PAUSE_SECONDS)
        client.wait_until_in_sync()
        until(lambda: running.query("dirsync_in_sync == 1"), "Prometheus has seen that it is in sync")
        yield Watched(server, client, running)
    wrong = pair.end()

    assert [] == wrong


def work(source: Path, number: int) -> None:
    """Make changes of every kind; the number says which."""
    build(source, {f"d/{number}": text(3 * KIB + number), "late": f"{number}"})
    if number % 5 == 0:
        with (source / "large").open("r+b") as file:
            file.seek(number * KIB)
            file.write(random_bytes(4 * KIB, number))
        build(source, {f"copy{number}": (source / f"d/{number}").read_bytes()})
    if number % 5 == 2:
        (source / f"d/{number - 2}").rename(source / f"moved{number}")
        os.utime(source / "d/one", ns=(0, number))
    if number % 5 == 4:
        (source / f"copy{number - 4}").unlink()


def test_names_exist(watched: Watched) -> None:
    """Every metric, label and value of a label in the dashboard and the rules is in a scrape of the programs."""
    samples = watched.samples
    wrong = {shown.panel: found for shown in panels() if (found := unknown(shown.expr, shown.legend, samples))}
    bad = {str(rule): found for rule in rules() if (found := unknown(rule["expr"], "", samples))}

    assert {} == wrong
    assert {} == bad


def test_unknown_is_found(watched: Watched) -> None:
    """Positive control: a wrong name, label, value, group or legend is found."""
    samples = watched.samples
    wrong = [
        ("rate(dirsync_saved_byte_total[5m])", ""),
        ('dirsync_saved_bytes_total{why="delta"}', ""),
        ('dirsync_saved_bytes_total{reason="luck"}', ""),
        ("sum by (why) (dirsync_saved_bytes_total)", ""),
        ("dirsync_saved_bytes_total", "{{why}}"),
    ]

    assert [] == [pair for pair in wrong if not unknown(*pair, samples)]
    assert [] == unknown(
        'sum by (reason, job) (dirsync_saved_bytes_total{reason=~"delta|dedup"})', "{{reason}}", samples
    )


def test_every_panel_has_data(watched: Watched) -> None:
    """Every expression of the dashboard gives a number, after two minutes of scraping."""
    empty = {}
    for shown in panels():
        values = [value for _, value in watched.prometheus.query(filled_in(shown.expr, "1m"))]
        if not any(math.isfinite(value) for value in values):
            empty[f"{shown.panel}: {shown.expr}"] = values

    assert {} == empty


def test_rules_work(watched: Watched) -> None:
    """Prometheus evaluates every rule without an error; the recorded ones have values, and nothing fires."""
    groups = watched.prometheus.ask("rules")["groups"]
    judged = [rule for group in groups for rule in group["rules"]]
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    # How quick it was is a matter of the machine.
    firing = {labels["alertname"] for labels, _ in watched.prometheus.query('ALERTS{alertstate="firing"}')}

    assert len(rules()) == len(judged)
    assert {"ok"} == {rule["health"] for rule in judged}, json.dumps(judged)
    assert [] == [name for name in recorded if not watched.prometheus.query(name)]
    assert set() == firing - {"DirsyncChangesSlow"}


@pytest.mark.parametrize("service", ["server", "client"])
def test_promtool_finds_nothing(watched: Watched, service: str) -> None:
    """``promtool check metrics`` has nothing to say of what the programs show."""
    process = watched.server if service == "server" else watched.client
    body = process.get("/metrics").body
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, text=True, check=False, timeout=60
    )

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
