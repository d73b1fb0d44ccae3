"""The check in front of services that libraries bring along, which know nothing of our errors."""

from collections.abc import Callable

import grpc

from dirsync import errors
from dirsync.rpc.service import Admit, Rejected
from dirsync.rpc.status import abort


def admission(admit: Admit, rejected: Rejected, method: str) -> Callable[[grpc.ServicerContext], None]:
    """``admit`` so that it ends the call itself, exactly as a call of one of our own methods ends."""

    def check(context: grpc.ServicerContext) -> None:
        try:
            admit(context)
        except errors.DirsyncError as error:
            rejected(error, method)
            abort(context, error)

    return check
