"""Print what the montage costs: the real window on a simulated study, no models.

Each figure is the time from the event to the painted window, in milliseconds: the first time,
the median and the longest of the others; then the median of the processor's time alone, which a
busy machine does not lengthen.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QEvent, QSettings, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import infarct_mask
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.gui import app
from scarseg.gui.main_window import MainWindow
from scarseg.gui.viewer.canvas import Canvas
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import simulate_stack

HEART_MM = 72.0
"""So much of the long axis is cut into slices, that all of them show heart."""
FRAME_MS, SWITCH_MS, FIRST_MS = 16.0, 100.0, 300.0


def a_case(n_slices: int, matrix: int) -> Case:
    """Simulate a study whose truth stands as its proposal."""
    options = SimulationOptions(
        scar=True,
        n_slices=n_slices,
        rows=matrix,
        columns=matrix,
        slice_thickness_mm=HEART_MM / n_slices,
        slice_gap_mm=0.0,
        pixel_spacing_mm=(360 / matrix, 360 / matrix),
    )
    simulated = simulate_stack(7, options)
    case = Case.new(simulated.stack)
    case.labels[:] = simulated.truth
    for k in range(n_slices):
        rows, columns = infarct_mask(case.labels[k]).nonzero()
        boxes: tuple[Box, ...] = ()
        if rows.size:
            corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            boxes = (Box(*(float(v) for v in corners), Origin.DETECTOR, 0.9),)
        case.readings[k] = replace(
            case.readings[k], prompts=SlicePrompts(boxes=boxes), status=SliceStatus.PROPOSED
        )
    return case


def timed(what: str, limit_ms: float, act: Callable[[int], object], times: int = 20) -> None:
    """Do something so often and print how long it took until it was painted."""
    taken, worked = [], []
    for n in range(times):
        begun, idle = time.perf_counter(), time.thread_time()
        act(n)
        QApplication.processEvents()
        taken.append((time.perf_counter() - begun) * 1e3)
        worked.append((time.thread_time() - idle) * 1e3)
    rest = taken[1:] or taken
    median, work = statistics.median(rest), statistics.median(worked[1:] or worked)
    verdict = "ok" if median <= limit_ms else "busy" if work <= limit_ms else "OVER"
    figures = "".join(f"{value:8.1f}" for value in (taken[0], median, max(rest), work))
    print(f"{what:28}{figures}{limit_ms:8.0f}  {verdict}")


def press(canvas: Canvas, kind: QEvent.Type, column: float, row: float) -> None:
    """Send a mouse event with the left button, at source pixels."""
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    at = canvas.from_source(column, row)
    moves = kind == QEvent.Type.MouseMove
    event = QMouseEvent(kind, at, at, none if moves else left, left, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, event)


def measure(window: MainWindow, case: Case) -> None:
    """Time the events one after the other."""
    current = window.session.current
    assert current is not None
    document, views, n = current.document, window.views, case.stack.n_slices
    document.read_only = False
    views.shared.set("editable", True)
    low, high = window.canvas.levels
    timed("large: next slice", FRAME_MS, lambda _: document.go_to((document.current + 1) % n))
    timed("large: window level", FRAME_MS, lambda k: window.canvas.set_levels((low, high + k)))
    timed("M, the first time", FIRST_MS, lambda _: views.toggle(), 1)
    timed("M, back and forth", SWITCH_MS, lambda _: views.toggle(), 13)
    views.show_montage(True)
    QApplication.processEvents()
    drawn = int((case.labels > 0).sum(axis=(1, 2)).argmax())
    cell = views.grid.cells[drawn].canvas
    print(f"  a picture in the montage has {cell.width()} x {cell.height()} pixels")
    timed("montage: next slice", FRAME_MS, lambda _: document.go_to((document.current + 1) % n))
    timed("montage: window level", FRAME_MS, lambda k: window.canvas.set_levels((low, high + k)))
    opacity = views.shared.fill_opacity
    timed(
        "montage: opacity", FRAME_MS, lambda k: views.shared.set("fill_opacity", opacity + k / 99)
    )
    document.go_to(drawn)
    views.shared.choose_tool("brush")
    rows, columns = (axis.mean() for axis in (case.labels[drawn] > 0).nonzero())
    press(cell, QEvent.Type.MouseButtonPress, columns, rows)
    timed(
        "montage: brush dab",
        FRAME_MS,
        lambda k: press(cell, QEvent.Type.MouseMove, columns + k / 2, rows + k / 2),
    )
    timed(
        "montage: stroke let go",
        FRAME_MS,
        lambda _: press(cell, QEvent.Type.MouseButtonRelease, columns + 10, rows + 10),
        1,
    )
    timed(
        "montage: undo and redo",
        FRAME_MS,
        lambda k: (window.commands.redo, window.commands.undo)[~k % 2](),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--matrix", type=int, default=256)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800))
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = app.application()
    case = a_case(options.slices, options.matrix)
    with tempfile.TemporaryDirectory(prefix="scarseg-") as folder:
        settings = QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat)
        window = app.make_window(lambda: None, Path(folder), settings)  # type: ignore[arg-type, return-value]
        window.resize(*options.size)
        window.session.show_case(case, None)
        window.show()
        for _ in range(10):
            application.processEvents()
        print(
            f"{options.slices} slices of {options.matrix}, window {options.size[0]} x"
            f" {options.size[1]}: milliseconds"
        )
        print(f"{'event':28}{'first':>8}{'median':>8}{'longest':>8}{'cpu':>8}{'limit':>8}")
        measure(window, case)
        window.close()


if __name__ == "__main__":
    main()
