"""Pictures show the open case, name no patient, and replace no file without a question."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtGui import QColor, QImage
from PyQt6.QtWidgets import QApplication

from scarseg.gui import theme
from scarseg.gui.panels import pictures
from tests.conftest import make_phantom_stack


def _grey(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_Grayscale8)
    data = image.constBits().asarray(image.sizeInBytes())
    rows = np.frombuffer(data, dtype=np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width()].copy()


def _has(image: QImage, name: str) -> bool:
    wanted = QColor(name)
    return any(
        QColor(image.pixel(x, y)) == wanted
        for x in range(0, image.width(), 2)
        for y in range(0, image.height(), 2)
    )


def test_the_slice_is_copied_as_it_is_shown(reading):
    reading.go_to(2)
    reading.act("copy_slice")
    first = QApplication.clipboard().image()
    canvas = reading.window.canvas
    assert (first.width(), first.height()) == (canvas.width(), canvas.height())
    assert "clipboard" in reading.window.status_bar.message.text()
    at = canvas.from_source(36, 30)
    grey = _grey(first)
    assert grey[int(at.y()), int(at.x())] > 100
    reading.act("no_scar")
    reading.go_to(2)
    reading.act("copy_slice")
    assert (_grey(QApplication.clipboard().image()) != grey).any()


def test_neither_the_cursor_nor_a_typed_reason_is_in_the_picture(reading):
    reading.go_to(2)
    reading.act("brush")
    plain = _grey(reading.window.canvas.picture("Slice 3 of 5"))
    reading.window.canvas.tool_layer.show_brush((36, 30), (8, 8), theme.ORANGE)
    reading.window.canvas.show_status("Slice 3 of 5 · not assessable · the patient moved")
    pictured = _grey(reading.window.canvas.picture("Slice 3 of 5"))
    np.testing.assert_array_equal(pictured, plain)
    assert "the patient moved" in reading.window.canvas.corner.text()
    assert reading.window.canvas.tool_layer.isVisible()


@pytest.mark.parametrize("what", ["slice", "montage"])
def test_a_picture_is_saved_and_replaced_only_after_asking(reading, tmp_path, what):
    path = tmp_path / "picture.png"
    reading.export(path, f"save_{what}")
    image = QImage(str(path))
    assert image.width() > 300
    first = path.read_bytes()
    reading.go_to(0)
    reading.act("no_scar")
    reading.export(path, f"save_{what}")
    assert path.read_bytes() == first and len(reading.dialogs.asked) == 1
    reading.dialogs.yes = True
    reading.export(path, f"save_{what}")
    assert path.read_bytes() != first


def test_a_cancelled_file_dialog_saves_nothing(reading, tmp_path):
    reading.dialogs.path = None
    reading.act("save_montage")
    reading.settle()
    assert not list(tmp_path.glob("*.png"))


def test_the_montage_shows_every_slice_with_its_outlines(reading):
    reading.act("copy_montage")
    image = QApplication.clipboard().image()
    step = (pictures.SIDE + pictures.GAP) * pictures.SCALE
    assert image.width() == pytest.approx(3 * step, abs=step / 4)
    side, gap = round(pictures.SIDE * pictures.SCALE), round(pictures.GAP * pictures.SCALE)
    line = round(pictures.LINE * pictures.SCALE)
    for n in range(5):
        x = gap + n % 3 * (side + gap)
        y = gap + n // 3 * (side + line + gap)
        cell = image.copy(x, y, side, side)
        assert _grey(cell).max() > 150, n
        assert _has(cell, theme.ORANGE) == (n in (1, 2, 3)), n


def test_the_total_comes_with_its_convention_and_how_much_was_read(reading):
    words = pictures.total_text(reading.window.presenter.measured)
    assert words.endswith("0 of 5 slices read") and " g by slice thickness" in words


def test_a_picture_file_names_no_patient(make_reader, tmp_path):
    reader = make_reader()
    reader.open(replace(make_phantom_stack(), patient_id="CANARY-7"))
    reader.wait_ready()
    names = []
    reader.dialogs.save_as = lambda title, name, kind: names.append(name) or tmp_path / name
    for what in ("save_slice", "save_montage"):
        reader.act(what)
    reader.settle()
    assert names == ["slice-3.png", "slices.png"]
    for name in names:
        assert b"CANARY" not in (tmp_path / name).read_bytes()
