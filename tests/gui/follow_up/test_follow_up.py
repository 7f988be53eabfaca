"""Two studies of a patient side by side: chosen, linked, compared, and kept current."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from scarseg.agreement import follow_page
from scarseg.case.patient import Patient
from scarseg.case.stack import SliceSource, Stack
from scarseg.gui.dialogs.earlier_study import EarlierStudy, EarlierStudyDialog
from scarseg.gui.follow_up.controller import BLINDED
from scarseg.gui.follow_up.dialog import ComparisonDialog
from scarseg.gui.follow_up.jobs import is_earlier
from scarseg.gui.session.studies.study_list import StudyList
from scarseg.io.casefile import store
from scarseg.quant.bullseye_layout import signed_grams
from scarseg.simulate.write_dicom import write_series
from tests.conftest import make_phantom_stack
from tests.fakes import SCAR_LEVEL, WALL_LEVEL
from tests.gui.conftest import Reader

VOXEL_G = 1.5 * 1.25 * 8.0 * 1.05 / 1000


def earlier_stack(patient_id: str = "PHANTOM", day: str = "20230102") -> Stack:
    """Return another study of the phantom: one slice less at the base, no scar on one slice."""
    later = make_phantom_stack()
    pixels = later.pixels[1:].copy()
    pixels[1][pixels[1] == SCAR_LEVEL] = WALL_LEVEL
    return replace(
        later,
        pixels=pixels,
        origins_mm=later.origins_mm[1:],
        sources=tuple(SliceSource(f"1.2.9.{k + 1}") for k in range(4)),
        series_uid="1.2.9.1",
        study_uid="1.2.9",
        patient_id=patient_id,
        study_date=day,
    )


def scar_of_a_slice() -> int:
    return int((make_phantom_stack().pixels[2] == SCAR_LEVEL).sum())


def open_both(reader: Reader, earlier: Stack) -> None:
    """Open the earlier study, then the later one, which stays open."""
    reader.open(earlier)
    reader.wait_ready()
    reader.open(make_phantom_stack())
    reader.wait_ready()


def compare(reader: Reader) -> ComparisonDialog:
    """Choose the study and wait until both intervals are there."""
    reader.act("follow_up")
    control = reader.window.follow_up
    reader.wait(lambda: control.dialog is not None and control.dialog.comparison is not None)
    reader.wait(lambda: not control.worker.busy)
    assert control.dialog is not None
    return control.dialog


def test_change_is_that_of_both_studies(reader: Reader) -> None:
    open_both(reader, earlier_stack())
    dialog = compare(reader)
    [offered] = reader.dialogs.offered_studies
    assert offered.startswith("2023-01-02 · LGE SAX phantom · proposed")
    found = dialog.comparison
    assert found is not None
    assert found.change.change_g == pytest.approx(scar_of_a_slice() * VOXEL_G)
    assert dialog.change.text() == f"{signed_grams(scar_of_a_slice() * VOXEL_G)} g"
    assert "2023-01-02" in dialog.earlier.date.text()
    assert dialog.earlier.status.text() == "proposed, 0 of 4 slices read"
    assert "earlier study is proposed and the later study is proposed" in dialog.notes.text()
    reader.wait(lambda: "interval" in dialog.interval.text())
    assert "g" in dialog.conclusion.text()
    assert dialog.comparison.change.smallest_change_g is not None


def test_slices_are_linked_from_base_to_apex(reader: Reader) -> None:
    open_both(reader, earlier_stack())
    dialog = compare(reader)
    assert dialog.comparison is not None
    linked = dialog.comparison.linked
    for k in range(5):
        dialog.slider.setValue(k)
        assert (dialog.later.index, dialog.earlier.index) == (k, linked.earlier_of(k))
        assert f"beside slice {k + 1}" in dialog.position.text()
        assert "as the segments are" in dialog.position.text()
    QTest.keyClick(dialog, Qt.Key.Key_Up)
    assert dialog.later.index == 3
    at = QPointF(dialog.earlier.view.rect().center())
    nothing = Qt.KeyboardModifier.NoModifier
    turn = QWheelEvent(
        at, at, QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton, nothing,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(dialog.earlier.view, turn)
    assert dialog.later.index == 4
    QTest.keyPress(dialog, Qt.Key.Key_H)
    assert dialog.earlier.view.shared.hidden and dialog.later.view.shared.hidden
    QTest.keyRelease(dialog, Qt.Key.Key_H)
    assert not dialog.later.view.shared.hidden


def test_a_correction_changes_the_comparison_at_once(reader: Reader) -> None:
    open_both(reader, earlier_stack())
    dialog = compare(reader)
    before = dialog.change.text()
    reader.go_to(2)
    reader.act("no_scar")
    reader.wait(lambda: dialog.change.text() != before)
    assert dialog.change.text() == "0.0 g"
    reader.undo()
    reader.wait(lambda: dialog.change.text() == before)


def test_segment_tells_its_grams_and_goes_to_its_slice(reader: Reader) -> None:
    open_both(reader, earlier_stack())
    dialog = compare(reader)
    assert dialog.comparison is not None
    changed = max(
        (name for name in dialog.comparison.regions if name.isdecimal()),
        key=lambda name: dialog.comparison.regions[name].change_g,  # type: ignore[union-attr]
    )
    dialog.eye.hovered.emit(int(changed))
    grams = dialog.comparison.regions[changed].change_g
    assert signed_grams(grams) in dialog.segment.text()
    assert dialog.segment.text().startswith(changed)
    dialog.slider.setValue(0)
    dialog.eye.chosen.emit(int(changed))
    wall = dialog.comparison.later.wall
    assert wall is not None
    assert (wall.segments[dialog.later.index] == int(changed)).any()


def test_other_patients_are_not_offered(reader: Reader) -> None:
    open_both(reader, earlier_stack("SOMEBODY"))
    reader.dialogs.earlier = None
    reader.act("follow_up")
    assert reader.dialogs.offered_studies == []
    assert reader.window.follow_up.dialog is None


def test_case_file_of_another_patient_is_asked_about(reader: Reader) -> None:
    other = earlier_stack("SOMEBODY")
    open_both(reader, other)
    reader.settle()
    reader.dialogs.earlier = EarlierStudy(None)
    reader.dialogs.file = store.case_path(reader.session.folder, other)
    reader.wait(lambda: store.has_case(reader.dialogs.file))
    reader.act("follow_up")
    [question] = reader.dialogs.asked
    assert "PHANTOM is open, the other study is of SOMEBODY" in question
    assert reader.window.follow_up.dialog is None
    reader.dialogs.yes = True
    dialog = compare(reader)
    assert "SOMEBODY" in dialog.warning.text()
    assert "different patient IDs" in dialog.notes.text()


def test_another_patient_of_the_same_id_is_asked_about(reader: Reader) -> None:
    for stack, day in ((earlier_stack(), "19410203"), (make_phantom_stack(), "19410204")):
        reader.open(replace(stack, patient=Patient(birth_date=day)))
        reader.wait_ready()
    reader.dialogs.earlier = EarlierStudy(0)
    reader.act("follow_up")
    [question] = reader.dialogs.asked
    assert question.startswith("One patient ID, but the birth date differs")
    assert reader.window.follow_up.dialog is None


def test_case_file_needs_its_images(
    make_reader: Callable[..., Reader], tmp_path: Path, qt_words: list[str]
) -> None:
    first = make_reader()
    first.open(earlier_stack())
    first.wait_ready()
    first.wait_saved()
    path = store.case_path(first.session.folder, earlier_stack())
    second = make_reader()
    second.open(make_phantom_stack())
    second.wait_ready()
    write_series(tmp_path / "none", make_phantom_stack())
    second.dialogs.earlier, second.dialogs.file = EarlierStudy(None), path
    second.dialogs.path = tmp_path / "none"
    second.act("follow_up")
    second.wait(lambda: second.window.banner.isVisible())
    assert "E_IMAGES" in second.window.banner.text.text()


def test_page_is_written_of_what_is_shown_and_opened(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[object, bool]] = []

    def draw(comparison: object, identify: bool = False) -> bytes:
        drawn.append((comparison, identify))
        return b"%PDF"

    monkeypatch.setattr(follow_page, "render_page", draw)
    open_both(reader, earlier_stack())
    dialog = compare(reader)
    reader.dialogs.path = tmp_path / "page.pdf"
    dialog.page.click()
    reader.settle()
    assert drawn == [(dialog.comparison, False)]  # under a pseudonym
    assert (tmp_path / "page.pdf").read_bytes() == b"%PDF"
    assert reader.dialogs.shown == tmp_path / "page.pdf"


def test_another_study_closes_the_comparison(reader: Reader) -> None:
    open_both(reader, earlier_stack())
    dialog = compare(reader)
    assert dialog.isVisible()
    reader.open(earlier_stack())
    assert reader.window.follow_up.dialog is None


def test_blinded_re_reading_shows_no_other_study(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_both(reader, earlier_stack())
    compare(reader)
    blinded = StudyList()
    reader.session.show_list(blinded)
    assert reader.window.follow_up.dialog is None
    reader.session.open_stack(make_phantom_stack())
    reader.wait(lambda: reader.session.current is not None)
    said: list[str] = []
    reader.window.commands.said.connect(said.append)
    reader.act("follow_up")
    assert said == [BLINDED]
    reader.session.show_list(reader.session.scanner.study_list)


def test_dialog_offers_studies_or_says_what_to_do(qtbot) -> None:
    dialog = EarlierStudyDialog(None, "P1 · 2024", ["2023", "2022"])  # type: ignore[arg-type]
    qtbot.addWidget(dialog)
    assert dialog.chosen == EarlierStudy(0)
    dialog.studies.setCurrentRow(1)
    assert dialog.chosen == EarlierStudy(1)
    dialog.case_file.click()
    assert dialog.chosen == EarlierStudy(None)
    empty = EarlierStudyDialog(None, "P1 · 2024", [])  # type: ignore[arg-type]
    qtbot.addWidget(empty)
    assert not empty.compare.isEnabled()
    assert empty.case_file.isDefault()


@pytest.mark.parametrize(
    ("date", "than", "earlier"),
    [
        ("20230101", "20240101", True),
        ("20250101", "20240101", False),
        ("20240101", "20240101", True),
        ("", "20240101", True),
        ("20250101", "unknown", True),
    ],
)
def test_order_follows_the_dates_where_both_are_known(date: str, than: str, earlier: bool) -> None:
    assert is_earlier(date, than) is earlier
