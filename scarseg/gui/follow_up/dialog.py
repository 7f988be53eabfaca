"""The window of a comparison: both stacks side by side, the change, and where it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from scarseg.case.labels import infarct_mask
from scarseg.case.patient import date_text
from scarseg.gui.follow_up.change_view import ChangeView
from scarseg.gui.follow_up.stack_view import ComparedStack
from scarseg.gui.theme import label, set_style_property
from scarseg.quant.segments import SEGMENTS

if TYPE_CHECKING:
    from scarseg.agreement.follow_study import StudyComparison

SIDE_WIDTH = 330
"""Width of the column with the change, in pixels."""
NO_SEGMENTS = "A study has no slice with a closed wall: no segments."
HINT = "Up, Down or wheel: both stacks · hold H: no contours · click on a segment: its slice"


class ComparisonDialog(QDialog):
    """Earlier study on the left, later one on the right, linked; what changed beside them.

    It is not modal.

    Signals:
        page_wanted: write the page.
        cancelled: compute no intervals.
    """

    page_wanted = pyqtSignal()
    cancelled = pyqtSignal()

    def __init__(self, window: QWidget, subject: str, warning: str = "") -> None:
        super().__init__(window)
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.setWindowTitle(f"Follow-up · {subject}")
        self.comparison: StudyComparison | None = None
        self.earlier, self.later = ComparedStack("Earlier"), ComparedStack("Later")
        self.warning = label(warning, "warning", "Warning")
        self.warning.setWordWrap(True)
        self.warning.setVisible(bool(warning))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Slice of the later study")
        self.slider.setToolTip("Slice of the later study; the earlier one follows")
        self.slider.valueChanged.connect(self.go_to)
        self.position = label("", "quiet", "Linked slices")
        self.position.setWordWrap(True)
        stacks = QHBoxLayout()
        for part in (self.earlier, self.later):
            part.view.stepped.connect(self.step)
            stacks.addWidget(part, 1)
        left = QVBoxLayout()
        left.addWidget(self.warning)
        left.addLayout(stacks, 1)
        left.addWidget(self.slider)
        left.addWidget(self.position)
        left.addWidget(label(HINT, "quiet"))
        layout = QHBoxLayout(self)
        layout.setSpacing(14)
        layout.addLayout(left, 1)
        layout.addWidget(self._side())
        self.resize(1180, 720)
        self.set_busy(False)

    def _side(self) -> QWidget:
        self.change = label("", "headline", "Change of scar mass")
        self.interval = label("", "figure", "Interval of the change")
        self.conclusion = label("", "", "What the change says")
        self.notes = label("", "warning", "Limits of the comparison")
        self.eye = ChangeView()
        self.eye.setMinimumHeight(230)
        self.eye.hovered.connect(self._show_segment)
        self.eye.chosen.connect(self._go_to_segment)
        self.segment = label("", "quiet", "Segment under the mouse")
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the intervals")
        self.doing = label("", "quiet", "What is being computed")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Compute no intervals")
        self.cancel.clicked.connect(self.cancelled)
        self.page = QPushButton("Page …")
        self.page.setToolTip("Write this comparison as a PDF page")
        self.page.clicked.connect(self.page_wanted)
        close = QPushButton("Close")
        close.clicked.connect(self.close)
        for button in (self.cancel, self.page, close):
            button.setAutoDefault(False)
        for text in (self.conclusion, self.notes, self.segment, self.interval):
            text.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.page)
        buttons.addStretch(1)
        buttons.addWidget(close)
        work = QHBoxLayout()
        work.addWidget(self.progress, 1)
        work.addWidget(self.cancel)
        column = QVBoxLayout()
        column.setContentsMargins(12, 8, 12, 8)
        column.addWidget(label("CHANGE OF SCAR", "heading"))
        for part in (self.change, self.interval, self.conclusion, self.notes):
            column.addWidget(part)
        column.addSpacing(6)
        column.addWidget(label("BULL'S EYE, CHANGE IN g", "heading"))
        column.addWidget(self.eye, 1)
        column.addWidget(self.segment)
        column.addWidget(self.doing)
        column.addLayout(work)
        column.addLayout(buttons)
        side = QWidget()
        side.setObjectName("side")
        side.setFixedWidth(SIDE_WIDTH)
        side.setLayout(column)
        return side

    # What is shown

    def show_comparison(self, comparison: StudyComparison) -> None:
        """Show a comparison, or the same one after a change of a study or its interval."""
        from scarseg.agreement import follow_text

        first = self.comparison is None
        self.comparison = comparison
        for part, study in (
            (self.earlier, comparison.earlier), (self.later, comparison.later)
        ):  # fmt: skip
            part.show_study(
                study.case,
                date_text(study.case.stack.study_date) or "no date",
                follow_text.mass_text(study.mass),
                follow_text.status_text(study),
                follow_text.is_read(study),
            )
        change = comparison.change
        grams, _, interval = follow_text.change_text(change).partition(" (")
        self.change.setText(grams)
        provisional = not all(map(follow_text.is_read, (comparison.earlier, comparison.later)))
        set_style_property(self.change, "provisional", "true" if provisional else "false")
        self.interval.setText(
            f"{follow_text.PERCENT} interval {interval.removesuffix(')')} g" if interval else ""
        )
        self.conclusion.setText(follow_text.result_sentence(change))
        notes = follow_text.comparison_notes(comparison)
        self.notes.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))
        self._show_segments(comparison)
        if first:
            side = max(self.earlier.heart_mm, self.later.heart_mm)
            for part in (self.earlier, self.later):
                part.show_heart(side)
            self.slider.setRange(0, comparison.later.case.stack.n_slices - 1)
            self.slider.setValue(_fullest(comparison))
        self.go_to(self.slider.value())

    def _show_segments(self, comparison: StudyComparison) -> None:
        if not comparison.regions:
            self.eye.show_nothing(NO_SEGMENTS)
            return
        numbers = [int(name) for name in comparison.regions if name.isdecimal()]
        self.eye.show_changes(comparison.regions, {n: segment_text(comparison, n) for n in numbers})

    def _show_segment(self, number: int | None) -> None:
        known = self.comparison is not None and number is not None
        text = segment_text(self.comparison, number) if known else ""  # type: ignore[arg-type]
        self.segment.setText(text)

    def show_progress(self, fraction: float, what: str) -> None:
        """Show how far the job is."""
        self.progress.setRange(0, 0 if fraction < 0 else 100)
        self.progress.setValue(round(100 * max(fraction, 0.0)))
        self.doing.setText(what)

    def set_busy(self, busy: bool, what: str = "") -> None:
        """Show that something is computed, with a button to cancel it; else what came of it."""
        self.progress.setVisible(busy)
        self.cancel.setVisible(busy)
        self.doing.setText(what)
        self.page.setEnabled(self.comparison is not None)

    # Slices

    def step(self, by: int) -> None:
        """Move by so many slices of the later study."""
        self.slider.setValue(self.slider.value() + by)

    def go_to(self, k: int) -> None:
        """Show a slice of the later study, and the earlier one that it is linked with."""
        if self.comparison is None:
            return
        linked = self.comparison.linked
        other = linked.earlier_of(k)
        self.earlier.show_slice(other)
        self.later.show_slice(k)
        depths = [
            f"{stack.slice_positions_mm[index] - stack.slice_positions_mm[0]:.0f} mm"
            for stack, index in (
                (self.comparison.earlier.case.stack, other),
                (self.comparison.later.case.stack, k),
            )
        ]
        self.position.setText(
            f"Slice {other + 1} ({depths[0]} from the first) beside slice {k + 1} ({depths[1]}):"
            f" linked {linked.rule}"
        )

    def _go_to_segment(self, number: int) -> None:
        """Show the later slice on which a segment has most scar, else most wall."""
        comparison = self.comparison
        if comparison is None or comparison.later.wall is None:
            return
        inside = comparison.later.wall.segments == number
        scar = (inside & infarct_mask(comparison.later.case.labels)).sum(axis=(1, 2))
        counts = scar if scar.any() else inside.sum(axis=(1, 2))
        self.slider.setValue(int(np.argmax(counts)))

    # Keys and the end

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
        if event.key() in steps:
            self.step(steps[Qt.Key(event.key())])
        elif event.key() == Qt.Key.Key_H and not event.isAutoRepeat():
            self._hide_contours(True)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_H and not event.isAutoRepeat():
            self._hide_contours(False)
        super().keyReleaseEvent(event)

    def _hide_contours(self, hidden: bool) -> None:
        for part in (self.earlier, self.later):
            part.view.shared.set("hidden", hidden)


def segment_text(comparison: StudyComparison, number: int) -> str:
    """Return everything about the change of a segment: grams before and after, interval."""
    from scarseg.agreement import follow_text

    name = str(number)
    change = comparison.regions[name]
    earlier, later = comparison.earlier.regions[name], comparison.later.regions[name]
    smallest = change.smallest_change_g
    beyond = "" if smallest is None else f", smallest beyond repeatability {smallest:.1f} g"
    return (
        f"{number} {SEGMENTS[number - 1].name}: {earlier.scar_g:.1f} g, then {later.scar_g:.1f} g;"
        f" {follow_text.change_text(change)}{beyond}"
    )


def _fullest(comparison: StudyComparison) -> int:
    """Return the later slice with most scar, the middle one where there is none."""
    counts = infarct_mask(comparison.later.case.labels).sum(axis=(1, 2))
    return int(np.argmax(counts)) if counts.any() else len(counts) // 2
