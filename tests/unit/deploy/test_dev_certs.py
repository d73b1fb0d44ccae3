"""``deploy/dev-certs``: certificates for tests with one command, proved by handshakes."""

import ssl
import subprocess
from pathlib import Path

import pytest

from tests.support.outside.manifests import REPOSITORY

FILES = {"ca.key", "ca.pem", "client.key", "client.pem", "server.key", "server.pem", "token"}

pytestmark = pytest.mark.needs("openssl")


def make(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it."""
    command = [REPOSITORY / "deploy" / "dev-certs", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with everything in it."""
    place = tmp_path / "certificates"
    done = make(place, "mirror.test", "192.0.2.7", "2001:db8::7")

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    return place


def shake_hands(place: Path, name: str, *, client: bool = True, authority: Path | None = None) -> None:
    """A TLS handshake in memory between the server and a client that asks for ``name``; raises SSLError."""
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=place / "ca.pem")
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_cert_chain(place / "server.pem", place / "server.key")
    asking = ssl.create_default_context(cafile=authority or place / "ca.pem")
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    if client:
        asking.load_cert_chain(place / "client.pem", place / "client.key")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [serving.wrap_bio(up, down, server_side=True), asking.wrap_bio(down, up, server_hostname=name)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    ends[0].write(b"hello")

    assert b"hello" == ends[1].read()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "mirror.test", "192.0.2.7", "2001:db8::7"])
def test_names(place: Path, name: str) -> None:
    """Both sides accept each other, by every name and address that was given and by those of loopback."""
    shake_hands(place, name)


def test_others(place: Path, tmp_path: Path) -> None:
    """Positive controls: another name, no certificate, and another authority are refused."""
    make(tmp_path / "other")

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(place, "elsewhere.test")
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake_hands(place, "localhost", client=False)
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        shake_hands(place, "localhost", authority=tmp_path / "other" / "ca.pem")


def test_files(place: Path) -> None:
    """Keys and the token are their owner's alone; nothing else is left behind."""
    modes = {path.name: path.stat().st_mode & 0o777 for path in place.iterdir()}

    assert FILES == modes.keys()
    assert {0o600} == {mode for name, mode in modes.items() if not name.endswith(".pem")}
    assert {0o644} == {mode for name, mode in modes.items() if name.endswith(".pem")}
    assert 64 == len((place / "token").read_text().strip())


def test_again(place: Path) -> None:
    """What is there is kept; what is missing is made for the same authority."""
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    (place / "client.pem").unlink()
    make(place)
    after = {path.name: path.read_bytes() for path in place.iterdir()}

    assert {"client.key", "client.pem"} == {name for name in FILES if before[name] != after[name]}
    shake_hands(place, "localhost")


def test_renew(place: Path) -> None:
    """Renewing makes both certificates and keys again, and leaves the authority and the token."""
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    make("--renew", place)
    after = {path.name: path.read_bytes() for path in place.iterdir()}

    assert {"ca.key", "ca.pem", "token"} == {name for name in FILES if before[name] == after[name]}
    shake_hands(place, "localhost")


@pytest.mark.parametrize("arguments", [[], ["--renew"], ["--unknown"]])
def test_usage(arguments: list[str]) -> None:
    """Without a directory, or with an option that is none, it makes nothing and says how it is used."""
    done = make(*arguments)

    assert 2 == done.returncode
    assert done.stderr.startswith("usage: dev-certs")


def test_unusable(tmp_path: Path) -> None:
    """A directory that cannot be made is one line."""
    (tmp_path / "file").touch()
    done = make(tmp_path / "file")

    assert 1 == done.returncode
    assert f"dev-certs: {tmp_path}/file cannot be made" == done.stderr.splitlines()[-1]
