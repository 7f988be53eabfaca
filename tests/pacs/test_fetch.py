"""``scarseg pacs fetch`` against a real Orthanc: the same bytes and rows whichever way."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless, RLELossless

from scarseg import cli
from scarseg.case.stack import SliceSource
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient, rows_of, tree
from tests.fakes import load_fakes
from tests.pacs.orthanc import Orthanc

WAYS = ("get", "move", "web")


def words(orthanc: Orthanc, way: str, *more: object) -> list[str]:
    if way == "web":
        return [orthanc.web, *map(str, more)]
    ports = ["--port", str(orthanc.storage_port)] if way == "move" else []
    return [orthanc.dicom, "--retrieve", way, *ports, *map(str, more)]


def fetch(orthanc: Orthanc, way: str, folder: Path, n: int = 1, *more: object) -> int:
    asked = words(orthanc, way, "--study", f"1.2.{n}", "-o", folder, "--timeout", 15, *more)
    return cli.main(["pacs", "fetch", *asked])


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def study(orthanc: Orthanc, tmp_path: Path) -> Path:
    write_series(tmp_path / "local" / "p1", patient(1))
    orthanc.add(tmp_path / "local")
    return tmp_path / "local"


def with_sequences(folder: Path) -> None:
    """Add sequences of both kinds of length, which the ways of retrieval write differently."""
    for k, path in enumerate(sorted(folder.iterdir())):
        dataset = dcmread(path)
        item = Dataset()
        item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        item.ReferencedSOPInstanceUID = f"1.9.{k}"
        dataset.ReferencedImageSequence = Sequence([item])
        dataset["ReferencedImageSequence"].is_undefined_length = k % 2 == 0
        item.is_undefined_length_sequence_item = k % 3 == 0
        inner = Dataset()
        inner.CodeValue, inner.CodingSchemeDesignator, inner.CodeMeaning = "1", "99X", "x"
        code = Dataset()
        code.PurposeOfReferenceCodeSequence = Sequence([inner])
        dataset.ReferencedStudySequence = Sequence([code])
        dataset.save_as(path)


def test_all_ways_bring_the_same_bytes(orthanc: Orthanc, study: Path, tmp_path: Path) -> None:
    with_sequences(study / "p1")
    orthanc.clear()
    orthanc.add(study)
    found = []
    for way in WAYS:
        assert fetch(orthanc, way, tmp_path / way) == 0
        found.append(files(tmp_path / way))
    assert found[0] == found[1] == found[2]
    assert set(found[0]) == {f"1.2.1.1/1.2.1.1.{k + 1}.dcm" for k in range(5)}


def test_the_fetched_folder_gives_the_row_of_the_local_one(
    orthanc: Orthanc, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scarseg.models.load", load_fakes)

    def measured(folder: Path) -> list[list[dict[str, str]]]:
        out = tmp_path / f"out-{folder.name}"
        assert cli.main(["batch", str(folder), "-o", str(out / "scar.csv")]) == 0
        tables = [rows_of(out / name) for name in ("scar.csv", "scar_slices.csv")]
        for row in tables[0]:  # the folder that was measured
            row.pop("input", None)
        return tables

    local = measured(study)
    assert local[0][0]["series_uid"] == "1.2.1.1"
    assert float(local[0][0]["scar_mass_g"]) > 0
    for way in WAYS:
        assert fetch(orthanc, way, tmp_path / way) == 0
        assert measured(tmp_path / way) == local


def test_compressed_pixels_named_as_words_give_the_same_bytes(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    for path in write_series(tmp_path / "local", patient(1), transfer_syntax=RLELossless):
        data = path.read_bytes()
        at = data.rindex(b"\xe0\x7f\x10\x00OB")  # as some scanners write it
        path.write_bytes(data[:at] + b"\xe0\x7f\x10\x00OW" + data[at + 6 :])
    orthanc.add(tmp_path / "local")
    for way in ("get", "web"):
        assert fetch(orthanc, way, tmp_path / way) == 0
    assert files(tmp_path / "get") == files(tmp_path / "web")


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
def test_compressed_images_stay_compressed(orthanc: Orthanc, tmp_path: Path, syntax: str) -> None:
    write_series(tmp_path / "local", patient(1), transfer_syntax=syntax)
    orthanc.add(tmp_path / "local")
    for way in ("get", "web"):
        assert fetch(orthanc, way, tmp_path / way) == 0
    assert files(tmp_path / "get") == files(tmp_path / "web")
    one = dcmread(tmp_path / "get" / "1.2.1.1" / "1.2.1.1.1.dcm")
    assert one.file_meta.TransferSyntaxUID == syntax
    assert one.PixelData == dcmread(tmp_path / "local" / "IM0001.dcm").PixelData


def test_an_enhanced_image_is_fetched(orthanc: Orthanc, tmp_path: Path) -> None:
    write_series(tmp_path / "local", patient(1), enhanced=True)
    orthanc.add(tmp_path / "local")
    for way in WAYS:
        assert fetch(orthanc, way, tmp_path / way) == 0
    assert files(tmp_path / "get") == files(tmp_path / "move") == files(tmp_path / "web")


def test_what_is_whole_is_left_alone(
    orthanc: Orthanc, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(orthanc, "get", tmp_path / "out") == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert fetch(orthanc, "web", tmp_path / "out") == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    assert "5 images, 0 of them fetched now" in capsys.readouterr().out


def test_a_hidden_rest_is_completed_and_a_shown_one_too(
    orthanc: Orthanc, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert fetch(orthanc, "get", out) == 0
    whole = files(out)
    for way in WAYS:
        shutil.move(out / "1.2.1.1", out / ".1.2.1.1.partial")
        (out / ".1.2.1.1.partial" / "1.2.1.1.2.dcm").unlink()
        (out / ".1.2.1.1.partial" / "1.2.1.1.3.dcm.part").write_bytes(b"half")
        (out / ".1.2.1.1.partial" / "9.9.dcm").write_bytes(b"not on the list")
        capsys.readouterr()
        assert fetch(orthanc, way, out) == 0
        assert "5 images, 1 of them fetched now" in capsys.readouterr().out
        assert files(out) == whole
        (out / "1.2.1.1" / "1.2.1.1.4.dcm").unlink()
        assert fetch(orthanc, way, out) == 0
        assert files(out) == whole


def test_a_partial_folder_is_no_input(
    orthanc: Orthanc, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(study / "p1", tmp_path / "in" / ".1.2.1.1.partial")
    assert cli.main(["inspect", str(tmp_path / "in"), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["stacks"] == []
    assert document["skipped_by_class"] == {"series still arriving": 1}


def test_only_mr_series_come_unless_others_are_named(
    orthanc: Orthanc, study: Path, tmp_path: Path
) -> None:
    first = patient(1)
    sources = tuple(SliceSource(f"1.2.1.7.{k}") for k in range(first.n_slices))
    other = replace(first, series_uid="1.2.1.7", sources=sources)
    write_series(tmp_path / "ct", other, header={"Modality": "OT"})
    orthanc.add(tmp_path / "ct")
    assert fetch(orthanc, "get", tmp_path / "a") == 0
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["1.2.1.1"]
    assert fetch(orthanc, "get", tmp_path / "b", 1, "--series", "1.2.1.7") == 0
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["1.2.1.7"]


@pytest.mark.parametrize("way", ["get", "web"])
def test_what_is_not_there_is_named(
    orthanc: Orthanc, study: Path, tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(orthanc, way, tmp_path / "out", 9) == 1
    assert capsys.readouterr().err.startswith("E_PACS_NOT_FOUND")
    assert fetch(orthanc, way, tmp_path / "out", 1, "--series", "1.2.9") == 1
    assert capsys.readouterr().err.startswith("E_PACS_NOT_FOUND")
    assert fetch(orthanc, way, tmp_path / "out", 1, "--series", "../../x") == 1
    assert capsys.readouterr().err.startswith("E_PACS_CONFIG")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_refused(
    orthanc: Orthanc, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "1.2.1.1").mkdir(parents=True)
    (tmp_path / "out" / "1.2.1.1" / "notes.txt").write_text("mine")
    before = tree(tmp_path / "out")
    assert fetch(orthanc, "get", tmp_path / "out") == 1
    assert "E_EXISTS" in capsys.readouterr().err
    assert tree(tmp_path / "out") == before


def test_files_are_private_and_name_nobody(
    orthanc: Orthanc, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(orthanc, "get", tmp_path / "out") == 0
    out, err = capsys.readouterr()
    assert "CANARY" not in out + err
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0
        assert "CANARY" not in path.name
