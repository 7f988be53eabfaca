"""Selected tool, label, brush size and threshold, in step with actions and view options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.case.labels import Label
from scarseg.gui.actions import Actions
from scarseg.gui.session.session import Session
from scarseg.gui.tools import prompts
from scarseg.gui.viewer.montage import Views
from scarseg.gui.viewer.view_options import ViewOptionsBar
from scarseg.quant.suggested_threshold import SuggestedThreshold, suggest_threshold

LABEL_ACTIONS = {
    "label_1": Label.BLOOD_POOL,
    "label_2": Label.MYOCARDIUM,
    "label_3": Label.SCAR,
    "label_4": Label.MVO,
    "label_5": Label.BACKGROUND,
}
TOOLS = (
    *("box", "point", "ventricle", "brush", "threshold", "eraser", "flood", "lasso", "polygon"),
    *("contour", "window_level"),
)
PROMPT_HINTS = {
    ("box", Label.BLOOD_POOL): "Drag round the blood pool. 3: scar again.",
    ("box", Label.MYOCARDIUM): "Drag round the outer border of the wall, as with L. 3: scar again.",
    ("point", Label.BLOOD_POOL): "Click what is blood pool, Alt-click what is not. 3: scar again.",
    ("point", Label.MYOCARDIUM): "Click what is wall, Alt-click what is not. 3: scar again.",
    **{(tool, label): why for tool in ("box", "point") for label, why in prompts.REFUSED.items()},
}
"""Hints shown for a tool with a label other than scar."""
SET_BY_READER = "set by hand"
"""Rule of a threshold that the reader set."""
VIEW_TOGGLES = ("fill", "prompts_shown", "grid")


class ToolSelection(QObject):
    """Controller of the selected tool, label, sizes and threshold.

    Signals:
        said: a message for the status bar.
    """

    said = pyqtSignal(str)

    def __init__(
        self,
        session: Session,
        views: Views,
        view_row: ViewOptionsBar,
        actions: Actions,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session, self._views, self._row = session, views, view_row
        self._shared = views.shared
        self._threshold: SuggestedThreshold | None = None
        self._actions = actions
        view_row.label_chosen.connect(lambda value: self.choose_label(Label(value)))
        view_row.radius_changed.connect(self._set_radius)
        view_row.opacity_changed.connect(self._set_opacity)
        view_row.threshold_changed.connect(self._set_threshold)
        views.resized.connect(self.resize)
        views.threshold_turned.connect(self._turn_threshold)
        session.opened.connect(self.automatic_threshold)
        session.front.ready_changed.connect(self._suggest_again)
        self._connect()
        self.choose_tool("box")
        for name in ("fill", "prompts_shown"):
            actions[name].setChecked(True)
        self.choose_label(Label.SCAR)

    def _connect(self) -> None:
        slots: dict[str, Callable[[], object]] = {
            name: partial(self.choose_tool, name) for name in TOOLS
        }
        slots |= {name: partial(self.choose_label, label) for name, label in LABEL_ACTIONS.items()}
        slots |= dict.fromkeys(VIEW_TOGGLES, self._toggle_view)
        slots |= {
            "delete": lambda: self._views.active.delete_chosen(),
            "lower_threshold": partial(self._turn_threshold, -2),
            "higher_threshold": partial(self._turn_threshold, 2),
            "automatic_threshold": self.automatic_threshold,
            "smaller": partial(self.resize, -2),
            "larger": partial(self.resize, 2),
        }
        self._actions.connect(slots)

    def choose_tool(self, name: str) -> None:
        self._actions[name].setChecked(True)
        self._shared.choose_tool(name)
        self._explain_prompts()
        if self._threshold is None or self._threshold.rule != SET_BY_READER:
            self.automatic_threshold()
        else:
            self._show_threshold()

    def choose_label(self, label: Label) -> None:
        for name, value in LABEL_ACTIONS.items():
            if value is label:
                self._actions[name].setChecked(True)
        self._shared.set("label", label)
        self._row.choose_label(label)
        self._explain_prompts()

    def _explain_prompts(self) -> None:
        hint = PROMPT_HINTS.get((self._shared.tool, self._shared.label))
        if hint is not None:
            self.said.emit(hint)

    def resize(self, by: int) -> None:
        """Enlarge brush and eraser by steps of half a millimetre."""
        self._row.brush.setValue(self._row.brush.value() + by)

    def _suggest_again(self) -> None:
        """Suggest another threshold once all slices are proposed."""
        current = self._session.current
        if current is None or current.inference.proposing or self._threshold is None:
            return
        if self._threshold.rule != SET_BY_READER:
            self.automatic_threshold()

    def automatic_threshold(self) -> None:
        """Set the suggested threshold; computed only when the threshold brush is selected."""
        self._threshold = None
        if self._shared.tool == "threshold" and self._session.current is not None:
            self._threshold = suggest_threshold(self._session.current.document.case)
        self._show_threshold()

    def _turn_threshold(self, steps: int) -> None:
        if self._shared.tool == "threshold":
            self._row.threshold.setValue(self._row.threshold.value() + steps)

    def _set_threshold(self, value: float) -> None:
        if self._threshold is not None:
            self._threshold = replace(self._threshold, value=value, rule=SET_BY_READER)
            self._show_threshold()

    def _show_threshold(self) -> None:
        selected = self._shared.tool == "threshold"
        self._row.show_threshold(self._threshold if selected else None)
        if self._threshold is not None:
            self._shared.set("threshold", self._threshold.value)

    def _set_radius(self, radius_mm: float) -> None:
        self._shared.set("radius_mm", radius_mm)

    def _set_opacity(self, opacity: float) -> None:
        self._shared.set("fill_opacity", opacity)

    def _toggle_view(self) -> None:
        self._shared.set("filled", self._actions["fill"].isChecked())
        self._shared.set("prompts_shown", self._actions["prompts_shown"].isChecked())
        self._shared.set("smooth", not self._actions["grid"].isChecked())
