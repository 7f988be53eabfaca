"""Segmentation, contours and report go together, and a second run finds the first one's files."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread

from scarseg.case.labels import Label
from scarseg.errors import OutputError
from scarseg.io.dicom_export import export_dicom
from scarseg.quant import mass
from tests.io.exports import CREATED, VARIANTS, Export, make_export


def export_all(export: Export, folder: Path, **options: object) -> None:
    case = export.case
    measured = mass.measure(case.labels, case.stack, [one.status for one in case.readings])
    export_dicom(
        case,
        export.summary,
        segmentation=folder / "a.seg.dcm",
        contours=folder / "a.rtstruct.dcm",
        report=(folder / "a.sr.dcm", measured),
        **options,  # type: ignore[arg-type]
    )


def test_a_second_run_leaves_what_is_there_and_adds_what_is_missing(tmp_path: Path) -> None:
    export = make_export(VARIANTS[0], tmp_path / "images")
    out = tmp_path / "out"
    export_all(export, out, created=CREATED)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(before) == ["a.rtstruct.dcm", "a.seg.dcm", "a.sr.dcm"]
    (out / "a.sr.dcm").unlink()
    export_all(export, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    modality = {dcmread(path).Modality for path in out.iterdir()}
    assert modality == {"RTSTRUCT", "SEG", "SR"}


@pytest.mark.parametrize("change", ["labels", "identity", "other file"])
def test_what_is_not_the_same_is_not_replaced_unasked(change: str, tmp_path: Path) -> None:
    export = make_export(VARIANTS[0], tmp_path / "images")
    out = tmp_path / "out"
    export_all(export, out, created=CREATED)
    if change == "labels":
        export.case.labels[0, 0, 0] = Label.SCAR
    elif change == "other file":
        (out / "a.seg.dcm").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(OutputError, match="E_EXISTS"):
        export_all(export, out, identify=change == "identity")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    export_all(export, out, identify=change == "identity", force=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} != before


def uids_of(folder: Path) -> dict[str, tuple[str, str]]:
    found = {path.name: dcmread(path) for path in folder.iterdir()}
    return {name: (one.SOPInstanceUID, one.SeriesInstanceUID) for name, one in found.items()}


def test_the_same_content_has_the_same_uids_whenever_it_is_written(tmp_path: Path) -> None:
    export = make_export(VARIANTS[0], tmp_path / "images")
    export_all(export, tmp_path / "first", created=CREATED)
    export_all(export, tmp_path / "later", created=CREATED + timedelta(days=3, seconds=7))
    first, later = uids_of(tmp_path / "first"), uids_of(tmp_path / "later")
    assert first == later
    assert len({uid for uids in first.values() for uid in uids}) == 6
    export.case.labels[0, 0, 0] = Label.SCAR
    export_all(export, tmp_path / "changed", created=CREATED)
    changed = uids_of(tmp_path / "changed")
    assert all(changed[name] != first[name] for name in first)
