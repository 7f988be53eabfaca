"""Structured reports carry the table's grams, point to their segments and images, name nobody."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.measurements import MassConvention, Measurements
from scarseg.io.dicom_export import export_dicom
from scarseg.io.tables.columns import COLUMNS
from scarseg.io.tables.pseudonyms import pseudonym
from scarseg.io.tables.table import case_record, render_csv
from scarseg.quant import mass
from tests.io.exports import (
    CANARIES,
    CREATED,
    HAS_SR_VALIDATOR,
    HAS_VALIDATOR,
    ID,
    VARIANTS,
    Export,
    Variant,
    complaints,
    make_export,
    write_report,
)

VALIDATOR = Path(__file__).with_name("sr_validator.py")
BY_NAME = {one.name: one for one in VARIANTS}
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: one.name)


def measure(case: Case, convention: MassConvention = MassConvention.THICKNESS) -> Measurements:
    return mass.measure(case.labels, case.stack, [one.status for one in case.readings], convention)


def written(
    variant: Variant, folder: Path, *, segmented: bool = True, identify: bool = False
) -> tuple[Export, Measurements, hd.seg.Segmentation | None]:
    export = make_export(variant, folder / "images")
    measured = measure(export.case)
    report = (folder / "sr.dcm", measured)
    path = folder / "seg.dcm" if segmented else None
    export_dicom(
        export.case,
        export.summary,
        segmentation=path,
        report=report,
        created=CREATED,
        identify=identify,
    )
    segmentation = None if path is None else hd.seg.segread(path)
    return export, measured, segmentation


def groups_of(document: Dataset) -> dict[str, Dataset]:
    """Return the measurement groups by what they find."""
    [container] = [
        one
        for one in document.ContentSequence
        if one.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    ]
    found = {}
    for group in container.ContentSequence:
        [kind] = [
            one.ConceptCodeSequence[0].CodeMeaning
            for one in group.ContentSequence
            if one.ConceptNameCodeSequence[0].CodeMeaning == "Finding"
        ]
        found[kind] = group
    return found


def numbers_of(group: Dataset) -> dict[tuple[str, str], tuple[float, str]]:
    """Return value and unit by name and method."""
    found = {}
    for one in group.ContentSequence:
        if one.ValueType != "NUM":
            continue
        [method] = [
            part.ConceptCodeSequence[0].CodeValue
            for part in one.ContentSequence
            if part.ConceptNameCodeSequence[0].CodeMeaning == "Measurement Method"
        ]
        [value] = one.MeasuredValueSequence
        assert float(value.NumericValue) == pytest.approx(value.FloatingPointValue, rel=1e-12)
        unit = value.MeasurementUnitsCodeSequence[0]
        assert unit.CodingSchemeDesignator == "UCUM"
        name = one.ConceptNameCodeSequence[0].CodeMeaning
        found[name, method] = (value.FloatingPointValue, unit.CodeValue)
    return found


@each_variant
def test_its_grams_are_those_of_the_table(variant: Variant, tmp_path: Path) -> None:
    export, measured, _ = written(variant, tmp_path)
    text = render_csv(COLUMNS, [case_record(export.case, measured).row]).decode()
    [row] = csv.DictReader(io.StringIO(text))
    groups = groups_of(dcmread(tmp_path / "sr.dcm"))
    scar = numbers_of(groups["Scar tissue"])
    # Slices that overlap are weighed by their distance.
    headline = "MASS-SPACING" if variant.name == "overlap" else "MASS-THICKNESS"
    assert scar["Mass", "MASS-THICKNESS"] == (float(row["scar_mass_thickness_g"]), "g")
    assert scar["Mass", "MASS-SPACING"] == (float(row["scar_mass_spacing_g"]), "g")
    assert scar["Volume", headline] == (float(row["scar_volume_ml"]), "ml")
    share = scar.get(("Scar mass as percent of LV mass", headline))
    assert share == ((float(row["scar_percent_lv"]), "%") if row["scar_percent_lv"] else None)
    assert ("Left Ventricle Myocardium" in groups) == bool(row["lv_mass_g"])
    if row["lv_mass_g"]:
        wall = numbers_of(groups["Left Ventricle Myocardium"])
        assert wall["Left Ventricle Mass", headline] == (float(row["lv_mass_g"]), "g")
    assert ("Microvascular obstruction" in groups) == bool(row["mvo_mass_g"])
    if "Microvascular obstruction" in groups:
        dark = numbers_of(groups["Microvascular obstruction"])
        assert dark["Mass", headline] == (float(row["mvo_mass_g"]), "g")


@pytest.mark.skipif(not HAS_VALIDATOR, reason="dciodvfy (dicom3tools) is missing")
@each_variant
def test_a_strict_validator_finds_no_error(variant: Variant, tmp_path: Path) -> None:
    written(variant, tmp_path, segmented=variant.model, identify=variant.touched != "")
    assert complaints(tmp_path / "sr.dcm") == []


ALL_REPORTS = "SCARSEG_TEST_ALL_REPORTS" in os.environ
VALIDATED = VARIANTS if ALL_REPORTS else (BY_NAME["mvo"], BY_NAME["no scar"])


@pytest.mark.skipif(not HAS_SR_VALIDATOR, reason="DicomSRValidator (pixelmed-apps) is missing")
def test_reports_follow_the_template(tmp_path: Path) -> None:
    """Two variants in one call; all of them with ``SCARSEG_TEST_ALL_REPORTS=1`` in the environment.

    A report without its root template must fail, else the validator checks nothing.
    """
    paths = []
    for variant in VALIDATED:
        for segmented in (True, False):
            folder = tmp_path / f"{variant.name}-{segmented}"
            folder.mkdir()
            written(variant, folder, segmented=segmented)
            paths.append(folder / "sr.dcm")
    broken = dcmread(paths[0])
    del broken.ContentSequence[-1]
    broken.save_as(tmp_path / "broken.dcm")
    done = subprocess.run(
        [sys.executable, str(VALIDATOR), *map(str, paths), str(tmp_path / "broken.dcm")],
        capture_output=True,
        text=True,
        check=True,
    )
    *reports, wrong = json.loads(done.stdout)
    for path, report in zip(paths, reports, strict=True):
        assert "Found Root Template TID_1500" in report, path
        assert [line for line in report.splitlines() if line.startswith("Error")] == [], path
    assert any(line.startswith("Error") for line in wrong.splitlines())


def test_no_scar_is_zero_grams_of_the_wall(tmp_path: Path) -> None:
    _, _, segmentation = written(BY_NAME["no scar"], tmp_path)
    assert segmentation is not None
    scar = groups_of(dcmread(tmp_path / "sr.dcm"))["Scar tissue"]
    assert numbers_of(scar)["Mass", "MASS-THICKNESS"] == (0.0, "g")
    pointed = [
        one.ReferencedSOPSequence[0] for one in scar.ContentSequence if one.ValueType == "IMAGE"
    ]
    [number] = [one.ReferencedSegmentNumber for one in pointed if "ReferencedSegmentNumber" in one]
    assert segmentation.SegmentSequence[int(number) - 1].SegmentLabel == "LV myocardium"


@pytest.mark.parametrize("name", ["mvo", "enhanced"])
def test_groups_point_to_their_segment_and_images(name: str, tmp_path: Path) -> None:
    export, _, segmentation = written(BY_NAME[name], tmp_path)
    assert segmentation is not None
    document = dcmread(tmp_path / "sr.dcm")
    labels = {int(one.SegmentNumber): one.SegmentLabel for one in segmentation.SegmentSequence}
    expected = {
        "Left Ventricle Myocardium": "LV myocardium",
        "Scar tissue": "LV scar",
        "Microvascular obstruction": "LV microvascular obstruction",
    }
    for kind, group in groups_of(document).items():
        images = [one for one in group.ContentSequence if one.ValueType == "IMAGE"]
        pointed = [one.ReferencedSOPSequence[0] for one in images]
        [segment] = [one for one in pointed if "ReferencedSegmentNumber" in one]
        assert segment.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert labels[int(segment.ReferencedSegmentNumber)] == expected[kind]
        others = {one.ReferencedSOPInstanceUID for one in pointed if one is not segment}
        assert others == {one.sop_instance_uid for one in export.case.stack.sources}
        if name == "enhanced":
            [source] = [one for one in pointed if one is not segment]
            assert list(source.ReferencedFrameNumber) == [1, 2, 3, 4, 5, 6]
    [study] = document.CurrentRequestedProcedureEvidenceSequence
    evidence = {
        instance.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    sources = {one.sop_instance_uid for one in export.case.stack.sources}
    assert evidence == sources | {segmentation.SOPInstanceUID}


def test_the_convention_of_the_headline_goes_with_it(tmp_path: Path) -> None:
    export = make_export(BY_NAME["oblique"], tmp_path / "images")
    measured = measure(export.case, MassConvention.SPACING)
    write_report(tmp_path / "sr.dcm", export.case, measured, export.summary)
    scar = numbers_of(groups_of(dcmread(tmp_path / "sr.dcm"))["Scar tissue"])
    assert scar["Volume", "MASS-SPACING"] == (measured.scar_volume_ml, "ml")
    assert ("Volume", "MASS-THICKNESS") not in scar
    grams = scar["Mass", "MASS-SPACING"][0], scar["Mass", "MASS-THICKNESS"][0]
    assert grams[0] > 1.1 * grams[1]


def test_it_tells_how_and_by_whom(tmp_path: Path) -> None:
    export = make_export(BY_NAME["overlap"], tmp_path / "images")
    case = export.case
    case.reader = "Reader Ä"
    case.readings = [replace(one, status=SliceStatus.ACCEPTED) for one in case.readings]
    write_report(tmp_path / "sr.dcm", case, measure(case), export.summary, created=CREATED)
    document = dcmread(tmp_path / "sr.dcm")
    assert document.CompletionFlag == "COMPLETE"
    assert document.VerificationFlag == "UNVERIFIED"
    text = (tmp_path / "sr.dcm").read_bytes().decode("utf-8", "replace")
    for part in (
        "segmenter_sha256=" + "ab" * 32,
        "density_g_per_ml=1.05",
        "method=prompted",
        "For research use only. Not a medical device.",
        "W_OVERLAP",
        "Reader Ä",
        "6 of 6",
    ):
        assert part in text


def test_nobody_is_named_unless_asked(tmp_path: Path) -> None:
    written(BY_NAME["mvo"], tmp_path / "a")
    data = (tmp_path / "a" / "sr.dcm").read_bytes()
    assert not [one for one in CANARIES if one in data]
    hidden = dcmread(tmp_path / "a" / "sr.dcm")
    assert (hidden.PatientID, hidden.PatientIdentityRemoved) == (pseudonym(ID), "YES")
    assert hidden.CompletionFlag == "PARTIAL"
    written(BY_NAME["mvo"], tmp_path / "b", identify=True)
    assert dcmread(tmp_path / "b" / "sr.dcm").PatientID == ID


def test_same_case_and_time_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(BY_NAME["mvo"], tmp_path / name)
    assert (tmp_path / "a" / "sr.dcm").read_bytes() == (tmp_path / "b" / "sr.dcm").read_bytes()
