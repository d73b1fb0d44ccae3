"""Ignore rules by machine, with git as the judge."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dirsync.endpoint.session_options import SessionOptions
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.fs.scan.rules import ScanRules
from dirsync.tree.entry import Kind
from dirsync.tree.ignore.rules import IgnoreRules, parse
from dirsync.tree.options import Attributes, TreeOptions
from dirsync.tree.path import RelPath, ancestors
from dirsync.tree.tree import Tree
from tests.support.trees.scanning import scan_tree
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


NAMES_WALKED = "keep/a keep/deep/b.txt keep/deep/er/c drop/z drop/x.txt drop/keep/k x.txt y"
WALKED = [RelPath(name.encode()) for name in NAMES_WALKED.split()]
LINES = (
    b"* /* !*/ !*.txt !/keep/ !/keep !keep !keep/** keep/ /keep/* !/keep/deep/ !/keep/deep **/deep drop !drop/ /drop/* "
    b"!/drop/keep !/drop/*.txt *.txt !x.txt /*/ !y ** !**/ /**/keep !/* deep/* !deep/er/ er/ !/keep/deep/er/c"
).split()


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with files in it."""
    place = tmp_path_factory.mktemp("walked")
    repository = Repository(place, WALKED)
    for path in WALKED:
        (place / path.decode()).touch()
    return repository


@pytest.fixture(scope="module")
def agreed(tmp_path_factory: pytest.TempPathFactory) -> SessionOptions:
    """The options of a session at a server."""
    return SessionOptions(Index.open(tmp_path_factory.mktemp("state"), "index"), frozenset())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lines=st.lists(st.sampled_from(LINES), min_size=1, max_size=5))
@example(lines=[b"/*", b"!/keep/"])
@example(lines=[b"*", b"!*/", b"!*.txt"])
@example(lines=[b"/*", b"!/drop/", b"/drop/*", b"!/drop/keep"])
@pytest.mark.needs("git")
def test_a_walk_finds_what_git_finds(walked: Repository, agreed: SessionOptions, lines: list[bytes]) -> None:
    """Of a tree with directories left out and included again, git's files are mirrored, and the server takes them."""
    tree, ignore = Tree(), IgnoreRules(lines)
    with Root.open(walked.root) as root:
        scan_tree(
            root, tree, ScanRules(ignores=lambda path, d: path in (b".git", b".gitignore") or ignore.matches(path, d))
        )
    agreed.change(TreeOptions(Attributes(), tuple(lines)))
    found = {path: record[0] == Kind.DIRECTORY for path, record in tree.walk()}

    assert set(WALKED) - walked.ignored(lines) == {path for path, is_directory in found.items() if not is_directory}
    assert [] == [path for path, is_directory in found.items() if agreed.ignores(path, is_directory=is_directory)]
