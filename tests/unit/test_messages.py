"""The messages that docs/troubleshooting.md quotes are those of the code."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "troubleshooting.md"
SOURCES = ("shared/src/dirsync", "services/client/src/dirsync_client", "services/server/src/dirsync_server")
QUOTED = re.findall(r"^```text\n(.*?)\n```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
ENOUGH = 5
"""Letters that a text of the code has to have beside what is filled in, to be one that people know again."""
OF_THE_KERNEL = {"denied"}
"""Words that come from elsewhere."""


@cache
def texts() -> list[re.Pattern[str]]:
    """What the code can write: each of its texts, with anything where it fills something in."""
    found = set()
    for folder in SOURCES:
        for path in (REPOSITORY / folder).rglob("*.py"):
            if "_pb2" not in path.name:
                found |= {pattern for node in ast.walk(ast.parse(path.read_bytes())) if (pattern := _pattern(node))}
    return [re.compile(pattern) for pattern in found]


def _pattern(node: ast.AST) -> str:
    """A pattern for a text, with its fixed parts in groups; empty for what is none, or has too little in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parts = [node.value]
    elif isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "" for part in node.values]
    else:
        return ""
    letters = sum(character.isalpha() for part in parts for character in part)
    return "".join(f"({re.escape(part)})" if part else ".*?" for part in parts) if letters >= ENOUGH else ""


def unknown(line: str) -> list[str]:
    """The words of a line that no text of the code has; a text counts only if all of it is in the line."""
    fixed = [False] * len(line)
    for text in texts():
        for match in text.finditer(line):
            for group in range(1, text.groups + 1):
                begin, end = match.span(group)
                fixed[begin:end] = [True] * (end - begin)
    words = re.finditer(r"(?<!\w)[a-z][a-z`-]+(?!\w)", line)
    return [word[0] for word in words if not all(fixed[word.start() : word.end()]) and word[0] not in OF_THE_KERNEL]


@pytest.mark.parametrize("message", QUOTED)
def test_message(message: str) -> None:
    """A message of the page is one line, and each word of it is in a text of the code."""
    assert "\n" not in message
    assert [] == unknown(message)


@pytest.mark.parametrize(
    "invented", ["the server is missing: REASON", "a guard keeps deletes: dirsync-client approve ID"]
)
def test_wrong_messages(invented: str) -> None:
    """A message that the code cannot write is noticed."""
    assert unknown(invented)
