"""Finds environment variables that are named like ours but are no settings: most likely typing errors.

Variables under the other service's prefix are ignored, because one environment file may serve both. So are the *service
links* that Kubernetes sets for a Service called ``dirsync-...`` in all pods of its namespace; no setting's name looks
like one.
"""

import re
from collections.abc import Collection, Iterable, Iterator

from dirsync.tree.path import escape

FAMILY = "DIRSYNC_"
PREFIXES = ("DIRSYNC_SERVER_", "DIRSYNC_CLIENT_")
HOOK_VARIABLES = (
    "DIRSYNC_HOOK_SERVICE",
    "DIRSYNC_HOOK_NAMESPACE",
    "DIRSYNC_HOOK_TARGET",
    "DIRSYNC_HOOK_ROOT",
    "DIRSYNC_HOOK_ROOT_DIGEST",
)
"""What a hook's command finds in its environment: it may run our own commands, which ignore these."""

_SERVICE_LINK = re.compile(
    r".*_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|.*_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)
_SHOWN_BYTES = 100


def unknown_variables(names: Iterable[str], known: Collection[str], own_prefix: str) -> Iterator[str]:
    """A line for each variable that is named like a setting and is none, in order of their names.

    ``known`` are the variables of this service, all under ``own_prefix``.
    """
    others = tuple(prefix for prefix in PREFIXES if prefix != own_prefix)
    for name in sorted(names):
        upper = name.upper()
        if not upper.startswith(FAMILY) or name in known or name.startswith(others) or _SERVICE_LINK.fullmatch(name):
            continue
        if name in HOOK_VARIABLES:
            continue
        yield f"{_shown(name)}: no such setting{_nearest(upper, known)}"


def _nearest(name: str, known: Collection[str]) -> str:
    import difflib  # noqa: PLC0415 - only who mistyped a variable waits for it

    candidates = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {candidates[0]}?" if candidates else "; unset it"


def _shown(name: str) -> str:
    return escape(name.encode(errors="surrogateescape")[:_SHOWN_BYTES])
