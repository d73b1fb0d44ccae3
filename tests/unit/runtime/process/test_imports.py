"""What a short run loads."""

import subprocess
import sys

import pytest

HEAVY = [
    *("numpy", "rich", "prometheus_client", "grpc_reflection", "http.server", "watchdog", "re2", "zstandard"),
    *("asyncio", "grpc.aio", "importlib.metadata", "dotenv.main", "google.protobuf.text_format", "difflib"),
]
WITHOUT_GRPC = [*HEAVY, "grpc", "structlog"]
TWO_WAY = ["dirsync_client.receive.reception", "dirsync_client.reconcile.two_way.two_way", "dirsync.fs.write"]


@pytest.mark.parametrize(
    "modules, heavy",
    [
        (
            (
                "dirsync.runtime.process.cli, dirsync.runtime.log.logging, dirsync.runtime.metrics.metrics, "
                "dirsync_client.settings"
            ),
            HEAVY,
        ),
        ("dirsync.runtime.process.cli, dirsync.runtime.http.health, dirsync_client.settings", WITHOUT_GRPC),
        ("dirsync.runtime.process.cli, dirsync.runtime.http.health, dirsync_server.settings", WITHOUT_GRPC),
        ("dirsync_client.__main__, dirsync.rpc, dirsync_client.commands.once", [*HEAVY, *TWO_WAY, "ssl"]),
        ("dirsync_server.app", ["watchdog"]),
    ],
)
def test_start_is_light(modules: str, heavy: list[str]) -> None:
    """What every command needs loads none of the libraries that only some need."""
    code = f"import sys, {modules}; print(*[name for name in {heavy!r} if name in sys.modules])"

    assert b"\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout


def test_deferred_until_used() -> None:
    """What stands for a module imports it at its first use, is itself gone by then, and calls its functions."""
    code = (
        "import sys; from dirsync.runtime.process.imports import deferred\n"
        "with deferred('colorsys', 'xml', 'fractions', functions=('gcd',)):\n"
        "    import colorsys, fractions\n"
        "    from math import gcd\n"
        "    from xml import gcd as none\n"
        "print(*(name in sys.modules for name in ('colorsys', 'xml', 'fractions')))\n"
        "print(colorsys.rgb_to_hsv(0, 0, 0), fractions.Fraction(1, 2), 'colorsys' in sys.modules, gcd(4, 6))\n"
        "import colorsys as real; print(real is sys.modules['colorsys'], real.rgb_to_hsv is colorsys.rgb_to_hsv)\n"
        "try: none()\n"
        "except AttributeError as error: print(error)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert [
        "False False False",
        "(0.0, 0.0, 0) 1/2 True 2",
        "True True",
        "module 'xml' has no attribute 'gcd'",
    ] == printed.splitlines()


def test_asyncio_still_works() -> None:
    """What we load without asyncio can be used with it."""
    code = (
        "import dirsync.rpc, grpc, grpc.aio, asyncio; asyncio.run(asyncio.sleep(0)); print(grpc.aio.Channel.__name__)"
    )

    assert b"Channel\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout


def test_hidden_modules_come_back() -> None:
    """What is hidden from structlog can be imported by us afterwards."""
    code = "import dirsync.runtime.log.logging, rich.progress; print(rich.progress.Progress.__name__)"

    assert b"Progress\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
