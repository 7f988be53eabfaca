"""Results panel right of the slices: masses, remarks, interval, and the panels below them."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from scarseg.case.history import SliceStatus
from scarseg.case.measurements import MassConvention, Measurements
from scarseg.case.stack import Stack
from scarseg.gui import theme
from scarseg.gui.panels.slice_bars import HIGH_ROW, LOW_ROW, SliceBars
from scarseg.gui.session.interval import IntervalUpdater
from scarseg.gui.session.session import Session
from scarseg.gui.theme import label

NARROW = 236
"""Smallest width of the panel, in pixels."""
SMALLEST_HEIGHT = 292
"""Height that the headline and all figures need: they are always in sight."""


class ResultsPanel(QWidget):
    """The running total; every gram with its convention beside it."""

    slice_chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("side")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Results")
        self.setMinimumSize(NARROW, SMALLEST_HEIGHT)
        self.headline = label("–", "headline", "Scar mass")
        self.state = label("", "state", "State of the scar mass")
        self.convention = label("", "quiet", "Mass convention of the headline")
        self.interval = label("", "quiet", "Interval of the scar mass")
        self.interval.hide()
        self.figures: dict[str, QLabel] = {}
        self._words: dict[str, QLabel] = {}
        self.bars = SliceBars()
        self.bars.clicked.connect(self.slice_chosen)
        self.incomplete = label("", "warning", "Warnings about the numbers")
        self.incomplete.setWordWrap(True)
        self.remarks = label("", "remark", "Scar to look at")
        self.remarks.setWordWrap(True)
        self._arrange()

    def _arrange(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(16, 14, 16, 4)
        layout.setSpacing(3)
        head = QHBoxLayout()
        head.addWidget(label("SCAR MASS", "heading"))
        head.addStretch(1)
        head.addWidget(self.state)
        layout.addLayout(head)
        layout.addWidget(self.headline)
        layout.addWidget(self.interval)
        layout.addWidget(self.convention)
        layout.addSpacing(6)
        layout.addLayout(self._figures())
        layout.addSpacing(4)
        layout.addWidget(self.incomplete)
        layout.addWidget(self.remarks)
        layout.addSpacing(8)
        self.bars_heading = label("SLICE BY SLICE", "heading")
        layout.addWidget(self.bars_heading)
        layout.addWidget(self.bars)
        layout.addStretch(1)
        area = QScrollArea()
        area.setAccessibleName("Results")
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidgetResizable(True)
        area.setWidget(content)
        self._content, self._area = layout, area
        for part in (content, area.viewport()):
            if part is not None:
                part.setAutoFillBackground(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(3)
        column.addWidget(area, 1)
        self.report, self.export, self.history = QToolButton(), QToolButton(), QToolButton()
        foot = QHBoxLayout()
        foot.setContentsMargins(4, 0, 4, 0)
        foot.setSpacing(0)
        for button in (self.report, self.export, self.history):
            button.setObjectName("foot")
            foot.addWidget(button)
        foot.addStretch(1)
        self.history.setStyleSheet(
            f"QToolButton:checked {{ background: {theme.RAISED}; color: {theme.TEXT}; }}"
        )
        column.addLayout(foot)

    def fit_fonts(self) -> None:
        """Keep headline and figures in sight with the text size that was chosen."""
        self.setMinimumSize(theme.px(NARROW), theme.px(SMALLEST_HEIGHT))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit_bars()

    def _fit_bars(self) -> None:
        """Draw the bars high where all of them are in sight then."""
        viewport = self._area.viewport()
        assert viewport is not None
        content = self._content
        wraps = content.hasHeightForWidth()
        height = content.heightForWidth(viewport.width()) if wraps else content.sizeHint().height()
        rest = height - self.bars.minimumHeight()
        fits = rest + self.bars.height_of(HIGH_ROW) <= viewport.height()
        self.bars.set_row_height(HIGH_ROW if fits else LOW_ROW)

    def _figures(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(2)
        grid.setHorizontalSpacing(10)
        rows = {
            "other": "Scar mass, other convention",
            "percent": "Scar in percent of LV mass",
            "mvo": "MVO mass",
            "change": "Change since the proposal",
            "to_read": "To read",
        }
        for row, (key, name) in enumerate(rows.items()):
            self.figures[key] = label("", "figure", name)
            self._words[key] = label("", "quiet")
            self._words[key].setWordWrap(True)  # a wider one would push the bars out of sight
            grid.addWidget(self.figures[key], row, 0)
            grid.addWidget(self._words[key], row, 1)
        grid.setColumnStretch(1, 1)
        return grid

    def show_remarks(
        self, remarks: Mapping[int, str], current: int, of_case: str = "", clips: bool = False
    ) -> None:
        """Point out what a reader may want to look at; nothing is changed by it.

        The remark about the current slice is spelled out, of the others the number is shown.

        Args:
            remarks: by slice; ``of_case`` is about all of them.
            current: the slice in front.
            clips: clipping scar to the wall would remove some.
        """
        lines = [f"Slice {current + 1}: {remarks[current]}"] if current in remarks else []
        others = [str(k + 1) for k in sorted(remarks) if k != current]
        if others:
            slices = "slice" if len(others) == 1 else "slices"
            lines.append(f"{'Also' if lines else 'To look at:'} {slices} {', '.join(others)}")
        if clips:
            lines.append("Key I clips the scar of a slice to its wall")
        lines[:0] = [of_case] if of_case else []
        self.remarks.setText("\n".join(lines))
        self.remarks.setVisible(bool(lines))
        self._fit_bars()

    def clear(self) -> None:
        """Show that nothing is open."""
        self.setVisible(False)

    def show_measurements(
        self, measured: Measurements, stack: Stack, current: int, proposing: bool = False
    ) -> None:
        """Show the numbers of the open case.

        A stack that nobody has seen, model or reader, has no mass, and MVO that nothing looked
        for is not 0 g: both show a dash.

        Args:
            measured: the measurements.
            stack: what was measured.
            current: the current slice.
            proposing: whether the models are about to propose the slices that nobody has seen.
        """
        self.setVisible(True)
        thickness = measured.convention is MassConvention.THICKNESS
        other = measured.scar_mass_spacing_g if thickness else measured.scar_mass_thickness_g
        names = (_by_thickness(stack), _by_spacing(stack))
        seen = measured.examined
        self.headline.setText(f"{measured.scar_mass_g:.1f} g" if seen else NOTHING)
        self.convention.setText(names[0] if thickness else names[1])
        text = f"{other:.1f} g" if seen else NOTHING
        self._figure("other", text, names[1] if thickness else names[0])
        percent, lv_mass = measured.scar_percent_lv, measured.lv_mass_g
        if percent is None or lv_mass is None:
            self._figure("percent", NOTHING, "no wall drawn")
        else:
            text = f"{percent:.0f} %" if seen else NOTHING
            self._figure("percent", text, f"of LV mass {lv_mass:.0f} g")
        with_scar = [row for row in measured.slices if row.n_infarct_voxels]
        checked = [row for row in with_scar if row.n_mvo_voxels is not None]
        if measured.mvo_mass_g is not None:
            self._figure("mvo", f"{measured.mvo_mass_g:.1f} g", "of it MVO")
        elif checked:
            part = f"MVO looked for on {len(checked)} of {len(with_scar)} slices with scar"
            self._figure("mvo", NOTHING, part)
        else:
            self._figure("mvo", NOTHING, "MVO not looked for")
        self._show_change(measured)
        left = measured.n_slices - measured.n_slices_reviewed
        self._figure("to_read", f"{left} of {measured.n_slices}", "slices to read")
        known = {each.code for each in stack.warnings}
        lines = [f"⚠ {code}" for code in measured.warnings if code not in known]
        unseen = sum(row.status is SliceStatus.UNSEEN for row in measured.slices)
        if unseen and not proposing:
            lines.append(f"Not all slices yet: {unseen} of {measured.n_slices} are unseen.")
        lost = sum(row.status is SliceStatus.NOT_ASSESSABLE for row in measured.slices)
        if lost:
            lines.append(f"{lost} of {measured.n_slices} not assessable: scar there is unknown.")
        self._show_state(measured, seen)
        if not measured.complete:
            lines.append("A slice is missing: the mass is incomplete.")
        self.incomplete.setText("\n".join(lines))
        self.incomplete.setVisible(bool(lines))
        self.bars.show_measurements(measured, current)
        self._fit_bars()

    def _show_state(self, measured: Measurements, seen: bool) -> None:
        """Show whose the mass is: provisional, "proposed", until every slice is read."""
        left = measured.n_slices - measured.n_slices_reviewed
        if left == measured.n_slices:
            words = "proposed" if seen else ""
        elif left:
            words = f"proposed on {left} slice{'' if left == 1 else 's'}"
        else:
            words = theme.CORRECTED if measured.n_slices_changed else "read"
        self.state.setText(words)
        for part in (self.headline, self.state):
            theme.set_style_property(part, "provisional", "true" if left else "false")

    def _show_change(self, measured: Measurements) -> None:
        """Show what a reader changed of what the models proposed."""
        before, n = measured.scar_mass_proposed_g, measured.n_slices_changed
        for part in (self.figures["change"], self._words["change"]):
            part.setVisible(before is not None)
        if before is None:
            return
        change = round(measured.scar_mass_g - before, 1)
        figure = f"{change:+.1f} g".replace("-", "−") if change else "±0 g"
        words = f"since proposed, {n} slice{'' if n == 1 else 's'}" if n else "as proposed"
        self._figure("change", figure, words)
        tip = f"{before:.1f} g were proposed; labels of {n} slices are others now."
        for part in (self.figures["change"], self._words["change"]):
            part.setToolTip(tip)

    def _figure(self, key: str, figure: str, words: str) -> None:
        self.figures[key].setText(figure)
        self._words[key].setText(words)


def _by_thickness(stack: Stack) -> str:
    return f"by slice thickness {stack.slice_thickness_mm:g} mm"


def _by_spacing(stack: Stack) -> str:
    spacing = stack.slice_spacing_mm
    return "by slice spacing" if spacing is None else f"by slice spacing {spacing:.3g} mm"


NOTHING = "–"
"""Stands for a figure that is not known."""
WAITING = "…"


class IntervalLabel(QObject):
    """Show the interval of the open document, or that it is still to come.

    Args:
        results: whose headline's convention the interval follows.
    """

    def __init__(self, session: Session, results: ResultsPanel, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._results = session, results
        self._followed: IntervalUpdater | None = None
        session.opened.connect(self._follow)
        session.models_ready.connect(self.show)
        session.front.interval_changed.connect(self.show)

    def _follow(self) -> None:
        current = self._session.current
        self._followed = None if current is None else current.interval
        self._results.bars.forget_ranges()
        self.show()

    @property
    def _unseen(self) -> bool:
        """Return whether nobody has seen a slice of the open stack: no mass, no interval."""
        current = self._session.current
        if current is None:
            return True
        case = current.document.case
        statuses = (reading.status for reading in case.readings)
        return all(each is SliceStatus.UNSEEN for each in statuses) and not case.labels.any()

    def show(self) -> None:
        """Show what is known now."""
        line, interval = self._results.interval, self._followed
        known = interval is not None and (interval.found is not None or interval.coming)
        known = known and not self._unseen
        line.setVisible(known)
        if interval is None or not known:
            self._results.bars.forget_ranges()
            return
        convention = self._results.bars.convention
        self._results.bars.show_ranges(interval.slices[convention])
        style = f"color: {theme.QUIET if interval.found is None else theme.TEXT};"
        if style != line.styleSheet():
            line.setStyleSheet(style)
        if interval.found is None:
            line.setText(f"{WAITING}   90 % interval")
            line.setToolTip("Computed once you rest for a second.")
            return
        found = interval.found[convention]
        line.setText(f"{found.low_g:.1f} – {found.high_g:.1f} g   90 % interval")
        line.setToolTip(_tip(interval))


def _tip(interval: IntervalUpdater) -> str:
    assert interval.found is not None
    ends = [
        f"by slice {convention}: {one.low_g:.1f} – {one.high_g:.1f} g"
        for convention, one in interval.found.items()
    ]
    rule = interval.found[MassConvention.THICKNESS].method
    what = "What another hand and another level would have made of the same slices."
    return "\n".join((theme.wrapped(what), *ends, theme.wrapped(f"Rule: {rule}.")))
