"""Hooks of real programs: what they are told, and that the sync goes on whatever they do."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.outside.manifests import REPOSITORY
from tests.support.peers.receiver import Receiver
from tests.support.running.programs import Client, Pair, Process, Server
from tests.support.running.waiting import until
from tests.support.trees.trees import build, equal
from tests.unit.deploy.settings_of import load_settings

pytestmark = pytest.mark.programs

MANY = 10_000
QUICK: dict[str, Any] = {"hook_debounce": "100ms"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Whom webhooks call."""
    with Receiver() as receiver:
        yield receiver


class Notes:
    """A command that writes down what it is told, a line for each run."""

    def __init__(self, place: Path) -> None:
        self._file = place / "notes"
        script = place / "note.py"
        script.write_text(
            f"import sys\nwith open({str(self._file)!r}, 'a') as notes:\n    notes.write(sys.stdin.read() + '\\n')\n"
        )
        self.command = f"'{sys.executable}' '{script}'"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it was told so far."""
        return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []

    @property
    def last_digest(self) -> str:
        """The state that it was told last."""
        return str(self.messages[-1]["root_digest"]) if self.messages else ""


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """What a hook was told."""
    return Notes(tmp_path)


def digest(client: Client) -> str:
    """The root digest that a client has reached."""
    return str(client.log.all("sync.completed")[-1]["root_digest"])


def write_many(source: Path) -> None:
    """Ten thousand new files."""
    for number in range(MANY):
        (source / f"many-{number}").write_bytes(b"%d" % number)


def runs(process: Process, hook: str, outcome: str) -> float:
    """How many runs of a hook ended so."""
    return process.metrics().value("dirsync_hook_runs_total", hook=hook, outcome=outcome)


def start(pair: Pair, service: str, **hooks: Any) -> tuple[Server, Client, Process]:
    """Both programs, one of them with hooks; the last one is that."""
    server = pair.server(**(hooks if service == "server" else {}))
    client = pair.client(**(hooks if service == "client" else {}))
    return server, client, server if service == "server" else client


@pytest.mark.parametrize("service", ["client", "server"])
def test_ten_thousand_changes(pair: Pair, notes: Notes, receiver: Receiver, service: str) -> None:
    """Ten thousand changes lead to few runs of both hooks, and the last state is told to both."""
    hooks = {"hook_command": notes.command, "hook_webhook": receiver.url}
    _, client, hooked = start(pair, service, **hooks)
    until(lambda: notes.messages and receiver.calls, "the first state")
    write_many(pair.source)
    until(lambda: equal(pair.source, pair.replica), "replica equal to the source", seconds=60)
    client.wait_until_in_sync()
    until(lambda: notes.last_digest == digest(client), "the last state told to the command")
    until(lambda: receiver.calls[-1].message["root_digest"] == digest(client), "and to the webhook")

    told = notes.messages
    assert len(told) < 30
    assert len(receiver.calls) < 30
    assert {(service, "default")} == {(message["service"], message["namespace"]) for message in told}
    paths = {path for message in told for path in message["paths"]}
    assert {f"many-{number}" for number in range(MANY)} <= paths
    until(lambda: runs(hooked, "command", "succeeded") == len(told), "as many runs in the metrics")


@pytest.mark.parametrize("service", ["client", "server"])
def test_a_hook_that_hangs(pair: Pair, service: str) -> None:
    """A hook that never ends holds up neither the sync nor the end, and nothing of it is left."""
    hook = f"sh -c 'echo $$ >> {pair.place}/pids; sleep 1000 & sleep 1000'"
    server, client, hooked = start(pair, service, hook_command=hook, **QUICK)
    until((pair.place / "pids").exists, "a run that hangs")
    for number in range(3):
        build(pair.source, {f"file-{number}": "content"})
        client.wait_for("file.synced", path=f"file-{number}")
    client.wait_until_in_sync()
    hooked.signal(signal.SIGTERM)

    assert 0 == hooked.wait()
    assert hooked.log.all("hook.undelivered")
    pids = [int(line) for line in (pair.place / "pids").read_text().split()]
    until(lambda: not any(_group_runs(pid) for pid in pids), "the end of all that was started")
    if hooked is client:
        server.stop()


def test_a_hook_that_takes_too_long(pair: Pair) -> None:
    """A run that takes longer than it may is ended, counted, and tried again."""
    pair.server()
    client = pair.client(hook_command="sleep 1000", hook_timeout="200ms", **QUICK)
    client.wait_for("hook.failed", kind="timed_out")

    until(lambda: runs(client, "command", "timed_out") >= 2, "another try")
    client.wait_until_in_sync()


def test_a_webhook_that_fails(pair: Pair, receiver: Receiver) -> None:
    """A webhook that fails is called again until it succeeds, with the newest state and all changes."""
    receiver.status = 503
    pair.server()
    client = pair.client(hook_webhook=receiver.url, **QUICK)
    failed = client.wait_for("hook.failed")
    for name in ("one", "two"):
        build(pair.source, {name: name})
        client.wait_for("file.synced", path=name)
    client.wait_until_in_sync()
    receiver.status = 200
    client.wait_for("hook.succeeded", root_digest=digest(client), seconds=60)

    shown = json.dumps(client.log.events)
    assert "it answered with status 503" == failed["problem"]
    assert receiver.url not in shown
    assert ["one", "two"] == receiver.calls[-1].message["paths"]


@pytest.mark.parametrize("service", ["client", "server"])
def test_the_last_state_at_the_end(pair: Pair, notes: Notes, service: str) -> None:
    """What is written right before the end is told before the process has ended, whatever the debounce."""
    server, client, hooked = start(pair, service, hook_command=notes.command, hook_debounce="1h")
    write_last(pair.source)
    client.stop()
    if hooked is server:
        server.stop()

    assert digest(client) == notes.last_digest
    assert not hooked.log.all("hook.undelivered")


def write_last(source: Path) -> None:
    """Some files."""
    build(source, {f"last-{number}": "content" for number in range(50)})


def test_once(pair: Pair, notes: Notes) -> None:
    """A single sync runs the hook before it ends; another one that changes nothing does not."""
    pair.server()
    build(pair.source, {"a": "1"})
    first = pair.once("--json", hook_command=notes.command)
    pair.once(hook_command=notes.command)

    assert [first.json["root_digest"]] == [message["root_digest"] for message in notes.messages]
    assert ["a"] == notes.messages[0]["paths"]


def test_a_crash_loses_no_state(pair: Pair, notes: Notes) -> None:
    """A state that was reached and not told when the process was killed is told by the next one."""
    pair.server()
    build(pair.source, {"a": "1"})
    client = pair.client(hook_command=notes.command, hook_debounce="1h")
    client.wait_until_in_sync()
    reached = digest(client)
    client.kill()
    assert [] == notes.messages
    pair.client(hook_command=notes.command, **QUICK)

    until(lambda: notes.last_digest == reached, "the state that the first client reached")


def test_our_own_commands_in_a_hook(pair: Pair) -> None:
    """A hook may ask the service that runs it."""
    out = pair.place / "out"
    pair.server()
    build(pair.source, {"a": "1"})
    pair.client(
        hook_command=f"sh -c '{sys.executable} -m dirsync_client status --json > {out}.new; mv {out}.new {out}'"
    )
    until(out.exists, "what status printed")

    assert json.loads(out.read_text())["in_sync"]


def test_a_program_that_does_not_exist(pair: Pair) -> None:
    """A command that cannot be run is refused at the start."""
    result = pair.once(hook_command="no-such-program --option")

    (line,) = result.messages
    assert 2 == result.code
    assert line.startswith("dirsync-client: DIRSYNC_CLIENT_HOOK_COMMAND: there is no program no-such-program that can ")


def _group_runs(group: int) -> bool:
    """Whether a process group has a process that is no zombie."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z" and int(fields[2]) == group:
                return True
    return False


class TestExamples:
    """The examples of docs/hooks.md."""

    def examples(self, language: str) -> list[str]:
        """The blocks of this language."""
        text = (REPOSITORY / "docs" / "hooks.md").read_text()
        return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)

    def test_settings(self) -> None:
        """What a shell makes of the examples of settings is taken by the services."""
        lines = "\n".join(block for block in self.examples("sh") if block.startswith("export "))
        printed = subprocess.run(["sh", "-euc", f"{lines}\nenv -0"], env={}, check=True, capture_output=True)
        variables = dict(line.split("=", 1) for line in printed.stdout.decode().split("\0") if "HOOK" in line)

        assert 4 == len(variables)
        for service in ("client", "server"):
            insecure = {f"DIRSYNC_{service.upper()}_INSECURE": "true"}
            load_settings(
                service, insecure | {name: value for name, value in variables.items() if service.upper() in name}
            )

    def test_certain_files(self, pair: Pair) -> None:
        """Something is run only if certain files have changed."""
        (script,) = self.examples("python")
        (pair.place / "changed.py").write_text(script)
        rebuild = pair.place / "rebuild"
        rebuild.write_text("#!/bin/sh\necho again >> built\n")
        rebuild.chmod(0o755)
        built = pair.place / "built"
        pair.server()
        client = pair.client(hook_command=f"{sys.executable} changed.py", **QUICK)
        client.wait_for("hook.succeeded")
        first = built.read_text()
        for number, (name, expected) in enumerate([("other/file", first), ("assets/file", f"{first}again\n")]):
            build(pair.source, {name: "content"})
            until(lambda count=number + 2: len(client.log.all("hook.succeeded")) == count, f"a run for {name}")  # type: ignore[misc]

            assert expected == built.read_text()

    def test_copies(self, pair: Pair) -> None:
        """Each state is copied under its digest."""
        (script,) = (block for block in self.examples("sh") if block.startswith("#!"))
        program = pair.place / "copy"
        program.write_text(script.replace("/backup", str(pair.place)))
        program.chmod(0o755)
        server = pair.server(hook_command=program, hook_debounce="1h")
        build(pair.source, {"a": "1", "b/c": "2"})
        client = pair.client()
        reached = digest(client)
        client.stop()
        server.stop()

        assert equal(pair.source, pair.place / reached)
