"""What a person is shown of very many paths."""

import pytest

from dirsync_client.commands.outline import GROUPS, SHOWN, outline, show


def told(paths: list[str], kind: str = "put_file") -> list[str]:
    """The outline of these paths, with single blanks."""
    return [" ".join(line.split()) for line in outline((kind, path.encode()) for path in paths)]


def test_opened_where_it_is_full() -> None:
    """Directories with the most paths are opened; one with a single path shows that path."""
    paths = [f"node_modules/{name}/{number}" for name in ("a", "b") for number in range(100)]
    lines = told([*paths, "src/main.py", "top"])

    assert [
        "(top) 1 put_file",
        "node_modules/a/ 100 put_file",
        "node_modules/b/ 100 put_file",
        "src/main.py 1 put_file",
    ] == lines


def test_kinds_are_counted_apart() -> None:
    """Each kind has its number, the most frequent one first."""
    lines = [("delete", b"d/%d" % number) for number in range(3)] + [("put_file", b"d/x%d" % n) for n in range(2000)]

    assert ["d/ 2,000 put_file, 3 delete"] == [" ".join(line.split()) for line in outline(lines)]


@pytest.mark.parametrize("width", [10, 1000])
def test_few_lines(width: int) -> None:
    """However many directories there are, there are few lines, and their numbers add up."""
    paths = [f"{number % width}/{number // width % 7}/{number}" for number in range(100_000)]
    lines = told(paths)

    assert len(lines) <= GROUPS
    assert 100_000 == sum(int(line.split()[1].replace(",", "")) for line in lines)


def test_beside_directories() -> None:
    """What lies in an opened directory itself is counted apart from the directories in it."""
    lines = told([*(f"d/{number}" for number in range(60)), *(f"d/deep/{number}" for number in range(60))])

    assert ["d/* 60 put_file", "d/deep/ 60 put_file"] == lines


def test_deep_chain() -> None:
    """A chain of directories is opened to where the paths are."""
    assert ["/".join("abcdefgh") + "/ 60 put_file"] == told(["/".join("abcdefgh") + f"/{n}" for n in range(60)])


def test_names_are_escaped() -> None:
    """No name can forge a line."""
    (line,) = outline(("put_file", b"a\n\x1b[31m/%d" % number) for number in range(2))

    assert line.startswith("a\\x0a\\x1b[31m/ ")


@pytest.mark.parametrize("number, everything, lines", [(SHOWN, False, SHOWN), (SHOWN + 1, True, SHOWN + 1)])
def test_listed(capsys: pytest.CaptureFixture[str], number: int, everything: bool, lines: int) -> None:
    """Few lines are listed, and all of them if that is asked for."""
    show([("kind", b"%d" % n, f"line {n}") for n in range(number)], everything=everything)

    assert [f"line {n}" for n in range(lines)] == capsys.readouterr().out.splitlines()


def test_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    """Of too many lines the directories are shown, and how to see all."""
    show([("kind", b"d/%d" % n, f"line {n}") for n in range(SHOWN + 1)], everything=False)

    assert ["d/ 51 kind", "(51 paths, counted by directory; --all lists them)"] == [
        " ".join(line.split()) for line in capsys.readouterr().out.splitlines()
    ]
