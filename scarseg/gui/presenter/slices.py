"""Slices, thumbnails, results and tool bar, updated from the open document."""

from __future__ import annotations

from PyQt6.QtCore import QObject, QTimer
from PyQt6.QtGui import QPainterPath

from scarseg.case.history import SliceStatus
from scarseg.case.labels import wall_mask
from scarseg.case.measurements import Measurements
from scarseg.case.stack import Stack
from scarseg.gui import theme
from scarseg.gui.panels.results import ResultsPanel
from scarseg.gui.panels.toolbar import ToolBar
from scarseg.gui.presenter.levels import WindowLevelPresenter
from scarseg.gui.presenter.outlines import OutlineCache
from scarseg.gui.presenter.status import StatusPresenter
from scarseg.gui.session.document import Document
from scarseg.gui.session.front import OpenCaseSignals
from scarseg.gui.session.inference import Inference
from scarseg.gui.session.inference_jobs import load_gate, load_pipeline
from scarseg.gui.session.open_case import OpenCase
from scarseg.gui.session.session import Session
from scarseg.gui.viewer.canvas import Canvas
from scarseg.gui.viewer.filmstrip import Captioned, Filmstrip, show_grams_of, status_of
from scarseg.gui.viewer.montage import Cell, Views
from scarseg.gui.viewer.view_state import find_heart_region

NUMBERS_MS = 15
"""After a change the picture is painted first; its numbers follow this much later."""
WITHHELD = "Probably no scar: weak scar is withheld (Alt+S shows it)."


class Presenter(QObject):
    """Draw the open document on canvas, thumbnails, results and tool bar."""

    def __init__(
        self,
        session: Session,
        views: Views,
        strip: Filmstrip,
        results: ResultsPanel,
        bar: ToolBar,
        levels: WindowLevelPresenter,
        status: StatusPresenter,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._views, self._canvas, self._strip = views, views.canvas, strip
        self._results = results
        self._bar, self._levels, self._status = bar, levels, status
        self._measured: Measurements | None = None
        self._unmeasured = False
        self._numbers = QTimer(self)
        self._numbers.setSingleShot(True)
        self._numbers.setInterval(NUMBERS_MS)
        self._numbers.timeout.connect(self.show_numbers)
        self._laid_out: Document | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._trace_rest)
        views.switched.connect(self.update_montage)
        levels.settled.connect(self._show_levels)
        session.leaving.connect(self.show_numbers)
        self._follow(session.front)

    def _follow(self, front: OpenCaseSignals) -> None:
        front.slice_changed.connect(self.slice_changed)
        front.current_changed.connect(self.current_changed)
        front.ready_changed.connect(self.status_changed)
        front.pending_changed.connect(self.status_changed)
        front.proposing_changed.connect(self.proposing_changed)
        front.doubts_changed.connect(self.doubts_changed)
        front.save_state_changed.connect(self._status.saved_changed)

    def _levels_of(self, k: int) -> tuple[float, float]:
        return self._canvas.shared.levels_of(k)

    @property
    def _open(self) -> OpenCase:
        assert self._session.current is not None
        return self._session.current

    @property
    def measured(self) -> Measurements | None:
        """Return the measurements of the open document as it is now."""
        if self._unmeasured and self._session.current is not None:
            self.measure()
        return self._measured

    def show_numbers(self) -> None:
        """Show now the numbers and remarks that wait until the picture was painted."""
        self._numbers.stop()
        if self._session.current is None:
            return
        if self._unmeasured:
            self.measure()
        else:
            self._show_scar_outside_wall()

    def show_document(self) -> None:
        """Show the document that was just opened, and follow it."""
        current = self._open
        document = current.document
        stack = document.case.stack
        self._views.cancel_gestures()
        self._set_geometry(self._canvas)
        self._views.shared.set("editable", not document.read_only)
        self._levels.recall_levels()
        self._find_home()
        self._strip.show_document(document, self._home.crop, self._levels_of)
        self._tracing = OutlineCache(document)
        self._tracing.update(document.current)
        self._strip.tiles[document.current].show_outlines(self._tracing.outlines[document.current])
        self._soon.start()
        warnings = [each.code for each in stack.warnings]
        self._bar.geometry_line.set_line(current.entry.short_geometry)
        self._bar.warning.setText(
            f"⚠ {len(warnings)}" if len(warnings) > 1 else "".join(f"⚠ {code}" for code in warnings)
        )
        self._bar.warning.setToolTip("\n".join(each.message for each in stack.warnings))
        self._measured = None  # what is there speaks of the document before
        self.update_montage()
        self.measure()
        self.current_changed(document.current)
        self._status.saved_changed()
        self._status.show_clock()
        self._canvas.fit_heart()

    def update_montage(self) -> None:
        """Draw every slice in its cell, while the montage is visible.

        Invisible cells are not updated; what has not changed when they are shown again is not
        drawn again.
        """
        if self._session.current is None:
            return
        if not self._views.montage:
            if self._laid_out is not self._open.document:
                self._laid_out = None
                self._views.grid.set_count(0)  # they would hold on to the case before
            return
        document, cells = self._open.document, self._views.grid
        stack = document.case.stack
        cells.set_count(stack.n_slices)
        if document is not self._laid_out:
            self._laid_out = document
            for cell in cells.cells:
                self._set_geometry(cell.canvas)
                cell.canvas.show_image(stack.pixels[cell.index], cell.index)
                cell.canvas.heart_mm = self._home.close_mm
                cell.canvas.fit_heart()
        for k in range(stack.n_slices):
            self._draw(k)
            self._show_status(k)
        if self._measured is not None:
            show_grams_of(cells.cells, self._measured)
            self._show_scar_outside_wall()
        cells.choose(document.current)

    def _set_geometry(self, canvas: Canvas) -> None:
        stack = self._open.document.case.stack
        canvas.set_geometry(stack.rows, stack.columns, stack.pixel_spacing_mm, stack.orientation)

    def trace_all(self) -> None:
        """Trace at once what is left."""
        while self._session.current is not None and self._tracing.rest:
            self._trace_rest()

    def _trace_rest(self) -> None:
        """Trace one more slice of the opened stack, and start the timer for the next."""
        if self._session.current is None:
            return
        rest = self._tracing.rest
        if not rest:
            self._prepare_montage()
            return
        k = rest[0]
        self._tracing.update(k)
        self._strip.tiles[k].show_outlines(self._tracing.outlines[k])
        self._draw(k)
        if len(rest) > 1:
            self._soon.start()
        else:
            self._show_scar_outside_wall()
            self._soon.start()

    def _prepare_montage(self) -> None:
        """Create one more cell of the montage while nothing else is to be done."""
        cells, n = self._views.grid, self._open.document.case.stack.n_slices
        if not self._views.montage and len(cells.cells) < n:
            cells.set_count(len(cells.cells) + 1)
            self._soon.start()

    def slice_changed(self, k: int) -> None:
        """Draw a slice whose labels, prompts or status changed."""
        current = self._open
        if not self._home.found and wall_mask(current.document.case.labels[k]).any():
            self._find_home()
            if not self._levels.set_by_reader:
                self._levels.recall_levels()
            self._strip.show_window(current.document, self._home.crop, self._levels_of)
            for canvas in (self._canvas, *(cell.canvas for cell in self._cells)):
                canvas.fit_heart()
        # Of many slices at once those that nobody sees wait for a quiet moment.
        seen = k == current.document.current or self._views.montage
        if not seen and current.document.more_follow and self._tracing.postpone(k):
            self._soon.start()
            self._unmeasured = True
            self._show_status(k)
            return
        redrawn = self._tracing.update(k)
        if redrawn:
            self._strip.tiles[k].show_outlines(self._tracing.outlines[k])
        self._show_status(k)
        self._draw(k)
        # Prompts alone weigh nothing: the mask they ask for must not wait for the scales.
        read_other = self._measured is None or self._reads_other(k, self._measured)
        self._unmeasured |= redrawn or read_other
        # Whether a case is read decides what comes next: that does not wait.
        if read_other and not current.document.more_follow:
            self.measure()
        else:
            self._numbers.start()

    def _reads_other(self, k: int, measured: Measurements) -> bool:
        """Return whether status or search for MVO of a slice are other than measured."""
        reading, row = self._open.document.case.readings[k], measured.slices[k]
        mvo_known = row.n_mvo_voxels is not None
        sought = row.n_infarct_voxels > 0 and mvo_known is not reading.mvo_sought
        return row.status is not reading.status or sought

    def current_changed(self, k: int) -> None:
        """Show another slice."""
        current = self._open
        if k in self._tracing.rest:
            self._tracing.update(k)
            self._strip.tiles[k].show_outlines(self._tracing.outlines[k])
        self._canvas.chosen = None
        self._canvas.show_image(current.document.case.stack.pixels[k], k)
        self._draw(k)
        self.statuses_changed()
        self._strip.choose(k)
        self._results.bars.choose(k)
        self._numbers.start()
        if self._views.montage:
            self._views.grid.choose(k)

    def statuses_changed(self) -> None:
        """Show the status of every slice."""
        for k in range(len(self._strip.tiles)):
            self._show_status(k)

    def proposing_changed(self) -> None:
        """Show that the models began to propose, or ended."""
        self.statuses_changed()
        self._unmeasured = True
        self._numbers.start()

    def status_changed(self, k: int) -> None:
        """Show that a slice got ready, or waits for an answer."""
        if not self._open.inference.proposing:
            self._levels.slices_proposed()
        self._show_status(k)
        self._draw_prompts(k)
        self._status.models_changed()

    def _show_levels(self) -> None:
        self._strip.show_window(self._open.document, self._home.crop, self._levels_of)

    def doubts_changed(self) -> None:
        """Show the doubts about each slice, and on how many there are in the list."""
        measured = self.measured
        if measured is None:
            return
        self._show_scar_outside_wall()
        for k in range(len(self._strip.tiles)):
            self._draw_marks(k)
        self._session.remember(measured)

    def _draw_marks(self, k: int) -> None:
        """Draw what is round the scar of a slice that lies where none is expected."""
        canvases = list(self._views.of_slice(k))
        if not canvases:
            return
        path = QPainterPath(self._tracing.marks[k])
        if not self._open.document.case.readings[k].status.read:
            path.addPath(self._tracing.outline_doubts(k, self._open.doubts.of(k)))
        for canvas in canvases:
            canvas.marks.show_path(path)

    def measure(self, *_what: object) -> None:
        """Measure again and show the numbers everywhere."""
        document, proposing = self._open.document, self._open.inference.proposing
        case = document.case
        measured = load_pipeline().measure(case)
        self._measured, self._unmeasured = measured, False
        self._results.show_measurements(measured, case.stack, document.current, proposing)
        self._strip.show_grams(measured)
        if self._cells:
            show_grams_of(self._cells, measured)
        self._session.remember(measured)
        self._show_scar_outside_wall()

    def _show_scar_outside_wall(self) -> None:
        """Show remarks about scar that lies where none is expected."""
        document, remarks = self._open.document, {}
        case = document.case
        withheld = WITHHELD if load_gate().probably_no_scar(case) else ""
        known = [(k, found) for k, found in enumerate(self._tracing.strays) if found is not None]
        for k, found in known:
            doubts = () if case.readings[k].status.read else self._open.doubts.of(k)
            reasons = [found.description, *(doubt.sentence for doubt in doubts)]
            remark = "; ".join(reason for reason in reasons if reason)
            for shown in self._captions(k):
                shown.set_caption(remark=remark)
            if remark:
                remarks[k] = remark
        clips = any(found.can_clip for _, found in known)
        self._results.show_remarks(remarks, document.current, withheld, clips)

    def _draw(self, k: int) -> None:
        """Draw a slice wherever it is visible."""
        document = self._open.document
        labels = document.case.labels[k].view()
        labels.flags.writeable = False
        for canvas in self._views.of_slice(k):
            canvas.show_labels(labels, document.labels_under_scar[k], self._tracing.outlines[k])
        self._draw_marks(k)
        self._draw_prompts(k)

    def _draw_prompts(self, k: int) -> None:
        current = self._open
        prompts = current.document.case.readings[k].prompts
        for canvas in self._views.of_slice(k):
            canvas.show_prompts(prompts, k in current.inference.pending)
        if k == current.document.current:
            status = current.document.case.readings[k].status
            text = self._caption(current.document.case.stack, k, current.inference)
            self._canvas.show_status(text, theme.STATUS_COLOURS[status])

    def _show_status(self, k: int) -> None:
        """Show the status of a slice beside its picture."""
        document, inference = self._open.document, self._open.inference
        self._strip.show_status(document, inference, k)
        if self._cells:
            word, dot = status_of(document, inference, k)
            self._cells[k].set_caption(word=word, dot=dot)

    @property
    def _cells(self) -> list[Cell]:
        """Cells of the montage; none while it is invisible or not laid out."""
        laid_out = self._laid_out is self._open.document and self._views.montage
        return self._views.grid.cells if laid_out else []

    def _captions(self, k: int) -> list[Captioned]:
        return [self._strip.tiles[k], *self._cells[k : k + 1]]

    def _caption(self, stack: Stack, k: int, inference: Inference) -> str:
        reading = self._open.document.case.readings[k]
        corrected = self._open.document.case.differs_from_proposal(k)
        accepted = reading.status is SliceStatus.ACCEPTED
        word = theme.CORRECTED if corrected and accepted else theme.STATUS_WORDS[reading.status]
        words = [f"Slice {k + 1} of {stack.n_slices}", word]
        if reading.scar_withheld:
            words.append("probably no scar")
        if reading.reason:
            words.append(reading.reason)
        if k in inference.pending:
            words.append("waiting for the model")
        return " · ".join(words)

    def _find_home(self) -> None:
        """Find the field of view of the heart, for every view."""
        self._home = find_heart_region(self._open.document.case)
        self._canvas.heart_mm = self._home.large_mm
        for cell in self._cells:
            cell.canvas.heart_mm = self._home.close_mm
