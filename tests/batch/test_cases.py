"""``scarseg batch --cases``: case files that the window opens and that replay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scarseg import cli
from scarseg.batch import journal
from scarseg.case.changes import accept
from scarseg.case.history import SliceStatus
from scarseg.io import dicom
from scarseg.io.casefile import store
from scarseg.io.masks.nifti import read_labels
from tests.cohorts import rows_of, write
from tests.fakes import load_fakes

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command on paths below tmp_path."""
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    monkeypatch.setenv("SCARSEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in", 1, 2)

    def call(*words: object) -> int:
        return cli.main([str(word) for word in words])

    return call


BATCH = ("batch", "in", "-o", "scar.csv", "--masks", "masks", "--cases", "cases")


def test_every_stack_has_a_case_with_the_labels_of_its_mask(run: Run, tmp_path: Path) -> None:
    assert run(*BATCH) == 0
    stacks = dicom.scan([tmp_path / "in"]).stacks
    assert len(stacks) == 2
    for summary in stacks:
        path = store.case_path(tmp_path / "cases", summary)
        case = store.load_case(path, dicom.read_stack(summary))
        mask = read_labels(tmp_path / "masks" / f"{summary.stack_id}.nii.gz")
        assert np.array_equal(case.labels, mask)
        assert {one.status for one in case.readings} <= {SliceStatus.PROPOSED, SliceStatus.UNSEEN}
        assert case.segmenter.name == "fake-segmenter"


def test_the_table_is_the_same_with_and_without_cases(run: Run, tmp_path: Path) -> None:
    assert run(*BATCH) == 0
    with_cases = (tmp_path / "scar.csv").read_bytes()
    assert run("batch", "in", "-o", "other.csv", "--masks", "masks2") == 0
    assert (tmp_path / "other.csv").read_bytes() == with_cases


def test_a_case_of_a_batch_replays_to_the_same_mask(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*BATCH) == 0
    capsys.readouterr()
    assert run("replay", "cases", "--dicom", "in") == 0
    said = capsys.readouterr().out
    assert said.count("identical") == 2


def test_a_case_that_a_reader_has_worked_on_is_never_replaced(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*BATCH) == 0
    summary = next(one for one in dicom.scan([tmp_path / "in"]).stacks if one.study_uid == "1.2.1")
    path = store.case_path(tmp_path / "cases", summary)
    case = store.load_case(path, dicom.read_stack(summary))
    case.apply(accept(case, 2))
    store.save_case(case, path)
    before = path.read_bytes()
    capsys.readouterr()
    assert run(*BATCH, "--force") == 2
    assert path.read_bytes() == before
    codes = {row["study_uid"]: row["error_code"] for row in rows_of(tmp_path / "scar.csv")}
    assert codes == {"1.2.1": "E_EXISTS", "1.2.2": ""}
    name = path.relative_to(tmp_path)
    assert f"{name} exists already; a reader has worked on it" in capsys.readouterr().err


def test_cases_are_kept_over_an_interruption(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = journal.Journal.keep

    def keep(self: journal.Journal, *rest: object) -> object:
        if self.finished:
            raise KeyboardInterrupt
        return original(self, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "keep", keep)
        assert run(*BATCH) == 130
    [first] = (tmp_path / "cases").glob("*.scarseg")
    kept = first.read_bytes()
    assert run(*BATCH, "--resume") == 0
    assert first.read_bytes() == kept
    assert len(list((tmp_path / "cases").glob("*.scarseg"))) == 2
