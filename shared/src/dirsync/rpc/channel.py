"""gRPC options of both ends, kept together because they must fit: keepalive, sizes and times.

Sources: gRPC's ``grpc_types.h`` (option names), gRFC A8 and A9 (keepalive). A server must allow the pings that our
client sends, or it answers GOAWAY "too_many_pings"; ``min_ping_interval_without_data_ms`` allows them.
"""

from typing import Any

from dirsync.limits import LIMITS

Options = list[tuple[str, Any]]

_MILLISECONDS = 1000
_METHOD_OVERHEAD_BYTES = 4096
"""Slack above the message size for what gRPC itself counts."""


def client_options() -> Options:
    """Options of a channel."""
    return [
        *_common(LIMITS.keepalive_seconds),
        ("grpc.enable_retries", 0),
        # The library would obey http_proxy and grpc_proxy of the environment, which are there for other programs.
        ("grpc.enable_http_proxy", 0),
        ("grpc.initial_reconnect_backoff_ms", int(LIMITS.backoff_initial_seconds * _MILLISECONDS)),
        ("grpc.max_reconnect_backoff_ms", int(LIMITS.backoff_max_seconds * _MILLISECONDS)),
    ]


def server_options(max_sessions: int, connection_age: float = 0.0) -> Options:
    """Options of a server for at most ``max_sessions`` writers.

    Connections older than ``connection_age`` seconds are told to end; 0: none is.
    """
    ages = [
        ("grpc.max_connection_age_ms", connection_age),
        ("grpc.max_connection_age_grace_ms", LIMITS.age_grace_seconds),
    ]
    return [
        *((name, int(seconds * _MILLISECONDS)) for name, seconds in ages if connection_age),
        *_common(LIMITS.keepalive_seconds * LIMITS.keepalive_server_stretch),
        # Two servers on one port would each get half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", int(LIMITS.keepalive_seconds * _MILLISECONDS / 4)),
        ("grpc.server_handshake_timeout_ms", int(LIMITS.handshake_seconds * _MILLISECONDS)),
        ("grpc.max_connection_idle_ms", int(LIMITS.connection_idle_seconds * _MILLISECONDS)),
        ("grpc.max_concurrent_streams", LIMITS.max_streams_per_connection),
        ("grpc.server.max_pending_requests", LIMITS.max_waiting_calls),
        ("grpc.server.max_pending_requests_hard_limit", 2 * LIMITS.max_waiting_calls),
        ("grpc.max_allowed_incoming_connections", max_sessions + LIMITS.reserve_connections),
    ]


def _common(keepalive_seconds: float) -> Options:
    ping_timeout = LIMITS.keepalive_timeout_seconds * LIMITS.keepalive_ping_stretch
    return [
        ("grpc.keepalive_time_ms", int(keepalive_seconds * _MILLISECONDS)),
        ("grpc.keepalive_timeout_ms", int(LIMITS.keepalive_timeout_seconds * _MILLISECONDS)),
        # The time above bounds how long TCP may leave sent bytes unacknowledged. This one is for a peer whose kernel,
        # or a proxy before it, still acknowledges; the library's default is a minute, whatever the keepalive is.
        ("grpc.http2.ping_timeout_ms", int(ping_timeout * _MILLISECONDS)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # One HTTP/2 frame for a message instead of sixty.
        ("grpc.http2.max_frame_size", LIMITS.max_message_bytes),
        # The library would widen the window without a bound while a slow disk delays the reader.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", LIMITS.window_bytes),
        ("grpc.max_receive_message_length", LIMITS.max_message_bytes + _METHOD_OVERHEAD_BYTES),
        ("grpc.max_send_message_length", LIMITS.max_message_bytes + _METHOD_OVERHEAD_BYTES),
        ("grpc.max_metadata_size", LIMITS.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", LIMITS.max_metadata_bytes),
    ]
