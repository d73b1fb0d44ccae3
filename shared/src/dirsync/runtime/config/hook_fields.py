"""Field types for the settings of hooks: a command, a URL, the statuses that mean success."""

import re
import shlex
from typing import Annotated, Any
from urllib.parse import urlsplit

from dirsync.runtime.config.fields import Kind
from dirsync.runtime.config.library import PlainValidator

_STATUS = re.compile(r"[1-5](xx|[0-9][0-9])", re.ASCII)


def parse_command(value: Any) -> Any:
    """The words of a command as a shell would split them; no shell is started."""
    if not isinstance(value, str):
        return value
    try:
        words = tuple(shlex.split(value))
    except ValueError:
        msg = "ends within quotes or after a backslash; write the words of a command as for a shell"
        raise ValueError(msg) from None
    if not words or not words[0]:
        msg = "names no program; write the words of a command as for a shell"
        raise ValueError(msg)
    if any("\0" in word for word in words):
        msg = "holds a NUL, which no argument of a program can have"
        raise ValueError(msg)
    return words


def parse_webhook(value: Any) -> Any:
    """A URL of http or https without user and fragment."""
    if not isinstance(value, str):
        return value
    msg = "must be a URL such as https://host:8080/path"
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise ValueError(msg) from None
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        raise ValueError(msg)
    if not value.isascii() or not value.isprintable() or " " in value:
        msg = "must be a URL of printable ASCII without blanks; write other characters as %XX"
        raise ValueError(msg)
    if url.username is not None or url.password is not None:
        msg = "holds a user or password, which would not be sent; put a secret into the path or the query"
        raise ValueError(msg)
    if url.fragment:
        msg = "has a fragment (#...), which is never sent; remove it"
        raise ValueError(msg)
    return value


def parse_statuses(value: Any) -> Any:
    """The statuses of HTTP that mean success, separated by commas; ``2xx`` is all from 200 to 299."""
    if not isinstance(value, str):
        return value
    statuses = tuple(item.strip() for item in value.split(","))
    if not all(_STATUS.fullmatch(status) for status in statuses):
        msg = "must be statuses of HTTP such as 200,204, or 2xx"
        raise ValueError(msg)
    return statuses


HookCommand = Annotated[tuple[str, ...] | None, PlainValidator(parse_command), Kind("WORDS", shlex.join, is_words=True)]
Webhook = Annotated[str | None, PlainValidator(parse_webhook), Kind("URL", secret=True)]
"""Shown only as set: where a service is called from anywhere, its URL is the secret."""
Statuses = Annotated[tuple[str, ...], PlainValidator(parse_statuses), Kind("STATUSES", ",".join)]
