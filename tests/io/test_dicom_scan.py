"""What a good series looks like once listed and read, however its files lie about."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from scarseg.errors import Cancelled, InputError
from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.types import LoadReport, StackSummary
from tests.io.dicom_files import (
    BASE,
    COLUMN_SPACING,
    COLUMNS,
    N_SLICES,
    NORMAL,
    ORIENTATION,
    ROW_SPACING,
    ROWS,
    SERIES,
    SPACING,
    STUDY,
    THICKNESS,
    decimals,
    put_raw,
    save,
    save_series,
    series,
    slice_dataset,
    stored_pixels,
)


def only(report: LoadReport) -> StackSummary:
    assert [refusal.code for refusal in report.refused] == []
    assert len(report.stacks) == 1
    return report.stacks[0]


def codes(summary: StackSummary) -> list[str]:
    return [warning.code for warning in summary.warnings]


def test_summary_tells_the_geometry(tmp_path: Path) -> None:
    save_series(tmp_path, series())
    summary = only(scan([tmp_path]))
    assert (summary.series_uid, summary.study_uid, summary.part) == (SERIES, STUDY, "")
    assert summary.stack_id == SERIES
    assert (summary.n_slices, summary.rows, summary.columns) == (N_SLICES, ROWS, COLUMNS)
    assert summary.pixel_spacing_mm == (ROW_SPACING, COLUMN_SPACING)
    assert summary.slice_thickness_mm == THICKNESS
    assert summary.slice_spacing_mm == pytest.approx(SPACING, abs=1e-6)
    assert summary.complete
    assert codes(summary) == ["W_GAP"]
    assert summary.proposed
    assert "lge" in summary.reason
    assert (summary.patient_id, summary.patient_name) == ("ID-7", "Test^Case")
    assert (summary.study_date, summary.description) == ("20240305", "LGE SAX")


def test_stack_holds_pixels_and_where_they_came_from(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    summary = only(scan([tmp_path]))
    stack = read_stack(summary)
    expected = np.stack([stored_pixels(k) for k in range(N_SLICES)])
    np.testing.assert_array_equal(stack.pixels, expected)
    assert stack.pixels.dtype == np.float32
    np.testing.assert_allclose(stack.origins_mm[2], BASE + NORMAL * SPACING * 2, atol=1e-6)
    np.testing.assert_allclose(stack.orientation, ORIENTATION, atol=1e-8)
    np.testing.assert_allclose(stack.normal, NORMAL, atol=1e-8)
    assert [s.sop_instance_uid for s in stack.sources] == [
        f"{SERIES}.{k + 1}" for k in range(N_SLICES)
    ]
    assert stack.sources[3].sha256 == hashlib.sha256(paths[3].read_bytes()).hexdigest()
    assert stack.sources[3].instance_number == 4
    assert stack.warnings == summary.warnings
    assert not stack.thickness_from_user
    assert stack.slice_spacing_mm == pytest.approx(summary.slice_spacing_mm)


def test_nothing_depends_on_names_folders_or_instance_numbers(tmp_path: Path) -> None:
    save_series(tmp_path / "a", series())
    expected = read_stack(only(scan([tmp_path / "a"])))
    shuffled = list(range(N_SLICES))
    random.Random(4).shuffle(shuffled)
    for name, k in zip("zkbmaq", shuffled, strict=True):
        ds = slice_dataset(k)
        ds.InstanceNumber = 90 - 7 * k
        save(ds, tmp_path / "b" / name / "deep" / f"{name}.{k}xyz")
    stack = read_stack(only(scan([tmp_path / "b"])))
    np.testing.assert_array_equal(stack.pixels, expected.pixels)
    assert stack.origins_mm == expected.origins_mm


def test_slices_run_from_base_to_apex_whatever_the_sign_of_the_normal(tmp_path: Path) -> None:
    reversed_columns = np.concatenate([-ORIENTATION[:3], ORIENTATION[3:]])
    for k, ds in enumerate(series()):
        ds.ImageOrientationPatient = [f"{v:.9f}" for v in reversed_columns]
        save(ds, tmp_path / f"{k}")
    stack = read_stack(only(scan([tmp_path])))
    along = np.asarray(stack.origins_mm) @ NORMAL
    assert np.all(np.diff(along) > 0)
    np.testing.assert_allclose(stack.normal, NORMAL, atol=1e-6)


@pytest.mark.parametrize("times", [0.5, 2.0])
def test_spacing_follows_positions_not_headers(tmp_path: Path, times: float) -> None:
    datasets = series(spacing=SPACING * times)
    for ds in datasets:
        ds.SpacingBetweenSlices = str(SPACING)
    save_series(tmp_path, datasets)
    summary = only(scan([tmp_path]))
    assert summary.slice_spacing_mm == pytest.approx(SPACING * times, abs=1e-6)
    assert "W_SPACING_HEADER" in codes(summary)
    assert summary.spacing_between_slices_mm == SPACING
    assert summary.slice_thickness_mm == THICKNESS


def test_turning_the_patient_turns_only_the_orientation(tmp_path: Path) -> None:
    axis = np.array([0.3, -0.5, 0.8]) / np.linalg.norm([0.3, -0.5, 0.8])
    turn = Rotation.from_rotvec(0.4 * axis)
    for k, ds in enumerate(series()):
        position = turn.apply([float(v) for v in ds.ImagePositionPatient])
        ds.ImagePositionPatient = decimals(position)
        ds.ImageOrientationPatient = decimals(turn.apply(ORIENTATION.reshape(2, 3)).ravel())
        save(ds, tmp_path / f"{k}")
    stack = read_stack(only(scan([tmp_path])))
    np.testing.assert_allclose(stack.normal, turn.apply(NORMAL), atol=1e-6)
    assert stack.slice_spacing_mm == pytest.approx(SPACING, abs=1e-5)
    np.testing.assert_array_equal(stack.pixels[4], stored_pixels(4))


def test_single_files_without_preamble_or_meta_are_read(tmp_path: Path) -> None:
    for k, ds in enumerate(series()):
        path = save(ds, tmp_path / f"{k}", ImplicitVRLittleEndian)
        data = path.read_bytes()
        body = data.index(b"\x08\x00\x08\x00", 140)
        path.write_bytes(data[body:])
    stack = read_stack(only(scan(sorted(tmp_path.iterdir()))))
    np.testing.assert_array_equal(stack.pixels[1], stored_pixels(1))


@pytest.mark.skipif(sys.platform != "linux", reason="file names are any bytes on Linux alone")
def test_any_file_name_is_reported_in_printable_text(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    paths[0].rename(os.fsdecode(os.fsencode(tmp_path) + b"/IM\xff\xfe.dcm"))
    [cut] = [path for path in tmp_path.iterdir() if path not in paths]
    assert only(scan([tmp_path])).n_slices == N_SLICES
    cut.write_bytes(cut.read_bytes()[:500])
    report = scan([tmp_path])
    assert [r.code for r in report.refused] == ["E_TRUNCATED"]
    assert report.refused[0].path.encode("utf-8").endswith(b"IM\\udcff\\udcfe.dcm")


def test_files_given_twice_count_once(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    report = scan([tmp_path, *paths, tmp_path])
    assert only(report).n_slices == N_SLICES
    assert report.notes == ()


def test_what_is_no_image_is_skipped_and_counted(tmp_path: Path) -> None:
    save_series(tmp_path, series())
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(3000))
    (tmp_path / "readme.txt").write_text("about this study")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "noise").write_bytes(bytes(128) + b"DICM" + np.random.default_rng(1).bytes(4000))
    report_ds = Dataset()
    report_ds.SOPClassUID, report_ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3"
    report_ds.Modality = "SR"
    save(report_ds, tmp_path / "report.dcm")
    report = scan([tmp_path])
    assert only(report).n_slices == N_SLICES
    assert report.skipped == 5
    assert any("Basic Text SR" in note for note in report.notes)


def test_inputs_that_cannot_be_looked_at(tmp_path: Path) -> None:
    with pytest.raises(InputError) as missing:
        scan([tmp_path / "nowhere"])
    assert missing.value.code == "E_INPUT_MISSING"
    with pytest.raises(InputError) as empty:
        scan([tmp_path])
    assert empty.value.code == "E_INPUT_EMPTY"


def test_one_missing_input_leaves_the_others(tmp_path: Path) -> None:
    save_series(tmp_path / "a", series())
    report = scan([tmp_path / "nowhere", tmp_path / "a"])
    assert [r.code for r in report.refused] == ["E_INPUT_MISSING"]
    assert report.stacks[0].n_slices == N_SLICES


def test_folder_of_other_files_gives_an_empty_report(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("nothing here")
    report = scan([tmp_path])
    assert (report.stacks, report.refused, report.skipped) == ((), (), 1)


def test_source_files_are_never_written(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    for path in paths:
        path.chmod(0o400)
    read_stack(only(scan([tmp_path])))
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()} == before


def test_no_identity_reaches_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    save_series(tmp_path, series())
    (tmp_path / "cut").write_bytes((tmp_path / "IM0001.dcm").read_bytes()[:500])
    report = scan([tmp_path])
    read_stack(report.stacks[0])
    said = caplog.text + " ".join(report.notes) + " ".join(r.message for r in report.refused)
    assert "ID-7" not in said
    assert "Test" not in said


def test_progress_is_told_and_may_cancel(tmp_path: Path) -> None:
    save_series(tmp_path, series())
    heard: list[float] = []
    summary = only(scan([tmp_path], lambda fraction, what: heard.append(fraction)))
    assert heard == sorted(heard)
    assert heard[-1] == 1.0

    def cancel(fraction: float, what: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        scan([tmp_path], cancel)
    with pytest.raises(Cancelled):
        read_stack(summary, progress=cancel)


@pytest.mark.parametrize(
    ("charset", "raw", "shown"),
    [
        (b"ISO_IR 100", "Müller^Zoë".encode("latin-1"), "Müller^Zoë"),
        (b"ISO_IR 192", "Łódź^Ω".encode(), "Łódź^Ω"),
        (b"", "Łódź^Ω".encode(), "Łódź^Ω"),
        (b"ISO_IR 999", b"M\xfcller", "Müller"),
        (b"nonsense\\more", b"M\xfc\xff\x1b$Bller", None),
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
        (b"ISO_IR 192", b"\xff\xfe\x00bad", None),
    ],
)
def test_any_character_set_is_shown_as_well_as_it_can_be(
    tmp_path: Path, charset: bytes, raw: bytes, shown: str | None
) -> None:
    for k, ds in enumerate(series()):
        put_raw(ds, "SpecificCharacterSet", charset)
        put_raw(ds, "PatientName", raw)
        save(ds, tmp_path / f"{k}")
    name = only(scan([tmp_path])).patient_name
    assert name
    assert all(character.isprintable() for character in name)
    if shown is not None:
        assert name == shown


def test_another_study_is_another_stack(tmp_path: Path) -> None:
    save_series(tmp_path / "a", series())
    second = series()
    study, uid = generate_uid(), generate_uid()
    for k, ds in enumerate(second):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, uid
        ds.SOPInstanceUID = f"{uid[:50]}.{k}"
    save_series(tmp_path / "b", second)
    report = scan([tmp_path])
    assert [s.proposed for s in report.stacks] == [True, True]
    assert {s.series_uid for s in report.stacks} == {SERIES, uid}
    assert all(s.part == "" for s in report.stacks)
