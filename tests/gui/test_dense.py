"""Dense screens and the voxel grid: lines as thick as elsewhere, pictures as fine as the screen."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QImage, QPainter

from scarseg.case.labels import Label
from scarseg.gui.tool_buttons import MOST_PIXEL_RATIO
from scarseg.gui.viewer import magnifier, painting

CHILD = """
import sys
from pathlib import Path
from PyQt6.QtCore import QPointF
from scarseg.segmentation import pipeline
from scarseg.gui import app
from tests.conftest import make_phantom_stack
from tests.fakes import fake_models
qt = app.application()
case = pipeline.propose_case(make_phantom_stack(), fake_models())
app.save_screenshot(case, Path(sys.argv[1]), models=fake_models())
"""


def _grey(image: QImage) -> np.ndarray:
    small = image.convertToFormat(QImage.Format.Format_Grayscale8)
    data = small.constBits()
    assert data is not None
    rows = np.frombuffer(data.asarray(small.sizeInBytes()), np.uint8)
    return rows.reshape(small.height(), small.bytesPerLine())[:, : small.width()].astype(float)


def test_lines_are_as_thick_on_a_dense_screen():
    with painting.lines_for(2.0):
        assert painting.pen("#ffffff", 1.6).widthF() == 3.2
    assert painting.pen("#ffffff", 1.6).widthF() == 1.6


def test_the_magnifier_shows_the_same_on_both_screens_twice_as_fine(reading):
    reading.go_to(2)
    canvas = reading.window.canvas
    row, column = (reading.document.labels == Label.SCAR).nonzero()
    place = canvas.from_source(float(column.mean()), float(row.mean()))
    one, two = (magnifier.magnified(canvas, place, ratio) for ratio in (1.0, 2.0))
    coarse = two.scaled(
        one.size(), Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
    assert np.abs(_grey(one) - _grey(coarse)).mean() < 3


@pytest.mark.parametrize("factor", ["1.5", "2"])
def test_the_whole_window_is_drawn_at_the_density_of_the_screen(tmp_path, factor):
    picture = tmp_path / "dense.png"
    ground = {"QT_SCALE_FACTOR": factor, "QT_QPA_PLATFORM": "offscreen"}
    code = [sys.executable, "-c", CHILD, str(picture)]
    subprocess.run(code, check=True, timeout=120, env={**os.environ, **ground})
    image = QImage(str(picture))
    assert (image.width(), image.height()) == (1280 * float(factor), 800 * float(factor))


def test_icons_hold_the_pixels_of_the_densest_screens(reading):
    icon = reading.window.view_row.labels.itemIcon(0)
    assert max(size.width() for size in icon.availableSizes()) >= 12 * MOST_PIXEL_RATIO


def _painted(zoom: float) -> tuple[bool, QImage]:
    image = QImage(200, 200, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.black)
    painter = QPainter(image)
    painter.scale(zoom, zoom)
    drawn = painting.paint_grid(painter, (10, 12), QRectF(0, 0, 200 / zoom, 200 / zoom), zoom)
    painter.end()
    return drawn, image


def test_the_grid_stands_on_the_borders_of_voxels_where_they_are_large():
    drawn, image = _painted(20.0)
    assert drawn
    values = _grey(image)
    assert values[50, 100] > 0 and values[100, 50] > 0
    assert values[50, 50] == 0
    assert not _painted(5.0)[0]


def test_the_grid_ends_with_the_slice():
    image = _painted(12.0)[1]
    values = _grey(image)
    assert values[60, 144] > 0 and not values[:, 150:].any()


def test_key_v_shows_voxels_and_their_grid(reading):
    canvas = reading.window.canvas
    canvas.zoom(0.3, QPointF(canvas.rect().center()))
    assert canvas.screen_per_pixel > painting.SMALLEST_VOXEL
    before = _grey(canvas.grab().toImage())
    reading.act("grid")
    after = _grey(canvas.grab().toImage())
    assert np.abs(after - before).max() > 10
    reading.act("grid")
    np.testing.assert_array_equal(_grey(canvas.grab().toImage()), before)
