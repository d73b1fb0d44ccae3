"""Every setting of both services, with values that are wrong in the ways that people get them wrong."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from dirsync.errors import UsageError
from dirsync.runtime.config.fields import flag_name, kind_of, show, variable_name
from dirsync.runtime.config.settings import ServiceSettings
from dirsync_client.settings import ClientSettings
from dirsync_server.settings import ServerSettings

SERVICES: tuple[type[ServiceSettings], ...] = (ClientSettings, ServerSettings)

EMPTY = ("", " ", "\n", "\t\r\n")
QUOTED = ('"value"', "'value'")
PATHS = (
    "~",
    "~/x",
    "~user/x",
    "$HOME/x",
    "${HOME}/x",
    "/x/${HOME}",
    "$(HOME)/x",
    "%USERPROFILE%/x",
    "file:///x",
    " /x",
    "/x ",
)
ADDRESSES = (
    "50051",
    "server",
    ":50051",
    "*:50051",
    "server:",
    "server:grpc",
    "server:65536",
    "server:-1",
    "server:5e3",
    "::1:50051",
    "[::1]",
    "256.0.0.1:50051",
    "127.0.1:50051",
    "a b:50051",
    "http://server:50051",
    "https://server:50051/",
    "grpc://server:50051",
    "tcp://server:50051",
    "server:50051/",
    "server:50051/path",
    "user@server:50051",
    "server:50051,other:50051",
)
WRONG: dict[str, tuple[str, ...]] = {
    "SIZE": (
        "4k",
        "4KB",
        "4 KiB",
        "-1",
        "+1",
        "1.5MiB",
        "1e3",
        "0x10",
        "nan",
        "inf",
        "4TiB",
        "\u0664",
        "2147483648GiB",
    ),
    "DURATION": ("5", "-5s", "+5s", "1.5s", "nan", "inf", "1d", "1h30m", "5 s", "5S", "infs", "9999999h"),
    "MODE": ("4755", "64", "8", "rwx", "0o644", "-1", "0x1ff"),
    "NUMBER": ("-1", "+5", "1.5", "5.0", "1_000", "1,000", "1e3", "nan", "many", "5%", "9" * 30),
    "HOST:PORT": ADDRESSES,
    "TARGETS": (
        *ADDRESSES,
        *("server:0", "dns:///server", "dns:server", "ipv4:server:1", "ipv6:127.0.0.1:1", "unix:/x/"),
        *("a:1,", ",a:1", "a:1,,b:1", "a:1,a:1", "x=a:1,x=b:1", "x=", "=a:1", "x y=a:1", "x=a", "a:1;b:1"),
    ),
    "NAME": ("a/b", "/", "a\nb/", "~/x"),
    "DIRECTORY": PATHS,
    "FILE": (*PATHS, "/x/"),
    "RULES": ("[", "a,[z", "!", "a,/", "./build/", "a,../b", "a//b", "'a,b'", '"a"', "x" * 1025, "\n".join("x" * 1001)),
    "true|false": ("maybe", "2", "wahr", "true false"),
    "WORDS": ("'open", '"', "''", "a \\"),
    "URL": (
        "host",
        "host:80/x",
        "ftp://host/x",
        "http://",
        "http:///x",
        "http://host:0/",
        "http://host:99999/",
        "http://user:password@host/",
        "http://host/#there",
        "http://host/a b",
        "http://host/\u00e4",
    ),
    "STATUSES": ("0", "99", "600", "20", "2x", "2XX", "200;204", "200,", ",", "ok"),
}
"""Wrong values for each placeholder of the help; an enumeration has its own."""
RIGHT: dict[str, str] = {
    "SIZE": "16KiB",
    "DURATION": "5s",
    "MODE": "0700",
    "NUMBER": "10",
    "HOST:PORT": "127.0.0.1:4000",
    "TARGETS": "north=dns:///localhost:4000,localhost:4001",
    "NAME": "name",
    "DIRECTORY": "somewhere",
    "FILE": "some.file",
    "RULES": "*.o,/build",
    "true|false": "true",
    "WORDS": "'a b' -c",
    "URL": "https://localhost:8080/hook?x=y",
    "STATUSES": "200,3xx",
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test starts in an empty directory without any of our variables."""
    for name in os.environ:
        if name.startswith("DIRSYNC_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def wrong_values(field: FieldInfo) -> Iterator[str]:
    """What is wrong for a field of this kind."""
    kind = kind_of(field)
    if not kind.may_be_empty:
        yield from EMPTY
    if kind.placeholder in WRONG:
        yield from WRONG[kind.placeholder]
    else:
        yield from ("bogus", kind.placeholder, kind.placeholder.upper())
    if kind.placeholder not in ("RULES", "WORDS"):
        yield from QUOTED


def refused(service: type[ServiceSettings], flags: dict[str, str] | None = None) -> str:
    """The message about these settings; empty if they are taken."""
    try:
        service.load(flags)
    except UsageError as error:
        return str(error)
    return ""


NOT_AT_A_SERVER = ("tls_ca_file", "tls_server_name")
CASES = [(service, name) for service in SERVICES for name in service.model_fields]
TAKEN = [case for case in CASES if case[0] is ClientSettings or case[1] not in NOT_AT_A_SERVER]
NAMED = pytest.mark.parametrize("service, name", CASES, ids=[variable_name(s.service, name) for s, name in CASES])


@pytest.mark.case("L03")
@NAMED
def test_wrong(monkeypatch: pytest.MonkeyPatch, service: type[ServiceSettings], name: str) -> None:
    """Each wrong value is refused in one line that starts with the variable, or the flag, that has it."""
    field, variable, flag = service.model_fields[name], variable_name(service.service, name), flag_name(name)
    missed = []
    for value in wrong_values(field):
        by_flag = refused(service, {name: value})
        monkeypatch.setenv(variable, value)
        by_variable = refused(service)
        monkeypatch.delenv(variable)
        told = {flag: by_flag, variable: by_variable}
        missed += [(value, who, line) for who, line in told.items() if not line.startswith(who) or "\n" in line]

    assert [] == missed


@pytest.mark.case("K09")
@NAMED
def test_no_secret_is_repeated(service: type[ServiceSettings], name: str) -> None:
    """Where a secret is put instead of the path of its file, no message shows it."""
    kind = kind_of(service.model_fields[name])
    values = [f"{before}hunter2{after}" for before, after in (("~", ""), ("", " "), ("'", "'"), ("", "/"), ("${", "}"))]

    shown = [value for value in values if kind.secret and "hunter2" in refused(service, {name: value})]

    assert [] == shown


@pytest.mark.parametrize("service, name", TAKEN)
def test_white_space_around(service: type[ServiceSettings], name: str) -> None:
    """A right value with the line ends and blanks that files leave around it is the value."""
    field = service.model_fields[name]
    kind = kind_of(field)
    right = RIGHT.get(kind.placeholder, kind.placeholder.partition("|")[0])
    others = {"permissions": "fixed"} if name.endswith("_mode") else {}
    others |= {"tls_cert_file": "c", "tls_key_file": "k"} if name.startswith("tls") else {}
    others |= {"hook_webhook": "http://localhost/"} if name.startswith("hook") else {}
    others |= {"storage": "shared"} if name == "lease" else {}
    around = [f"{right}\n", f"\r\n{right}\r\n"] + ([] if kind.is_path else [f" {right}\t", f"\n {right} \n"])

    plain = service.load(others | {name: right})
    found = {text: service.load(others | {name: text}) for text in around}

    assert dict.fromkeys(around, show(field, getattr(plain, name))) == {
        text: show(field, getattr(settings, name)) for text, settings in found.items()
    }


@pytest.mark.parametrize(
    "text, rules",
    [
        (".env, node_modules/", (".env", "node_modules/")),
        ("\n  .env\r\n  node_modules/\r\n", (".env", "node_modules/")),
        (" a b , c ,", ("a b", "c")),
        ("# secrets\n.env\n\n", (".env",)),
        ("a\\ ,b", ("a\\ ", "b")),
        ("a\\\\ ,b", ("a\\\\", "b")),
        ("!keep,\\#x", ("!keep", "\\#x")),
        ("", ()),
        (" \n", ()),
    ],
)
def test_rules(text: str, rules: tuple[str, ...]) -> None:
    """Items of a list are what stands between its commas and line ends, without the white space around."""
    assert rules == ClientSettings.load({"ignore": text}).ignore


@pytest.mark.parametrize("name, value", [("file_mode", "0600"), ("dir_mode", "0700")])
def test_modes_without_fixed(name: str, value: str) -> None:
    """A mode that PERMISSIONS=preserve would not use is refused."""
    assert f"{flag_name(name)} is for DIRSYNC_SERVER_PERMISSIONS=fixed; set that too, or unset this" == refused(
        ServerSettings, {name: value}
    )
    assert "" == refused(ServerSettings, {name: value, "permissions": "fixed"})


@pytest.mark.parametrize(
    "name, value, needed, void, used",
    [
        ("conflicts", "newest", "DIRSYNC_CLIENT_MODE=two-way", {}, {"mode": "two-way"}),
        ("delete_settle", "5s", "--delete=propagate", {"delete": "never"}, {}),
        ("poll_interval", "5s", "--watch=auto or poll", {"watch": "off"}, {"watch": "native"}),
    ],
)
def test_settings_of_another_mode(
    name: str, value: str, needed: str, void: dict[str, str], used: dict[str, str]
) -> None:
    """A setting that another one makes void is refused, with the value that would use it."""
    assert f"{flag_name(name)} is for {needed}; set that too, or unset this" == refused(
        ClientSettings, {name: value, **void}
    )
    assert "" == refused(ClientSettings, {name: value, **used})


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "name, value, needs",
    [
        ("hook_success_status", "204", "{0}_WEBHOOK; set that too"),
        ("hook_timeout", "5s", "{0}_COMMAND and {0}_WEBHOOK; set one of them"),
        ("hook_debounce", "5s", "{0}_COMMAND and {0}_WEBHOOK; set one of them"),
    ],
)
def test_settings_without_a_hook(service: type[ServiceSettings], name: str, value: str, needs: str) -> None:
    """A setting of hooks is refused where there is none."""
    hook = variable_name(service.service, "hook")

    assert f"{flag_name(name)} is for {needs.format(hook)}, or unset this" == refused(service, {name: value})
    assert "" == refused(service, {name: value, "hook_webhook": "http://localhost/"})


@pytest.mark.parametrize("name", NOT_AT_A_SERVER)
def test_trust_at_the_server(name: str) -> None:
    """A server that is told whom to trust when it connects was probably meant to ask for client certificates."""
    told = refused(ServerSettings, {"tls_cert_file": "c", "tls_key_file": "k", name: "x"})

    assert told.startswith(f"{flag_name(name)}: a server connects to nobody; ")
    assert told.endswith("set DIRSYNC_SERVER_TLS_CLIENT_CA_FILE")


@pytest.mark.parametrize("service", SERVICES)
def test_client_certificates_without_tls(service: type[ServiceSettings]) -> None:
    """Client certificates are not asked for without TLS, so both together are refused."""
    flags = {"tls_cert_file": "c", "tls_key_file": "k", "tls_client_ca_file": "ca", "tls": "off"}

    assert "--tls-client-ca-file requires client certificates, but --tls=off; unset one" == refused(service, flags)
