"""The status page: facts and tables as one plain HTML page that reloads itself. Pure; everything is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

REFRESH_SECONDS = 2
"""How often a browser asks again."""
MAX_ROWS = 200
"""Rows shown of one table; what is left out is counted."""


class Table(NamedTuple):
    """Rows under column heads."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Page(NamedTuple):
    """Facts, which a person wants to see first, and tables."""

    title: str
    facts: Mapping[str, str]
    tables: Sequence[Table] = ()


def render_page(page: Page) -> str:
    """The page as HTML."""
    title = escape(page.title)
    facts = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in page.facts.items())
    tables = "".join(_render_table(table) for table in page.tables)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1><table>{facts}</table>{tables}</body></html>\n"
    )


def _render_table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows[:MAX_ROWS])
    hidden = len(table.rows) - MAX_ROWS
    more = f"<p>and {hidden} more</p>" if hidden > 0 else ""
    return f"<h2>{escape(table.title)}</h2><table><tr>{head}</tr>{body}</table>{more}"


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}"
    "th,td{text-align:left;padding:.15rem 1.5rem .15rem 0;vertical-align:top}td{font-family:ui-monospace,monospace}"
)
