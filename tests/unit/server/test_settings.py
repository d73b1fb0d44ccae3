"""The settings of the server."""

import os
from pathlib import Path

import pytest

from dirsync.errors import UsageError
from dirsync.fs.write.durable import Fsync
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.config.settings import effective
from dirsync_server.settings import Permissions, ServerSettings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test starts in an empty directory without any of our variables."""
    for name in os.environ:
        if name.startswith("DIRSYNC_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problem(**flags: str) -> str:
    """The messages about these flags."""
    with pytest.raises(UsageError) as caught:
        ServerSettings.load(flags)
    return str(caught.value)


def test_defaults() -> None:
    """Without any setting the contract's defaults hold."""
    settings = ServerSettings.load()

    assert Address("127.0.0.1", 50051) == settings.listen
    assert Address("127.0.0.1", 9101) == settings.metrics_listen
    assert (Path(".dirsync/server"), Path("dirsync_to")) == (settings.state_dir, settings.root)
    assert (Fsync.BATCH, Permissions.PRESERVE) == (settings.fsync, settings.permissions)
    assert (0o644, 0o755) == (settings.file_mode, settings.dir_mode)
    assert (64 << 20, 64) == (settings.min_free_bytes, settings.max_sessions)


@pytest.mark.case("I32")
@pytest.mark.parametrize("name", ["MAX_FILE_SIZE", "QUOTA_BYTES", "QUOTA_ENTRIES", "MAX_SESSIONS"])
def test_zero_switches_no_bound_off(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A bound of zero is refused; it neither means nothing nor everything."""
    monkeypatch.setenv(f"DIRSYNC_SERVER_{name}", "0")

    assert f"DIRSYNC_SERVER_{name}=0: must be at least 1" == problem()


@pytest.mark.case("L03")
@pytest.mark.parametrize(
    "name, text, allowed",
    [
        ("FSYNC", "sometimes", "always, batch, never"),
        ("PERMISSIONS", "keep", "preserve, fixed"),
        ("FILE_MODE", "4755", "three octal digits"),
        ("DIR_MODE", "rwx", "three octal digits"),
        ("MAX_FILE_SIZE", "1TiB", "a size is"),
        ("MAX_SESSIONS", "1025", "at most 1024"),
        ("ROOT", "", "set but empty"),
        ("TENANTS_FILE", "", "set but empty"),
    ],
)
def test_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str, allowed: str) -> None:
    """A bad value is one line that names the variable and says what is allowed."""
    monkeypatch.setenv(f"DIRSYNC_SERVER_{name}", text)

    told = problem()

    assert told.startswith(f"DIRSYNC_SERVER_{name}")
    assert allowed in told
    assert 1 == len(told.splitlines())


@pytest.mark.case("K10")
@pytest.mark.parametrize(
    "flags, allowed",
    [
        ({"listen": "0.0.0.0:50051"}, False),
        ({"listen": "[::]:50051", "token_file": "t"}, False),
        ({"listen": "0.0.0.0:50051", "insecure": "true"}, True),
        ({"listen": "0.0.0.0:50051", "tls_cert_file": "c", "tls_key_file": "k"}, True),
        ({"listen": "0.0.0.0:50051", "tls_cert_file": "c", "tls_key_file": "k", "tls": "off"}, False),
        ({"listen": "[::1]:50051"}, True),
        ({"metrics_listen": "0.0.0.0:9101"}, True),
    ],
)
def test_insecure(flags: dict[str, str], allowed: bool) -> None:
    """Listening off loopback without TLS needs a word of consent."""
    if allowed:
        ServerSettings.load(flags)
    else:
        assert "DIRSYNC_SERVER_INSECURE=true" in problem(**flags)


@pytest.mark.parametrize("flags", [{"tls": "on"}, {"tls_ca_file": "ca"}, {"tls_server_name": "n"}])
def test_tls_without_certificate(flags: dict[str, str]) -> None:
    """A server with any TLS setting does not fall back to plaintext."""
    assert "DIRSYNC_SERVER_TLS_CERT_FILE" in problem(**flags)


def test_token_and_tenants() -> None:
    """One token for the default namespace and a tenants file exclude each other."""
    assert "exclude each other" in problem(token_file="t", tenants_file="f")


def test_state_in_root() -> None:
    """State inside the replica would be mirrored away."""
    assert "set it to a directory outside" in problem(root=".")


def test_effective_is_what_one_would_write() -> None:
    """Every effective setting, given back, makes the same settings."""
    settings = ServerSettings.load(
        {"permissions": "fixed", "file_mode": "0600", "quota_bytes": "5MiB", "listen": "[::1]:1"}
    )
    texts = {name: text for name, text in effective(settings).items() if text is not None}

    assert settings == ServerSettings.load(texts)
    assert "0600" == texts["file_mode"]


def test_namespaces_are_open_from_the_start_unless_told_otherwise() -> None:
    """With an idle time, and on shared storage, each is opened when it is named."""
    given: tuple[dict[str, str], ...] = (
        {},
        {"namespace_idle": "5m"},
        {"storage": "shared"},
        {"storage": "shared", "lease": "3s"},
    )
    opened = [ServerSettings.load(flags).opens_on_demand for flags in given]

    assert [False, True, True, True] == opened


def test_a_lease_is_for_shared_storage() -> None:
    """It would have no effect on storage of one server, so it is refused, as is one that is too short to hold."""
    assert "--lease is for DIRSYNC_SERVER_STORAGE=shared; set that too, or unset this" in problem(lease="3s")
    assert "must be at least" in problem(storage="shared", lease="500ms")
