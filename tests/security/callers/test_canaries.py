"""Secrets of a whole run, looked for in everything that the programs show: each is in nothing but its file."""

import json

import pytest

from tests.support.peers.authority import Authority
from tests.support.running.ports import free_port
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import build

pytestmark = [pytest.mark.programs, pytest.mark.case("K09")]

RIGHT, AGENTS, WRONG, URL = (f"canary-{word}-0123456789abcdef" for word in ("right", "agents", "wrong", "url"))
PATHS = ("/", "/metrics", "/livez", "/readyz", "/status.json", "/nothing")


def test_whole_run(pair: Pair) -> None:
    """No token, key or secret URL is in a log of any level, a metric, a page, a status, an event stream or an error."""
    files = {secret: pair.place / secret.split("-")[1] for secret in (RIGHT, AGENTS, WRONG)}
    for secret, file in files.items():
        file.write_text(f"{secret}\n")
    authority = Authority(pair.place, "authority")
    serving, own = authority.issue("server", "127.0.0.1"), authority.issue("client", "client.test")
    keys = [
        line for made in (serving, own) for line in made["tls_key_file"].read_text().splitlines() if "--" not in line
    ]
    trusted = {"tls_ca_file": authority.file, "token_file": files[RIGHT], "agent_token_file": files[AGENTS], **own}
    hook = f"http://127.0.0.1:{free_port()}/{URL}?key={URL}"  # nobody answers there
    server = pair.server(token_file=files[RIGHT], log_level="debug", hook_webhook=hook, **serving)
    build(pair.source, {"a": "1"})
    client = pair.client(log_level="debug", hook_webhook=hook, **trusted)
    shown = []
    for token in (RIGHT, WRONG):
        # The wrong token, both as the server's and as the agent's, from commands that show what went wrong.
        settings = {**trusted, "token_file": files[token], "state_dir": pair.place / f"state-{files[token].name}"}
        shown += [pair.command(name, **settings) for name in ("plan", "verify")]
        shown.append(client.command("status", agent_token_file=files[token], state_dir=pair.place / "no-socket"))
    shown += [client.command("status"), client.command("status", "--json"), client.command("explain", "a")]
    files[RIGHT].write_text(f"{WRONG}\n{RIGHT}\n")  # no token file of one line: it is told, and not what is in it
    build(pair.source, {"b": "2"})
    client.wait_for("file.synced", path="b")
    pair.command("plan", **{**trusted, "token_file": files[WRONG], "state_dir": pair.place / "third"})
    until(lambda: client.metrics().value("dirsync_in_sync") == 1, "in sync")
    for process in (server, client):
        process.log.wait_for("hook.failed")
    pages = [process.get(path).body for process in (server, client) for path in PATHS]
    logs = [json.dumps([process.log.events, process.log.messages]) for process in (server, client)]
    text = "\n".join([*map(str, shown), *pages, *logs])

    assert 5 < len(keys)
    assert [] == [secret for secret in (RIGHT, AGENTS, WRONG, URL, *keys) if secret in text]
    # Positive control: what is no secret is there, and the wrong tokens were really shown to somebody.
    assert str(authority.file) in text
    assert server.log.all("auth.rejected")
    assert any("credentials" in str(result.messages) for result in shown)
