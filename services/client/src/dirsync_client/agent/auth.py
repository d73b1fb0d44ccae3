"""Who may call the agent: whoever shows its token, where it has one."""

from collections.abc import Callable

import grpc

from dirsync.rpc.auth.bearer import Caller, caller_of, matches
from dirsync.rpc.auth.gate import Door, Refused
from dirsync.runtime.files.secrets import TokenFile


class AgentDoor:
    """Judges callers by the token as it is now."""

    def __init__(self, token: TokenFile | None) -> None:
        """With ``None`` everybody may call."""
        self._token = token
        self._door = Door()

    def admit(self, context: grpc.ServicerContext) -> None:
        """Raise Refused unless the caller may call."""
        if self._token is not None:
            self._door.enter(context, self._require)

    def keep(self, context: grpc.ServicerContext) -> Callable[[], None]:
        """For a call that goes on: a check, raising Refused, that the caller's token is still the one."""
        caller = caller_of(context)
        return lambda: self._require(caller)

    def _require(self, caller: Caller) -> None:
        if self._token is not None and not any(matches(caller.token, self._token.get())):
            raise Refused
