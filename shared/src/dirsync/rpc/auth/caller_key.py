"""Whose share of a server's threads a call takes: what the caller shows of himself before anything is judged.

A token or certificate that is not valid has a share too, for the moment until it is refused. Who shows neither shares
with everybody on his network: without credentials there is nothing else that one host could not choose freely.
"""

import grpc

from dirsync.rpc.auth.bearer import caller_of


def holder_of(context: grpc.ServicerContext) -> str:
    """A name for the caller; the same for all calls that show the same."""
    caller = caller_of(context)
    if caller.token is not None:
        return caller.token.hex()
    return ",".join(sorted(caller.names)) or caller.network
