"""Certificates that are no good, on either side: nothing is said over such a connection, and the reason is clear."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers.authority import Authority
from tests.support.running.programs import Pair, Result, Server
from tests.support.trees.trees import build, differences

pytestmark = pytest.mark.programs

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
PAST: dict[str, Any] = {"not_before": NOW - 3 * DAY, "not_after": NOW - DAY}
FUTURE: dict[str, Any] = {"not_before": NOW + DAY, "not_after": NOW + 3 * DAY}
BARRED = "the certificate of this client has no name that may use what the token is for; show another certificate"
REFUSED = "no valid credentials for what was asked; check the token, and the namespace"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that both sides trust."""
    return Authority(tmp_path, "trusted")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """An authority that is not trusted."""
    return Authority(tmp_path, "stranger")


def handled(server: Server) -> float:
    """How many calls have reached a handler."""
    return sum(server.metrics().sums("grpc_server_handled_total", "grpc_method").values())


def rotate(settings: dict[str, Any], fresh: dict[str, Any]) -> None:
    """Put one certificate with its key in the place of another."""
    for name in ("tls_key_file", "tls_cert_file"):
        fresh[name].replace(settings[name])


@pytest.mark.case("K02", "K07")
def test_servers(pair: Pair, authority: Authority, stranger: Authority) -> None:
    """A client sends nothing to a server with a wrong certificate, and its message says what is wrong with it."""
    own = authority.issue("own", "127.0.0.1")
    server = pair.server(**own)
    bad: dict[str, Any] = {
        "is of no authority that this client trusts": lambda: stranger.issue("fresh", "127.0.0.1"),
        "is of no authority that": lambda: stranger.itself("fresh"),
        "has expired": lambda: authority.issue("fresh", "127.0.0.1", **PAST),
        "is not valid yet": lambda: authority.issue("fresh", "127.0.0.1", **FUTURE),
        "is for another name": lambda: authority.issue("fresh", "other.test", common_name="127.0.0.1"),
    }
    results = {}
    for reason, issue in bad.items():
        rotate(own, issue())
        results[reason] = pair.command("plan", tls_ca_file=authority.file)
    before = handled(server)
    rotate(own, authority.issue("fresh", "127.0.0.1"))
    good = pair.command("plan", tls_ca_file=authority.file)

    assert [] == [
        result
        for reason, result in results.items()
        if (result.code, len(result.messages)) != (1, 1)
        or not result.messages[0].startswith(f"dirsync-client: the server's certificate {reason}")
    ]
    assert (0, 0) == (before, good.code)
    assert handled(server) > 0


@pytest.mark.case("K02", "K03")
def test_clients(pair: Pair, authority: Authority, stranger: Authority) -> None:
    """A server that requires certificates rejects callers with a wrong one; the client says what to do."""
    server = pair.server(**authority.issue("server", "127.0.0.1"), tls_client_ca_file=authority.file)
    bad = [
        {},
        stranger.issue("stranger", "client"),
        stranger.itself("self"),
        authority.issue("past", "client", **PAST),
        authority.issue("future", "client", **FUTURE),
    ]
    results = [pair.command("plan", tls_ca_file=authority.file, **certificate) for certificate in bad]
    before = handled(server)
    good = pair.command("plan", tls_ca_file=authority.file, **authority.issue("client", "client"))

    assert [1] * 5 == [result.code for result in results]
    assert [] == [result for result in results if "TLS_CERT_FILE" not in "".join(result.messages)]
    assert (0, 0) == (before, good.code)


@pytest.mark.case("K03", "H05")
def test_names(pair: Pair, authority: Authority) -> None:
    """A namespace with names takes only certificates that have one; who has not its token learns nothing of it."""
    tokens = {name: pair.place / f"{name}.token" for name in ("red", "blue")}
    for name, path in tokens.items():
        path.write_text(name)
    file = pair.place / "tenants.toml"
    file.write_text(
        _tenant(pair.place, "red", _digest("red"), 'client_names = ["red.test", "ruby"]')
        + _tenant(pair.place, "blue", _digest("blue"))
        + _tenant(pair.place, "named", 'client_names = ["named.test"]')
    )
    pair.server(**authority.issue("server", "127.0.0.1"), tls_client_ca_file=authority.file, tenants_file=file)
    certificates = {
        "red": authority.issue("red", "red.test"),
        "ruby": authority.issue("ruby", "other.test", common_name="ruby"),
        "blue": authority.issue("blue", "blue.test"),
        "named": authority.issue("named", "named.test"),
    }

    def ask(certificate: str, namespace: str, token: str | None = None, command: str = "plan") -> Result:
        shown = {} if token is None else {"token_file": tokens[token]}
        given = {**certificates[certificate], **shown}
        return pair.command(command, namespace=namespace, tls_ca_file=authority.file, **given)

    build(pair.source, {"a": "1"})
    synced = ask("red", "red", "red", "once")
    entered = [ask("ruby", "red", "red"), ask("blue", "blue", "blue"), ask("named", "named")]
    barred = [ask("blue", "red", "red"), ask("named", "red", "red")]
    strangers = [ask("blue", "red", "blue"), ask("red", "red"), ask("blue", "named"), ask("blue", "nothing")]

    assert [0] * 4 == [result.code for result in (synced, *entered)]
    assert [] == differences(pair.source, pair.place / "red")
    assert {(1, f"dirsync-client: {BARRED}")} == {(result.code, *result.messages) for result in barred}
    assert {(1, f"dirsync-client: {REFUSED}")} == {(result.code, *result.messages) for result in strangers}


def _digest(token: str) -> str:
    return f'tokens_sha256 = ["{hashlib.sha256(token.encode()).hexdigest()}"]'


def _tenant(place: Path, name: str, *lines: str) -> str:
    return "\n".join([f"[namespaces.{name}]", f'root = "{place / name}"', *lines, ""])
