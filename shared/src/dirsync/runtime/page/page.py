"""The status page as one HTML document, made of the files in ``web``, and what answers for it over HTTP.

The page is the same at both services: all that it shows comes from ``/status.json``. It needs no network but that, and
its content security policy allows nothing else: no other host, no script and no style but its own, which the policy
names by their digests.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import NamedTuple

from dirsync.runtime.http.server import Answer
from dirsync.runtime.page.document import Document

SCRIPTS = ("text.js", "charts.js", "sections.js", "page.js")
"""In the order in which they are joined."""
STYLES = ("page.css",)


class Html(NamedTuple):
    """The page, and the policy that goes with it."""

    body: bytes
    policy: str


@cache
def load_page() -> Html:
    """The page, read from the files of this package."""
    style, script = _joined(STYLES), _joined(SCRIPTS)
    body = _read("page.html").replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    policy = (
        f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Html(body.encode(), policy)


def page_routes(document: Callable[[], Document]) -> Mapping[str, Callable[[], Answer]]:
    """What answers at ``/`` and ``/status.json``; ``document`` is asked for the present one."""
    page = load_page()
    return {
        "/": lambda: Answer(HTTPStatus.OK, "text/html; charset=utf-8", page.body, page.policy),
        "/status.json": lambda: Answer(HTTPStatus.OK, "application/json", document().model_dump_json().encode()),
    }


def _joined(names: tuple[str, ...]) -> str:
    return "".join(map(_read, names))


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("web", name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
