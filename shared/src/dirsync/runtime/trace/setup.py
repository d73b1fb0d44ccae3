"""Decides whether a service is traced, by the variables of OpenTelemetry, and how."""

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.trace.tracer import NO_TRACER, Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
EXTRA = "traces need the extra otel: pip install dirsync-client[otel] or dirsync-server[otel]"


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the variables ask for traces: by an exporter, or by an endpoint for one."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter:
        return exporter != "none"
    return any(environment.get(name) for name in _ENDPOINTS)


def make_tracer(service: str) -> Tracer:
    """The tracer of a service: one that records if that is wanted and possible. Nothing is imported if it is not."""
    if not is_wanted(os.environ):
        return NO_TRACER
    try:
        otel = import_module("dirsync.runtime.trace.otel")
        exporter = _exporter(os.environ)
    except ImportError as error:
        get_logger().warning(Event.TRACE_UNAVAILABLE, problem=f"{EXTRA} ({error})")
        return NO_TRACER
    tracer: Tracer = otel.OtelTracer(service, exporter)
    return tracer


def _exporter(environment: Mapping[str, str]) -> Any:
    """The exporter of OTLP for the protocol that is asked for; that of HTTP is a package of its own.

    Raises:
        ImportError: it is not installed, or there is none here.
    """
    name = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name != "otlp":
        msg = f"OTEL_TRACES_EXPORTER={name} is not known here; write otlp, or none"
        raise ImportError(msg)
    protocol = next((value for variable in _PROTOCOLS if (value := environment.get(variable))), "grpc")
    kind = "http" if protocol.startswith("http") else "grpc"
    return import_module(f"opentelemetry.exporter.otlp.proto.{kind}.trace_exporter").OTLPSpanExporter()
