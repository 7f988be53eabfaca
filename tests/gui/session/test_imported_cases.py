"""A case file from elsewhere: it finds its images, comes into the store, overwrites nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent

from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.io.casefile import store
from scarseg.io.dicom import read_stack, scan
from scarseg.simulate.write_dicom import write_series
from tests import cohorts
from tests.conftest import make_phantom_stack


@pytest.fixture
def study(tmp_path) -> Path:
    write_series(tmp_path / "study", make_phantom_stack())
    return tmp_path / "study"


@pytest.fixture
def arrival(tmp_path, study) -> Path:
    """A reading made on another machine: one slice accepted by hand, one not assessable."""
    return write_reading(tmp_path / "stick" / "from-elsewhere.scarseg", study, 3)


def write_reading(path: Path, study: Path, k: int) -> Path:
    [summary] = scan([study]).stacks
    case = Case.new(read_stack(summary))
    case.labels[k, 20:24, 20:24] = 3
    case.readings[k] = SliceReading(status=SliceStatus.ACCEPTED, edited=True)
    case.readings[0] = SliceReading(status=SliceStatus.NOT_ASSESSABLE, edited=True, reason="Dark")
    case.interactions, case.seconds = 7, 12.0
    store.save_case(case, path)
    return path


def drop(reader, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    reader.window.dropEvent(
        QDropEvent(
            QPointF(50, 50),
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )
    reader.settle()


def is_the_arrived(reader, k: int = 3) -> bool:
    case = reader.case
    return case.readings[k].status is SliceStatus.ACCEPTED and bool((case.labels[k] == 3).any())


def test_a_case_file_asks_for_its_images_and_opens_on_them(reader, study, arrival):
    before = arrival.read_bytes()
    drop(reader, arrival)
    banner = reader.window.banner
    assert reader.session.current is None
    assert "from-elsewhere.scarseg" in banner.text.text()
    assert "2 of 5 slices read" in banner.text.text()
    assert "1.2.3" in banner.text.text(), "the study is named by its UID, the patient is not"
    assert "PHANTOM" not in banner.text.text()
    reader.dialogs.path = study
    banner.retry.click()
    reader.wait(lambda: reader.session.current is not None)
    assert is_the_arrived(reader)
    assert reader.case.readings[0].reason == "Dark"
    assert reader.case.interactions == 7
    assert not reader.document.read_only
    reader.wait_ready()
    reader.go_to(1)
    reader.accept()
    reader.wait_saved()
    kept = store.load_case(
        store.case_path(reader.session.folder, reader.case.stack), reader.case.stack
    )
    assert kept.n_slices_reviewed == 3
    assert arrival.read_bytes() == before, "the file itself stays as it came"


def test_a_folder_of_case_files_with_their_images_opens_at_once(reader, study, arrival, tmp_path):
    write_reading(tmp_path / "stick" / "another.scarseg", study, 2)
    shutil.copytree(study, tmp_path / "stick" / "images")
    drop(reader, tmp_path / "stick")
    assert reader.session.current is not None
    assert reader.case.n_slices_reviewed == 2


def test_images_in_another_folder_than_before_are_found(make_reader, study, tmp_path):
    first = make_reader()
    first.session.scan([study])
    first.wait(lambda: first.session.current is not None)
    first.wait_ready()
    first.accept()
    first.window.close()
    moved = tmp_path / "elsewhere" / "deep"
    shutil.move(study, moved)
    second = make_reader()
    second.session.scan([moved.parent])
    second.wait(lambda: second.session.current is not None)
    assert second.case.n_slices_reviewed == 1


def test_the_stores_own_file_opens_as_what_it_is(make_reader, study, tmp_path):
    first = make_reader()
    first.session.scan([study])
    first.wait(lambda: first.session.current is not None)
    first.wait_ready()
    first.accept()
    path = first.session.current.saver.path
    first.window.close()
    second = make_reader()
    drop(second, path)
    assert "1 of 5 slices read" in second.window.banner.text.text()
    drop(second, study)
    assert second.case.n_slices_reviewed == 1
    assert not list(path.parent.glob("*.aside*"))


def test_other_images_of_the_series_are_refused_and_the_file_left_alone(reader, study, arrival):
    before = arrival.read_bytes()
    for path in sorted(study.rglob("*.dcm"))[:1]:
        data = pydicom.dcmread(path)
        pixels = data.pixel_array.copy()
        pixels[0, 0] += 1
        data.PixelData = pixels.tobytes()
        data.save_as(path)
    drop(reader, arrival)
    drop(reader, study)
    assert "E_CASE_OTHER_STACK" in reader.window.banner.text.text()
    assert reader.case.n_slices_reviewed == 0
    assert arrival.read_bytes() == before


def test_a_folder_without_the_images_asks_again(reader, study, arrival, tmp_path):
    other = replace(make_phantom_stack(), series_uid="1.2.9", study_uid="1.2.8")
    write_series(tmp_path / "other", other)
    (tmp_path / "empty").mkdir()
    drop(reader, arrival)
    drop(reader, tmp_path / "empty")
    assert "waits for its images" in reader.window.banner.text.text()
    drop(reader, tmp_path / "other")
    assert "waits for its images" in reader.window.banner.text.text()
    assert reader.session.current.entry.stack_id == "1.2.9"
    drop(reader, study)
    assert is_the_arrived(reader)
    assert not reader.window.banner.retry.isVisible()


def test_another_reading_of_the_series_is_never_overwritten(reader, study, arrival):
    reader.session.scan([study])
    reader.wait(lambda: reader.session.current is not None)
    reader.wait_ready()
    reader.go_to(1)
    reader.accept()
    drop(reader, arrival)
    reader.wait(lambda: reader.window.banner.retry.isVisible())
    banner = reader.window.banner
    assert "1 of 5 slices read" in banner.text.text() and "2 of 5" in banner.text.text()
    assert reader.case.readings[1].status is SliceStatus.ACCEPTED, "one's own reading stays"
    assert not is_the_arrived(reader)
    reader.wait_ready()
    path = reader.session.current.saver.path
    banner.retry.click()
    reader.wait(lambda: reader.session.current is not None and is_the_arrived(reader))
    assert not reader.document.read_only
    [aside] = path.parent.glob("*.aside1")
    assert store.load_case(aside, reader.case.stack).readings[1].status is SliceStatus.ACCEPTED


def test_proposals_alone_give_way_without_a_question_and_are_kept(reader, study, arrival):
    reader.session.scan([study])
    reader.wait(lambda: reader.session.current is not None)
    reader.wait_ready()
    reader.wait_saved()
    drop(reader, arrival)
    reader.wait(lambda: reader.session.current is not None and is_the_arrived(reader))
    assert len(list(reader.session.folder.glob("*.aside1"))) == 1


def test_a_damaged_arrival_is_named_and_nothing_else_happens(reader, arrival):
    data = bytearray(arrival.read_bytes())
    data[200] ^= 1
    arrival.write_bytes(data)
    drop(reader, arrival)
    assert "E_CASE_DAMAGED" in reader.window.banner.text.text()
    assert reader.session.current is None


def test_the_table_of_the_list_has_readings_that_came_and_were_not_opened_yet(reader, tmp_path):
    for n in (1, 2):
        write_series(tmp_path / "both" / str(n), cohorts.patient(n))
        write_reading(tmp_path / "both" / f"{n}.scarseg", tmp_path / "both" / str(n), 3)
    drop(reader, tmp_path / "both")
    reader.export(tmp_path / "scar.csv", "export_all")
    rows = cohorts.rows_of(tmp_path / "scar.csv")
    assert [row["n_slices_reviewed"] for row in rows] == ["2", "2"]


def test_a_thickness_that_was_given_is_not_asked_for_again(reader, study, tmp_path):
    for path in study.rglob("*.dcm"):
        data = pydicom.dcmread(path)
        del data.SliceThickness
        data.save_as(path)
    [summary] = scan([study]).stacks
    case = Case.new(read_stack(summary, 6.5))
    store.save_case(case, tmp_path / "given.scarseg")
    reader.dialogs.thickness = None
    drop(reader, tmp_path / "given.scarseg", study)
    reader.wait(lambda: reader.session.current is not None)
    assert reader.case.stack.slice_thickness_mm == 6.5
    assert reader.case.stack.thickness_from_user
    reader.session.open_stack(cohorts.patient(9))
    reader.settle()
    reader.export(tmp_path / "scar.csv", "export_all")
    assert "6.5" in [row["slice_thickness_mm"] for row in cohorts.rows_of(tmp_path / "scar.csv")]
