"""Ignore rules by machine, with git as the judge."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dirsync.tree.ignore.rules import IgnoreRules, parse
from dirsync.tree.path import RelPath, ancestors
from tests.unit.tree.git import Repository

NAMES = [
    b"a",
    b"b",
    b"ab",
    b"ba",
    b"a.b",
    b"a b",
    b"b ",
    b"a]",
    b"-",
    b"!b",
    b"a\\",
    b"#a",
    b"\xff",
    b"\xc3\xa9",
    b"a\nb",
    b"*",
]
FILES = [RelPath(b"/".join(path)) for path in zip(NAMES, NAMES[3:] + NAMES[:3], NAMES[7:] + NAMES[:7], strict=True)]
PIECES = (
    *NAMES,
    *(b"*", b"**", b"?", b"/", b"**/", b"/**", b"/**/", b"\\", b"\\*", b"\\ ", b" ", b"!", b"\\/"),
    *(b"[ab]", b"[!a]", b"[^b]", b"[a-c]", b"[]a]", b"[!]a-]", b"[", b"]", b"[[:alpha:]]", b"[[:x:]]", b"[[:", b":]"),
    *(b"[\\]]", b"[a-", b"[z-a]", b"[\x80-\xff]", b"[/]"),
)
rules = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map(b"".join)
negatable = st.tuples(st.sampled_from((b"", b"", b"!")), rules).map(b"".join)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository three directories deep."""
    return Repository(tmp_path_factory.mktemp("repository"), FILES)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lines=st.lists(negatable, min_size=1, max_size=4))
@pytest.mark.needs("git")
def test_random_rules_ignore_what_git_ignores(repository: Repository, lines: list[bytes]) -> None:
    """Whatever the rules, we walk as git walks."""
    matches = IgnoreRules(parse(b"\n".join(lines))).matches
    found: set[RelPath] = set()
    for path in repository.paths:
        if any(above in found for above in ancestors(path)) or matches(path, path in repository.directories):
            found.add(path)

    assert repository.ignored(lines) == found
