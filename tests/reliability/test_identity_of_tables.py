"""Nothing that leaves the program names the patient: reports, workbooks, tables of methods."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from scarseg.case.labels import LabelArray
from scarseg.case.stack import Stack
from scarseg.cli import main
from scarseg.io.masks.nifti import write_labels
from tests.fakes import fake_models, load_fakes
from tests.reliability import patients
from tests.reliability.audited import accept_all, commands
from tests.report.pdf_text import text_of, unpacked

EVERYTHING = ("--methods", "all", "--xlsx", "--report")


@pytest.fixture
def study(tmp_path: Path, phantom_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    patients.write_marked_study(tmp_path / "study", phantom_stack)
    return tmp_path / "study"


def traces(folder: Path) -> list[str]:
    """Search every byte below a folder, inside workbooks and the lines of pages as well."""
    found = patients.traces_below(folder)
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.suffix in (".xlsx", ".pdf") else b""
        if path.suffix == ".xlsx":
            book = ZipFile(BytesIO(data))
            data = b"\n".join(book.read(name) for name in book.namelist())
        elif path.suffix == ".pdf":
            data = unpacked(data) + text_of(data).encode()
        found += [f"{path.name}: {each}" for each in patients.traces_in(data)]
    return found


@pytest.mark.filterwarnings("default")
def test_batch(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["-o", str(out / "scar.csv"), *EVERYTHING, str(out / "reports")]
    words += ["--masks", str(out / "masks"), "--mask-format", "seg", "--sr"]
    main(["batch", str(study), *words])
    main(["batch", str(study), "-o", str(out / "alone.xlsx"), "--series", "1.2.3.4.2"])
    suffixes = {path.suffix for path in out.rglob("*")}
    assert {".csv", ".json", ".xlsx", ".pdf", ".dcm"} <= suffixes
    assert "For research use only" in text_of(next(out.rglob("*.pdf")).read_bytes())
    assert traces(out) == []


@pytest.mark.filterwarnings("default")
def test_a_mask_whose_file_is_named_after_the_patient(
    study: Path, tmp_path: Path, phantom_stack: Stack, phantom_truth: LabelArray
) -> None:
    mask, out = tmp_path / f"{patients.MARK}13.nii.gz", tmp_path / "out"
    write_labels(mask, phantom_truth, phantom_stack)
    words = ["--dicom", str(study / "a"), "-o", str(out / "scar.csv")]
    assert main(["measure", str(mask), *words, *EVERYTHING, str(out / "reports")]) == 0
    assert len(list(out.rglob("*.pdf"))) == 1
    assert traces(out) == []


@pytest.mark.filterwarnings("default")
@pytest.mark.timeout(900)
def test_measure_replay_evaluate_and_train(
    study: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cases, out = tmp_path / "cases", tmp_path / "out"
    accept_all(str(study / "a"), str(cases), fake_models())
    done = commands(str(study / "a"), str(cases), str(out))
    assert set(done.values()) == {0}, done
    assert {"scar.csv", "patients.csv", "s.safetensors", "d.safetensors", "s.md"} <= {
        path.name for path in out.rglob("*")
    }
    assert traces(out) == []
    said = capfd.readouterr()
    assert patients.traces_in((said.out + said.err).encode()) == []


@pytest.mark.filterwarnings("default")
def test_the_search_finds_who_is_named_on_request(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["-o", str(out / "scar.csv"), *EVERYTHING, str(out / "reports"), "--identify"]
    main(["batch", str(study / "a"), *words])
    named = {one.split(":")[0] for one in traces(out)}
    assert {"scar.csv", "scar.xlsx", "scar_methods.csv", "1.2.3.4.pdf"} <= named
