"""Authentication at the agent: its callers present its token, if it has one."""

from collections.abc import Callable

import grpc

from dirsync.rpc.auth.bearer import Caller, caller_of, matches
from dirsync.rpc.auth.gate import AuthGate, InvalidCredentials
from dirsync.runtime.files.secrets import TokenFile


class AgentAuth:
    """Checks callers against the token as it is now."""

    def __init__(self, token: TokenFile | None) -> None:
        """With ``None`` every caller is accepted."""
        self._token = token
        self._gate = AuthGate()

    def admit(self, context: grpc.ServicerContext) -> None:
        """Let a call in; raises InvalidCredentials without the right token."""
        if self._token is not None:
            self._gate.authenticate(context, self._token.get, _require)

    def recheck(self, context: grpc.ServicerContext) -> Callable[[], None]:
        """Returns a check for a call that lasts; it raises InvalidCredentials once the caller's token is not valid."""
        token = self._token
        if token is None:
            return lambda: None
        caller = caller_of(context)
        return lambda: _require(token.get(), caller)


def _require(known: frozenset[bytes], caller: Caller) -> None:
    if not any(matches(caller.token, known)):
        raise InvalidCredentials
