"""The interval in sight: a line below the headline, a whisker on every bar."""

from __future__ import annotations

from textwrap import fill

from PyQt6.QtCore import QObject

from scarseg.gui import theme
from scarseg.gui.interval import Interval
from scarseg.gui.panels import ResultsPanel
from scarseg.gui.session import Session
from scarseg.measurements import MassConvention

WAITING = "…"
TIP_LETTERS = 64
"""Width of the tool tip."""


class IntervalLine(QObject):
    """Show the interval of the open document, or that it is still to come.

    Args:
        results: whose headline's convention the interval follows.
    """

    def __init__(self, session: Session, results: ResultsPanel, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._results = session, results
        self._followed: Interval | None = None
        session.opened.connect(self._follow)
        session.models_ready.connect(self.show)

    def _follow(self) -> None:
        current = self._session.current
        self._followed = None if current is None else current.interval
        self._results.bars.forget_ranges()
        if self._followed is not None:
            self._followed.changed.connect(self.show)
        self.show()

    def show(self) -> None:
        """Say what is known now."""
        line, interval = self._results.interval, self._followed
        known = interval is not None and (interval.found is not None or interval.coming)
        line.setVisible(known)
        if interval is None or not known:
            self._results.bars.forget_ranges()
            return
        convention = self._results.bars.convention
        self._results.bars.show_ranges(interval.slices[convention])
        line.setStyleSheet(f"color: {theme.QUIET if interval.found is None else theme.TEXT};")
        if interval.found is None:
            line.setText(f"{WAITING}   90 % interval")
            line.setToolTip("Computed once you rest for a second.")
            return
        found = interval.found[convention]
        line.setText(f"{found.low_g:.1f} – {found.high_g:.1f} g   90 % interval")
        line.setToolTip(_tip(interval))


def _tip(interval: Interval) -> str:
    assert interval.found is not None
    ends = [
        f"by slice {convention}: {one.low_g:.1f} – {one.high_g:.1f} g"
        for convention, one in interval.found.items()
    ]
    rule = interval.found[MassConvention.THICKNESS].method
    what = "What another hand and another level would have made of the same slices."
    return "\n".join((fill(what, TIP_LETTERS), *ends, fill(f"Rule: {rule}.", TIP_LETTERS)))
