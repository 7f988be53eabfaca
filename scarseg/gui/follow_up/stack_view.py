"""One of two stacks that are compared: a slice with its contours, and its figures above it."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from scarseg.case.case import Case
from scarseg.gui import theme
from scarseg.gui.theme import label, set_style_property
from scarseg.gui.viewer import painting, window_level
from scarseg.gui.viewer.slice_view import SliceView
from scarseg.gui.viewer.view_state import ViewState, find_heart_region


class ComparedSlice(SliceView):
    """A slice view that only the wheel acts on.

    Signals:
        stepped: number of slices to go on by.
    """

    stepped = pyqtSignal(int)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            turned = event.angleDelta().y() or event.angleDelta().x()
            self.stepped.emit(-1 if turned > 0 else 1)
            event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        self.fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.fit_heart()


class ComparedStack(QWidget):
    """A stack with its date, mass and status, and one slice of it."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self._when = when
        self.case: Case | None = None
        self.index = 0
        self.date = label("", "subject", f"{when} study")
        self.mass = label("", "figure", f"Scar mass of the {when.lower()} study")
        self.status = label("", "state", f"Status of the {when.lower()} study")
        self.view = ComparedSlice(ViewState(self))
        self.view.setAccessibleName(f"{when} slice")
        self.view.prompts_shown = False
        self.view.setMinimumSize(240, 240)
        self._tracer = painting.Tracer()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for part in (self.date, self.mass, self.status):
            layout.addWidget(part)
        layout.addWidget(self.view, 1)

    def show_study(self, case: Case, date: str, mass: str, status: str, is_read: bool) -> None:
        """Show another case, or the same one after a change.

        Args:
            case: images and labels.
            date: of the study.
            mass: with its interval, in words.
            status: how far it was read.
            is_read: whether all of it was.
        """
        self.date.setText(f"{self._when} · {date}")
        self.mass.setText(mass)
        self.status.setText(status)
        set_style_property(self.status, "provisional", "false" if is_read else "true")
        if self.case is None or self.case.stack is not case.stack:
            stack = case.stack
            self.view.set_geometry(
                stack.rows, stack.columns, stack.pixel_spacing_mm, stack.orientation
            )
            self.view.shared.set("levels", window_level.preset(case, window_level.AUTOMATIC))
            self.view.shared.set("balances", window_level.balances(case))
        self.case = case
        self.index = min(self.index, case.stack.n_slices - 1)

    def show_heart(self, side_mm: float) -> None:
        """Fit a square of this side round the heart, so that both stacks have one scale."""
        if self.case is not None:
            middle: QPointF = find_heart_region(self.case).close_mm.center()
            half = side_mm / 2
            self.view.heart_mm = QRectF(middle.x() - half, middle.y() - half, side_mm, side_mm)
            self.view.fit_heart()

    @property
    def heart_mm(self) -> float:
        """Return the side of the square round the heart."""
        return 0.0 if self.case is None else find_heart_region(self.case).close_mm.width()

    def show_slice(self, index: int) -> None:
        """Show a slice with the outlines of its labels."""
        if self.case is None:
            return
        self.index = index
        labels = self.case.labels[index]
        reading = self.case.readings[index]
        self.view.show_image(self.case.stack.pixels[index], index)
        self.view.show_labels(labels, labels, self._tracer.trace(labels))
        self.view.show_status(
            f"{index + 1} of {self.case.stack.n_slices} · {theme.STATUS_WORDS[reading.status]}",
            theme.STATUS_COLOURS[reading.status],
        )
