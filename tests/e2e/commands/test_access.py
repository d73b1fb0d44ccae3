"""Who may connect, over real TLS and with real tokens; on loopback, with certificates of an authority of our own."""

import hashlib
from pathlib import Path

import pytest

from tests.support.peers.authority import Authority
from tests.support.running.ports import free_port
from tests.support.running.programs import Pair, Result
from tests.support.trees.trees import build, differences

pytestmark = pytest.mark.programs

TEXT = "no valid credentials for what was asked; check the token, and the namespace"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that both sides trust."""
    return Authority(tmp_path_factory.mktemp("trusted"), "trusted")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that is not trusted."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


def refused(result: Result, *words: str) -> bool:
    """Whether a command failed with one line that has these words."""
    return 1 == result.code and 1 == len(result.messages) and all(word in result.messages[0] for word in words)


class TestTls:
    """Encrypted connections."""

    @pytest.mark.case("K01", "K02")
    def test_server_certificate(self, pair: Pair, authority: Authority, stranger: Authority) -> None:
        """The server's certificate is checked against the given authority and name; plaintext is refused both ways."""
        pair.server(**authority.issue("server", "127.0.0.1", "mirror.test"))
        build(pair.source, {"a": "1"})
        trusted = pair.once(tls_ca_file=authority.file)
        named = pair.once(tls_ca_file=authority.file, tls_server_name="mirror.test")
        plan = pair.command("plan", tls_ca_file=authority.file)
        wrong = [
            pair.command("plan", tls_ca_file=stranger.file),
            pair.command("plan", tls_ca_file=authority.file, tls_server_name="other.test"),
            pair.command("plan"),
        ]

        assert [0, 0, 0] == [trusted.code, named.code, plan.code]
        assert [] == differences(pair.source, pair.replica)
        assert [1, 1, 1] == [result.code for result in wrong]
        assert ["", "", ""] == [result.stdout for result in wrong]
        assert [1, 1, 1] == [len(result.messages) for result in wrong]

    @pytest.mark.case("K01")
    def test_plaintext_server(self, pair: Pair, authority: Authority) -> None:
        """A client with TLS does not talk to a server without it."""
        pair.server()

        assert 1 == pair.command("plan", tls_ca_file=authority.file).code

    @pytest.mark.case("K03")
    def test_mutual(self, pair: Pair, authority: Authority, stranger: Authority) -> None:
        """With TLS_CLIENT_CA_FILE only clients with a certificate of that authority get in."""
        pair.server(**authority.issue("server", "127.0.0.1"), tls_client_ca_file=authority.file)
        build(pair.source, {"a": "1"})
        known = pair.once(tls_ca_file=authority.file, **authority.issue("client", "client"))
        nobody = pair.command("plan", tls_ca_file=authority.file)
        other = pair.command("plan", tls_ca_file=authority.file, **stranger.issue("client", "client"))

        assert 0 == known.code
        assert [] == differences(pair.source, pair.replica)
        assert [1, 1] == [nobody.code, other.code]

    def test_agent(self, pair: Pair, authority: Authority) -> None:
        """A client with a certificate serves its agent encrypted; without its socket ``status`` asks it so."""
        pair.server(**authority.issue("server", "127.0.0.1"))
        client = pair.client(tls_ca_file=authority.file, **authority.issue("agent", "127.0.0.1"))
        elsewhere = {"state_dir": pair.place / "elsewhere"}
        encrypted = client.command("status", **elsewhere)
        other = client.command("status", **elsewhere, **authority.issue("other", "127.0.0.1"))

        assert 0 == client.command("status").code
        assert 0 == encrypted.code
        assert refused(other, "no client answers at DIRSYNC_CLIENT_LISTEN=127.0.0.1:")

    @pytest.mark.parametrize("names", [("agent.test",), ("*.agent.test", "10.0.0.7"), ("2001:db8::7",)])
    def test_agent_socket(self, pair: Pair, authority: Authority, stranger: Authority, names: tuple[str, ...]) -> None:
        """Through the socket ``status`` needs no name, no authority and no address of the agent."""
        pair.server(**authority.issue("server", "mirror.test"))
        own = stranger.issue("agent", *names)
        port = free_port()
        settings = {"listen": f"0.0.0.0:{port}", "tls_ca_file": authority.file, "tls_server_name": "mirror.test", **own}
        client = pair.client(**settings)
        other = client.command("status", **stranger.issue("other", *names))
        unspecified = client.command("status")
        elsewhere = client.command("status", listen=f"localhost:{free_port()}")

        assert [0, 0, 0] == [other.code, unspecified.code, elsewhere.code]

    def test_agent_asks_for_certificates(self, pair: Pair, authority: Authority) -> None:
        """An agent that requires a certificate of its authority accepts the commands that have its own certificate."""
        pair.server(**authority.issue("server", "127.0.0.1"))
        own = authority.issue("agent", "agent.test")
        client = pair.client(tls_ca_file=authority.file, tls_client_ca_file=authority.file, **own)

        assert 0 == client.command("status").code


class TestTokens:
    """Bearer tokens."""

    @pytest.mark.case("K04", "K09")
    def test_one_token(self, pair: Pair) -> None:
        """The right token gets in; none and a wrong one are refused with one and the same text, which names neither."""
        build(pair.source, {"a": "1"})
        right, wrong = _secret(pair.place / "right", "s3cret-token"), _secret(pair.place / "wrong", "other-token")
        server = pair.server(token_file=right)
        good = pair.once(token_file=right)
        bad = [pair.once(), pair.once(token_file=wrong), pair.command("verify"), pair.command("plan", token_file=wrong)]
        logged = str(server.log.events)

        assert 0 == good.code
        assert [] == differences(pair.source, pair.replica)
        assert [True] * 4 == [refused(result, TEXT) for result in bad], bad
        assert 1 == len({result.messages[0] for result in bad})
        assert server.log.all("auth.rejected")
        assert "s3cret-token" not in logged
        assert "other-token" not in logged

    @pytest.mark.case("K04", "H05")
    def test_tenants(self, pair: Pair) -> None:
        """Each namespace has its own root and tokens; another's token opens neither it nor what does not exist."""
        roots = {name: pair.place / name for name in ("red", "blue")}
        tokens = {name: _secret(pair.place / f"{name}.token", f"token-of-{name}") for name in roots}
        file = pair.place / "tenants.toml"
        file.write_text("".join(_tenant(name, root) for name, root in roots.items()))
        server = pair.server(tenants_file=file)
        other = pair.place / "other-source"
        build(pair.source, {"r": "red"})
        build(other, {"b": "blue"})
        red = pair.once(namespace="red", token_file=tokens["red"])
        blue = pair.once(namespace="blue", token_file=tokens["blue"], source=other, state_dir=pair.place / "blue-state")
        bad = [
            pair.command("plan", namespace="blue", token_file=tokens["red"]),
            pair.command("plan", namespace="green", token_file=tokens["red"]),
            pair.command("plan", namespace="red"),
            pair.command("plan", token_file=tokens["red"]),
        ]
        samples = server.metrics()

        assert (0, 0) == (red.code, blue.code)
        assert [] == differences(pair.source, roots["red"])
        assert [] == differences(other, roots["blue"])
        assert [True] * 4 == [refused(result, TEXT) for result in bad], bad
        assert 1 == len({result.messages[0] for result in bad})
        assert 4 == samples.value("dirsync_rejected_total", reason="unauthenticated")


def _secret(path: Path, token: str) -> Path:
    path.write_text(token + "\n")
    path.chmod(0o600)
    return path


def _tenant(name: str, root: Path) -> str:
    digest = hashlib.sha256(f"token-of-{name}".encode()).hexdigest()
    return f'[namespaces.{name}]\nroot = "{root}"\ntokens_sha256 = ["{digest}"]\n'
