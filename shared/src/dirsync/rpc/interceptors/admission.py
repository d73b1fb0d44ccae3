"""Checks the caller in front of library services, which do not know our errors."""

from collections.abc import Callable

import grpc

from dirsync import errors
from dirsync.rpc.service import Admit, Rejected
from dirsync.rpc.status import abort


def admission(admit: Admit, rejected: Rejected, method: str) -> Callable[[grpc.ServicerContext], None]:
    """A check that ends the call itself where ``admit`` raises, exactly as one of our own methods ends."""

    def check(context: grpc.ServicerContext) -> None:
        try:
            admit(context)
        except errors.DirsyncError as error:
            rejected(error, method)
            abort(context, error)

    return check
