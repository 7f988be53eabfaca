"""``scarseg pacs send`` against a real Orthanc: filed under its patient and study, once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt

from scarseg import cli
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient, rows_of
from tests.fakes import load_fakes
from tests.io import sr_validator
from tests.io.exports import HAS_SR_VALIDATOR, HAS_VALIDATOR, complaints
from tests.pacs.orthanc import Orthanc, free_port

VALIDATOR = Path(sr_validator.__file__)


@pytest.fixture(params=["dicom", "web"])
def address(request: pytest.FixtureRequest, orthanc: Orthanc) -> str:
    return str(getattr(orthanc, request.param))


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scarseg.models.load", load_fakes)


def results(tmp_path: Path, *more: str, n: int = 1, kind: str = "seg") -> Path:
    """Measure patient ``n`` and return the folder of DICOM results."""
    images, out = tmp_path / f"p{n}", tmp_path / f"out-{n}-{kind}{len(more)}"
    if not images.exists():
        write_series(images, patient(n))
    words = ["batch", images, "-o", out / "scar.csv", "--masks", out / "dicom"]
    words += ["--mask-format", kind, "--sr", *more]
    assert cli.main([str(one) for one in words]) == 0
    return out / "dicom"


def send(address: str, *more: object) -> int:
    return cli.main(["pacs", "send", address, *map(str, more), "--timeout", "10"])


def test_results_are_filed_once_under_their_patient_and_study(
    orthanc: Orthanc, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(tmp_path, "--identify")
    contours = results(tmp_path, "--identify", kind="rtstruct")
    orthanc.add(tmp_path / "p1")
    capsys.readouterr()
    assert send(address, folder, contours / "1.2.1.1.rtstruct.dcm") == 0
    out, err = capsys.readouterr()
    assert out.count("sent ") == 3
    assert "CANARY" not in out + err
    filed = orthanc.instances()
    assert len(filed) == 5 + 3
    assert {one["StudyInstanceUID"] for one in filed.values()} == {"1.2.1"}
    assert {one["PatientID"] for one in filed.values()} == {"CANARY-1"}
    assert len(orthanc.call("GET", "/patients")) == len(orthanc.call("GET", "/studies")) == 1
    assert send(address, folder, contours / "1.2.1.1.rtstruct.dcm") == 0
    assert capsys.readouterr().out.count("there already") == 3
    assert len(orthanc.instances()) == 8


def test_the_grams_read_back_are_those_of_the_table(
    orthanc: Orthanc, address: str, tmp_path: Path
) -> None:
    folder = results(tmp_path, "--identify")
    orthanc.add(tmp_path / "p1")
    assert send(address, folder) == 0
    back = tmp_path / "back"
    words = ["pacs", "fetch", address, "--study", "1.2.1", "-o", str(back)]
    series = str(dcmread(folder / "1.2.1.1.seg.dcm").SeriesInstanceUID)
    assert cli.main([*words, "--series", series, "--series", "1.2.1.1"]) == 0
    [row] = rows_of(folder.parent / "scar.csv")
    [file] = (back / series).iterdir()
    assert grams_by_simpleitk(file) == pytest.approx(float(row["scar_mass_thickness_g"]), abs=1e-6)
    assert grams_by_highdicom(file) == pytest.approx(float(row["scar_mass_thickness_g"]), abs=1e-6)
    words = ["measure", back / series, "--dicom", back / "1.2.1.1", "-o", tmp_path / "again.csv"]
    assert cli.main([str(one) for one in words]) == 0
    [again] = rows_of(tmp_path / "again.csv")
    assert again["scar_mass_g"] == row["scar_mass_g"]


@pytest.mark.skipif(not HAS_VALIDATOR, reason="dciodvfy (dicom3tools) is missing")
@pytest.mark.skipif(not HAS_SR_VALIDATOR, reason="DicomSRValidator (pixelmed-apps) is missing")
def test_validators_find_no_error_in_what_comes_back(orthanc: Orthanc, tmp_path: Path) -> None:
    """SEG, RTSTRUCT, SR, page and montage, as another station fetches them.

    A label map SEG is newer than dciodvfy, which finds no definition of it.
    """
    beside = ("--identify", "--dicom-report", "--dicom-montage")
    sent = [
        results(tmp_path, *beside),
        results(tmp_path, "--identify", kind="rtstruct") / "1.2.1.1.rtstruct.dcm",
    ]
    orthanc.add(tmp_path / "p1")
    for each in sent:
        assert send(orthanc.web, each) == 0
    filed = orthanc.instances().values()
    series = {one["SeriesInstanceUID"] for one in filed} - {"1.2.1.1"}
    words = ["pacs", "fetch", orthanc.web, "--study", "1.2.1", "-o", str(tmp_path / "back")]
    assert cli.main([*words, *(word for uid in series for word in ("--series", uid))]) == 0
    files = sorted((tmp_path / "back").rglob("*.dcm"))
    kinds = sorted(dcmread(path).Modality for path in files)
    assert kinds == ["DOC", "OT", "RTSTRUCT", "SEG", "SR"]
    assert {path.name: complaints(path) for path in files} == {path.name: [] for path in files}
    [report] = [path for path in files if dcmread(path).Modality == "SR"]
    done = subprocess.run(
        [sys.executable, str(VALIDATOR), str(report)], capture_output=True, text=True, check=True
    )
    [text] = json.loads(done.stdout)
    assert "Found Root Template TID_1500" in text
    assert [line for line in text.splitlines() if line.startswith("Error")] == []


def scar_segment(dataset: Any) -> int:
    [number] = [
        int(one.SegmentNumber)
        for one in dataset.SegmentSequence
        if "scar" in one.SegmentLabel.lower()
    ]
    return number


def grams_by_simpleitk(path: Path) -> float:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(path))
    voxels = sitk.GetArrayFromImage(image)
    dataset = dcmread(path)
    number = scar_segment(dataset)
    frames = [
        k
        for k, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence)
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
    ]
    return _grams(dataset, float((voxels[frames] > 0).sum()))


def grams_by_highdicom(path: Path) -> float:
    import highdicom

    segmentation = highdicom.seg.segread(path)
    number = scar_segment(segmentation)
    sources = [uid[2] for uid in segmentation.get_source_image_uids()]
    array = segmentation.get_pixels_by_source_instance(sources, segment_numbers=[number])
    return _grams(segmentation, float((array > 0).sum()))


def _grams(dataset: Any, n: float) -> float:
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    rows, columns = map(float, measures.PixelSpacing)
    return n * rows * columns * float(measures.SliceThickness) * 1.05 / 1000


def error_of(capsys: pytest.CaptureFixture[str], status: int) -> str:
    assert status == 1
    return capsys.readouterr().err.splitlines()[-1].split(":")[0]


def test_pseudonyms_are_not_sent(
    orthanc: Orthanc, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(tmp_path)
    orthanc.add(tmp_path / "p1")
    assert error_of(capsys, send(address, folder)) == "E_PSEUDONYM"
    # Where the study exists, a pseudonym would split its patient even if asked for.
    assert error_of(capsys, send(address, folder, "--pseudonyms")) == "E_PATIENT_MISMATCH"
    assert len(orthanc.instances()) == 5
    orthanc.clear()
    assert send(address, folder, "--pseudonyms", "--new-study") == 0
    assert len(orthanc.instances()) == 2


def test_a_study_that_is_not_there_is_not_made_unasked(
    orthanc: Orthanc, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(tmp_path, "--identify")
    assert error_of(capsys, send(address, folder)) == "E_PACS_NOT_FOUND"
    assert orthanc.instances() == {}
    assert send(address, folder, tmp_path / "p1", "--new-study", "--images") == 0
    assert len(orthanc.instances()) == 2 + 5


def test_another_patient_under_the_same_study_is_refused(
    orthanc: Orthanc, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(tmp_path, "--identify")
    write_series(tmp_path / "other", replace(patient(1), patient_id="SOMEBODY"))
    orthanc.add(tmp_path / "other")
    capsys.readouterr()
    for more in ([], ["--new-study"], ["--pseudonyms"]):
        assert send(address, folder, *more) == 1
        err = capsys.readouterr().err
        assert err.startswith("E_PATIENT_MISMATCH")
        assert "SOMEBODY" not in err
        assert "CANARY" not in err
    assert len(orthanc.instances()) == 5


def test_images_are_left_out_unless_asked(
    orthanc: Orthanc, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(tmp_path, "--identify")
    orthanc.add(tmp_path / "p1" / "IM0001.dcm")
    assert send(address, folder, tmp_path / "p1") == 0
    assert "5 images are not sent" in capsys.readouterr().err
    assert len(orthanc.instances()) == 3
    assert error_of(capsys, send(address, tmp_path / "p1")) == "E_INPUT_EMPTY"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.dcm", None, "E_INPUT_MISSING"),
        ("b.dcm", b"text", "E_INPUT_UNREADABLE"),
        ("c.dcm", bytes(128) + b"DICM" + b"\xff" * 50, "E_INPUT_UNREADABLE"),
    ],
)
def test_files_that_cannot_be_sent_are_named(
    tmp_path: Path, name: str, content: bytes | None, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    address = f"dicom://A@127.0.0.1:{free_port()}"
    assert error_of(capsys, send(address, tmp_path / name)) == code


class Picky:
    """An archive of pynetdicom that files what it likes."""

    def __init__(self, syntaxes: list[str], status: int = 0x0000, files: bool = True) -> None:
        self.stored: dict[str, Any] = {}
        self._status, self._files = status, files
        self.port = free_port()
        entity = AE("PICKY")
        entity.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
        for one in ("66.4", "88.34", "88.22", "88.33", "481.3"):
            entity.supported_contexts += [build_context(f"1.2.840.10008.5.1.4.1.1.{one}", syntaxes)]
        self._server = entity.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_C_FIND, self._find), (evt.EVT_C_STORE, self._store)],
        )

    @property
    def address(self) -> str:
        return f"dicom://PICKY@127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()

    def _find(self, event: Any) -> Iterator[Any]:
        asked = event.identifier
        if asked.QueryRetrieveLevel == "STUDY":
            asked.PatientID = "CANARY-1"
            yield 0xFF00, asked
        else:
            for uid in self.stored if self._files else ():
                asked.SOPInstanceUID = uid
                yield 0xFF00, asked

    def _store(self, event: Any) -> int:
        if self._status:
            return self._status
        self.stored[event.request.AffectedSOPInstanceUID] = (event.context, event.dataset)
        return 0x0000


def test_only_implicit_little_endian_is_enough(tmp_path: Path) -> None:
    folder = results(tmp_path, "--identify")
    archive = Picky([ImplicitVRLittleEndian])
    try:
        assert send(archive.address, folder) == 0
    finally:
        archive.close()
    assert len(archive.stored) == 2
    for context, dataset in archive.stored.values():
        assert context.transfer_syntax == ImplicitVRLittleEndian
        assert dataset.PatientID == "CANARY-1"


def test_what_is_refused_or_not_filed_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(tmp_path, "--identify")
    capsys.readouterr()
    for archive, word in (
        (Picky([ImplicitVRLittleEndian], 0xA700), "0xA700"),
        (Picky([ImplicitVRLittleEndian], files=False), "not found"),
    ):
        began = time.monotonic()
        try:
            assert send(archive.address, folder, "--timeout", "2") == 2
        finally:
            archive.close()
        assert time.monotonic() - began < 15
        err = capsys.readouterr().err
        assert err.count("E_PACS_REFUSED") == 2
        assert word in err
