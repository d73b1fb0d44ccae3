"""Ignore rules mean what git says they mean."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from dirsync.errors import LimitExceeded
from dirsync.limits import LIMITS
from dirsync.tree.ignore.rules import IgnoreRules, parse
from dirsync.tree.path import RelPath, ancestors
from tests.unit.tree.git import Repository

FILES = [
    b"a",
    b"foo",
    b"foo.o",
    b"keep.o",
    b"foobar",
    b"build/out",
    b"build/keep/x",
    b"src/build/out",
    b"src/foo.o",
    b"src/lib/foo",
    b"src/lib/foobar/baz",
    b"src/lib/deep/er/foo",
    b"docs/a.txt",
    b"docs/b/a.txt",
    b"#a",
    b"!a",
    b"end ",
    b"end",
    b" begin",
    b"tab\t",
    b"back\\slash",
    b"sta*r",
    b"br[a]cket",
    b"\xff\xfe.o",
    "grün/é".encode(),
    b"line\nbreak/x",
    b"-dash",
    b"-",
    b"b",
    b"c",
    b"trail\\",
    b"]",
    b"^",
    b"A",
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with the directories of the files above."""
    return Repository(tmp_path_factory.mktemp("repository"), [RelPath(path) for path in FILES])


def ignored(rules: IgnoreRules, repository: Repository) -> set[RelPath]:
    """What the rules ignore, walking from the root as a scan does."""
    found: set[RelPath] = set()
    for path in repository.paths:
        if any(above in found for above in ancestors(path)) or rules.matches(path, path in repository.directories):
            found.add(path)
    return found


@pytest.mark.parametrize(
    "lines",
    [
        [b"*"],
        [b"**"],
        [b"*/"],
        [b"**/"],
        [b"/*"],
        [b"/**"],
        [b"foo"],
        [b"/foo"],
        [b"foo/"],
        [b"build/"],
        [b"/build/"],
        [b"build"],
        [b"*.o", b"!keep.o"],
        [b"!keep.o", b"*.o"],
        [b"build/", b"!build/keep/"],
        [b"build/*", b"!build/keep/"],
        [b"/*", b"!/src/", b"/src/*", b"!/src/lib/"],
        [b"x", b"a", b"!a"],
        [b"src/foo.o"],
        [b"src/*.o"],
        [b"src/*/foo"],
        [b"src/**/foo"],
        [b"src/**"],
        [b"**/foo"],
        [b"**/lib/foo"],
        [b"/**/foo"],
        [b"src/**/**/foo"],
        [b"foo**"],
        [b"src/lib/foo**/baz"],
        [b"src/lib/f**z"],
        [b"**o"],
        [b"docs/*.txt"],
        [b"docs/**/*.txt"],
        [b"#a"],
        [b"\\#a"],
        [b"!a"],
        [b"\\!a"],
        [b"a", b"!"],
        [b"end "],
        [b"end\\ "],
        [b"end\\  "],
        [b" begin"],
        [b"tab\t"],
        [b"tab"],
        [b"back\\slash"],
        [b"back\\\\slash"],
        [b"foo\\"],
        [b"trail\\\\  "],
        [b"src/**\\/foo"],
        [b"[a[:digit:]-c]"],
        [b"[a-b-d]"],
        [b"sta\\*r"],
        [b"sta[*]r"],
        [b"br[[]a[]]cket"],
        [b"[a"],
        [b"[]]"],
        [b"[!]]"],
        [b"[^a]"],
        [b"[\\^]"],
        [b"[z-a]"],
        [b"[a-f]oo"],
        [b"[-x]dash"],
        [b"docs[/]a.txt"],
        [b"[[:upper:]]"],
        [b"[[:nope:]]"],
        [b"\xff*"],
        [b"[\x80-\xff]*"],
        [b"?\xfe.o"],
        ["grün".encode()],
        [b"gr?n/?"],
        [b"gr??n/??"],
        [b"line?break"],
        [b"*break/"],
        [b"/"],
        [b"//"],
        [b"//foo"],
        [b"foo//"],
        [b""],
        [b" "],
        [b"."],
        [b"./foo"],
        [b"a\r"],
        [b"a"],
    ],
    ids=repr,
)
@pytest.mark.needs("git")
def test_rules_ignore_what_git_ignores(lines: list[bytes], repository: Repository) -> None:
    """Each list of rules is asked of git too."""
    assert repository.ignored(lines) == ignored(IgnoreRules(parse(b"\n".join(lines))), repository)


@pytest.mark.needs("git")
def test_classes_are_those_of_git(tmp_path: Path) -> None:
    """Character classes hold the same bytes, of all 256 that can be a name."""
    names = [RelPath(bytes([byte])) for byte in range(1, 256) if bytes([byte]) not in (b"/", b".")]
    repository = Repository(tmp_path, [RelPath(b"n" + name) for name in names])
    for name in b"alnum alpha blank cntrl digit graph lower print punct space upper xdigit".split():
        lines = [b"n[[:" + name + b":]]"]

        assert (name, repository.ignored(lines)) == (name, ignored(IgnoreRules(lines), repository))


def test_parse_drops_what_is_no_rule() -> None:
    """Comments, blank lines, trailing spaces, carriage returns and a byte order mark are not rules."""
    text = b"\xef\xbb\xbf*.o\r\n\n# comment\n   \n  lead\nspace\\ \nend  \n\\#a\n!b"

    assert [b"*.o", b"  lead", b"space\\ ", b"end", b"\\#a", b"!b"] == parse(text)


@pytest.mark.parametrize("text", [b"", b"\n", b"#", b"\r\n", b"\xef\xbb\xbf"])
def test_parse_of_nothing_is_no_rule(text: bytes) -> None:
    """A file without rules has none."""
    assert [] == parse(text)


def test_rules_are_a_value() -> None:
    """Rules with the same lines are equal and have equal hashes."""
    rules = IgnoreRules([b"a", b"b"])

    assert rules == IgnoreRules((b"a", b"b"))
    assert hash(rules) == hash(IgnoreRules([b"a", b"b"]))
    assert rules != IgnoreRules([b"b", b"a"])
    assert rules != [b"a", b"b"]
    assert (b"a", b"b") == rules.lines
    assert repr(rules) == "IgnoreRules([b'a', b'b'])"


@pytest.mark.parametrize(
    "lines, reason",
    [
        pytest.param([b"a"] * (LIMITS.max_ignore_rules + 1), "MAX_IGNORE_RULES", id="rules"),
        pytest.param([b"a" * (LIMITS.max_ignore_rule_bytes + 1)], "MAX_IGNORE_RULE_BYTES", id="rule"),
        pytest.param(
            [b"a" * LIMITS.max_ignore_rule_bytes] * (LIMITS.max_ignore_bytes // LIMITS.max_ignore_rule_bytes + 1),
            "MAX_IGNORE_BYTES",
            id="all",
        ),
    ],
)
def test_rules_are_bounded(lines: list[bytes], reason: str) -> None:
    """Too many, too long, or too much together is refused by the name of the limit."""
    with pytest.raises(LimitExceeded) as caught:
        IgnoreRules(lines)

    assert reason == caught.value.reason


@pytest.mark.parametrize(
    "lines",
    [
        [b"*a" * 511] * 63,
        [b"?" * 1022] * 63,
        [b"[!a]?*" * 170] * 63,
        [b"[acegikmoqsuwy]" * 68] * 63,
        [b"*" + bytes([97 + number % 26]) * 60 for number in range(999)],
    ],
    ids=["stars", "ones", "classes", "ranges", "many"],
)
def test_most_that_is_allowed_still_works(lines: list[bytes]) -> None:
    """The largest lists of rules match rather than silently match nothing."""
    rules = IgnoreRules([*lines, b"needle"])

    assert rules.matches(RelPath(b"needle"), False)
    assert not rules.matches(RelPath(b"/" * 3), False)


@pytest.mark.case("E08")
@pytest.mark.parametrize("rule", [b"*a" * 20 + b"*b", b"**/a/" * 20 + b"b", b"[a-z]*" * 100 + b"!"])
def test_pathological_rule_takes_linear_time(rule: bytes) -> None:
    """A rule that would backtrack for ever takes eight times as long for a path that is eight times as long."""
    rules = IgnoreRules([rule])
    short, long = (b"/".join([b"a" * 255] * times + [b"a"] * 64 * times) for times in (1, 8))

    def cost(path: bytes) -> float:
        """The least processor time of some attempts."""
        took = []
        for _ in range(20):
            started = time.thread_time()
            assert not rules.matches(RelPath(path), False)
            took.append(time.thread_time() - started)
        return min(took)

    assert cost(long) < 24 * cost(short)


def test_no_rules_cost_nothing() -> None:
    """Without rules the matching engine is never imported; with one it is."""
    program = (
        "import sys\nfrom dirsync.tree.ignore.rules import IgnoreRules\n"
        "for lines in ([], [b'a']):\n    IgnoreRules(lines).matches(b'a', False)\n    print('re2' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert ["False", "True"] == run.stdout.split()


def test_rules_match_nothing_by_comment_or_blank() -> None:
    """Lines that state no rule are harmless, also unparsed."""
    rules = IgnoreRules([b"# a", b"", b"  "])

    assert not any(matches_any(rules, [b"a", b"# a", b" ", b"  "]))


def matches_any(rules: IgnoreRules, paths: Iterable[bytes]) -> list[bool]:
    """Each path's answer."""
    return [rules.matches(RelPath(path), False) for path in paths]
