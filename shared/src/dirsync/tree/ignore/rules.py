"""Paths that are left alone on both sides, named by rules in gitignore syntax.

A rule may be anyone's text, and on the server a peer's, so matching takes time linear in the path's length whatever the
rule says: all rules together are one RE2 automaton, and the last rule that matches decides, as in git. Names and rules
are bytes; no encoding is assumed. Without rules nothing is imported and nothing costs.

What is not here: rules of files in subdirectories (one list, relative to the root, serves a session), and what follows
from an ignored directory (a walk does not enter it, so a path is tested only while its ancestors are not ignored; git
has the same rule: nothing can be included again below an ignored directory).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dirsync.errors import LimitExceeded
from dirsync.limits import LIMITS
from dirsync.tree.ignore.wildmatch import translate
from dirsync.tree.path import RelPath, abbreviate

if TYPE_CHECKING:
    import re2  # type: ignore[import-untyped]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NO_NAMES = frozenset((b"", b".", b".."))


def parse(text: bytes) -> list[bytes]:
    """The rules in the text of an ignore file, without comments, blank lines and trailing spaces."""
    lines = text.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    rules = (_trim(line.removesuffix(b"\r")) for line in lines if not line.startswith(b"#"))
    return [rule for rule in rules if rule]


def can_match(rule: bytes) -> bool:
    """Whether there is a path that this rule matches; git accepts any text.

    A malformed pattern matches none, and neither does one with an empty part, ``.`` or ``..``, such as ``./build``.
    """
    parts = _trim(rule).removeprefix(b"!").removesuffix(b"/").removeprefix(b"/").split(b"/")
    return _rule(rule) is not None and b"\0" not in rule and _NO_NAMES.isdisjoint(parts)


class IgnoreRules:
    """A list of rules; equal lists are equal.

    Raises:
        LimitExceeded: too many rules, too long a rule, or more text than all of them may have together.
    """

    __slots__ = ("_matcher", "lines")

    def __init__(self, lines: Sequence[bytes] = ()) -> None:
        _check(lines)
        self.lines = tuple(lines)
        self._matcher: _Matcher | None = None

    def __eq__(self, other: object) -> bool:
        return self.lines == other.lines if isinstance(other, IgnoreRules) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.lines)

    def __repr__(self) -> str:
        return f"IgnoreRules({list(self.lines)!r})"

    def matches(self, path: RelPath, is_directory: bool) -> bool:  # noqa: FBT001 (called by position on the hot path)
        """Whether ``path``, none of whose ancestors is ignored, is ignored."""
        if not self.lines:
            return False
        if self._matcher is None:
            self._matcher = _Matcher(self.lines)
        return self._matcher.matches(path, is_directory=is_directory)

    def ignoring(self, path: RelPath, *, is_directory: bool) -> bytes | None:
        """The rule that leaves out ``path``, none of whose ancestors is ignored; ``None`` if none does."""
        if not self.matches(path, is_directory):
            return None
        assert self._matcher is not None
        return self._matcher.deciding(path, is_directory=is_directory).line


class _Rule(NamedTuple):
    line: bytes
    expression: bytes
    negated: bool
    directories_only: bool


class _Matcher:
    def __init__(self, lines: Sequence[bytes]) -> None:
        self.rules = [rule for line in lines if (rule := _rule(line)) is not None]
        self.automaton = _compile([rule.expression for rule in self.rules])

    def matches(self, path: RelPath, *, is_directory: bool) -> bool:
        found = self.automaton.Match(path)
        if not found:
            return False
        rules = self.rules
        last = max((index for index in found if is_directory or not rules[index].directories_only), default=None)
        return last is not None and not rules[last].negated

    def deciding(self, path: RelPath, *, is_directory: bool) -> _Rule:
        """The rule by which ``path``, which is ignored, is."""
        found = self.automaton.Match(path)
        last = max(index for index in found if is_directory or not self.rules[index].directories_only)
        rule: _Rule = self.rules[last]
        return rule


def _compile(expressions: list[bytes]) -> "re2.Set":
    import re2  # noqa: PLC0415 (costs nothing where there are no rules)

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.dot_nl = True
    options.encoding = re2.Options.Encoding.LATIN1
    automaton = re2.Set.FullMatchSet(options)
    for expression in expressions:
        automaton.Add(expression)
    automaton.Compile()
    return automaton


def _rule(line: bytes) -> _Rule | None:
    """The rule that a line states; ``None`` if git would never match it."""
    if line.startswith(b"#"):
        return None
    pattern = _trim(line)
    negated = pattern.startswith(b"!")
    pattern = pattern[negated:]
    directories_only = pattern.endswith(b"/")
    pattern = pattern.removesuffix(b"/")
    paths = b"/" in pattern
    expression = translate(pattern.removeprefix(b"/"), paths=paths)
    if not expression:
        return None
    return _Rule(line, expression if paths else b"(?:.*/)?" + expression, negated, directories_only)


def _trim(line: bytes) -> bytes:
    """The line without trailing spaces, save one that a backslash protects."""
    kept = line.rstrip(b" ")
    backslashes = len(kept) - len(kept.rstrip(b"\\"))
    return line[: len(kept) + 1] if backslashes % 2 else kept


def _check(lines: Sequence[bytes]) -> None:
    if len(lines) > LIMITS.max_ignore_rules:
        msg = f"there are {len(lines)} ignore rules, more than {LIMITS.max_ignore_rules}; use fewer"
        raise LimitExceeded("max_ignore_rules", msg)
    for line in lines:
        if len(line) > LIMITS.max_ignore_rule_bytes:
            msg = f"ignore rule {abbreviate(line)} is longer than {LIMITS.max_ignore_rule_bytes} bytes; shorten it"
            raise LimitExceeded("max_ignore_rule_bytes", msg)
    total = sum(map(len, lines))
    if total > LIMITS.max_ignore_bytes:
        msg = f"the ignore rules have {total} bytes, more than {LIMITS.max_ignore_bytes}; use fewer"
        raise LimitExceeded("max_ignore_bytes", msg)
