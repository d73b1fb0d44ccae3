"""Names the caller of a call for the limit on concurrent calls, from what the call shows before anything is checked.

A token or certificate that is not valid has a quota too, until it is refused. Callers without either share one quota
for each network: without credentials there is nothing else that a host could not choose freely.
"""

import grpc

from dirsync.rpc.auth.bearer import caller_of


def caller_key(context: grpc.ServicerContext) -> str:
    """A key for the caller; the same for all calls that show the same credentials."""
    caller = caller_of(context)
    if caller.token is not None:
        return caller.token.hex()
    return ",".join(sorted(caller.names)) or caller.network
