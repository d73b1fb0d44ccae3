"""Converts our errors to gRPC statuses and back.

A status carries ``google.rpc.ErrorInfo{reason, domain: "dirsync"}`` and, where they fit, RetryInfo, QuotaFailure or
PreconditionFailure. On the way back the reason selects the class of the error, or else the status code does. The peer's
text is escaped and cut to a bounded length.
"""

from collections.abc import Iterable
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from dirsync import errors
from dirsync.rpc.handshake import explain
from dirsync.tree.path import escape

DOMAIN = "dirsync"
_DETAILS_KEY = "grpc-status-details-bin"
_MAX_TEXT = 500
RETRY_SECONDS = 1
"""How long a client should wait before it tries again."""

_BY_REASON: dict[str, type[errors.DirsyncError]] = {
    cls.default_reason: cls
    for cls in (
        errors.RootsOverlap,
        errors.OptionsDiffer,
        errors.SessionUnknown,
        errors.SessionBusy,
        errors.SessionSuperseded,
        errors.OutOfTurn,
        errors.Unauthenticated,
        errors.PermissionDenied,
        errors.NotFound,
        errors.Unavailable,
    )
}
_BY_CODE: dict[grpc.StatusCode, type[errors.DirsyncError]] = {
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Unavailable,
    grpc.StatusCode.CANCELLED: errors.Unavailable,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ABORTED: errors.SessionError,
    grpc.StatusCode.FAILED_PRECONDITION: errors.SessionError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.StorageError,
}


def to_status(error: errors.DirsyncError) -> status_pb2.Status:
    """The error as a status with details."""
    details: list[any_pb2.Any] = []
    text = _bounded(str(error))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    _pack(details, info)
    if isinstance(error, errors.Unavailable):
        _pack(details, error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=RETRY_SECONDS)))
    elif isinstance(error, (errors.LimitExceeded, errors.StorageError)):
        violation = error_details_pb2.QuotaFailure.Violation(subject=error.reason, description=text)
        _pack(details, error_details_pb2.QuotaFailure(violations=[violation]))
    elif isinstance(error, errors.SessionError):
        broken = error_details_pb2.PreconditionFailure.Violation(type=error.reason, description=text)
        _pack(details, error_details_pb2.PreconditionFailure(violations=[broken]))
    return status_pb2.Status(code=code_pb2.Code.Value(error.status), message=text, details=details)


def _bounded(text: str) -> str:
    """The text cut to what fits into a header: paths may be longer. Both of its ends are kept."""
    half = _MAX_TEXT // 2
    return text if len(text) <= _MAX_TEXT else f"{text[:half]}...{text[-half:]}"


def _pack(details: list[any_pb2.Any], message: "error_details_pb2.ErrorInfo | object") -> None:
    packed = any_pb2.Any()
    packed.Pack(message)  # type: ignore[arg-type]
    details.append(packed)


def abort(context: grpc.ServicerContext, error: errors.DirsyncError) -> NoReturn:
    """End the call with the error's status; does not return."""
    status = to_status(error)
    context.set_trailing_metadata(((_DETAILS_KEY, status.SerializeToString()),))
    context.abort(getattr(grpc.StatusCode, error.status), status.message)


def from_rpc_error(error: grpc.RpcError) -> errors.DirsyncError:
    """The error of a call that failed, as one of ours."""
    # What a call raises is the call as well; the two types have no common subtype that a checker knows.
    call: Any = error
    code: grpc.StatusCode = call.code()
    text = escape((call.details() or "").encode()[:_MAX_TEXT])
    reason = _reason(call.trailing_metadata() or ())
    cls = _BY_REASON.get(reason) or _BY_CODE.get(code)
    message = explain(text) or f"the call ended with {code.name}"
    if cls is None:
        return errors.RemoteError(f"{code.name}: {message}", reason=reason or code.name)
    return cls(message, reason=reason or None)


def _reason(trailers: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in trailers:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                status = status_pb2.Status.FromString(value)
            except ValueError:
                return ""
            for detail in status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info) and info.domain == DOMAIN:
                    return escape(info.reason.encode())[:_MAX_TEXT]
    return ""
