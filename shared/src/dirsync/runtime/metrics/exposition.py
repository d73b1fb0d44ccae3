"""The metrics as text, in the format 0.0.4 of Prometheus."""

from prometheus_client import CollectorRegistry, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(registry: CollectorRegistry) -> bytes:
    """Every series of a registry."""
    return generate_latest(registry)
