"""Keep the widgets in step with the open document: the only place that draws from a case."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QObject, QRectF, QSettings

from scarseg.case import ModelIdentity
from scarseg.gui import levels, overlay, strays, theme
from scarseg.gui.canvas import Canvas
from scarseg.gui.chrome import Bar, Foot
from scarseg.gui.inference import Inference, Readiness, engine
from scarseg.gui.montage import Filmstrip
from scarseg.gui.panels import ResultsPanel
from scarseg.gui.saving import SaveState
from scarseg.gui.session import Open, Session
from scarseg.gui.viewrow import ViewRow
from scarseg.labels import wall_mask
from scarseg.measurements import Measurements
from scarseg.stack import Stack

SAVE_COLOURS = {
    SaveState.SAVED: theme.GREEN,
    SaveState.UNSAVED: theme.YELLOW,
    SaveState.SAVING: theme.YELLOW,
    SaveState.FAILED: theme.RED,
    SaveState.READ_ONLY: theme.VIOLET,
}


class Showing(QObject):
    """Draw the open document on canvas, strip, panel, bar and foot."""

    def __init__(
        self,
        session: Session,
        settings: QSettings,
        canvas: Canvas,
        strip: Filmstrip,
        results: ResultsPanel,
        bar: Bar,
        view_row: ViewRow,
        foot: Foot,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session, self._settings = session, settings
        self._canvas, self._strip, self._results = canvas, strip, results
        self._bar, self._view_row, self._foot = bar, view_row, foot
        self.measured: Measurements | None = None
        self._homed = False
        self._windowed = False
        self._traced: list[overlay.Traced] = []
        self._strays: list[strays.Strays] = []

    @property
    def _open(self) -> Open:
        assert self._session.current is not None
        return self._session.current

    def attach(self) -> None:
        """Show the document that was just opened, and follow it."""
        current = self._open
        document, inference, saver = current.document, current.inference, current.saver
        stack = document.case.stack
        self._canvas.set_geometry(
            stack.rows, stack.columns, stack.pixel_spacing_mm, stack.orientation
        )
        self._canvas.editable = not document.read_only
        self._windowed = False
        self._take_levels()
        crop = self._find_home()
        self._strip.show_document(document, crop, self._canvas.levels)
        self._traced = [overlay.outlines(labels) for labels in document.case.labels]
        for tile, traced in zip(self._strip.tiles, self._traced, strict=True):
            tile.show_outlines(traced)
        self._strays = [self._find_strays(k) for k in range(stack.n_slices)]
        warnings = [each.code for each in stack.warnings]
        self._bar.geometry_line.set_line(current.entry.short_geometry)
        self._bar.warning.setText(
            f"⚠ {len(warnings)}" if len(warnings) > 1 else "".join(f"⚠ {code}" for code in warnings)
        )
        self._bar.warning.setToolTip("\n".join(each.message for each in stack.warnings))
        document.slice_changed.connect(self.slice_changed)
        document.moved_to.connect(self.moved_to)
        inference.ready_changed.connect(self.status_changed)
        inference.pending_changed.connect(self.status_changed)
        inference.proposing_changed.connect(self.statuses_changed)
        saver.state_changed.connect(self.saved_changed)
        self.measure()
        self.moved_to(document.current)
        self.saved_changed()
        self.show_clock()
        self._canvas.go_home()

    def slice_changed(self, k: int) -> None:
        """Draw a slice whose labels, prompts or status changed."""
        current = self._open
        if not self._homed and wall_mask(current.document.case.labels[k]).any():
            self._find_home()
            if not self._windowed:
                self._take_levels()
            self._strip.show_window(current.document, self._crop, self._canvas.levels)
            self._canvas.go_home()
        self._traced[k] = overlay.outlines(current.document.case.labels[k])
        self._strip.tiles[k].show_outlines(self._traced[k])
        self._strays[k] = self._find_strays(k)
        self._strip.show_status(current.document, current.inference, k)
        if k == current.document.current:
            self._draw_current()
        self.measure()

    def moved_to(self, k: int) -> None:
        """Show another slice."""
        current = self._open
        self._canvas.chosen = None
        self._canvas.show_image(current.document.case.stack.pixels[k])
        self._draw_current()
        self.statuses_changed()
        self._strip.choose(k)
        self._results.bars.choose(k)

    def statuses_changed(self) -> None:
        """Say again how every slice stands."""
        current = self._open
        for index in range(len(self._strip.tiles)):
            self._strip.show_status(current.document, current.inference, index)

    def status_changed(self, k: int) -> None:
        """Show that a slice got ready, or waits for an answer."""
        current = self._open
        self._strip.show_status(current.document, current.inference, k)
        if k == current.document.current:
            self._draw_prompts()
        self.models_changed()

    def saved_changed(self) -> None:
        """Show whether the last change is on the disk."""
        if self._session.current is None:
            return
        state = self._open.saver.state
        self._foot.show_saved(state.value, SAVE_COLOURS[state])

    def models_changed(self) -> None:
        """Say in the foot how far the models are."""
        session = self._session
        current = session.current
        if session.models is None and current is not None and current.document.read_only:
            self._foot.models.setText(_weights(current.document.case.segmenter))
            return
        if session.models is None:
            self._foot.show_progress(1.0, "")
            self._foot.models.setText("no models" if session.models_problem else "loading models …")
            return
        if current is not None and current.inference.proposing:
            n, ready = current.document.case.stack.n_slices, current.inference.n_ready
            self._foot.show_progress(ready / n, f"{ready} of {n} slices ready")
            return
        self._foot.show_progress(1.0, "")
        text = _weights(session.models.segmenter.identity)
        if current is not None and Readiness.FAILED not in current.inference.readiness:
            text = f"all slices ready · {text}"
        self._foot.models.setText(text)

    def measure(self) -> None:
        """Measure again and show the numbers everywhere."""
        current = self._open
        case = current.document.case
        self.measured = engine().measure(case)
        self._results.show_measurements(self.measured, case.stack, current.document.current)
        self._strip.show_grams(self.measured)
        self._session.remember(self.measured)
        self._show_strays()

    def _find_strays(self, k: int) -> strays.Strays:
        document = self._open.document
        return strays.find(
            document.case.labels[k],
            document.grounds[k],
            document.case.readings[k].prompts,
            document.case.stack.pixel_spacing_mm,
        )

    def _show_strays(self) -> None:
        """Point out scar that lies where none is expected."""
        said = []
        for k, (tile, found) in enumerate(zip(self._strip.tiles, self._strays, strict=True)):
            tile.tell(remark=found.words)
            if found.words:
                said.append(f"Slice {k + 1}: {found.words}.")
        self._results.show_remarks(said, any(found.clips for found in self._strays))

    def _take_levels(self) -> None:
        """Show the reader's last levels for this kind of sequence, else automatic ones."""
        case = self._open.document.case
        name, values = levels.recalled(self._settings, case)
        self._view_row.presets.setCurrentText(name)
        self._canvas.set_levels(values)

    def choose_preset(self, name: str) -> None:
        """Show a preset on the slice and remember it for this kind of sequence."""
        current = self._session.current
        if current is None or name not in levels.PRESETS:
            return
        self._view_row.presets.setCurrentText(name)
        self._canvas.set_levels(levels.preset(current.document.case, name))
        self.levels_settled(name)

    def levels_settled(self, preset: str = "") -> None:
        """Take the canvas's levels, of a preset or set by hand, to the strip and to memory."""
        current = self._session.current
        if current is None:
            return
        self._windowed = not preset
        levels.remember(self._settings, current.document.case, preset or self._canvas.levels)
        self._strip.show_window(current.document, self._crop, self._canvas.levels)

    def show_clock(self) -> None:
        """Show reading time and count of corrections."""
        case = self._open.document.case
        minutes, seconds = divmod(int(case.seconds), 60)
        n = case.interactions
        self._foot.clock.setText(f"{minutes:02d}:{seconds:02d} · {n} step{'' if n == 1 else 's'}")

    def _draw_current(self) -> None:
        document = self._open.document
        k = document.current
        self._canvas.show_labels(document.labels, document.grounds[k], self._traced[k])
        self._canvas.marks.mark(self._strays[k].mask)
        self._draw_prompts()

    def _draw_prompts(self) -> None:
        current = self._open
        k = current.document.current
        self._canvas.show_prompts(current.document.reading.prompts, k in current.inference.pending)
        self._canvas.say(self._caption(current.document.case.stack, k, current.inference))

    def _caption(self, stack: Stack, k: int, inference: Inference) -> str:
        reading = self._open.document.case.readings[k]
        words = [f"Slice {k + 1} of {stack.n_slices}", theme.STATUS_WORDS[reading.status]]
        if reading.reason:
            words.append(reading.reason)
        if k in inference.pending:
            words.append("waiting for the model")
        return " · ".join(words)

    def _find_home(self) -> QRectF:
        """Find the part worth showing: round the wall where there is one; give it in pixels."""
        case = self._open.document.case
        stack = case.stack
        row_mm, column_mm = stack.pixel_spacing_mm
        wall = wall_mask(case.labels).any(axis=0)
        self._homed = bool(wall.any())
        if self._homed:
            rows, columns = np.nonzero(wall)
            centre = (float(columns.mean()) + 0.5, float(rows.mean()) + 0.5)
            across = max(np.ptp(columns) * column_mm, np.ptp(rows) * row_mm) * 1.15
            side = max(float(across) * 1.25, 90.0)
        else:
            centre = (stack.columns / 2, stack.rows / 2)
            side = 0.65 * min(stack.columns * column_mm, stack.rows * row_mm)
        large = side * 1.4
        self._canvas.home = QRectF(
            centre[0] * column_mm - large / 2, centre[1] * row_mm - large / 2, large, large
        )
        width, height = side / column_mm, side / row_mm
        self._crop = QRectF(centre[0] - width / 2, centre[1] - height / 2, width, height)
        return self._crop


def _weights(identity: ModelIdentity) -> str:
    if not identity.name:
        return ""
    return f"{identity.name} ({'verified' if identity.verified else 'unverified'})"
