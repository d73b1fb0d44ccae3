"""The certificate that is known by itself: which names are taken, and what cannot be used."""

from pathlib import Path

import pytest

from dirsync.errors import UsageError
from dirsync.rpc.auth.pinned import pinned
from dirsync.rpc.auth.tls import Identity, NamedFile
from tests.support.authority import Authority


def identity(place: Path, *names: str) -> Identity:
    """A certificate for these names, with its key."""
    files = Authority(place, "some").issue("own", *names)
    return Identity(NamedFile(files["tls_cert_file"], "CERT"), NamedFile(files["tls_key_file"], "KEY"))


@pytest.mark.parametrize(
    "names, expected",
    [
        (("agent.test", "other.test"), "agent.test"),
        (("192.0.2.7", "agent.test"), "agent.test"),
        (("192.0.2.7",), "192.0.2.7"),
        (("2001:db8::7",), "2001:db8::7"),
        (("*.agent.test",), "agent.agent.test"),
    ],
)
def test_names(tmp_path: Path, names: tuple[str, ...], expected: str) -> None:
    """A name of the certificate is what gRPC compares: host names first, and for a wildcard one that it covers."""
    assert [("grpc.ssl_target_name_override", expected)] == pinned(identity(tmp_path, *names)).options


def test_other_key(tmp_path: Path) -> None:
    """Files that do not belong together are told by their settings."""
    own = identity(tmp_path, "agent.test")
    (tmp_path / "elsewhere").mkdir()
    other = identity(tmp_path / "elsewhere", "agent.test")

    with pytest.raises(UsageError, match=r"^CERT and KEY: the files cannot be used: KEY_VALUES_MISMATCH$"):
        pinned(Identity(own.certificate, other.key))


def test_no_certificate(tmp_path: Path) -> None:
    """So is a file that holds none."""
    own = identity(tmp_path, "agent.test")
    own.certificate.path.write_text("nothing")

    with pytest.raises(UsageError, match=r"^CERT and KEY: the files cannot be used: "):
        pinned(own)
