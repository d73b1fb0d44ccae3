"""``make field``: a folder of case scripts is run as a whole, and one that fails or hangs is named."""

from pathlib import Path

import pytest

from scripts.field import main, run


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A folder with one script that holds and something that is no script."""
    (tmp_path / "01-good.py").write_text("print('noise')\nprint('all is well')\n")
    (tmp_path / "helper.py").write_text("raise SystemExit('not to be run')\n")
    return tmp_path


def test_all_hold(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every script is run in every round; its last line is shown."""
    assert main([str(cases), "--rounds", "2"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("holds" in line and line.endswith("01-good" + " " * 22 + "all is well") for line in lines)


def test_one_fails(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are run all the same, and the end names what failed, and how often."""
    (cases / "00-bad.py").write_text("print('one file is missing')\nraise SystemExit(1)\n")

    assert main([str(cases)]) == 1
    output = capsys.readouterr().out
    assert "FAILS" in output
    assert "all is well" in output
    assert output.endswith("field: 00-bad failed in 1 of 1 rounds\n")


def test_scripts_are_told_nothing_by_make(cases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make field ROUNDS=10` exports ROUNDS, and a script may have a variable of that name for something else."""
    monkeypatch.setenv("ROUNDS", "10")
    monkeypatch.setenv("LANG", "C.UTF-8")
    script = cases / "03-environment.py"
    script.write_text("import os\nprint(os.environ.get('ROUNDS'), os.environ.get('LANG'))\n")

    assert "None C.UTF-8" == run(script).evidence


def test_hanging(cases: Path) -> None:
    """A script that does not end is ended with all that it started, and has failed."""
    script = cases / "02-hangs.py"
    script.write_text("import subprocess\nsubprocess.run(['sleep', '60'])\n")

    shown = run(script, limit=0.5)

    assert not shown.holds
    assert shown.evidence == "ended after 0.5 s"
    assert shown.seconds < 10


def test_nothing_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder does not look as if all was well."""
    assert main([str(tmp_path)]) == 2
    assert "no case scripts in" in capsys.readouterr().err
