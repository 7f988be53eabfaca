"""Options that every command has, usage errors, help, completion and the log."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scarseg import cli
from scarseg.cli.parser import leaf_parsers
from tests.cohorts import spoil, write
from tests.fakes import load_fakes

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    return lambda *words: cli.main([*map(str, words)])


def usage_error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the single line that a command ends with, at exit status 1."""
    try:
        status = cli.main(list(words))
    except SystemExit as leaving:
        status = leaving.code  # type: ignore[assignment]
    assert status == 1
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("E_USAGE: ")
    return line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["bacth", "x"], "did you mean batch"),
        (["nonsense"], "no command or file nonsense. See scarseg --help"),
        (["batch", "x", "-o", "a.csv", "--jbos", "2"], "--jbos; did you mean --jobs"),
        (["batch", "x", "-o", "a.csv", "--mask"], "no option --mask; did you mean --masks"),
        (["batch", "x"], "required: -o/--output. See scarseg batch --help"),
        (["batch", "x", "-o", "a.csv", "--mass", "heavy"], "thickness"),
        (["weights", "list", "more"], "no argument more"),
        (["train", "segmnter", "-o", "x"], "segmenter"),
        (["batch", "x", "-o", "a.csv", "--quiet", "--verbose"], "not allowed with"),
    ],
)
def test_usage_error_is_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in usage_error(capsys, *words)


def test_every_command_has_examples_that_parse_and_the_shared_options() -> None:
    found = list(leaf_parsers(cli.build_parser()))
    assert len(found) > 12
    for command in found:
        lines = re.findall(r"^  (scarseg .*)$", command.epilog or "", re.M)
        assert lines or command.prog.startswith("scarseg pacs"), command.prog
        for line in lines:
            words = shlex.split(line.split(" >")[0])[1:]
            assert cli.build_parser().parse_args(words).run
        options = set(command._option_string_actions)
        assert {"--quiet", "--verbose", "--log", "--help"} <= options, command.prog
        assert all(action.help for action in command._actions if action.option_strings)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    assert "scarseg" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "expected"),
    [("scarseg ba", "batch"), ("scarseg batch --jo", "--jobs"), ("scarseg batch --mass t", "thic")],
)
@pytest.mark.skipif(sys.platform == "win32", reason="shells of POSIX")
def test_shell_gets_the_words_it_asks_for(line: str, expected: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_IFS": "\n",
    }
    code = "import sys; from scarseg import cli; sys.argv = ['scarseg']; cli.main([])"
    root = Path(cli.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=root, check=False)
    assert any(word.startswith(expected) for word in answer.read_text().split("\n"))


def test_log_has_a_line_per_series_and_names_nobody(run: Run, tmp_path: Path) -> None:
    data, log = write(tmp_path / "CANARY", 1, 2), tmp_path / "run.log"
    spoil(data / "p2", "SliceThickness", None)
    words = ("batch", data, "-o", tmp_path / "scar.csv", "--log", log)
    assert run(*words) == 2
    text = log.read_text()
    lines = [line for line in text.splitlines() if " done, " in line]
    assert [re.sub(r"\S+ left$", "", line.split(" ", 2)[2]) for line in lines] == [
        "1.2.1.1: 1 of 2 done, 0 failed, ",
        "1.2.2.1 E_THICKNESS: 2 of 2 done, 1 failed, ",
    ]
    assert lines[-1].endswith(" 0:00:00 left")
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [A-Z]+ ", x) for x in text.splitlines())
    assert "CANARY" not in text
    assert stat.S_IMODE(log.stat().st_mode) == 0o600 or sys.platform == "win32"
    assert run(*words, "--force", "--identify") == 2
    assert log.read_text().startswith(text)
    assert "Took series 1.2.1.1 (its description" in log.read_text().removeprefix(text)


def test_log_that_cannot_be_written_ends_the_command_before_work(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    target = tmp_path / "elsewhere"
    (tmp_path / "link.log").symlink_to(target)
    for log in (tmp_path / "none" / "run.log", tmp_path / "link.log"):
        assert run("batch", data, "-o", tmp_path / "scar.csv", "--log", log) == 1
        assert capsys.readouterr().err.startswith("E_WRITE: ")
    assert not target.exists()
    assert not (tmp_path / "scar.csv").exists()


def test_quiet_prints_results_and_errors_alone(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    assert run("batch", data, "-o", tmp_path / "scar.csv", "--quiet") == 0
    said = capsys.readouterr()
    assert (said.err, said.out) == ("", f"{tmp_path / 'scar.csv'}: 1 measured, 0 failed\n")
    assert run("batch", data, "-o", tmp_path / "scar.csv", "--quiet") == 1
    assert capsys.readouterr().err.startswith("E_EXISTS: ")


def test_verbose_prints_every_series(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    assert run("batch", data, "-o", tmp_path / "scar.csv", "--verbose") == 0
    assert "1.2.1.1: 1 of 1 done, 0 failed, 0:00:00 left" in capsys.readouterr().err
