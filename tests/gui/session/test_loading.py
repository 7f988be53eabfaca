"""Real DICOM on the desk: by folder, by drop, with and without a slice thickness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent
from PyQt6.QtWidgets import QLabel, QPushButton

from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.stack import Stack
from scarseg.gui.panels.studies import SECOND_LINE_ROLE
from scarseg.gui.session.studies.study import Entry, thickness_text
from scarseg.gui.session.studies.study_list import StudyList
from scarseg.io.casefile import last_position, store
from scarseg.simulate.write_dicom import write_series
from tests.conftest import make_phantom_stack


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    write_series(folder, make_phantom_stack())
    return folder


def test_a_folder_opens_its_stack_by_itself(reader, study):
    reader.dialogs.path = study
    reader.act("open_folder")
    reader.wait(lambda: reader.session.current is not None)
    reader.wait_ready()
    np.testing.assert_allclose(reader.case.stack.pixels, make_phantom_stack().pixels, atol=1)
    assert reader.window.studies.studies.count() == 1
    assert reader.window.studies.series.item(0).text() == "LGE SAX phantom"


def test_a_study_is_dropped_on_the_window(reader, study):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(study))])
    event = QDropEvent(
        QPointF(50, 50),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    reader.window.dropEvent(event)
    reader.wait(lambda: reader.session.current is not None)


def test_nothing_is_written_beside_the_dicom(reader, study):
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    reader.session.scan([study])
    reader.wait(lambda: reader.session.current is not None)
    reader.wait_ready()
    reader.accept()
    reader.wait_saved()
    assert {path: path.read_bytes() for path in study.rglob("*") if path.is_file()} == before


def test_a_missing_thickness_is_asked_for_and_never_guessed(reader, study):
    import pydicom

    for path in study.rglob("*.dcm"):
        data = pydicom.dcmread(path)
        del data.SliceThickness
        data.save_as(path)
    reader.dialogs.thickness = None
    reader.session.scan([study])
    reader.settle()
    if reader.session.current is None and reader.session.study_list.studies:
        entry = reader.session.study_list.studies[0].entries[0]
        reader.session.open(entry)
        reader.settle()
        assert reader.session.current is None
        reader.dialogs.thickness = 6.0
        reader.session.open(entry)
        reader.wait(lambda: reader.session.current is not None)
    assert reader.case.stack.slice_thickness_mm == 6.0
    assert reader.case.stack.thickness_from_user


def test_the_same_folder_twice_is_one_study(reader, study):
    for _ in range(2):
        reader.session.scan([study])
        reader.settle()
    assert len(reader.session.study_list.studies) == 1


def test_the_list_goes_round_to_what_is_not_read():
    from dataclasses import replace

    library = StudyList()
    entries = [
        library.add_stack(
            replace(make_phantom_stack(), series_uid=f"1.2.{k}", study_uid=f"1.3.{k}")
        )
        for k in range(3)
    ]
    entries[1].read = True
    assert library.next_unread(entries[0]) is entries[2]
    assert library.next_unread(entries[2]) is entries[0]
    assert library.next_unread(None) is entries[0]
    for entry in entries:
        entry.read = True
    assert library.next_unread(entries[0]) is None


def test_geometry_is_said_in_words():
    assert thickness_text(8.0, 10.0) == "8 mm + 2 mm gap"
    assert thickness_text(8.0, 8.0) == "8 mm, no gap"
    assert thickness_text(8.0, 6.0) == "8 mm, overlapping 2 mm"
    assert thickness_text(8.0, None) == "8 mm"
    entry = Entry(make_phantom_stack())
    assert entry.geometry == "5 slices · 60 × 72 · 1.50 × 1.25 mm · 8 mm + 2 mm gap"


def numbered(k: int) -> Stack:
    """Return the phantom as another patient's."""
    stack = make_phantom_stack()
    sources = tuple(
        replace(each, sop_instance_uid=f"1.2.5.{k}.{n}") for n, each in enumerate(stack.sources)
    )
    uids = {"series_uid": f"1.2.7.{k}", "study_uid": f"1.2.6.{k}"}
    return replace(stack, **uids, sources=sources, patient_id=f"P{k}")


def test_the_list_tells_what_was_read_before_it_is_opened(make_reader, tmp_path):
    for k, n_read in enumerate((0, 5, 2, 0)):
        write_series(tmp_path / "studies" / str(k), numbered(k))
        case = Case.new(numbered(k))
        for n in range(n_read):
            case.readings[n] = SliceReading(status=SliceStatus.NO_SCAR)
        if n_read:
            store.save_case(case, store.case_path(tmp_path / "cases", case.stack))
    reader = make_reader()
    reader.session.scan([tmp_path / "studies"])
    reader.wait(lambda: reader.session.current is not None)
    reader.settle()
    items = (reader.window.studies.studies.item(k) for k in range(4))
    shown = {item.text().split()[0]: item.data(SECOND_LINE_ROLE) for item in items}
    # Doubts are found some time later; how many is not what is tested.
    shown = {name: words.split(" · ")[0] for name, words in shown.items()}
    assert shown == {
        "P0": "proposed", "P1": "read", "P2": "2 of 5 read",
        "P3": "proposed",
    }  # fmt: skip
    assert reader.session.current.entry.stack_id == "1.2.7.0"
    reader.act("next_study")
    reader.wait(lambda: reader.session.current.entry.stack_id == "1.2.7.2")


def test_where_nothing_could_be_opened_the_window_says_what_to_do(reader, tmp_path):
    files = write_series(tmp_path / "study", make_phantom_stack())
    for file in files:
        header = pydicom.dcmread(file)
        del header.PixelSpacing
        header.save_as(file)
    reader.session.scan([tmp_path / "study"])
    reader.settle()
    window = reader.window
    assert "E_SPACING" in window.banner.text.text()
    words = {label.text() for label in window.middle.currentWidget().findChildren(QLabel)}
    assert "Drop a study here" in words and not window.canvas.isVisible()
    reader.open(make_phantom_stack())
    assert window.canvas.isVisible()


def test_a_long_list_stays_where_it_is_while_a_study_is_read(reader):
    for k in range(60):
        reader.session.study_list.add_stack(numbered(k))
    reader.open(numbered(40))
    reader.wait_ready()
    view = reader.window.studies.studies
    shown = view.viewport().rect()
    assert shown.contains(view.visualItemRect(view.item(40)).center())
    place = view.verticalScrollBar().value()
    assert place > 0
    reader.act("no_scar")
    assert "1 of 5 read" in view.item(40).data(SECOND_LINE_ROLE)
    assert view.verticalScrollBar().value() == place


def test_choosing_back_and_forth_quickly_leaves_the_case_to_be_written(reader):
    reader.settle()
    first, second = (reader.session.study_list.add_stack(numbered(k)) for k in range(2))
    for entry in (first, second, first):
        reader.session.open(entry)
    reader.settle()
    assert reader.session.current.entry is first
    assert not reader.document.read_only
    assert not reader.window.banner.isVisible()
    reader.session.open(second)
    reader.settle()
    assert not reader.document.read_only


def test_the_last_folder_is_one_click_away_where_it_names_nobody(make_reader, tmp_path):
    several = tmp_path / "LGE 2024"
    for k in range(2):
        write_series(several / str(k), numbered(k))
    first = make_reader()
    assert not first.window.actions_by_name["open_last"].isEnabled()
    first.session.scan([several])
    first.settle()
    first.window.close()
    second = make_reader()
    second.settle()
    [button] = [
        each
        for each in second.window.pages.currentWidget().findChildren(QPushButton)
        if "LGE 2024" in each.text()
    ]
    assert button.isVisible()
    button.click()
    second.wait(lambda: second.session.current is not None)
    assert len(second.session.study_list.studies) == 2


def test_a_folder_that_may_name_a_patient_is_not_remembered(make_reader, tmp_path):
    store_folder = tmp_path / "cases"
    one = tmp_path / "one"
    write_series(one, numbered(1))
    named = tmp_path / "Canary-Anna"
    for k in range(2):
        stack = replace(numbered(k), patient_name="Canary^Anna" if k else "Other^Eve")
        write_series(named / str(k), stack)
    reader = make_reader()
    for folder in (one, named):
        reader.session.scan([folder])
        reader.settle()
        assert not (store_folder / "last_folder.json").exists()
    assert last_position.load_last_folder(store_folder) is None
