"""Grey window of the slices: presets, the reader's own, remembered by kind of sequence."""

from __future__ import annotations

from PyQt6.QtCore import QObject, QSettings, pyqtSignal

from scarseg.gui.session.document import Document
from scarseg.gui.session.session import Session
from scarseg.gui.viewer import window_level
from scarseg.gui.viewer.canvas import Canvas
from scarseg.gui.viewer.view_options import ViewOptionsBar

LOCKED_KEY = "levels/locked"


class WindowLevelPresenter(QObject):
    """Choose and remember the window level.

    ``set_by_reader``: the level of the open case was set by the mouse, not by a preset.

    Signals:
        settled: another level is to be shown by the thumbnails too.
    """

    settled = pyqtSignal()

    def __init__(
        self,
        session: Session,
        settings: QSettings,
        canvas: Canvas,
        view_row: ViewOptionsBar,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session, self._settings = session, settings
        self._canvas, self._view_row = canvas, view_row
        self.set_by_reader = False
        self.locked = bool(settings.value(LOCKED_KEY, False, type=bool))
        self._proposed: Document | None = None

    def recall_levels(self) -> None:
        """Show the reader's last levels for this kind of sequence, else automatic ones."""
        current = self._session.current
        if current is None:
            return
        self.set_by_reader = False
        name, values = window_level.recalled(self._settings, current.document.case)
        self._view_row.presets.setCurrentText(name)
        self._balance(name)
        self._canvas.set_levels(values)

    def set_locked(self, locked: bool) -> None:
        """Show all slices with the same grey levels, or each by its own remote wall."""
        self.locked = locked
        self._settings.setValue(LOCKED_KEY, locked)
        if self._session.current is not None:
            self._balance(self._view_row.presets.currentText())
            self.settled.emit()

    def slices_proposed(self) -> None:
        """Set automatic levels once more when the last slice of the open case is proposed."""
        current = self._session.current
        if current is None or current.document is self._proposed:
            return
        self._proposed = current.document
        if not self.set_by_reader:
            self.recall_levels()
            self.settled.emit()

    def _balance(self, name: str) -> None:
        """Show each slice by its own remote wall, unless locked or by the range of the stack."""
        current, shared = self._session.current, self._canvas.shared
        alike = self.locked or current is None or name == window_level.FULL
        case = None if alike or current is None else current.document.case
        shared.set("balances", () if case is None else window_level.balances(case))

    def choose_preset(self, name: str) -> None:
        """Show a preset on the slice and remember it for this kind of sequence."""
        current = self._session.current
        if current is None or name not in window_level.PRESETS:
            return
        self._view_row.presets.setCurrentText(name)
        self._balance(name)
        self._canvas.set_levels(window_level.preset(current.document.case, name))
        self.levels_settled(name)

    def levels_settled(self, preset: str = "") -> None:
        """Show the canvas's levels in the thumbnails, and remember them or their preset."""
        current = self._session.current
        if current is None:
            return
        self.set_by_reader = not preset
        window_level.remember(self._settings, current.document.case, preset or self._canvas.levels)
        self.settled.emit()
