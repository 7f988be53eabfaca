"""What derived objects take from their images, however these are written and whatever they say."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from scarseg.case.case import Case
from scarseg.case.labels import LabelArray
from scarseg.io import dicom
from tests.io import dicom_files as files
from tests.io.exports import (
    CREATED,
    HAS_VALIDATOR,
    complaints,
    write_segmentation,
)


def exported(folder: Path, inputs: Path, identify: bool = True) -> Path:
    """Open what lies in ``inputs``, mark one slice, write a segmentation."""
    [summary] = dicom.scan([inputs]).stacks
    case = Case.new(dicom.read_stack(summary, 8.0))
    labels: LabelArray = case.labels
    labels[2, 10:14, 11:19] = 3
    path = folder / "seg.dcm"
    write_segmentation(path, case, summary, created=CREATED, identify=identify)
    return path


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
    ],
)
def test_images_of_every_encoding_are_opened_again(syntax: str, tmp_path: Path) -> None:
    images = files.series()
    if syntax in (RLELossless, JPEG2000Lossless):
        images = [files.compressed(one, syntax) for one in images]
    for image in images:
        image.FrameOfReferenceUID = "1.2.3.4.5"
        image.PatientBirthDate = "19500607"
    files.save_series(tmp_path / "in", images, syntax)
    found = dcmread(exported(tmp_path, tmp_path / "in"))
    assert found.FrameOfReferenceUID == "1.2.3.4.5"
    assert (found.PatientID, found.PatientBirthDate) == ("ID-7", "19500607")
    assert len(found.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == files.N_SLICES


def test_images_in_a_zip_are_opened_again(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in files.save_series(tmp_path / "in", files.series()):
            archive.write(path, path.name)
    found = dcmread(exported(tmp_path, tmp_path / "a.zip"))
    assert found.PatientID == "ID-7"
    assert found.FrameOfReferenceUID  # the images have none; a segmentation must


HOSTILE = {
    "PatientName": b"A^B=\xff\xfe^C\\D" + b"x" * 80,
    "PatientID": b"../..\\=cmd|' /C calc'!A0" + b"9" * 90,
    "PatientBirthDate": b"yesterda",
    "StudyDate": b"20120000",
    "PatientSex": b"unknown ",
    "AccessionNumber": b"1\\2" + b"3" * 40,
    "StudyTime": b"25h     ",
    "ReferringPhysicianName": b"\x1b$B bad",
    "StudyID": b"\\\\\\",
    "PositionReferenceIndicator": b"a\\b",
    "SpecificCharacterSet": b"ISO 2022 IR 999\\X",
}


@pytest.mark.filterwarnings("ignore")  # pydicom's, of these very values
@pytest.mark.parametrize("keyword", HOSTILE)
@pytest.mark.parametrize("identify", [True, False])
def test_odd_headers_do_not_stop_an_export(keyword: str, identify: bool, tmp_path: Path) -> None:
    images = files.series()
    for image in images:
        files.put_raw(image, keyword, HOSTILE[keyword])
    files.save_series(tmp_path / "in", images)
    path = exported(tmp_path, tmp_path / "in", identify)
    found = dcmread(path)
    assert found.StudyInstanceUID == files.STUDY
    assert found.PatientBirthDate == found.PatientSex == found.StudyTime == ""
    if HAS_VALIDATOR and not identify:
        assert complaints(path) == []


IDENTITIES = {
    "plain": ("", b"0012E5 ", b"Doe^Jane"),
    "blanks": ("ISO_IR 100", b"  007 ", b"M\xfcller^J\xf6rg "),
    "utf-8": ("ISO_IR 192", "éß-1".encode(), "Łukasz^Ł".encode()),
    "chinese": ("GB18030", "病人7".encode("gb18030"), "王^小东".encode("gb18030")),
    "japanese": ("\\ISO 2022 IR 87", b"J-12", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", IDENTITIES)
def test_identity_is_kept_byte_for_byte(name: str, tmp_path: Path) -> None:
    characters, patient, person = IDENTITIES[name]
    own = {
        "PatientID": patient,
        "PatientName": person,
        "IssuerOfPatientID": b"HOSPITAL A",
        "StudyDescription": b"MR^Heart  4 ",
        "StudyID": b"0001",
        "AccessionNumber": b"00A1",
    }
    images = files.series()
    for image in images:
        if characters:
            files.put_raw(image, "SpecificCharacterSet", characters.encode())
        for keyword, value in own.items():
            files.put_raw(image, keyword, value + b" " * (len(value) % 2))
    files.save_series(tmp_path / "in", images)
    source = dcmread(next((tmp_path / "in").iterdir()), stop_before_pixels=True)
    found = dcmread(exported(tmp_path, tmp_path / "in"), stop_before_pixels=True)
    for keyword in own:
        tag = tag_for_keyword(keyword)
        assert found.get_item(tag).value == source.get_item(tag).value, keyword
    assert str(found.PatientName) == str(source.PatientName)
    hidden = dcmread(exported(tmp_path / "hidden", tmp_path / "in", identify=False))
    assert "IssuerOfPatientID" not in hidden and "StudyDescription" not in hidden
