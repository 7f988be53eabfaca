"""The first run and the help: what an empty window says, the sheet of keys, the About box."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QEvent, QMimeData, QPoint, Qt, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDragLeaveEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton

from scarseg.gui import actions, app
from scarseg.gui.dialogs import shortcuts
from scarseg.gui.dialogs.about import AboutDialog
from scarseg.gui.dialogs.shortcuts import ShortcutsDialog
from scarseg.gui.panels.welcome import Welcome
from tests.fakes import fake_models


@pytest.fixture
def welcome(reader):
    found = reader.window.pages.currentWidget()
    assert isinstance(found, Welcome)
    return found


def test_the_first_button_is_in_hand_and_the_demo_is_one_click_away(reader, welcome, monkeypatch):
    asked = []
    monkeypatch.setattr(reader.session, "demo", lambda: asked.append("demo"))
    first, *_, demo = welcome.buttons
    assert reader.window.focusWidget() is first and first.isDefault()
    QTest.mouseClick(demo, Qt.MouseButton.LeftButton)
    assert asked == ["demo"]


def test_the_empty_window_names_the_steps_of_a_reading(welcome):
    words = " ".join(label.text() for label in welcome.findChildren(QLabel))
    for word in ("Enter", "Ctrl+E", "box", "research use"):
        assert word in words


def test_the_place_to_drop_lights_up(reader, welcome, tmp_path):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    enter = QDragEnterEvent(
        QPoint(300, 300), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(reader.window, enter)
    assert welcome.drop_area.over
    QApplication.sendEvent(reader.window, QDragLeaveEvent())
    assert not welcome.drop_area.over
    assert enter.type() == QEvent.Type.DragEnter


def test_the_sheet_holds_every_key_without_scrolling_at_1280_by_800(reader):
    sheet = ShortcutsDialog(reader.window)
    need = sheet.content.sizeHint()
    caps = [label.text() for label in sheet.findChildren(QLabel, "key")]
    sheet.deleteLater()
    assert need.width() <= 1280 - 28 and need.height() <= 800 - 90
    for row in actions.ACTIONS:
        for key in row.keys:
            shown = shortcuts.SIGNS.get(key.split("+")[-1], key.split("+")[-1])
            assert any(cap.endswith(shown) for cap in caps), key


def test_columns_keep_the_order_and_are_balanced():
    found = shortcuts.sections()
    parted = shortcuts.columns(found)
    assert [section for column in parted for section in column] == found
    heights = [sum(len(lines) + 2 for _, lines in column) for column in parted]
    assert max(heights) <= 1.6 * sum(heights) / len(heights)


def test_what_mouse_and_arrows_do_stands_on_the_sheet():
    titles = [title for title, _ in shortcuts.sections()]
    assert "Mouse" in titles and "While held" in titles
    assert any(title.startswith("Keyboard cursor") for title in titles)


def test_the_question_mark_opens_the_sheet_and_escape_closes_it(reader):
    reader.press_key(Qt.Key.Key_F1)
    sheet = reader.window.findChild(ShortcutsDialog)
    assert sheet is not None and sheet.isVisible()
    QTest.keyClick(sheet, Qt.Key.Key_Escape)
    assert not sheet.isVisible()


def test_the_about_box_can_be_copied_and_starts_at_close(reader):
    about = AboutDialog(reader.window, fake_models(), "")
    about.show()
    copy, close = (
        next(button for button in about.findChildren(QPushButton) if word in button.text())
        for word in ("Copy", "Close")
    )
    assert close.isDefault()
    copy.click()
    text = QApplication.clipboard().text()
    about.close()
    about.deleteLater()
    for word in ("fake-segmenter", "1" * 64, "numpy", "AGPL", "Not a medical device"):
        assert word in text
    assert "<" not in text


def test_the_about_box_says_why_there_are_no_weights(reader):
    about = AboutDialog(reader.window, None, "E_WEIGHTS: none found")
    assert "none found" in about.findChildren(QLabel)[0].text()
    about.deleteLater()
    assert app.application() is QApplication.instance()


def test_the_sheet_is_searched_by_key_and_by_what_it_does(reader):
    sheet = ShortcutsDialog(reader.window)
    sheet.search.setText("accept")
    lit = {row.text.text() for row in sheet._rows if row.isEnabled()}
    assert lit == {"Accept", "Accept the others seen"}
    sheet.search.setText("ctrl+z")
    assert {row.text.text() for row in sheet._rows if row.isEnabled()} == {"Undo"}
    sheet.search.clear()
    assert all(row.isEnabled() for row in sheet._rows)
    sheet.deleteLater()
