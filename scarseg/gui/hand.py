"""What the reader has in hand: tool, label, size; actions, canvas and view row kept in step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from PyQt6.QtCore import QObject
from PyQt6.QtGui import QAction

from scarseg.gui.canvas import Canvas
from scarseg.gui.viewrow import ViewRow
from scarseg.labels import Label

LABEL_ACTIONS = {
    "label_1": Label.BLOOD_POOL,
    "label_2": Label.MYOCARDIUM,
    "label_3": Label.SCAR,
    "label_4": Label.MVO,
    "label_5": Label.BACKGROUND,
}
TOOLS = ("box", "point", "ventricle", "brush", "eraser", "polygon", "window_level")
SWITCHES = ("fill", "prompts_shown", "grid")


class Hand(QObject):
    """Choose tools, labels and sizes."""

    def __init__(self, canvas: Canvas, view_row: ViewRow, parent: QObject) -> None:
        super().__init__(parent)
        self._canvas, self._row = canvas, view_row
        self._actions: Mapping[str, QAction] = {}
        view_row.label_chosen.connect(lambda value: self.choose_label(Label(value)))
        view_row.radius_changed.connect(self._set_radius)
        view_row.opacity_changed.connect(self._set_opacity)
        canvas.resized.connect(self.resize)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the actions of the hand do."""
        made: dict[str, Callable[[], object]] = {
            name: partial(self.choose_tool, name) for name in TOOLS
        }
        made |= {name: partial(self.choose_label, label) for name, label in LABEL_ACTIONS.items()}
        made |= dict.fromkeys(SWITCHES, self._toggle_view)
        made |= {
            "let_go": self._canvas.cancel_gesture,
            "delete": self._canvas.delete_chosen,
            "smaller": partial(self.resize, -2),
            "larger": partial(self.resize, 2),
        }
        return made

    def take(self, actions: Mapping[str, QAction]) -> None:
        """Begin with the box and scar."""
        self._actions = actions
        self.choose_tool("box")
        for name in ("fill", "prompts_shown"):
            actions[name].setChecked(True)
        self.choose_label(Label.SCAR)

    def choose_tool(self, name: str) -> None:
        self._actions[name].setChecked(True)
        self._canvas.choose_tool(name)

    def choose_label(self, label: Label) -> None:
        for name, value in LABEL_ACTIONS.items():
            if value is label:
                self._actions[name].setChecked(True)
        self._canvas.label = label
        self._row.choose_label(label)

    def resize(self, by: int) -> None:
        """Make brush and eraser larger by so many steps of half a millimetre."""
        self._row.brush.setValue(self._row.brush.value() + by)

    def _set_radius(self, radius_mm: float) -> None:
        self._canvas.radius_mm = radius_mm
        self._canvas.redraw_hand()

    def _set_opacity(self, opacity: float) -> None:
        self._canvas.fill_opacity = opacity
        self._canvas.redraw()

    def _toggle_view(self) -> None:
        self._canvas.filled = self._actions["fill"].isChecked()
        self._canvas.prompts_shown = self._actions["prompts_shown"].isChecked()
        self._canvas.set_smooth(not self._actions["grid"].isChecked())
        self._canvas.redraw()
