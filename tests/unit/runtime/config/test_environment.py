"""Variables that look like ours and are not."""

import pytest

from dirsync.runtime.config.environment import unknown_variables

KNOWN = ["DIRSYNC_CLIENT_SOURCE", "DIRSYNC_CLIENT_BLOCK_SIZE", "DIRSYNC_CLIENT_TOKEN_FILE"]
PREFIX = "DIRSYNC_CLIENT_"


@pytest.mark.parametrize(
    "name, nearest",
    [
        ("DIRSYNC_CLIENT_SORCE", "DIRSYNC_CLIENT_SOURCE"),
        ("DIRSYNC_SOURCE", "DIRSYNC_CLIENT_SOURCE"),
        ("DIRSYNC_HOOK_SOURCE", "DIRSYNC_CLIENT_SOURCE"),
        ("DIRSYNC_CLIENT_TOKEN", "DIRSYNC_CLIENT_TOKEN_FILE"),
        ("dirsync_client_source", "DIRSYNC_CLIENT_SOURCE"),
        ("DIRSYNC_CLIENT_BLOCKSIZE", "DIRSYNC_CLIENT_BLOCK_SIZE"),
    ],
)
def test_unknown_names_the_nearest(name: str, nearest: str) -> None:
    """An unknown variable is reported with the known one that was probably meant."""
    lines = list(unknown_variables([name], KNOWN, PREFIX))

    assert [f"{name}: no such setting; did you mean {nearest}?"] == lines


def test_unknown_like_nothing() -> None:
    """A variable that resembles nothing known is to be unset."""
    lines = list(unknown_variables(["DIRSYNC_ZZZZZZZZZZZZZZZZZZZZ"], KNOWN, PREFIX))

    assert ["DIRSYNC_ZZZZZZZZZZZZZZZZZZZZ: no such setting; unset it"] == lines


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "DIRSYNCER",
        "DIRSYNC_CLIENT_SOURCE",
        "DIRSYNC_SERVER_ANYTHING",
        "DIRSYNC_SERVICE_HOST",
        "DIRSYNC_SERVICE_PORT",
        "DIRSYNC_SERVICE_PORT_GRPC",
        "DIRSYNC_PORT",
        "DIRSYNC_CLIENT_PORT",
        "DIRSYNC_CLIENT_SERVICE_HOST",
        "DIRSYNC_PORT_50051_TCP",
        "DIRSYNC_PORT_50051_TCP_ADDR",
        "DIRSYNC_CLIENT_PORT_50051_TCP_PROTO",
        "DIRSYNC_HOOK_SERVICE",
        "DIRSYNC_HOOK_NAMESPACE",
        "DIRSYNC_HOOK_ROOT",
        "DIRSYNC_HOOK_ROOT_DIGEST",
    ],
)
def test_passes(name: str) -> None:
    """Known variables, the other service's, other programs' and Kubernetes' service links are no errors."""
    assert [] == list(unknown_variables([name], KNOWN, PREFIX))


def test_control_characters() -> None:
    """A name cannot forge a line."""
    lines = list(unknown_variables(["DIRSYNC_A\nB"], KNOWN, PREFIX))

    assert ["DIRSYNC_A\\x0aB: no such setting; unset it"] == lines
