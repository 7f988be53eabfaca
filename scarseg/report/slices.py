"""Slice pictures of a report: the heart with its contours, all slices at one scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from scipy import ndimage

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import Measurements
from scarseg.case.stack import FloatArray, Stack
from scarseg.quant.remote import RemoteRegion
from scarseg.report.layout import INK, QUIET, WARNING_COLOUR, Page, width_mm
from scarseg.report.text import rounded_grams

WALL, SCAR, MVO, REMOTE = "#58b8ff", "#ffb000", "#ff4f9a", "#d0d0d0"
MARGIN_MM, MIN_SIDE_MM = 10.0, 70.0
CAPTION_MM, GAP_MM, MAX_GAP_MM = 4.2, 1.6, 16.0
MAX_PICTURE_MM = 56.0
PIXELS = 400
"""Side of an embedded picture: 40 mm at 250 dpi."""
WINDOW_PERCENTILES = (1.0, 99.7)

_STATUS = {
    SliceStatus.UNSEEN: "not seen",
    SliceStatus.PROPOSED: "proposed",
    SliceStatus.ACCEPTED: "accepted",
    SliceStatus.NO_SCAR: "no scar",
    SliceStatus.NOT_ASSESSABLE: "not assessable",
}


def status_text(status: SliceStatus, external: bool = False) -> str:
    """Return the status of a slice in words; external labels are not a proposal of the models."""
    return "not read" if external and status is SliceStatus.PROPOSED else _STATUS[status]


@dataclass(frozen=True)
class SliceCrop:
    """The part of every slice that is shown: a square around the heart, and the grey levels.

    ``left``, ``top`` and ``side`` in mm from the corner of the image; pixel values ``black`` and
    ``white`` are drawn black and white.
    """

    left: float
    top: float
    side: float
    black: float
    white: float


def slice_crop(stack: Stack, labels: LabelArray) -> SliceCrop:
    """Return one square for all slices, around everything that is labelled."""
    row_mm, column_mm = stack.pixel_spacing_mm
    rows, columns = np.nonzero((labels > 0).any(axis=0))
    if rows.size:
        top, bottom = rows.min() * row_mm, (rows.max() + 1) * row_mm
        left, right = columns.min() * column_mm, (columns.max() + 1) * column_mm
        side = max(bottom - top, right - left) + 2 * MARGIN_MM
    else:
        top, bottom = 0.0, stack.rows * row_mm
        left, right = 0.0, stack.columns * column_mm
        side = 0.6 * min(bottom, right)
    side = float(max(side, MIN_SIDE_MM))
    left, top = float((left + right - side) / 2), float((top + bottom - side) / 2)
    seen = _cropped(stack.pixels, stack, left, top, side)
    black, white = (float(v) for v in np.percentile(seen, WINDOW_PERCENTILES))
    return SliceCrop(left, top, side, black, max(white, black + 1e-6))


def draw_slices(
    page: Page,
    case: Case,
    measured: Measurements,
    chosen: range,
    place: tuple[float, float, float, float],
    remote: MaskArray | None = None,
) -> float:
    """Draw slices in rows, as large as they fit; return the y of the end of the last row, in mm.

    Args:
        chosen: the slices, in order.
        place: left, top, width and height, in mm.
        remote: remote region (slice, row, column), outlined where it is given.
    """
    left, top, width, height = place
    columns, side = _grid(len(chosen), width, height)
    crop = slice_crop(case.stack, case.labels)
    step = side + GAP_MM
    if columns > 1:  # flush with both margins, unless the gaps get too wide
        step = min((width - side) / (columns - 1), side + MAX_GAP_MM)
    for number, k in enumerate(chosen):
        x = left + (number % columns) * step
        y = top + (number // columns) * (side + CAPTION_MM + GAP_MM)
        panel = page.axes(x, y, side, side)
        draw_slice(panel, case, k, crop, None if remote is None else remote[k])
        _caption(page, case, measured, k, (x, y + side, side))
    rows = ceil(len(chosen) / columns)
    return top + rows * (side + CAPTION_MM + GAP_MM) - GAP_MM


def draw_legend(
    page: Page, y: float, left: float, labels: LabelArray, remote: RemoteRegion | None = None
) -> None:
    """Draw a one-line legend of the contours that occur."""
    how = "drawn by the reader" if remote is not None and remote.drawn_slices else "proposed"
    known = [
        (WALL, "endocardium and epicardium", bool((labels == Label.MYOCARDIUM).any())),
        (SCAR, "scar", bool(infarct_mask(labels).any())),
        (MVO, "MVO", bool((labels == Label.MVO).any())),
        ("#8a8a8a", f"remote region, {how}", remote is not None and bool(remote.mask.any())),
    ]
    x = left
    for colour, text, there in known:
        if there:
            page.text(x, y, "—", 8.0, colour=colour, bold=True)
            page.text(x + 4.2, y, text, 6.2, colour=QUIET)
            x += 8.5 + width_mm(text, 6.2)


def _grid(n: int, width: float, height: float) -> tuple[int, float]:
    """Return the number of columns with the largest pictures, and their side in mm."""
    best = (1, 0.0)
    for columns in range(1, n + 1):
        rows = ceil(n / columns)
        wide = (width - (columns - 1) * GAP_MM) / columns
        tall = (height - (rows - 1) * GAP_MM) / rows - CAPTION_MM
        side = min(wide, tall, MAX_PICTURE_MM)
        if side > best[1]:
            best = (columns, side)
    return best


def draw_slice(
    panel: Axes, case: Case, k: int, crop: SliceCrop, remote: MaskArray | None = None
) -> None:
    """Draw one slice with its contours, and the remote region (row, column) where it is given."""
    stack, labels = case.stack, case.labels[k]
    shade = _picture(stack.pixels[k], stack, crop)
    edges = (crop.left, crop.left + crop.side, crop.top + crop.side, crop.top)
    panel.imshow(shade, cmap="gray", vmin=0, vmax=255, extent=edges, interpolation="none")
    _outline(panel, stack, wall_mask(labels), WALL, 0.55)
    _outline(panel, stack, infarct_mask(labels), SCAR, 0.75)
    _outline(panel, stack, labels == Label.MVO, MVO, 0.8)
    if remote is not None:
        _outline(panel, stack, remote, REMOTE, 0.4)
    panel.set_xlim(crop.left, crop.left + crop.side)
    panel.set_ylim(crop.top + crop.side, crop.top)
    panel.set_axis_off()


def _outline(panel: Axes, stack: Stack, mask: MaskArray, colour: str, width: float) -> None:
    if not mask.any():
        return
    row_mm, column_mm = stack.pixel_spacing_mm
    padded = np.pad(mask, 1).astype(np.float64)
    x = (np.arange(padded.shape[1]) - 0.5) * column_mm
    y = (np.arange(padded.shape[0]) - 0.5) * row_mm
    # What Axes.contour draws, without its axes limits, colour maps and labels.
    lines: Any = contour_generator(x, y, padded).lines(0.5)
    outline = LineCollection(lines, colors=[colour], linewidths=[width])
    panel.add_collection(outline, autolim=False)


def _caption(
    page: Page, case: Case, measured: Measurements, k: int, place: tuple[float, float, float]
) -> None:
    x, y, side = place
    last = case.stack.n_slices - 1
    end = "" if 0 < k < last or last == 0 else (" base" if k == 0 else " apex")
    page.text(x, y + 2.9, f"{k + 1}{end}", 6.4, bold=True)
    status = case.readings[k].status
    unread = status is SliceStatus.UNSEEN and slice_grams(measured, k) == 0
    if unread or status is SliceStatus.NOT_ASSESSABLE:
        page.text(x + side, y + 2.9, status_text(status), 6.2, align="right", colour=WARNING_COLOUR)
        return
    grams = slice_grams(measured, k)
    colour = INK if grams > 0 else QUIET
    page.text(x + side, y + 2.9, f"{rounded_grams(grams)} g", 6.4, align="right", colour=colour)


def slice_grams(measured: Measurements, k: int) -> float:
    """Return the scar mass of a slice in g, by the convention of the headline."""
    one = measured.slices[k]
    return float(getattr(one, f"scar_mass_{measured.convention}_g"))


def _picture(pixels: FloatArray, stack: Stack, crop: SliceCrop) -> npt.NDArray[np.uint8]:
    """Return the cropped slice (row, column) as grey levels, enlarged by cubic interpolation."""
    row_mm, column_mm = stack.pixel_spacing_mm
    steps = (np.arange(PIXELS) + 0.5) / PIXELS * crop.side
    rows = (crop.top + steps) / row_mm - 0.5
    columns = (crop.left + steps) / column_mm - 0.5
    grid = np.meshgrid(rows, columns, indexing="ij")
    found = ndimage.map_coordinates(
        pixels.astype(np.float64), grid, order=3, mode="constant", cval=crop.black
    )
    level = np.clip((found - crop.black) / (crop.white - crop.black), 0, 1)
    return np.asarray(np.round(255 * level), dtype=np.uint8)


def _cropped(pixels: FloatArray, stack: Stack, left: float, top: float, side: float) -> FloatArray:
    row_mm, column_mm = stack.pixel_spacing_mm
    r0, r1 = max(0, int(top / row_mm)), max(1, int((top + side) / row_mm))
    c0, c1 = max(0, int(left / column_mm)), max(1, int((left + side) / column_mm))
    return pixels[:, r0:r1, c0:c1]
