"""The slices of a report: the heart of every one with its contours, all at one scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from scipy import ndimage

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import Measurements
from scarseg.case.stack import FloatArray, Stack
from scarseg.report.layout import INK, QUIET, WARNING_COLOUR, Page, width_mm

WALL, SCAR, MVO, REMOTE = "#58b8ff", "#ffb000", "#ff4f9a", "#d0d0d0"
MARGIN_MM, SMALLEST_MM = 10.0, 70.0
CAPTION_MM, GAP_MM, WIDEST_GAP_MM = 4.2, 1.6, 16.0
LARGEST_MM = 56.0
PIXELS = 400
"""Of a picture's side in the file: 40 mm at 250 dpi."""
WINDOW_PERCENTILES = (1.0, 99.7)

_STATUS = {
    SliceStatus.UNSEEN: "not seen",
    SliceStatus.PROPOSED: "proposed",
    SliceStatus.ACCEPTED: "accepted",
    SliceStatus.NO_SCAR: "no scar",
    SliceStatus.NOT_ASSESSABLE: "not assessable",
}


def status_text(status: SliceStatus, elsewhere: bool = False) -> str:
    """Name where the reading of a slice stands; labels from elsewhere are nobody's proposal."""
    return "not read" if elsewhere and status is SliceStatus.PROPOSED else _STATUS[status]


@dataclass(frozen=True)
class SliceCrop:
    """What of every slice is shown: a square in mm round the heart, and the grey levels.

    ``left``, ``top`` from the image's corner, in mm.
    """

    left: float
    top: float
    side: float
    black: float
    white: float


def slice_crop(stack: Stack, labels: LabelArray) -> SliceCrop:
    """Choose one square for all slices, round everything that is labelled."""
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
    side = float(max(side, SMALLEST_MM))
    left, top = float((left + right - side) / 2), float((top + bottom - side) / 2)
    seen = _inside(stack.pixels, stack, left, top, side)
    black, white = (float(v) for v in np.percentile(seen, WINDOW_PERCENTILES))
    return SliceCrop(left, top, side, black, max(white, black + 1e-6))


def draw_slices(
    sheet: Page,
    case: Case,
    measured: Measurements,
    chosen: range,
    place: tuple[float, float, float, float],
    remote: MaskArray | None = None,
) -> float:
    """Draw slices in rows, as large as they fit; give where the last row ends.

    Args:
        chosen: which slices, one after the other.
        place: left, top, width and height, in mm.
        remote: (slice, row, column), outlined where given.
    """
    left, top, width, height = place
    columns, side = _grid(len(chosen), width, height)
    view = slice_crop(case.stack, case.labels)
    step = side + GAP_MM
    if columns > 1:  # in line with both margins, where that leaves no chasm between the pictures
        step = min((width - side) / (columns - 1), side + WIDEST_GAP_MM)
    for number, k in enumerate(chosen):
        x = left + (number % columns) * step
        y = top + (number // columns) * (side + CAPTION_MM + GAP_MM)
        panel = sheet.axes(x, y, side, side)
        _draw_slice(panel, case, k, view, None if remote is None else remote[k])
        _caption(sheet, case, measured, k, (x, y + side, side))
    rows = ceil(len(chosen) / columns)
    return top + rows * (side + CAPTION_MM + GAP_MM) - GAP_MM


def draw_legend(sheet: Page, y: float, left: float, labels: LabelArray, has_remote: bool) -> None:
    """Say in one line what the contours are, of those that are there."""
    known = [
        (WALL, "endocardium and epicardium", bool((labels == Label.MYOCARDIUM).any())),
        (SCAR, "scar", bool(infarct_mask(labels).any())),
        (MVO, "MVO", bool((labels == Label.MVO).any())),
        ("#8a8a8a", "remote region, proposed", has_remote),
    ]
    x = left
    for colour, text, there in known:
        if there:
            sheet.text(x, y, "—", 8.0, colour=colour, bold=True)
            sheet.text(x + 4.2, y, text, 6.2, colour=QUIET)
            x += 8.5 + width_mm(text, 6.2)


def _grid(n: int, width: float, height: float) -> tuple[int, float]:
    """Give the number of columns that makes pictures largest, to a limit, and their side."""
    best = (1, 0.0)
    for columns in range(1, n + 1):
        rows = ceil(n / columns)
        wide = (width - (columns - 1) * GAP_MM) / columns
        tall = (height - (rows - 1) * GAP_MM) / rows - CAPTION_MM
        side = min(wide, tall, LARGEST_MM)
        if side > best[1]:
            best = (columns, side)
    return best


def _draw_slice(panel: Axes, case: Case, k: int, view: SliceCrop, remote: MaskArray | None) -> None:
    stack, labels = case.stack, case.labels[k]
    shade = _picture(stack.pixels[k], stack, view)
    edges = (view.left, view.left + view.side, view.top + view.side, view.top)
    panel.imshow(shade, cmap="gray", vmin=0, vmax=255, extent=edges, interpolation="none")
    _outline(panel, stack, wall_mask(labels), WALL, 0.55)
    _outline(panel, stack, infarct_mask(labels), SCAR, 0.75)
    _outline(panel, stack, labels == Label.MVO, MVO, 0.8)
    if remote is not None:
        _outline(panel, stack, remote, REMOTE, 0.4)
    panel.set_xlim(view.left, view.left + view.side)
    panel.set_ylim(view.top + view.side, view.top)
    panel.set_axis_off()


def _outline(panel: Axes, stack: Stack, mask: MaskArray, colour: str, width: float) -> None:
    if not mask.any():
        return
    row_mm, column_mm = stack.pixel_spacing_mm
    padded = np.pad(mask, 1).astype(np.float64)
    x = (np.arange(padded.shape[1]) - 0.5) * column_mm
    y = (np.arange(padded.shape[0]) - 0.5) * row_mm
    panel.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=[width])


def _caption(
    sheet: Page, case: Case, measured: Measurements, k: int, place: tuple[float, float, float]
) -> None:
    x, y, side = place
    last = case.stack.n_slices - 1
    end = "" if 0 < k < last or last == 0 else (" base" if k == 0 else " apex")
    sheet.text(x, y + 2.9, f"{k + 1}{end}", 6.4, bold=True)
    status = case.readings[k].status
    unread = status is SliceStatus.UNSEEN and slice_grams(measured, k) == 0
    if unread or status is SliceStatus.NOT_ASSESSABLE:
        sheet.text(
            x + side, y + 2.9, status_text(status), 6.2, align="right", colour=WARNING_COLOUR
        )
        return
    grams = slice_grams(measured, k)
    colour = INK if grams > 0 else QUIET
    sheet.text(x + side, y + 2.9, f"{grams:.2f} g", 6.4, align="right", colour=colour)


def slice_grams(measured: Measurements, k: int) -> float:
    """Give the scar of a slice by the headline's convention."""
    one = measured.slices[k]
    return float(getattr(one, f"scar_mass_{measured.convention}_g"))


def _picture(pixels: FloatArray, stack: Stack, view: SliceCrop) -> npt.NDArray[np.uint8]:
    """Give the square of a slice (row, column) as grey levels, smoothly enlarged."""
    row_mm, column_mm = stack.pixel_spacing_mm
    steps = (np.arange(PIXELS) + 0.5) / PIXELS * view.side
    rows = (view.top + steps) / row_mm - 0.5
    columns = (view.left + steps) / column_mm - 0.5
    grid = np.meshgrid(rows, columns, indexing="ij")
    found = ndimage.map_coordinates(
        pixels.astype(np.float64), grid, order=3, mode="constant", cval=view.black
    )
    level = np.clip((found - view.black) / (view.white - view.black), 0, 1)
    return np.asarray(np.round(255 * level), dtype=np.uint8)


def _inside(pixels: FloatArray, stack: Stack, left: float, top: float, side: float) -> FloatArray:
    row_mm, column_mm = stack.pixel_spacing_mm
    r0, r1 = max(0, int(top / row_mm)), max(1, int((top + side) / row_mm))
    c0, c1 = max(0, int(left / column_mm)), max(1, int((left + side) / column_mm))
    return pixels[:, r0:r1, c0:c1]
