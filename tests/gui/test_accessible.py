"""Every control of the real window says what it is, and the focus can be seen and moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollBar,
    QWidget,
)

from scarseg.gui import actions, theme
from scarseg.gui.commands.export import DEFAULT_FORMATS
from scarseg.gui.dialogs.about import AboutDialog
from scarseg.gui.dialogs.export import ExportDialog
from scarseg.gui.dialogs.reading import ReasonDialog
from scarseg.gui.dialogs.shortcuts import ShortcutsDialog
from scarseg.gui.session.export import ExportRequest
from tests.fakes import fake_models

INTERACTIVE = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QProgressBar,
)


def _own(widget: QWidget) -> bool:
    """Leave out what Qt builds inside its own controls, and scroll bars of what has a name."""
    if isinstance(widget, QScrollBar) or "qt_" in widget.objectName():
        return False
    parent = widget.parentWidget()
    while parent is not None:
        kind = parent.metaObject()
        if kind is not None and "QComboBoxPrivate" in kind.className():
            return False
        if isinstance(parent, (QComboBox, QAbstractSpinBox, QLineEdit, QAbstractItemView)):
            return False
        parent = parent.parentWidget()
    return True


def _controls(root: QWidget) -> list[QWidget]:
    """Return what a reader can act on, on every page, shown or not."""
    found = [widget for widget in root.findChildren(QWidget) if _own(widget)]
    return [
        widget
        for widget in found
        if isinstance(widget, INTERACTIVE) or widget.focusPolicy() != Qt.FocusPolicy.NoFocus
    ]


def _name(widget: QWidget) -> str:
    text = getattr(widget, "text", None)
    words = text() if callable(text) and isinstance(widget, QAbstractButton) else ""
    return widget.accessibleName() or words


def _said(widget: QWidget) -> str:
    return f"{type(widget).__name__} {_name(widget)!r} in {type(widget.parentWidget()).__name__}"


def _spelled_out(widget: QWidget) -> bool:
    """In a dialog a button's own words, and a line's, say all there is to say."""
    hint = getattr(widget, "placeholderText", str)
    words = isinstance(widget, QPushButton) and any(map(str.isalpha, widget.text()))
    return isinstance(widget.window(), QDialog) and bool(words or hint())


@pytest.fixture
def windows(reading):
    window = reading.window
    request = ExportRequest(Path(), DEFAULT_FORMATS)
    export = ExportDialog(window, ("P0", "P0"), request, 2, True, lambda: None)
    sheets = [
        ShortcutsDialog(window),
        AboutDialog(window, fake_models(), ""),
        ReasonDialog(window),
        export,
    ]
    reading.act("montage")
    yield [reading.window, *sheets]
    for sheet in sheets:
        sheet.deleteLater()


def test_every_control_has_a_name_for_those_who_hear_it(windows):
    nameless = [_said(w) for root in windows for w in _controls(root) if not _name(w).strip()]
    assert not nameless


def test_a_sign_alone_is_no_name(windows):
    signs = [
        _said(widget)
        for root in windows
        for widget in _controls(root)
        if not any(letter.isalpha() for letter in _name(widget))
    ]
    assert not signs


def test_every_button_slider_and_choice_has_a_tool_tip(windows):
    kinds = (QAbstractButton, QAbstractSlider, QComboBox, QLineEdit)
    bare = [
        _said(widget)
        for root in windows
        for widget in _controls(root)
        if isinstance(widget, kinds) and not (widget.toolTip() or _spelled_out(widget))
    ]
    assert not bare


def test_no_two_controls_in_sight_share_a_name(reading):
    names = [
        _name(widget)
        for widget in _controls(reading.window)
        if widget.isVisible() and not isinstance(widget, QLabel)
    ]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice


def test_tool_tips_name_their_keys(reading):
    for row in actions.ACTIONS:
        if row.keys:
            tip = reading.window.actions_by_name[row.name].toolTip()
            assert f"({actions.shortcut_text(row)})" in tip


def _ring(widget: QWidget) -> bool:
    """Return whether the focus changes what a control looks like."""
    widget.clearFocus()
    QApplication.processEvents()
    before = widget.grab().toImage()
    widget.setFocus(Qt.FocusReason.TabFocusReason)
    QApplication.processEvents()
    return widget.hasFocus() and widget.grab().toImage() != before


def test_where_the_focus_is_can_be_seen(reading):
    window = reading.window
    window.activateWindow()
    row = window.view_row
    blind = [
        _said(widget)
        for widget in (*row.findChildren(QAbstractSlider), *row.findChildren(QComboBox))
        if widget.isVisible() and _own(widget) and not _ring(widget)
    ]
    assert not blind
    scope = window.histogram.scope
    assert _ring(scope)


def test_the_focus_goes_through_the_row_from_left_to_right(reading):
    row = reading.window.view_row
    stops = [
        w for w in _controls(row) if w.isVisible() and w.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]
    assert len(stops) >= 4
    order, widget = [], stops[0]
    for _ in range(200):
        if widget in stops and widget not in order:
            order.append(widget)
        widget = widget.nextInFocusChain()
    places = [widget.mapTo(row, widget.rect().center()).x() for widget in order]
    assert places == sorted(places)


def test_a_control_that_has_the_focus_does_not_swallow_the_readers_keys(reading):
    """Letters reach the table of actions from wherever the focus is."""
    row = reading.window.view_row
    for widget in (row.opacity, row.labels, row.presets):
        widget.setFocus()
        reading.qtbot.keyClick(widget, Qt.Key.Key_P)
        assert reading.window.views.shared.tool == "point", _said(widget)
        reading.act("box")


def test_the_accent_of_the_focus_is_seen_on_the_panel():
    assert QColor(theme.ACCENT).lightnessF() > QColor(theme.PANEL).lightnessF() + 0.4


def test_dialogs_are_titled(windows):
    for root in windows:
        assert not isinstance(root, QDialog) or root.windowTitle()
