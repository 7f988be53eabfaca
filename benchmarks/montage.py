"""Print what the slice views cost, before pyqtgraph carried them and now, side by side in one run.

The real window on a simulated study, no models. The program of ``--before`` is taken from git.
Both windows are open at once, each in a process of its own, and take turns at every event, so
that a busy machine slows both. A figure is the fastest of all repeats, from the event to the
painted window, in milliseconds of the processor; in brackets the same by the clock.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PyQt6.QtCore import QEvent, QPointF, QSettings, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication

BEFORE = "ec93811"
"""The last commit whose slices were painted without pyqtgraph."""
HEART_MM = 72.0
"""So much of the long axis is cut into slices, that all of them show heart."""
REPEATS = 5
EVENTS = {
    "large: next slice": None,
    "large: window level": None,
    "large: pan": None,
    "montage, the first time": None,
    "montage, back and forth": None,
    "repaint": 1.3,
    "window level": 1.3,
    "pan all": 1 / 3,
    "next slice": 1.3,
    "opacity": None,
    "stroke begins": None,
    "dab": 1.3,
    "stroke ends": None,
    "undo and redo": None,
    "new mask": 1.3,
}
"""Every event with how many times the cost of before it may have; from the first time on in the
montage."""
ONCE = {"montage, the first time": 1, "stroke begins": 1, "stroke ends": 1}
"""What happens once and prepares what follows it."""
THEN = {
    "scarseg.case.case": "scarseg.case",
    "scarseg.case.history": "scarseg.case",
    "scarseg.case.labels": "scarseg.labels",
    "scarseg.case.prompts": "scarseg.prompts",
    "scarseg.case.changes": "scarseg.gui.reading",
    "scarseg.simulate.anatomy": "scarseg.simulate",
    "scarseg.simulate.series": "scarseg.simulate",
}
"""Where the modules stood before."""


def module(name: str) -> Any:
    """Import a module of whichever program is measured."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return importlib.import_module(THEN[name])


def make_case(n_slices: int, matrix: int) -> Any:
    """Simulate a study whose truth stands as its proposal."""
    prompts = module("scarseg.case.prompts")
    options = module("scarseg.simulate.anatomy").SimulationOptions(
        scar=True,
        n_slices=n_slices,
        rows=matrix,
        columns=matrix,
        slice_thickness_mm=HEART_MM / n_slices,
        slice_gap_mm=0.0,
        pixel_spacing_mm=(360 / matrix, 360 / matrix),
    )
    simulated = module("scarseg.simulate.series").simulate_stack(7, options)
    case = module("scarseg.case.case").Case.new(simulated.stack)
    case.labels[:] = simulated.truth
    status = module("scarseg.case.history").SliceStatus.PROPOSED
    for k in range(n_slices):
        rows, columns = module("scarseg.case.labels").infarct_mask(case.labels[k]).nonzero()
        boxes: tuple[Any, ...] = ()
        if rows.size:
            corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            origin = prompts.Origin.DETECTOR
            boxes = (prompts.Box(*(float(v) for v in corners), origin, 0.9),)
        asked = prompts.SlicePrompts(boxes=boxes)
        case.readings[k] = replace(case.readings[k], prompts=asked, status=status)
    return case


class Measured:
    """The window with a case open, and what can be done in it."""

    def __init__(self, window: Any, case: Any) -> None:
        self.window, self.case = window, case
        self.document, self.views = window.session.current.document, window.views
        self.document.read_only = False
        self.views.shared.set("editable", True)
        self.n = 0
        self.k = int((case.labels > 0).sum(axis=(1, 2)).argmax())
        rows, columns = (case.labels[self.k] > 0).nonzero()
        self.middle = (float(columns.mean()), float(rows.mean()))
        self.events: dict[str, Callable[[int], object]] = {
            "large: next slice": self.next_slice,
            "large: window level": self.window_level,
            "large: pan": lambda n: window.canvas.pan(QPointF(3 - 6 * (n % 2), 2 - 4 * (n % 2))),
            "montage, the first time": lambda _: self.views.toggle(),
            "montage, back and forth": lambda _: (self.views.toggle(), self.views.toggle()),
            "repaint": self.repaint,
            "window level": self.window_level,
            "pan all": self.pan_all,
            "next slice": self.next_slice,
            "opacity": self.opacity,
            "stroke begins": self.press,
            "dab": self.dab,
            "stroke ends": self.release,
            "undo and redo": self.undo_and_redo,
            "new mask": self.new_mask,
        }

    def turn(self, event: str) -> tuple[float, float]:
        """Repeat an event, each time until it is painted; return the fastest, CPU and clock."""
        act, clock, processor = self.events[event], [], []
        for _ in range(ONCE.get(event, REPEATS)):
            self.n += 1
            begun, worked = time.perf_counter(), time.process_time()
            act(self.n)
            QApplication.processEvents()
            clock.append((time.perf_counter() - begun) * 1e3)
            processor.append((time.process_time() - worked) * 1e3)
        return min(processor), min(clock)

    def next_slice(self, _n: int) -> None:
        """Go to the slice with most labels and to its neighbour, by turns."""
        self.document.go_to(self.k - (self.document.current == self.k))

    def window_level(self, n: int) -> None:
        low, high = self.window.canvas.levels
        self.window.canvas.set_levels((low, high + (1 if n % 2 else -1)))

    def repaint(self, _n: int) -> None:
        for cell in self.views.grid.cells:
            graphics = getattr(cell.canvas, "graphics", None)
            (cell.canvas if graphics is None else graphics.viewport()).update()

    def pan_all(self, n: int) -> None:
        """Pan every slice there and back; one pan is for all since they are linked."""
        by = QPointF(3, 2) if n % 2 else QPointF(-3, -2)
        cells = self.views.grid.cells
        for cell in cells[:1] if hasattr(cells[0].canvas, "graphics") else cells:
            cell.canvas.pan(by)

    def new_mask(self, n: int) -> None:
        """Move the scar of the current slice, as an answer of the model does."""
        document, changes = self.document, module("scarseg.case.changes")
        labels = np.roll(document.labels, 1 if n % 2 else -1, axis=1)
        paint = getattr(changes, "paint", None) or changes.painted
        document.push(paint(self.case, document.current, "segment", labels))

    def mouse(self, canvas: Any, kind: QEvent.Type, column: float, row: float) -> None:
        """Send a mouse event with the left button, at source pixels."""
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        at, moves = canvas.from_source(column, row), kind == QEvent.Type.MouseMove
        changed, plain = none if moves else left, Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(canvas, QMouseEvent(kind, at, at, changed, left, plain))

    @property
    def _cell(self) -> Any:
        return self.views.grid.cells[self.k].canvas

    def press(self, _n: int) -> None:
        """Go to the slice with most labels and begin a stroke of the brush there."""
        self.views.show_montage(True)
        self.document.go_to(self.k)
        self.views.shared.choose_tool("brush")
        self.mouse(self._cell, QEvent.Type.MouseButtonPress, *self.middle)

    def dab(self, n: int) -> None:
        column, row = self.middle
        self.mouse(self._cell, QEvent.Type.MouseMove, column + n % 20 / 2, row + n % 20 / 2)

    def release(self, _n: int) -> None:
        self.mouse(self._cell, QEvent.Type.MouseButtonRelease, *self.middle)

    def opacity(self, n: int) -> None:
        self.views.shared.set("fill_opacity", 0.2 + n % 20 / 50)

    def undo_and_redo(self, n: int) -> None:
        stack = self.document.undo_stack
        (stack.undo, stack.redo)[n % 2]()


def serve(n_slices: int, matrix: int, size: tuple[int, int]) -> None:
    """Open the window of the program that is imported here, and measure the events asked for."""
    app = importlib.import_module("scarseg.gui.app")
    application, case = app.application(), make_case(n_slices, matrix)
    with tempfile.TemporaryDirectory(prefix="scarseg-") as folder:
        settings = QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat)
        window = app.make_window(lambda: None, Path(folder), settings)
        window.resize(*size)
        session = window.session
        (session.show_finished if hasattr(session, "show_finished") else session.show_case)(
            case, None
        )
        window.show()
        until = time.perf_counter() + 2  # what the window does in its own time is done by then
        while time.perf_counter() < until:
            application.processEvents()
        measured = Measured(window, case)
        for line in sys.stdin:
            print(json.dumps(measured.turn(line.strip())), flush=True)
        window.close()


class Program:
    """A process with the window of one version of the program."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
        command = [sys.executable, __file__, "--child", *arguments]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
        )

    def turn(self, event: str) -> tuple[float, float]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(event, file=self._process.stdin, flush=True)
        processor, clock = json.loads(self._process.stdout.readline())
        return processor, clock

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(before: Program, now: Program, turns: int) -> None:
    """Print both programs and their ratio, event by event, and whether it keeps the limit."""
    print(f"{'event':26}{'before':>8}{'':9}{'now':>8}{'':9}{'ratio':>8}{'at most':>9}")
    for event in EVENTS:
        done: tuple[list[Any], list[Any]] = ([], [])
        for _ in range(1 if event in ONCE else turns):
            for program, figures in zip((before, now), done, strict=True):
                figures.append(program.turn(event))
        one, other = ([min(side) for side in zip(*each, strict=True)] for each in done)
        text = "".join(f"{cpu:8.1f}{f'({clock:.1f})':>9}" for cpu, clock in (one, other))
        limit, ratio = EVENTS[event], other[0] / one[0]
        verdict = "" if limit is None else f"{limit:9.2f}  {'ok' if ratio <= limit else 'OVER'}"
        print(f"{event:26}{text}{ratio:8.2f}{verdict}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--matrix", type=int, default=256)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800))
    parser.add_argument("--before", default=BEFORE, help="the commit to compare with")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if options.child:
        serve(options.slices, options.matrix, options.size)
        return
    arguments = [f"--slices={options.slices}", f"--matrix={options.matrix}", "--size"]
    arguments += [str(side) for side in options.size]
    here = Path(__file__).resolve().parent.parent
    archive = ["git", "-C", str(here), "archive", options.before, "scarseg"]
    with tempfile.TemporaryDirectory(prefix="scarseg-") as folder:
        content = subprocess.run(archive, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(content)) as files:
            files.extractall(folder, filter="data")
        programs = [Program(Path(path), arguments) for path in (folder, here)]
        size = f"{options.size[0]} x {options.size[1]}"
        print(f"{options.slices} slices of {options.matrix}, window {size}: milliseconds")
        compare(*programs, options.turns)
        for program in programs:
            program.end()


if __name__ == "__main__":
    main()
