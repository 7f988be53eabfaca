"""The strip that compares methods, as it looks: what its numbers are, buttons, tiles, the curve."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QAction, QPainterPath
from PyQt6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from scarseg.case import Case
from scarseg.gui import chrome, methods, theme
from scarseg.gui.curve_plot import CurvePlot
from scarseg.gui.home import SMALLEST_MM, find_home
from scarseg.gui.method_outlines import Outlined
from scarseg.gui.method_tiles import MethodRow, MethodTile, Picture
from scarseg.gui.montage import Content
from scarseg.gui.panels import label
from scarseg.gui.shared import Levels
from scarseg.labels import Label
from scarseg.measurements import MassConvention

ROOM = 1.12
"""Side of a tile's picture to the width of the heart in it."""
CHECKED = f"QToolButton:checked {{ background: {theme.RAISED}; color: {theme.ACCENT}; }}"
SCOPES = {False: "Threshold per slice", True: "Threshold per stack"}


class MethodStrip(QWidget):
    """A tile per method under a line of words and buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Comparison of methods")
        self.setObjectName("side")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.plot = CurvePlot()
        self.row = MethodRow(self.plot)
        self.words = chrome.Elided("quiet", Qt.AlignmentFlag.AlignLeft)
        self._buttons = [QToolButton() for _ in range(5)]
        self.scope, self.remote, self.adopt_here, self.adopt_everywhere, self.shut = self._buttons
        self._remote_tip = ""
        self._arrange()

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(10, 0, 6, 0)
        head.setSpacing(2)
        self.words.setAccessibleName("What the numbers of the methods are")
        head.addWidget(label("METHODS", "heading"))
        head.addSpacing(6)
        head.addWidget(self.words, 1)
        head.addSpacing(6)
        for button in self._buttons:
            button.setObjectName("foot")
            head.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 3, 0, 2)
        layout.setSpacing(3)
        layout.addLayout(head)
        layout.addWidget(self.row)

    def take(self, actions: Mapping[str, QAction]) -> None:
        """Let the buttons do what the actions do."""
        for name, text, button in (
            ("adopt", "Adopt  Ctrl+J", self.adopt_here),
            ("adopt_all", "On all", self.adopt_everywhere),
        ):
            chrome.button_for(actions[name], text, button)
        for name, text, button in (
            ("whole_stack", SCOPES[False], self.scope),
            ("remote", "Remote", self.remote),
            ("compare", "✕", self.shut),
        ):
            button.setText(text)
            button.setToolTip(actions[name].toolTip())
            button.setAccessibleName(actions[name].text())
            button.clicked.connect(actions[name].trigger)
        self.shut.setAccessibleName("Close the comparison")
        self._remote_tip = self.remote.toolTip()
        self.remote.setCheckable(True)
        self.remote.setStyleSheet(CHECKED)
        actions["remote"].toggled.connect(self.remote.setChecked)
        for button in self._buttons:
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def tile(self, name: str) -> MethodTile:
        """Give the tile of a method."""
        return next(tile for tile in self.row.tiles if tile.name == name)

    def show_scope(self, whole_stack: bool) -> None:
        """Say whether a threshold is one for the stack or each slice's own."""
        self.scope.setText(SCOPES[whole_stack])

    def show_stale(self) -> None:
        """Let the numbers pale: they are of before."""
        for tile in self.row.tiles:
            tile.tell(stale=True)

    def show_answer(
        self, outlined: Outlined, case: Case, k: int, levels: Levels, chosen: str
    ) -> None:
        """Show what is known of slice ``k``."""
        answer, path = outlined.answer, outlined.wall[k]
        wall = [(theme.colour(theme.LABEL_COLOURS[Label.MYOCARDIUM]), path)]
        picture = Picture(Content(case.stack.pixels[k], levels, _crop(case, path), wall))
        for tile in self.row.tiles:
            tile.show_method(outlined, k, picture)
            tile.tell(chosen=tile.name == chosen)
        self.words.set_line(_words(answer, k))
        self.plot.show_answer(answer, k, chosen)

    def show_remote(self, answer: methods.Answer, k: int, drawn: bool) -> None:
        """Say whose the remote region of slice ``k`` is, and what it measures."""
        signal = answer.signals[k]
        word = "drawn" if drawn else "proposed" if answer.remote[k].any() else "none"
        measured = "no remote wall"
        if signal is not None:
            word = "of the stack" if word == "none" else word
            measured = f"{signal.mean:.4g} ± {signal.sd:.3g} in {signal.n_voxels} voxels"
        self.remote.setText(f"Remote: {word}")
        self.remote.setToolTip(f"{self._remote_tip}\nOn this slice: {measured}")


def _words(answer: methods.Answer, k: int) -> str:
    if not answer.wall.any():
        return methods.REASONS["W_NO_WALL"]
    thick = answer.measured.convention is MassConvention.THICKNESS
    return f"stack and slice {k + 1}, g by slice {'thickness' if thick else 'spacing'}"


def _crop(case: Case, wall: QPainterPath) -> QRectF:
    """Give the square round the wall of a slice, in source pixels; the usual one without wall."""
    if wall.isEmpty():
        return find_home(case).crop
    row_mm, column_mm = case.stack.pixel_spacing_mm
    box = wall.boundingRect()
    side = max(box.width() * column_mm, box.height() * row_mm) * ROOM
    side = max(side, SMALLEST_MM / 2)
    across, down = side / column_mm, side / row_mm
    middle = box.center()
    return QRectF(middle.x() - across / 2, middle.y() - down / 2, across, down)
