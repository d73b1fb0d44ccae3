"""Whether a service is traced."""

import io
import json
import subprocess
import sys

import pytest

from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.log import logging
from dirsync.runtime.log.limiter import Limiter
from dirsync.runtime.trace.setup import is_wanted, make_tracer
from dirsync.runtime.trace.tracer import NO_TRACER

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}


@pytest.mark.parametrize(
    "environment, wanted",
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "false"}, True),
    ],
)
def test_wanted(environment: dict[str, str], wanted: bool) -> None:
    """Traces are made where the standard variables name an exporter or an endpoint, and do not switch it off."""
    assert wanted == is_wanted(environment)


def test_nothing_is_imported() -> None:
    """Without these variables a service does not import the library."""
    code = (
        "import sys, dirsync_client.app, dirsync_server.app\n"
        "from dirsync.runtime.trace.setup import make_tracer\n"
        "print(make_tracer('client').is_on, any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, check=True)

    assert b"False False\n" == ended.stdout


@pytest.mark.parametrize(
    "exporter, missing, told",
    [
        ("otlp", "opentelemetry.sdk.resources", "traces need the extra otel: pip install dirsync-client[otel]"),
        ("zipkin", "", "OTEL_TRACES_EXPORTER=zipkin is not known here; write otlp, or none"),
    ],
)
def test_unavailable(monkeypatch: pytest.MonkeyPatch, exporter: str, missing: str, told: str) -> None:
    """Where traces are wanted and cannot be made, the service runs without them, and says why."""
    stream = io.StringIO()
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream, limiter=Limiter())
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", exporter)
    monkeypatch.delitem(sys.modules, "dirsync.runtime.trace.otel", raising=False)
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    tracer = make_tracer("client")
    logging.configure("dirsync")

    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert NO_TRACER is tracer
    assert "trace.unavailable" == line["event"]
    assert told in line["problem"]
