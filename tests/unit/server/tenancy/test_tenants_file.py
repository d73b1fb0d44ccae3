"""The tenants file: what it may say, what it says when it is wrong, and what a running server takes over of it."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.quota import Quota
from dirsync.errors import UsageError
from dirsync.fs.write.durable import Fsync
from dirsync.fs.write.modes import ModePolicy
from dirsync.rpc.auth.bearer import Caller
from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.files.secrets import TokenFile, digest_of
from dirsync.runtime.log import logging
from dirsync_server.settings import ServerSettings
from dirsync_server.tenancy.from_settings import registry_of
from dirsync_server.tenancy.policies import Defaults
from dirsync_server.tenancy.registry import TenantRegistry
from dirsync_server.tenancy.tenants import Decision, Tenant, read_tenants

DEFAULTS = Defaults(Quota(1000, 2000, 30, 4), Fsync.BATCH, fixed=False, file_mode=0o600, dir_mode=0o700)
RED, BLUE = (hashlib.sha256(word).hexdigest() for word in (b"red", b"blue"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A tenants file; roots lie beside it."""
    return tmp_path / "tenants.toml"


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, str]]]]:
    """The events of a test so far."""
    stream = io.StringIO()
    logging.configure("server", LogLevel.DEBUG, LogFormat.JSON, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.configure("dirsync")


def table(file: Path, name: str, *lines: str, root: str | None = None, token: str | None = RED) -> str:
    """A namespace as the file has it."""
    tokens = [] if token is None else [f'tokens_sha256 = ["{token}"]']
    return "\n".join([f"[namespaces.{name}]", f'root = "{file.parent / (root or name)}"', *tokens, *lines, ""])


def write(file: Path, *tables: str) -> None:
    """Swap the file as an orchestrator does."""
    fresh = file.with_name("fresh")
    fresh.write_text("\n".join(tables))
    fresh.rename(file)


def read(file: Path, *, certificates: bool = True) -> dict[str, Tenant]:
    """What the file says."""
    return read_tenants(file, DEFAULTS, certificates=certificates)


def caller(token: str | None = None, *names: str) -> Caller:
    """Somebody who shows these."""
    return Caller("ipv4:192.0.2.1:1", "192.0.2.1", None if token is None else digest_of(token), frozenset(names))


def test_policy(file: Path) -> None:
    """What a namespace says of how it is kept counts for it alone; what it leaves out is as in the settings."""
    own = (
        'quota_bytes = "4KiB"',
        "quota_entries = 7",
        'permissions = "fixed"',
        'file_mode = "0640"',
        'fsync = "always"',
    )
    write(file, table(file, "own", *own), table(file, "plain"))
    found = read(file)

    assert (Quota(1000, 4096, 7, 4), Fsync.ALWAYS, ModePolicy.fixed(0o640, 0o700)) == found["own"].policy[:3]
    assert DEFAULTS.policy == found["plain"].policy
    assert (DEFAULTS.quota, Fsync.BATCH, ModePolicy.preserve()) == found["plain"].policy[:3]


@pytest.mark.parametrize(
    "line, said",
    [
        ('quota_bytes = "1TiB"', "quota_bytes: a size is"),
        ("quota_bytes = 0", "quota_bytes: must be at least 1"),
        ("quota_entries = 1.5", "quota_entries: a size is"),
        ('permissions = "none"', "permissions: is preserve or fixed"),
        ('permissions = "fixed"\nfile_mode = 640', "file_mode: a mode is three octal digits"),
        ('permissions = "fixed"\nfile_mode = "4755"', "file_mode: a mode is three octal digits"),
        ('file_mode = "0640"', 'are for permissions = "fixed"'),
        ('fsync = "sometimes"', "fsync: is always, batch, never"),
        ("fsync = 1", "fsync: is always, batch, never"),
        ("client_names = []", "client_names is a list of names"),
        ('client_name = "x"', "unknown key 'client_name'"),
        ("tokens_sha256 = []", "Cannot overwrite a value"),
        ("= =", "Invalid"),
    ],
)
def test_wrong_lines(file: Path, line: str, said: str) -> None:
    """A wrong line is refused with the file, the namespace, the key and what is allowed."""
    write(file, table(file, "own", line))
    with pytest.raises(UsageError) as refused:
        read(file)

    assert str(refused.value).startswith(f"DIRSYNC_SERVER_TENANTS_FILE={file}: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "must have tables"),
        ("[other]\n", "must have tables"),
        ('[namespaces.x]\ntokens_sha256 = ["00"]\n', "needs root"),
        ('[namespaces."a/b"]\nroot = "r"\n', "a namespace has 1 to 63"),
        ('[namespaces.x]\nroot = "r"\n', "needs tokens_sha256"),
        ('[namespaces.x]\nroot = "a\\u0000b"\n', "root holds a NUL"),
        ('[namespaces.x]\nroot = "r"\ntokens_sha256 = ["s3cret-token"]\n', "64 hexadecimal digits"),
    ],
)
def test_wrong_files(file: Path, text: str, said: str) -> None:
    """So is a file that is wrong as a whole; what may be a token is never repeated."""
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        read(file)

    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_roots_must_not_overlap(file: Path) -> None:
    """A namespace never lies in another one."""
    write(file, table(file, "outer", root="a"), table(file, "inner", root="a/b"))
    with pytest.raises(UsageError, match="overlap"):
        read(file)


@pytest.mark.parametrize("state, refused", [("own", True), ("own/state", True), ("state", False)])
def test_state_within_a_root(file: Path, state: str, refused: bool) -> None:
    """State inside a namespace's root would be mirrored away, as it would be inside ``ROOT``."""
    write(file, table(file, "own"))
    settings = ServerSettings.load({"tenants_file": str(file), "state_dir": str(file.parent / state)})
    if not refused:
        assert {"own"} == set(registry_of(settings).current())
        return
    with pytest.raises(UsageError) as said:
        registry_of(settings)

    assert (
        f"DIRSYNC_SERVER_STATE_DIR={file.parent / state} lies in DIRSYNC_SERVER_TENANTS_FILE: [namespaces.own] root "
        f"{file.parent / 'own'}, where it would be mirrored away; set it to a directory outside"
    ) == str(said.value)


def test_root_that_is_a_loop(file: Path) -> None:
    """A link that leads to itself is left to the opening of the replica, which names it; no other root overlaps it."""
    file.with_name("loop").symlink_to("loop")
    write(file, table(file, "loop"), table(file, "plain"))

    assert {"loop", "plain"} == set(read(file))


@pytest.mark.case("K03")
def test_names_need_certificates(file: Path) -> None:
    """Names of clients are refused where no client is asked for a certificate: nobody could enter, or everybody."""
    write(file, table(file, "own", 'client_names = ["a"]', token=None))
    with pytest.raises(UsageError, match="DIRSYNC_SERVER_TLS_CLIENT_CA_FILE"):
        read(file, certificates=False)

    assert {"own"} == set(read(file))


@pytest.mark.case("K03", "K04")
def test_decisions(file: Path) -> None:
    """The token and a name let in; the token alone is told of the certificate; to all others it is as if not there."""
    both = table(file, "both", 'client_names = ["a", "b"]')
    write(file, both, table(file, "named", 'client_names = ["a"]', token=None), table(file, "plain"))
    found = read(file)

    def decisions(who: Caller) -> list[Decision]:
        return [found[name].decide(who, 0) for name in ("both", "named", "plain")]

    allow, wrong, unknown = Decision.ALLOW, Decision.WRONG_CERTIFICATE, Decision.UNKNOWN

    assert [allow, allow, allow] == decisions(caller("red", "x", "a"))
    assert [allow, unknown, allow] == decisions(caller("red", "b"))
    assert [wrong, unknown, allow] == decisions(caller("red", "x"))
    assert [wrong, unknown, allow] == decisions(caller("red"))
    assert [unknown, allow, unknown] == decisions(caller("blue", "a"))
    assert [unknown, unknown, unknown] == decisions(caller())


@pytest.mark.case("K07")
def test_followed(file: Path, log: Callable[[], list[dict[str, str]]]) -> None:
    """Tokens and quotas of a namespace are taken over at once; its root and policy, and new namespaces, are not."""
    write(file, table(file, "red"), table(file, "blue", token=BLUE))
    registry = TenantRegistry.following(file, lambda: read(file))
    started = dict(registry.current())
    write(
        file,
        table(file, "red", 'quota_bytes = "1KiB"', 'fsync = "never"', token=BLUE),
        table(file, "blue", root="elsewhere", token=BLUE),
        table(file, "green"),
    )
    now = registry.current()

    assert {"red", "blue"} == set(now)
    assert started["red"].policy._replace(quota=DEFAULTS.quota._replace(max_bytes=1024)) == now["red"].policy
    assert started["blue"] == now["blue"]
    assert (Decision.UNKNOWN, Decision.ALLOW) == tuple(now["red"].decide(caller(word), 0) for word in ("red", "blue"))
    restart = [event["problem"] for event in log() if event.get("kind") == "restart"]

    assert ["is new, or has another root or policy, and needs a restart: blue, green, red"] == restart


@pytest.mark.case("K07", "K12")
def test_namespaces_that_go(file: Path, log: Callable[[], list[dict[str, str]]]) -> None:
    """A namespace that is gone from the file is gone, a bad file changes nothing, without a file there is none."""
    both = table(file, "red"), table(file, "blue", token=BLUE)
    write(file, *both)
    registry = TenantRegistry.following(file, lambda: read(file))
    write(file, both[0])
    without_blue = set(registry.current())
    write(file, "garbage")
    kept = set(registry.current())
    file.unlink()
    gone = [set(registry.current()) for _ in range(3)]
    write(file, *both)
    back = set(registry.current())

    assert ({"red"}, {"red"}, {"red", "blue"}) == (without_blue, kept, back)
    assert [set()] * 3 == gone
    assert ["config.reloaded", "config.rejected", "config.rejected", "config.reloaded"] == [
        event["event"] for event in log()
    ]


@pytest.mark.case("K12")
def test_one_token(tmp_path: Path, log: Callable[[], list[dict[str, str]]]) -> None:
    """The default namespace with TOKEN_FILE lets nobody in while the file is gone; without the setting, everybody."""
    path = tmp_path / "token"
    path.write_text("red\n")
    open_to_all = TenantRegistry.single(tmp_path / "root", DEFAULTS.policy, None)
    registry = TenantRegistry.single(tmp_path / "root", DEFAULTS.policy, TokenFile(path, "DIRSYNC_SERVER_TOKEN_FILE"))
    before = registry.current()["default"].decide(caller("red"), 0)
    path.unlink()
    after = {registry.current()["default"].decide(caller(word), 0) for word in ("red", None)}

    assert Decision.ALLOW is before
    assert {Decision.UNKNOWN} == after
    assert Decision.ALLOW is open_to_all.current()["default"].decide(caller(), 0)


@pytest.mark.parametrize("root", ["~/photos", "${DATA}/photos", "$(DATA)", " photos", "photos ", "file:///photos"])
def test_unexpanded_root(file: Path, root: str) -> None:
    """A root that a shell would have expanded is refused, as in the settings; no directory of that name is made."""
    write(file, f'[namespaces.a]\nroot = "{root}"\ntokens_sha256 = ["{RED}"]')

    with pytest.raises(UsageError, match=r"\[namespaces.a\]: root (starts|holds|is a URL)"):
        read(file)


def test_byte_order_mark(file: Path) -> None:
    """A file as some editors save it is read."""
    file.write_bytes(b"\xef\xbb\xbf" + table(file, "a").encode())

    assert ["a"] == list(read(file))
