"""The settings of the client."""

import os
from pathlib import Path

import pytest

from dirsync.errors import UsageError
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.config.settings import LogFormat, LogLevel, Tls, effective
from dirsync.runtime.config.targets import PerTarget
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.merge.policy import Conflicts
from dirsync_client.core import Core
from dirsync_client.settings import ClientSettings, Compression, Delete, Mode, Symlinks, Watch


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
        ClientSettings.load(flags)
    return str(caught.value)


def test_defaults() -> None:
    """Without any setting the contract's defaults hold."""
    settings = ClientSettings.load()

    expected = {
        "listen": Address("127.0.0.1", 50052),
        "metrics_listen": Address("127.0.0.1", 9102),
        "state_dir": Path(".dirsync/client"),
        "log_level": LogLevel.INFO,
        "log_format": LogFormat.AUTO,
        "reflection": True,
        "status_page": True,
        "tls": Tls.AUTO,
        "tls_cert_file": None,
        "tls_key_file": None,
        "tls_ca_file": None,
        "tls_server_name": None,
        "tls_client_ca_file": None,
        "insecure": False,
        "shutdown_grace": 8.0,
        "hook_command": None,
        "hook_webhook": None,
        "hook_success_status": ("2xx",),
        "hook_timeout": 30.0,
        "hook_debounce": 1.0,
        "source": Path("dirsync_from"),
        "namespace": PerTarget("default"),
        "client_id": None,
        "token_file": None,
        "agent_token_file": None,
        "block_size": 4096,
        "compression": Compression.AUTO,
        "mode": Mode.MIRROR,
        "conflicts": Conflicts.KEEP_BOTH,
        "delete": Delete.PROPAGATE,
        "delete_settle": 0.5,
        "watch": Watch.AUTO,
        "settle": 0.05,
        "rescan_interval": 60.0,
        "poll_interval": 2.0,
        "ignore_file": ".dirsyncignore",
        "ignore": (),
        "symlinks": Symlinks.PRESERVE,
        "preserve_mtime": True,
        "guard_max_delete_percent": 50,
        "guard_max_delete_count": 10_000,
        "bandwidth_limit": 0,
    }
    assert expected == settings.model_dump(exclude={"server"})
    assert "127.0.0.1:50051" == str(settings.server)


def test_flag_wins_over_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given on the command line counts, then the environment."""
    monkeypatch.setenv("DIRSYNC_CLIENT_BLOCK_SIZE", "8KiB")
    monkeypatch.setenv("DIRSYNC_CLIENT_SETTLE", "1s")

    settings = ClientSettings.load({"block_size": "16KiB"})

    assert (16384, 1.0) == (settings.block_size, settings.settle)


@pytest.mark.case("L03")
@pytest.mark.parametrize(
    "name, text, allowed",
    [
        ("BLOCK_SIZE", "4kb", "a size is"),
        ("BLOCK_SIZE", "511", "at least 512"),
        ("BLOCK_SIZE", "17MiB", "at most 16MiB"),
        ("BANDWIDTH_LIMIT", "-1", "a size is"),
        ("SETTLE", "5", "a duration is"),
        ("RESCAN_INTERVAL", "10ms", "at least 1s"),
        ("RESCAN_INTERVAL", "1000h", "at most 720h"),
        ("SERVER", "server", "host:port"),
        ("LISTEN", "50052", "host:port"),
        ("METRICS_LISTEN", "x:99999", "host:port"),
        ("TLS", "true", "auto, on, off"),
        ("COMPRESSION", "lz4", "auto, none, gzip, zstd"),
        ("DELETE", "always", "propagate, never"),
        ("WATCH", "inotify", "auto, native, poll, off"),
        ("SYMLINKS", "follow", "preserve, ignore"),
        ("LOG_LEVEL", "INFO", "debug, info, warning, error"),
        ("LOG_FORMAT", "text", "auto, json, console"),
        ("REFLECTION", "maybe", "true or false"),
        ("GUARD_MAX_DELETE_PERCENT", "101", "at most 100"),
        ("GUARD_MAX_DELETE_COUNT", "many", "a whole number"),
        ("NAMESPACE", "a/b", "letters, digits"),
        ("NAMESPACE", "..", "letters, digits"),
        ("CLIENT_ID", "x" * 64, "1 to 63"),
        ("IGNORE_FILE", "a/b", "name of a file"),
        ("SOURCE", "", "set but empty"),
        ("TOKEN_FILE", "", "set but empty"),
        ("TLS_SERVER_NAME", "", "set but empty"),
    ],
)
def test_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str, allowed: str) -> None:
    """A bad value is one line that names the variable and says what is allowed."""
    monkeypatch.setenv(f"DIRSYNC_CLIENT_{name}", text)

    told = problem()

    assert told.startswith(f"DIRSYNC_CLIENT_{name}")
    assert allowed in told
    assert 1 == len(told.splitlines())


def test_every_problem_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several mistakes are several lines, each with the name that the person used."""
    monkeypatch.setenv("DIRSYNC_CLIENT_SORCE", "x")
    monkeypatch.setenv("DIRSYNC_CLIENT_SETTLE", "x")

    lines = problem(block_size="x").splitlines()

    assert ["DIRSYNC_CLIENT_SORCE", "--block-size=x", "DIRSYNC_CLIENT_SETTLE=x"] == [
        line.split(":")[0] for line in lines
    ]


def test_values_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value cannot forge a line or steer a terminal."""
    monkeypatch.setenv("DIRSYNC_CLIENT_NAMESPACE", "a\n\x1b[31m")

    assert problem().startswith("DIRSYNC_CLIENT_NAMESPACE=a\\x0a\\x1b[31m:")


@pytest.mark.case("K09")
def test_secrets_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value of a variable for secrets appears neither in errors nor in the effective settings."""
    monkeypatch.setenv("DIRSYNC_CLIENT_TOKEN", "hunter2")
    assert "hunter2" not in problem()
    monkeypatch.delenv("DIRSYNC_CLIENT_TOKEN")
    monkeypatch.setenv("DIRSYNC_CLIENT_TOKEN_FILE", "hunter2")

    shown = effective(ClientSettings.load())

    assert "(set)" == shown["token_file"]
    assert None is shown["agent_token_file"]
    assert "hunter2" not in str(shown)


def test_effective_is_what_one_would_write() -> None:
    """Every effective setting, given back, makes the same settings."""
    settings = ClientSettings.load({"ignore": "*.o,\n/build", "settle": "1500ms", "source": "a b"})
    texts = {name: text for name, text in effective(settings).items() if text is not None}

    assert settings == ClientSettings.load(texts)
    assert ("*.o", "/build") == settings.ignore


@pytest.mark.case("K10")
@pytest.mark.parametrize(
    "flags, allowed",
    [
        ({"server": "server:50051"}, False),
        ({"server": "server:50051", "token_file": "t"}, False),
        ({"server": "server:50051", "tls": "on"}, True),
        ({"server": "server:50051", "tls_ca_file": "ca"}, True),
        ({"server": "server:50051", "tls_ca_file": "ca", "tls": "off"}, False),
        ({"server": "server:50051", "insecure": "true"}, True),
        ({"server": "localhost:50051"}, True),
        ({"server": "unix:/run/x"}, True),
        ({"listen": "0.0.0.0:50052"}, False),
        ({"listen": "0.0.0.0:50052", "tls_ca_file": "ca"}, False),
        ({"listen": "0.0.0.0:50052", "tls_cert_file": "c", "tls_key_file": "k"}, True),
        ({"listen": "0.0.0.0:50052", "tls_cert_file": "c", "tls_key_file": "k", "tls": "off"}, False),
        ({"listen": "0.0.0.0:50052", "insecure": "true"}, True),
        ({"metrics_listen": "0.0.0.0:9102"}, True),
    ],
)
def test_insecure(flags: dict[str, str], allowed: bool) -> None:
    """Listening or connecting off loopback without TLS needs a word of consent."""
    if allowed:
        ClientSettings.load(flags)
    else:
        assert "DIRSYNC_CLIENT_INSECURE=true" in problem(**flags)


def test_certificate_without_key() -> None:
    """A certificate and its key go together."""
    assert "belong together" in problem(tls_cert_file="c")
    assert "belong together" in problem(tls_key_file="k")


def test_client_authority_without_certificate() -> None:
    """Client certificates can only be required together with an own certificate."""
    assert "--tls-client-ca-file requires" in problem(tls_client_ca_file="ca")


@pytest.mark.case("G08")
@pytest.mark.parametrize("source, state", [(".", ".dirsync/client"), ("a", "a"), ("a", "a/b/c"), ("b/../a", "a/b")])
def test_state_in_source(source: str, state: str) -> None:
    """State inside the source would be mirrored, and is refused."""
    assert "set it to a directory outside" in problem(source=source, state_dir=state)


@pytest.mark.case("G08")
def test_state_in_source_by_a_link(tmp_path: Path) -> None:
    """What a link hides is found before anything is written, but not by commands that need no source."""
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    settings = ClientSettings.load({"source": "link", "state_dir": "a/state"})

    with pytest.raises(UsageError, match="set it to a directory outside"):
        Core(settings, NoMetrics(catalogue=CLIENT_CATALOGUE), once=True)
    assert [] == list((tmp_path / "a").iterdir())


def test_state_beside_source(tmp_path: Path) -> None:
    """The defaults lie beside each other, also with a source that is a prefix in letters only."""
    (tmp_path / "a").mkdir()

    assert Path("ab") == ClientSettings.load({"source": "a", "state_dir": "ab"}).state_dir
