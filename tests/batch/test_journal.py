"""An interrupted batch keeps what it has finished; a resumed one ends in the same bytes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scarseg import cli
from scarseg.batch import journal, models
from scarseg.batch.results import StackResult
from scarseg.batch.selection import BatchJob
from scarseg.case.prompts import Box
from scarseg.case.stack import SliceImage
from scarseg.io.atomic import replace_file
from scarseg.io.casefile.lock import CaseLock
from scarseg.models import Embedding, Models
from tests.cohorts import rows_of, tree, write, write_marked
from tests.fakes import FakeDetector, FakeSegmenter, load_fakes

ROOT = Path(__file__).resolve().parents[2]
FILES = ("--masks", "masks", "--report", "reports", "--sr", "--methods", "fwhm_max", "--xlsx")

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the batch on ``in`` in a folder of its own below tmp_path."""
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    write(tmp_path / "in", 1, 2, 3)

    def call(folder: str, *words: object) -> int:
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        return cli.main(["batch", str(tmp_path / "in"), "-o", "scar.csv", *map(str, words)])

    return call


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Masks of the stacks that are measured, in order; "STOP" in it interrupts the next one."""
    names: list[str] = []
    original = models.measure_job

    def watched(job: BatchJob, *rest: object) -> StackResult:
        if "STOP" in names:
            names.remove("STOP")
            raise KeyboardInterrupt
        names.append(job.mask_file)
        result: StackResult = original(job, *rest)  # type: ignore[arg-type]
        return result

    monkeypatch.setattr(models, "measure_job", watched)
    return names


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files; reports hold the moment they were made and are compared by name alone."""
    found = {
        str(path.relative_to(folder)): b"" if path.suffix in (".pdf", ".dcm") else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    return {name: data for name, data in found.items() if not name.endswith(".guard")}


def interrupt_after(n: int, run: Run, measured: list[str], *words: object) -> int:
    """Interrupt a run when ``n`` stacks are finished."""
    original = journal.Journal.keep

    def keep(self: journal.Journal, job: BatchJob, result: StackResult) -> StackResult:
        kept = original(self, job, result)
        if len(self.finished) == n:
            measured.append("STOP")
        return kept

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.Journal, "keep", keep)
        return run("stopped", *words)


def test_a_resumed_run_computes_nothing_twice_and_ends_in_the_same_bytes(
    run: Run, tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("whole", *FILES) == 0
    measured.clear()
    assert interrupt_after(2, run, measured, *FILES) == 130
    assert "Interrupted. 2 of 3 series are kept; go on with --resume." in capsys.readouterr().err
    assert not (tmp_path / "stopped" / "scar.csv").exists()
    masks = tmp_path / "stopped" / "masks"
    assert sorted(path.name for path in masks.glob("*.nii.gz")) == [
        "1.2.1.1.nii.gz",
        "1.2.2.1.nii.gz",
    ]
    assert run("stopped", *FILES, "--resume") == 0
    assert measured == ["1.2.1.1.nii.gz", "1.2.2.1.nii.gz", "1.2.3.1.nii.gz"]
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_nothing_is_left_beside_the_table_of_a_finished_run(run: Run, tmp_path: Path) -> None:
    assert run("whole") == 0
    assert not journal.journal_folder(tmp_path / "whole" / "scar.csv").exists()


def test_resume_without_an_interrupted_run_is_a_plain_run(run: Run, tmp_path: Path) -> None:
    assert run("whole", "--resume") == 0
    assert len(rows_of(tmp_path / "whole" / "scar.csv")) == 3


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--density", "1.1"), "density_g_per_ml was 1.05, is now 1.1"),
        (("--no-interval",), "interval was True, is now False"),
    ],
)
def test_a_run_of_other_settings_is_refused_and_nothing_changes(
    words: tuple[str, ...],
    reason: str,
    run: Run,
    tmp_path: Path,
    measured: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt_after(1, run, measured)
    before = contents(tmp_path / "stopped")
    assert run("stopped", "--resume", *words) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("E_RUN_OTHER: ")
    assert reason in said
    assert contents(tmp_path / "stopped") == before


def test_a_run_of_other_inputs_is_refused(
    run: Run, tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_after(1, run, measured)
    write(tmp_path / "in", 4)
    assert run("stopped", "--resume") == 1
    assert "other inputs" in capsys.readouterr().err
    (changed, *_) = sorted((tmp_path / "in" / "p1").iterdir())
    os.utime(changed, (1, 1))
    assert run("stopped", "--resume") == 1


def test_an_interrupted_run_is_not_begun_anew_by_mistake(
    run: Run,
    tmp_path: Path,
    measured: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt_after(2, run, measured)
    assert run("stopped") == 1
    assert "holds 2 finished series of an interrupted run" in capsys.readouterr().err
    measured.clear()
    assert run("stopped", "--force") == 0
    assert len(measured) == 3
    assert not journal.journal_folder(tmp_path / "stopped" / "scar.csv").exists()


def test_a_run_that_was_stopped_before_its_first_stack_leaves_nothing(
    run: Run, tmp_path: Path, measured: list[str]
) -> None:
    measured.append("STOP")
    assert run("stopped", *FILES) == 130
    assert contents(tmp_path / "stopped") == {}


def test_a_full_disk_ends_the_run_and_keeps_what_is_done(
    run: Run,
    tmp_path: Path,
    measured: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("whole", "--masks", "masks") == 0
    measured.clear()
    original = replace_file

    def full(path: Path, data: bytes, mode: int = 0o600) -> None:
        if len(list(path.parent.glob("*.json"))) == 3:  # run.json and two stacks
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(path, data, mode)

    with monkeypatch.context() as patch:
        patch.setattr("scarseg.batch.journal.replace_file", full)
        assert run("stopped", "--masks", "masks") == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-2] == "2 of 3 series are kept; go on with --resume."
    assert said[-1].startswith("E_WRITE: ")
    assert "No space left" in said[-1]
    assert run("stopped", "--masks", "masks", "--resume") == 0
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_files_that_were_not_moved_before_the_end_are_moved_on_resuming(
    run: Run, tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("whole", *FILES) == 0

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal, "publish", killed)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        assert run("stopped", *FILES) == 130
    assert not (tmp_path / "stopped" / "masks").exists()
    measured.clear()
    assert run("stopped", *FILES, "--resume") == 0
    assert len(measured) == 2, "the first stack was finished: its row was on the disk"
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_finished_stack_whose_mask_has_gone_is_measured_again(
    run: Run, tmp_path: Path, measured: list[str]
) -> None:
    assert run("whole", "--masks", "masks") == 0
    interrupt_after(2, run, measured, "--masks", "masks")
    (tmp_path / "stopped" / "masks" / "1.2.1.1.nii.gz").unlink()
    measured.clear()
    assert run("stopped", "--masks", "masks", "--resume") == 0
    assert measured == ["1.2.1.1.nii.gz", "1.2.3.1.nii.gz"]
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_damaged_entry_is_measured_again(run: Run, tmp_path: Path, measured: list[str]) -> None:
    interrupt_after(2, run, measured)
    folder = journal.journal_folder(tmp_path / "stopped" / "scar.csv")
    entry = next(path for path in sorted(folder.glob("*.json")) if path.name != journal.RUN)
    entry.write_text("{")
    measured.clear()
    assert run("stopped", "--resume") == 0
    assert len(measured) == 2


def test_tables_written_by_the_interrupted_run_itself_are_replaced(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "remove", killed)
        assert run("stopped") == 130
    whole = (tmp_path / "stopped" / "scar.csv").read_bytes()
    assert run("stopped", "--resume") == 0
    assert (tmp_path / "stopped" / "scar.csv").read_bytes() == whole


def test_a_second_program_is_refused(
    run: Run, tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_after(1, run, measured)
    folder = journal.journal_folder(tmp_path / "stopped" / "scar.csv")
    with CaseLock().acquire(folder / "run"):
        assert run("stopped", "--resume") == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("E_RUN_LOCKED: ")


class Deadly(FakeSegmenter):
    """Kill the process (here: of the whole batch) on the patient whose image is marked."""

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        if image.pixels[0, 0] == 77 and not Path(os.environ["SPARE"]).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(image, lv_box)


def load_deadly(segmenter: object = None, detector: object = None, device: str = "") -> Models:
    return Models(Deadly(), FakeDetector())


KILLED = """
import sys, scarseg.models
from tests.batch.test_journal import load_deadly
scarseg.models.load = load_deadly
from scarseg import cli
if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is of POSIX")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_program_leaves_what_it_has_finished(
    jobs: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tmp_path / "in" / "p3")
    write_marked(tmp_path / "in", 3)
    assert run("whole", "--masks", "masks") == 0
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SPARE": str(tmp_path / "spare")}
    words = [str(tmp_path / "in"), "-o", "scar.csv", "--masks", "masks", "--jobs", jobs]
    command = [sys.executable, str(script), "batch", *words]
    (tmp_path / "killed").mkdir()
    done = subprocess.run(command, env=environment, cwd=tmp_path / "killed", check=False)
    if jobs == "1":
        assert done.returncode == -signal.SIGKILL
        folder = journal.journal_folder(tmp_path / "killed" / "scar.csv")
        kept = [path for path in folder.glob("*.json") if path.name != journal.RUN]
        assert len(kept) == 2
        rows = [json.loads(path.read_text())["record"]["row"] for path in kept]
        assert {row["study_uid"] for row in rows} == {"1.2.1", "1.2.2"}
        (tmp_path / "spare").touch()
        again = subprocess.run(
            [*command, "--resume"], env=environment, cwd=tmp_path / "killed", check=False
        )
        assert again.returncode == 0
        assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    else:  # a worker dies, the program does not
        assert done.returncode == 2
        codes = {r["study_uid"]: r["error_code"] for r in rows_of(tmp_path / "killed/scar.csv")}
        assert codes == {"1.2.1": "", "1.2.2": "", "1.2.3": "E_CRASH"}


def test_inputs_are_not_touched(run: Run, tmp_path: Path, measured: list[str]) -> None:
    before = tree(tmp_path / "in")
    interrupt_after(1, run, measured, *FILES)
    assert tree(tmp_path / "in") == before


def test_a_file_that_somebody_else_wrote_is_kept_and_named(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = tmp_path / "whole" / "masks" / "1.2.2.1.nii.gz"
    mask.parent.mkdir(parents=True)
    mask.write_text("mine")
    assert run("whole", "--masks", "masks") == 1
    assert mask.read_text() == "mine"
    assert "E_EXISTS: masks/1.2.2.1.nii.gz exists already" in capsys.readouterr().err
