"""The reader always sees whose heart is open, and keys reach no study that is out of sight."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PyQt6.QtCore import Qt

from scarseg.case.history import SliceStatus
from scarseg.gui.dialogs.export import ExportDialog
from scarseg.gui.session.export import ExportFormat, ExportRequest
from scarseg.gui.session.studies.study import BlindedEntry, Entry, PatientLabel, Study, patient_text
from scarseg.gui.session.studies.study_list import StudyFilter
from tests.conftest import make_phantom_stack


def stack_of(k: int):
    return replace(
        make_phantom_stack(),
        patient_id=f"P{k}",
        patient_name=f"Doe{k}^Jane^Mary",
        study_uid=f"1.2.{k}",
        series_uid=f"1.2.{k}.1",
        study_date="20240131",
        description="LGE SAX",
    )


@pytest.fixture
def two(reader):
    """P1 is in the list, P0 is open."""
    reader.session.study_list.add_stack(stack_of(1))
    reader.open(stack_of(0))
    reader.wait_ready()
    return reader


SUBJECT = "P0 · 2024-01-31 · LGE SAX"


def test_patient_date_and_series_stand_in_the_title_and_over_the_picture(two):
    assert two.window.windowTitle() == f"{SUBJECT} — scarseg"
    assert two.window.subject.text() == SUBJECT and two.window.subject.isVisible()
    two.open(stack_of(1))
    assert two.window.windowTitle().startswith("P1 · ")
    assert two.window.subject.text().startswith("P1 · ")


def test_they_stand_in_every_export_dialog(two, tmp_path):
    for name in ("export", "save_prompts", "save_slice", "save_montage"):
        two.act(name)
        assert two.dialogs.title.endswith(SUBJECT), name
    two.act("export_parts")
    assert two.dialogs.subject == SUBJECT
    request = ExportRequest(tmp_path, frozenset((ExportFormat.CSV,)))
    everybody = two.dialogs.everybody
    dialog = ExportDialog(two.window, (SUBJECT, everybody), request, 2, True, lambda: None)
    assert dialog.subject.text() == SUBJECT
    dialog.all.setChecked(True)
    assert dialog.subject.text() == everybody == "2 patients: P1, P0"
    dialog.deleteLater()


@pytest.mark.parametrize(
    ("style", "name", "expected"),
    [
        (PatientLabel.ID, "Doe^Jane", "P7"),
        (PatientLabel.NAME, "Doe^Jane^Mary", "Doe, Jane Mary"),
        (PatientLabel.NAME, "Doe", "Doe"),
        (PatientLabel.NAME, "", "P7"),
        (PatientLabel.INITIALS, "Doe^Jane^Mary", "J.M.D."),
        (PatientLabel.INITIALS, "^^", "P7"),
        (PatientLabel.NAME, "Yamada^Tarou=山田^太郎", "Yamada, Tarou"),
    ],
)
def test_a_patient_is_called_as_chosen(style, name, expected):
    assert patient_text("P7", name, style) == expected
    assert patient_text("", "", style) == "no identifier"


def test_the_choice_holds_in_title_list_and_dialogs_and_is_remembered(two, make_reader):
    two.act("patient_name")
    assert two.window.windowTitle().startswith("Doe0, Jane Mary · 2024-01-31")
    assert two.window.studies.studies.item(0).text().startswith("Doe1, Jane Mary")
    two.act("export")
    assert "Doe0, Jane Mary" in two.dialogs.title
    again = make_reader()
    again.open(stack_of(2))
    assert again.window.windowTitle().startswith("Doe2, Jane Mary")
    again.act("patient_initials")
    assert again.window.windowTitle().startswith("J.M.D.")
    again.act("patient_id")
    assert again.window.windowTitle().startswith("P2")


def test_a_blinded_entry_shows_its_code_alone(tmp_path):
    entry = Entry(stack_of(0), blinding=BlindedEntry("A7K3", tmp_path, "AB", 2))
    study = Study("A7K3", "A7K3", "", [entry])
    for style in PatientLabel:
        study.patient_label = style
        assert study.describe(entry) == "A7K3"


def find(reader, text: str) -> None:
    reader.act("find_study")
    reader.qtbot.keyClicks(reader.window.studies.line, text)


def test_enter_in_find_opens_the_study_that_was_found(two):
    find(two, "p1")
    two.qtbot.keyClick(two.window.studies.line, Qt.Key.Key_Return)
    two.wait(lambda: two.session.current.entry.stack_id == stack_of(1).stack_id)
    assert not two.document.undo_stack.count()
    assert two.window.views.active.hasFocus()


def test_tab_obeys_the_filter(two):
    two.session.study_list.add_stack(stack_of(2))
    two.session.study_list_changed.emit()
    find(two, "p2")
    two.act("next_study")
    two.wait(lambda: two.session.current.entry.stack_id == stack_of(2).stack_id)
    two.act("next_study")
    two.settle()
    assert two.session.current.entry.stack_id == stack_of(2).stack_id
    assert "filter" in two.window.status_bar.message.text()


KEYS = (Qt.Key.Key_Return, Qt.Key.Key_N, Qt.Key.Key_X, Qt.Key.Key_Space, Qt.Key.Key_Down)


def test_no_key_acts_on_a_study_whose_row_is_hidden(two):
    find(two, "p1")
    two.window.views.active.setFocus()
    before, k = list(two.case.readings), two.document.current
    for key in KEYS:
        two.press_key(key)
    two.settle()
    assert two.case.readings == before and two.document.current == k
    for name in ("export", "accept", "undo", "copy_down", "segment", "export_parts"):
        assert not two.window.actions_by_name[name].isEnabled(), name
    assert "hidden" in two.window.subject.text()
    two.window.studies.show_all()
    two.press_key(Qt.Key.Key_N)
    assert two.case.readings[k].status is SliceStatus.NO_SCAR
    assert two.window.subject.text() == SUBJECT


def test_clearing_the_filter_scrolls_to_the_open_study(reader):
    for k in range(1, 60):
        reader.session.study_list.add_stack(stack_of(k))
    reader.open(stack_of(60))
    studies = reader.window.studies
    find(reader, "p1")
    reader.qtbot.keyClick(studies.line, Qt.Key.Key_Escape)
    row = studies.studies.item(59)
    shown = studies.studies.viewport().rect()
    assert row.isSelected() and shown.contains(studies.studies.visualItemRect(row).center())


def test_the_next_study_to_read_passes_the_filter(two):
    library = two.session.study_list
    library.filter = StudyFilter(text="p0")
    assert library.next_unread(two.session.current.entry) is None
    library.filter = StudyFilter()
    assert library.next_unread(two.session.current.entry).stack_id == stack_of(1).stack_id


CORNERS = ((20, 20), (30, 20), (30, 30), (20, 30))


def test_enter_closes_an_open_polygon_and_accepts_nothing(reading):
    k, before = reading.document.current, reading.case.labels.copy()
    reading.act("label_3")
    reading.act("polygon")
    for corner in CORNERS:
        reading.drag(corner)
    reading.press_key(Qt.Key.Key_Return)
    assert reading.document.current == k
    assert reading.case.readings[k].status is SliceStatus.PROPOSED
    assert reading.document.undo_stack.undoText().startswith("polygon")
    changed = reading.case.labels[k] != before[k]
    assert changed[21:29, 21:29].any()
    reading.press_key(Qt.Key.Key_Return)
    assert reading.case.readings[k].status is SliceStatus.ACCEPTED


def test_enter_closes_a_lasso_whose_button_is_still_held(reading):
    from PyQt6.QtGui import QMouseEvent

    k = reading.document.current
    reading.act("lasso")
    reading.mouse(QMouseEvent.Type.MouseButtonPress, CORNERS[0])
    for corner in CORNERS[1:]:
        reading.mouse(QMouseEvent.Type.MouseMove, corner)
    reading.press_key(Qt.Key.Key_Return)
    assert reading.document.undo_stack.undoText().startswith("lasso")
    steps = reading.document.undo_stack.count()
    reading.mouse(QMouseEvent.Type.MouseButtonRelease, CORNERS[-1])
    assert reading.document.undo_stack.count() == steps
    assert reading.case.readings[k].status is SliceStatus.PROPOSED


@pytest.mark.parametrize("tool", ["box", "brush"])
def test_enter_over_a_half_made_gesture_accepts_nothing(reading, tool):
    from PyQt6.QtGui import QMouseEvent

    k = reading.document.current
    reading.act(tool)
    reading.mouse(QMouseEvent.Type.MouseButtonPress, CORNERS[0])
    reading.mouse(QMouseEvent.Type.MouseMove, CORNERS[2])
    reading.press_key(Qt.Key.Key_Return)
    assert reading.case.readings[k].status is SliceStatus.PROPOSED and reading.document.current == k
    assert "Esc" in reading.window.status_bar.message.text()
    reading.mouse(QMouseEvent.Type.MouseButtonRelease, CORNERS[2])
