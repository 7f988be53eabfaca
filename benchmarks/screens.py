"""Draw the window at the sizes and scales of common screens, to be looked at.

    python benchmarks/screens.py FOLDER [--sizes 1280x800,...] [--scales 1,1.5,2] [--only NAME]

Drawn offscreen from a simulated study, read half: the empty window, a reading, the montage, all
panels side by side, the export dialog over the reading, and the page. Sizes are those of the
screen in its own pixels: at scale 2 a screen of 2560 x 1440 has room for 1280 x 720.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image
from PyQt6.QtCore import QSettings, QSize
from PyQt6.QtGui import QPainter
from PyQt6.QtWidgets import QApplication

from benchmarks import picture
from scarseg import models
from scarseg.case.case import Case
from scarseg.gui import app
from scarseg.gui.dialogs.export import ExportDialog
from scarseg.gui.session.export import ExportFormat, ExportRequest
from scarseg.report import layout, patient
from scarseg.segmentation import pipeline

SIZES = ("1280x800", "1366x768", "1920x1080", "2560x1440")
SCALES = ("1", "1.5", "2")
GUIDE_COLUMNS = 1280
VIEWS = ("empty", "reading", "montage", "panels", "export")


def half_read(seed: int) -> tuple[Case, int]:
    """Return a simulated case that was read half, and the slice that was corrected."""
    loaded = models.load(device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        stack, truth = picture.study(Path(folder) / "study", seed)
    case = pipeline.propose_case(stack, loaded)
    return case, picture.read_half(case, loaded, truth)


def draw(folder: Path, sizes: list[str], scale: str, views: list[str], case: Case, k: int) -> None:
    """Draw every view at every size into PNGs; the scale is that of this process."""
    application = app.application()  # lives as long as its windows
    for size in sizes:
        columns, rows = (round(int(each) / float(scale)) for each in size.split("x"))
        for view in views:
            path = folder / f"{view}-{size}-{scale}.png"
            _draw_view(view, QSize(columns, rows), path, case, k)
            print(path, flush=True)
    application.processEvents()


def _draw_view(view: str, size: QSize, path: Path, case: Case, k: int) -> None:
    with tempfile.TemporaryDirectory(prefix="scarseg-") as name:
        settings = QSettings(str(Path(name) / "settings.ini"), QSettings.Format.IniFormat)
        window = app.make_window(app._no_models, Path(name), settings)
        window.resize(size)
        if view != "empty":
            window.session.show_case(case, None)
            window.commands.slices.go_to(k)
            window.views.show_montage(view == "montage")
            window.actions_by_name.enable_for_case(True, False)
        if view == "panels":
            for name in ("histogram", "bullseye", "history"):
                window.actions_by_name[name].setChecked(True)
            window.actions_by_name["side_by_side"].trigger()
        dialog = None
        if view == "export":
            start = ExportRequest(Path.home() / "readings", frozenset({ExportFormat.CSV}))
            subject = window.session.open_title
            dialog = ExportDialog(window, (subject, "3 patients"), start, 3, True, lambda: None)
            dialog.adjustSize()
        window.grab()
        QApplication.processEvents()
        if view != "empty":
            window.presenter.trace_all()
            window.views.active.fit_heart()
            window.histogram.count()
        QApplication.processEvents()
        image = window.grab().toImage()
        if dialog is not None:
            painter = QPainter(image)
            part = dialog.grab()
            ratio = part.devicePixelRatio()
            across = (image.width() - part.width()) / 2 / ratio
            down = (image.height() - part.height()) / 2 / ratio
            painter.drawPixmap(round(across), round(down), part)
            painter.end()
        image.save(str(path), "PNG")
        if dialog is not None:
            dialog.deleteLater()
        window.close()
        window.deleteLater()
        QApplication.processEvents()


def illustrate(folder: Path) -> None:
    """Save pictures of the guide in docs/, with few colours: they are small."""
    for name in ("empty", "reading"):
        _reduce(folder / f"{name}-{SIZES[0]}-1.png", picture.DOCS / f"{name}.png")
    _reduce(folder / "page.png", picture.DOCS / "page.png")


def _reduce(drawn: Path, path: Path) -> None:
    with Image.open(drawn) as image:
        image.thumbnail((GUIDE_COLUMNS, GUIDE_COLUMNS))
        image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    print(path)


def draw_page(path: Path, case: Case) -> None:
    """Draw the first page of the report into a PNG."""
    report = patient.prepare(case, pipeline.measure(case))
    path.write_bytes(layout.render_png(patient.report_figures(report)[0]))
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--scales", default=",".join(SCALES))
    parser.add_argument("--only", default=",".join(VIEWS), help="of these views")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--guide", action="store_true", help="put three of them into docs/")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes, views = options.sizes.split(","), options.only.split(",")
    if options.child:
        case, k = pickle.loads(options.child.read_bytes())  # noqa: S301 - written by the parent
        draw(options.folder, sizes, options.scales, views, case, k)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    kept = options.folder / "case.pickle"
    if not kept.exists():
        kept.write_bytes(pickle.dumps(half_read(options.seed)))
    case, _ = pickle.loads(kept.read_bytes())  # noqa: S301 - written above
    draw_page(options.folder / "page.png", case)
    for scale in options.scales.split(","):
        environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": scale}
        command = [sys.executable, __file__, str(options.folder), "--child", str(kept)]
        command += ["--sizes", options.sizes, "--scales", scale, "--only", options.only]
        subprocess.run(command, env=environment, check=True)
    if options.guide:
        illustrate(options.folder)


if __name__ == "__main__":
    main()
