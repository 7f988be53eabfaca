"""What stands where, keys, window level, opening and refusing."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QComboBox,
    QLabel,
    QToolButton,
    QWidget,
)

from scarseg.case.labels import Label
from scarseg.case.stack import LoadWarning
from scarseg.errors import WeightsError
from scarseg.gui import actions, app
from scarseg.gui.dialogs import shortcuts
from scarseg.gui.dialogs.about import NOTICE, about_text
from scarseg.gui.dialogs.shortcuts import ShortcutsDialog
from scarseg.gui.viewer.slice_view import facing
from scarseg.segmentation import pipeline
from tests.conftest import make_phantom_stack
from tests.fakes import fake_models


def test_an_empty_window_says_what_to_do(reader):
    words = [label.text() for label in reader.window.pages.currentWidget().findChildren(QLabel)]
    assert "Drop a study here" in words
    assert NOTICE in words
    assert not reader.window.actions_by_name["accept"].isEnabled()
    assert reader.window.actions_by_name["open_folder"].isEnabled()


@pytest.mark.parametrize("width", [860, 1100, 1366, 1900])
def test_every_tool_is_whole_in_windows_of_any_width(reader, width):
    window = reader.window
    window.resize(width, 620)
    reader.wait(lambda: window.tool_bar.width() == width)
    shown = window.tool_bar.findChildren(QToolButton)
    assert len(shown) > 12
    reader.wait(lambda: all(each.width() >= each.sizeHint().width() for each in shown))
    for button in shown:
        assert button.text() or not button.icon().isNull(), button.accessibleName()
    words = [button.text() for button in shown]
    assert any("Polygon" in word for word in words) is (width >= 1366)


@pytest.mark.parametrize("width", [1000, 1280])
def test_no_list_is_cut_below_the_slices(reading, width):
    window = reading.window
    window.resize(width, 620)
    lists = window.view_row.findChildren(QComboBox)
    assert len(lists) == 2
    reading.wait(lambda: all(each.width() >= each.minimumSizeHint().width() for each in lists))
    assert window.width() == width


def test_keys_are_not_given_twice():
    keys = [QKeySequence(key).toString() for row in actions.ACTIONS for key in row.keys]
    assert len(keys) == len(set(keys))


def test_every_action_has_a_tip_with_its_key_and_stands_on_the_sheet(reader):
    sheet = ShortcutsDialog(reader.window)
    words = {label.text() for label in sheet.findChildren(QLabel)}
    sheet.deleteLater()
    for row in actions.ACTIONS:
        if row.keys:
            assert actions.shortcut_text(row) in reader.window.actions_by_name[row.name].toolTip()
            assert shortcuts.sheet_text(row.text) in words


def test_every_control_has_an_accessible_name(reading):
    kinds = (QAbstractButton, QAbstractSlider, QComboBox)
    nameless = [
        widget
        for kind in kinds
        for widget in reading.window.findChildren(kind)
        if not (widget.accessibleName() or getattr(widget, "text", str)())
        and "scrollarea" not in widget.parent().objectName()
        and "qt_" not in widget.objectName()
    ]
    assert not [w for w in nameless if w.isVisible() and not _inside_scrollbar(w)]


def _inside_scrollbar(widget: QWidget) -> bool:
    return "scroll" in type(widget).__name__.lower()


def test_geometry_and_warnings_are_in_sight(make_reader):
    reader = make_reader()
    warning = LoadWarning("W_GAP", "Slices are 10 mm apart.")
    reader.open(replace(make_phantom_stack(), warnings=(warning,)))
    assert reader.window.tool_bar.warning.text() == "⚠ W_GAP"
    assert "Slices are 10 mm apart." in reader.window.studies.warnings_label.text()
    assert "60 × 72" in reader.window.studies.geometry_label.text()
    assert "8 mm + 2 mm gap" in reader.window.tool_bar.geometry_line.text()


def test_a_voxel_is_drawn_in_its_true_proportions(reading):
    canvas = reading.window.canvas
    origin, right, down = (
        canvas.from_source(0, 0),
        canvas.from_source(40, 0),
        canvas.from_source(0, 40),
    )
    across, along = right.x() - origin.x(), down.y() - origin.y()
    assert across > 0 and along > 0
    assert along / across == pytest.approx(1.5 / 1.25, rel=0.02)


def test_positions_on_screen_are_column_and_row(reading):
    canvas = reading.window.canvas
    column, row = canvas.to_source(canvas.from_source(45.5, 30.5))
    assert column == pytest.approx(45.5, abs=0.3) and row == pytest.approx(30.5, abs=0.3)
    assert reading.document.labels[30, 45] == Label.SCAR


def test_the_wheel_goes_through_the_slices_and_stops_at_the_ends(reading):
    for turn in (-3, 9, 1):
        reading.window.canvas.scrolled.emit(turn)
    assert reading.document.current == 4
    reading.window.canvas.scrolled.emit(-20)
    assert reading.document.current == 0


def test_a_right_drag_changes_the_window_and_it_is_remembered(reading, make_reader):
    canvas = reading.window.canvas
    before = canvas.levels
    labels = reading.case.labels.copy()
    reading.drag((30, 30), (40, 34), (44, 38), button=Qt.MouseButton.RightButton)
    assert canvas.levels != before
    assert reading.document.undo_stack.count() == 0
    np.testing.assert_array_equal(reading.case.labels, labels)
    reading.window.close()
    again = make_reader()
    again.open(replace(make_phantom_stack(), series_uid="1.2.3.8"))
    again.wait_ready()
    np.testing.assert_allclose(again.window.canvas.levels, canvas.levels, rtol=1e-3)
    again.act("auto_window")
    np.testing.assert_allclose(again.window.canvas.levels, before, rtol=1e-3)


def test_hold_h_shows_the_image_alone(reading):
    window = reading.window
    QTest.keyPress(window.canvas, Qt.Key.Key_H)
    assert not window.canvas.outlines.isVisible()
    assert not window.canvas.prompt_layer.isVisible()
    QTest.keyRelease(window.canvas, Qt.Key.Key_H)
    assert window.canvas.outlines.isVisible()


def test_brush_keys_change_its_size(reading):
    before = reading.window.canvas.radius_mm
    reading.act("larger")
    assert reading.window.canvas.radius_mm > before
    reading.act("smaller")
    assert reading.window.canvas.radius_mm == before


def test_the_bars_follow_every_edit(reading):
    reading.go_to(0)
    reading.paint((30, 30), (34, 30))
    row = reading.window.presenter.measured.slices[0]
    assert row.scar_mass_thickness_g > 0
    assert reading.window.strip.tiles[0].grams == f"{row.scar_mass_thickness_g:.1f} g"
    assert "accepted" not in reading.window.strip.tiles[0].accessibleName()


def test_tab_opens_the_next_study_that_is_not_read(reading):
    other = replace(make_phantom_stack(), series_uid="1.2.3.9", study_uid="1.2.8")
    reading.session.study_list.add_stack(other)
    reading.act("next_study")
    reading.wait(lambda: reading.session.current.entry.stack_id == "1.2.3.9")


def test_a_folder_without_images_is_refused_with_a_code(reader, tmp_path):
    (tmp_path / "empty").mkdir()
    reader.session.scan([tmp_path / "empty"])
    reader.settle()
    assert "E_" in reader.window.banner.text.text()
    assert reader.session.current is None


def test_directions_in_the_patient_are_named():
    assert facing((1, 0, 0)) == "L"
    assert facing((-1, 0, 0)) == "R"
    assert facing((0, -0.8, 0.6)) == "AH"


def test_the_about_box_names_weights_and_licences():
    text = about_text(fake_models())
    for word in ("fake-segmenter", "1" * 64, "AGPL-3.0-or-later", "CC BY-NC-SA 4.0", NOTICE):
        assert word in text


def test_a_screenshot_of_a_finished_case_is_drawn_and_saves_nothing(qtbot, tmp_path):
    case = pipeline.propose_case(make_phantom_stack(), fake_models())
    picture = tmp_path / "desk.png"
    app.save_screenshot(case, picture)
    from PyQt6.QtGui import QColor, QImage

    image = QImage(str(picture))
    assert (image.width(), image.height()) == (1280, 800)
    colours = {
        QColor(image.pixel(x, y)).name() for x in range(0, 1280, 2) for y in range(0, 800, 2)
    }
    assert len(colours) > 50
    assert list(tmp_path.iterdir()) == [picture]


def test_opencv_imported_first_does_not_keep_qt_from_starting(monkeypatch, qtbot):
    monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", "/x/site-packages/cv2/qt/plugins")
    app.application()
    import os

    assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in os.environ


def test_the_window_starts_without_torch():
    import subprocess

    code = (
        "import sys; from scarseg.gui import app; from pathlib import Path; q = app.application();"
        "w = app.make_window(lambda: None, Path('.')); w.show();"
        "assert 'torch' not in sys.modules and 'pydicom' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_clicks_far_from_the_image_are_nowhere(reading):
    column, row = reading.window.canvas.to_source(QPointF(-500, -500))
    assert column < 0 and row < 0


def test_ctrl_wheel_zooms_and_fit_comes_back(reading):
    canvas = reading.window.canvas
    before = canvas.screen_per_pixel
    reading.wheel(240, Qt.KeyboardModifier.ControlModifier)
    assert canvas.screen_per_pixel > before * 1.1
    k = reading.document.current
    reading.act("fit")
    assert canvas.screen_per_pixel == pytest.approx(before, rel=0.05)
    assert reading.document.current == k


@pytest.mark.parametrize("sideways", [False, True])
def test_shift_wheel_sizes_the_brush_and_stays_on_the_slice(reading, sideways):
    canvas, k = reading.window.canvas, reading.document.current
    before = canvas.radius_mm
    reading.act("brush")
    reading.wheel(240, Qt.KeyboardModifier.ShiftModifier, sideways)
    assert canvas.radius_mm == before + 1
    reading.wheel(-360, Qt.KeyboardModifier.ShiftModifier, sideways)
    assert canvas.radius_mm == before - 0.5
    assert reading.document.current == k


def test_shift_drag_moves_the_image_and_no_label(reading):
    canvas = reading.window.canvas
    before = canvas.from_source(36, 30)
    reading.act("brush")
    reading.drag((30, 30), (40, 30), modifiers=Qt.KeyboardModifier.ShiftModifier)
    assert canvas.from_source(36, 30).x() > before.x() + 20
    assert reading.document.undo_stack.count() == 0


def test_a_partial_total_says_so(make_reader, phantom_stack):
    reader = make_reader(loader=lambda: (_ for _ in ()).throw(WeightsError("E_W", "none")))
    reader.open(phantom_stack)
    reader.settle()
    assert "5 of 5 are unseen" in reader.window.results.incomplete.text()
    for _ in range(5):
        reader.act("no_scar")
    assert not reader.window.results.incomplete.isVisible()


def test_a_long_sentence_does_not_widen_the_window(reading):
    before = reading.window.width()
    reading.window.status_bar.show_message("A sentence that goes on. " * 30)
    reading.qtbot.wait(1)
    assert reading.window.width() == before
    assert reading.window.minimumSizeHint().width() <= 1280
    assert reading.window.status_bar.message.width() > 200
    assert reading.window.status_bar.message.toolTip().endswith("goes on. ")


def test_the_models_leave_a_core_to_the_window():
    assert [app.model_threads(cores) for cores in (1, 2, 4, 16)] == [1, 1, 2, 4]
