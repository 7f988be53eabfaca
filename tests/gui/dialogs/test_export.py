"""Tables, report and masks into a folder: what the command line writes for the same case."""

from __future__ import annotations

import threading
from dataclasses import replace

import nibabel as nib
import numpy as np
import openpyxl
import pytest
from PyQt6.QtWidgets import QDialogButtonBox, QFileDialog

from scarseg.batch.further_tables import collect_tables
from scarseg.batch.results import write_results
from scarseg.batch.selection import select_stacks
from scarseg.batch.settings import MaskFormat, ResultSettings
from scarseg.case.labels import Label
from scarseg.case.prompts import InsertionPoint
from scarseg.gui.commands.export import DEFAULT_FORMATS, TABLE_FILTER
from scarseg.gui.dialogs import Dialogs
from scarseg.gui.dialogs.export import NO_FILES, ExportDialog
from scarseg.gui.session.export import DICOM_FORMATS, ExportFormat, ExportRequest
from scarseg.io import dicom
from scarseg.io.masks import nifti
from scarseg.report import patient
from scarseg.report.patient import prepare
from scarseg.segmentation import pipeline
from tests.cohorts import write
from tests.conftest import make_phantom_stack

EVERYTHING = frozenset(ExportFormat)


def _export(reader, folder, parts, whole_list=False):
    reader.dialogs.request = ExportRequest(folder, frozenset(parts), whole_list)
    reader.act("export_parts")
    reader.settle()


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def from_files(make_reader, tmp_path):
    """A reader with a study of DICOM files open, every slice proposed."""
    reader = make_reader()
    write(tmp_path / "study", 1)
    reader.session.scan([tmp_path / "study"])
    reader.wait(lambda: reader.session.current)
    reader.wait_ready()
    reader.settle()
    return reader


def test_a_drawn_remote_region_is_exported_beside_the_masks(from_files, tmp_path):
    reader = from_files
    case = reader.case
    region = case.labels[2] == Label.MYOCARDIUM
    reader.document.set_remote_region(2, region)
    for part in (ExportFormat.NIFTI, ExportFormat.SEG, ExportFormat.RTSTRUCT, ExportFormat.CSV):
        _export(reader, tmp_path / part, [part])
        written = sorted(path.name for path in (tmp_path / part).iterdir())
        name = f"{case.stack.stack_id}.remote.nii.gz"
        assert (name in written) == (part is not ExportFormat.CSV), part
    image = nib.load(tmp_path / "nifti" / name)
    voxels = np.asarray(image.dataobj).transpose(2, 1, 0)
    assert np.array_equal(voxels[2] == 1, region)
    assert int(voxels.sum()) == np.count_nonzero(region)
    labels = nib.load(tmp_path / "nifti" / f"{case.stack.stack_id}.nii.gz")
    assert np.array_equal(image.affine, labels.affine)


def test_everything_is_what_the_command_line_writes(from_files, tmp_path):
    reader, mine, theirs = from_files, tmp_path / "mine", tmp_path / "theirs"
    reader.go_to(1)
    reader.paint((30, 30), (34, 30))
    reader.accept()
    case = reader.document.case.copy()
    _export(reader, mine, EVERYTHING)
    job = select_stacks(dicom.scan([tmp_path / "study"])).jobs[0]
    maker = reader.window.commands.export.interval_of(case)
    interval = maker(case, lambda *_: None)
    for kind in (MaskFormat.NIFTI, MaskFormat.SEG, MaskFormat.RTSTRUCT):
        sr = kind is MaskFormat.SEG
        settings = ResultSettings(masks=theirs, mask_format=kind, sr=sr, reports=theirs, force=True)
        last = write_results(case, job, settings, job.mask_file, interval=interval)
    from scarseg.io.tables.export import write_export

    tables = collect_tables([last.tables], methods=False)
    write_export(theirs / "scar.csv", [last.record], {}, tables, workbook=True)
    ours, wanted = _bytes(mine), _bytes(theirs)
    assert set(ours) == set(wanted) and len(ours) == 10
    timed = {name for name in ours if name.endswith(".dcm")}  # they say when they were made
    for name in set(ours) - timed:
        assert ours[name] == wanted[name], name
    whole = b"".join(ours.values())
    assert case.stack.patient_id.encode() not in whole
    stem = job.mask_file.removesuffix(".nii.gz")
    labels = nifti.read_labels(mine / f"{stem}.nii.gz")
    np.testing.assert_array_equal(getattr(labels, "labels", labels), case.labels)


def test_files_that_are_there_are_replaced_only_after_asking(reading, tmp_path):
    precious = tmp_path / f"{reading.case.stack.stack_id}.pdf"
    precious.write_text("precious")
    _export(reading, tmp_path, [ExportFormat.REPORT, ExportFormat.CSV])
    assert precious.read_text() == "precious" and len(reading.dialogs.asked) == 1
    assert not (tmp_path / "scar.csv").exists()
    reading.dialogs.yes = True
    _export(reading, tmp_path, [ExportFormat.REPORT, ExportFormat.CSV])
    assert precious.read_bytes().startswith(b"%PDF")
    assert (tmp_path / "scar.csv").exists()
    assert "5 files" in reading.window.status_bar.message.text()


def test_the_whole_list_at_once(reading, tmp_path):
    reading.accept()
    other = replace(make_phantom_stack(), series_uid="1.2.3.9", study_uid="1.2.8")
    reading.open(other)
    reading.wait_ready()
    reading.session.study_list.add_stack(replace(other, series_uid="1.2.3.10", study_uid="1.2.9"))
    _export(reading, tmp_path / "out", [ExportFormat.WORKBOOK, ExportFormat.NIFTI], whole_list=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "scar.xlsx", "1.2.3.4.nii.gz", "1.2.3.9.nii.gz",
    }  # fmt: skip
    sheet = openpyxl.load_workbook(tmp_path / "out" / "scar.xlsx")["patients"]
    assert sheet.max_row == 3
    assert "1 series have no reading" in reading.window.status_bar.message.text()


def test_a_stack_without_files_leaves_no_dicom(reading, tmp_path):
    _export(reading, tmp_path, DICOM_FORMATS)
    assert not list(tmp_path.glob("*.dcm"))
    assert "images that are in files" in reading.window.banner.text.text()
    assert reading.dialogs.offered[2] is False


def test_what_was_ticked_is_remembered(reading, tmp_path):
    _export(reading, tmp_path, [ExportFormat.NIFTI, ExportFormat.WORKBOOK])
    assert reading.dialogs.offered[0] == DEFAULT_FORMATS
    _export(reading, tmp_path / "again", [ExportFormat.NIFTI])
    assert reading.dialogs.offered[0] == {ExportFormat.NIFTI, ExportFormat.WORKBOOK}


def test_a_folder_that_cannot_be_written_is_told(reading, tmp_path):
    (tmp_path / "file").write_text("")
    _export(reading, tmp_path / "file", [ExportFormat.REPORT])
    assert "Not written" in reading.window.banner.text.text()


def test_images_that_changed_refuse_their_dicom(from_files, tmp_path):
    for path in (tmp_path / "study").rglob("*.dcm"):
        path.unlink()
    _export(from_files, tmp_path / "out", [ExportFormat.SEG])
    assert "Not written" in from_files.window.banner.text.text()
    assert not list((tmp_path / "out").glob("*.dcm"))


def test_a_workbook_by_its_suffix(reading, tmp_path):
    reading.export(tmp_path / "scar.xlsx")
    assert not (tmp_path / "scar.json").exists()
    sheet = openpyxl.load_workbook(tmp_path / "scar.xlsx")["patients"]
    names = [cell.value for cell in sheet[1]]
    row = dict(zip(names, [cell.value for cell in sheet[2]], strict=True))
    assert row["scar_mass_g"] == pytest.approx(pipeline.measure(reading.case).scar_mass_g)


def test_the_sheet_asks_for_what_can_be_had(reading, tmp_path):
    chosen = []
    made = ExportDialog(
        reading.window,
        ("P0", "P0"),
        ExportRequest(tmp_path, DEFAULT_FORMATS),
        3,
        False,
        lambda: chosen.append(1) or tmp_path / "x",
    )
    assert all(not made.boxes[part].isEnabled() for part in DICOM_FORMATS)
    assert made.boxes[ExportFormat.SEG].toolTip() == NO_FILES
    assert made.request == ExportRequest(tmp_path, DEFAULT_FORMATS)
    for part in DEFAULT_FORMATS:
        made.boxes[part].setChecked(False)
    assert not made.accept_button.isEnabled()
    made.boxes[ExportFormat.NIFTI].setChecked(True)
    made.all.setChecked(True)
    made.browse.click()
    assert chosen and made.accept_button.isEnabled()
    assert made.request == ExportRequest(tmp_path / "x", frozenset((ExportFormat.NIFTI,)), True)
    assert made.findChild(QDialogButtonBox) is not None
    made.deleteLater()


def test_the_report_turns_with_the_readers_insertion(reading, tmp_path):
    _export(reading, tmp_path / "before", [ExportFormat.REPORT])
    reading.document.set_insertion_point(InsertionPoint(2, 36.0, 14.0))
    _export(reading, tmp_path / "after", [ExportFormat.REPORT])
    assert prepare(reading.case, pipeline.measure(reading.case)).wall_map.source is None
    before, after = _bytes(tmp_path / "before"), _bytes(tmp_path / "after")
    assert set(before) == set(after) and before != after


@pytest.mark.parametrize(
    ("typed", "used", "named"),
    [
        ("scar", "CSV (*.csv)", "scar.csv"),
        ("scar", "Workbook (*.xlsx)", "scar.xlsx"),
        ("scar.csv", "Workbook (*.xlsx)", "scar.xlsx"),
        ("scar.tsv", "CSV (*.csv)", "scar.tsv"),
        ("scar.xlsx", "", "scar.xlsx"),
    ],
)
def test_a_table_is_named_by_the_kind_that_was_chosen(reading, monkeypatch, typed, used, named):
    answer = (f"/tmp/{typed}", used)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_args, **_rest: answer)
    assert Dialogs(reading.window).save_as("Export", "scar.csv", TABLE_FILTER).name == named


def test_an_export_can_be_cancelled_and_leaves_no_half_file(reading, tmp_path, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    real = patient.write_report

    def slow(*args, **rest):
        begun.set()
        go_on.wait(10)
        real(*args, **rest)

    monkeypatch.setattr(patient, "write_report", slow)
    reading.dialogs.request = ExportRequest(
        tmp_path / "out", frozenset((ExportFormat.REPORT, ExportFormat.CSV))
    )
    reading.act("export_parts")
    reading.wait(begun.is_set)
    reading.window.status_bar.cancel.click()
    go_on.set()
    reading.settle()
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".pdf"}  # no table after it
    assert "Not written" not in reading.window.banner.text.text()
