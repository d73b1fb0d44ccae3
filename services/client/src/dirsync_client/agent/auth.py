"""Authentication at the agent: its callers present its token, if it has one."""

from collections.abc import Callable

import grpc

from dirsync.rpc.auth.bearer import Caller, caller_of, matches
from dirsync.rpc.auth.gate import Door, Refused
from dirsync.runtime.files.secrets import TokenFile


class AgentAuth:
    """Checks callers against the token as it is now."""

    def __init__(self, token: TokenFile | None) -> None:
        """With ``None`` every caller is accepted."""
        self._token = token
        self._door = Door()

    def admit(self, context: grpc.ServicerContext) -> None:
        """Let a call in; raises Refused without the right token."""
        if self._token is not None:
            self._door.enter(context, self._require)

    def recheck(self, context: grpc.ServicerContext) -> Callable[[], None]:
        """Returns a check for a call that lasts; it raises Refused once the caller's token is not valid any more."""
        caller = caller_of(context)
        return lambda: self._require(caller)

    def _require(self, caller: Caller) -> None:
        if self._token is not None and not any(matches(caller.token, self._token.get())):
            raise Refused
