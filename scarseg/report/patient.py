"""The PDF report of one patient, for the window and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

import scarseg
from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.measurements import MassConvention, Measurements
from scarseg.case.prompts import InsertionPoint
from scarseg.io.files import safe_name, write_file
from scarseg.io.tables.provenance import RESEARCH_USE
from scarseg.io.tables.table import reading_method as method_of
from scarseg.quant.method_comparison import MethodComparison, compare_case_methods
from scarseg.quant.wall_map import WallMap, map_wall, reader_insertion
from scarseg.report import text as report_text
from scarseg.report.bullseye import draw_bullseye
from scarseg.report.layout import (
    INK,
    LEFT_MM,
    QUIET,
    RIGHT_MM,
    WARNING_COLOUR,
    Page,
    line_height_mm,
    render_pdf,
    render_pixels,
    width_mm,
    wrap_text,
)
from scarseg.report.slices import draw_legend, draw_slices, slice_grams, status_text
from scarseg.report.text import CONVENTIONS, ScarInterval

TITLE = "Myocardial scar on LGE"
PICTURES_TOP_MM, NUMBERS_TOP_MM, SMALL_PRINT_MM = 44.0, 168.0, 253.5
SIGNATURE_MM, SIGNATURE_HEIGHT_MM = 283.6, 6.0
"""Line of the signature, and the height that is kept free above it for a pen."""
SMALL_PRINT_SIZES = (5.6, 5.2, 4.8, 4.4, 4.0)
"""Font sizes of the small print in points, the largest that fits."""
MAX_ON_FIRST, MAX_ON_LATER = 16, 30
"""Slices on the first and on each further page."""
_LEFT_COLUMN = (LEFT_MM, 73.0)
_MIDDLE_COLUMN = (80.0, 142.0)
_RIGHT_COLUMN = (149.0, RIGHT_MM)


@dataclass(frozen=True, eq=False)
class ReportInput:
    """Everything that a report shows.

    Args:
        case: the case; ``measured`` its numbers, by the convention of the headline.
        wall_map: segments and transmurality; None where no slice has a closed wall.
        methods: the threshold methods, for comparison.
        method: how the labels were made, as in the table.
        interval: of the scar mass of the headline.
        warnings: codes in addition to those of ``measured``.
        identify: print the patient's ID and name instead of a pseudonym.
        labels_from: which file external labels came from, without its name.
        with_seconds: print how long was read.
    """

    case: Case
    measured: Measurements
    wall_map: WallMap | None
    methods: MethodComparison
    method: str
    interval: ScarInterval | None = None
    warnings: tuple[str, ...] = ()
    identify: bool = False
    labels_from: str = ""
    with_seconds: bool = True


def prepare(
    case: Case,
    measured: Measurements,
    *,
    points: Sequence[InsertionPoint] = (),
    interval: ScarInterval | None = None,
    method: str = "",
    warnings: Sequence[str] = (),
    identify: bool = False,
    labels_from: str = "",
    with_seconds: bool = True,
) -> ReportInput:
    """Compute what a report shows in addition to the measurements.

    Args:
        measured: the measurements of the same case; their convention is the headline's.
        points: RV insertion points to use instead of those of the case; proposed where neither
            has one.
        with_seconds: print how long was read.
        method: as in the table, where it is not the case's own.
    """
    stack, density = case.stack, measured.density_g_per_ml
    return ReportInput(
        case,
        measured,
        map_wall(case.labels, stack, points or reader_insertion(case), density),
        compare_case_methods(case, density_g_per_ml=density),
        method or method_of(case),
        interval,
        tuple(warnings),
        identify,
        labels_from,
        with_seconds,
    )


def write_report(path: Path, report: ReportInput, force: bool = False) -> None:
    """Write a report as PDF; the same input gives the same bytes.

    A file that holds these very bytes already is left as it is, without an error: an interrupted
    run can be repeated.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    data = render_report(report)
    if not force and _holds(path, data):
        return
    write_file(path, data, force)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == data
    except OSError:
        return False


def report_name(stack_id: str) -> str:
    """Return the file name of the report of a stack: its UID with .pdf."""
    return f"{safe_name(stack_id)}.pdf"


def render_report(report: ReportInput) -> bytes:
    """Render a report as PDF: one page, and more with over 16 slices."""
    return render_pdf(report_figures(report), TITLE)


def render_montage(report: ReportInput) -> npt.NDArray[np.uint8]:
    """Render all slices with their outlines as pixels (page, row, column, red green blue)."""
    n = report.case.stack.n_slices
    starts = range(0, n, MAX_ON_LATER)
    pages = [_later_page(report, range(k, min(n, k + MAX_ON_LATER))) for k in starts]
    for number, page in enumerate(pages, start=1):
        _foot(page, number, len(pages))
    return render_pixels([page.figure for page in pages])


def report_figures(report: ReportInput) -> list[Figure]:
    """Draw the sheets: one, and more where over 16 slices have to be report."""
    n = report.case.stack.n_slices
    first = range(min(n, MAX_ON_FIRST))
    later = [
        range(start, min(n, start + MAX_ON_LATER)) for start in range(len(first), n, MAX_ON_LATER)
    ]
    pages = [_first_page(report, first)]
    pages += [_later_page(report, slices) for slices in later]
    for number, page in enumerate(pages, start=1):
        _foot(page, number, len(pages))
    return [page.figure for page in pages]


def _first_page(report: ReportInput, slices: range) -> Page:
    page = Page()
    _head(page, report)
    _headline(page, report)
    remote = report.methods.remote if report.methods.remote.any() else None
    area = (LEFT_MM, PICTURES_TOP_MM, RIGHT_MM - LEFT_MM, NUMBERS_TOP_MM - PICTURES_TOP_MM - 9)
    end = draw_slices(page, report.case, report.measured, slices, area, remote)
    draw_legend(page, end + 3.5, LEFT_MM, report.case.labels, report.methods.remote_region)
    if len(slices) < report.case.stack.n_slices:
        page.text(RIGHT_MM, end + 3.5, "more slices on the next sheet", 6.2, align="right")
    _segments(page, report)
    _results(page, report)
    _methods(page, report)
    _small_print(page, report)
    return page


def _later_page(report: ReportInput, slices: range) -> Page:
    page = Page()
    _head(page, report)
    remote = report.methods.remote if report.methods.remote.any() else None
    area = (LEFT_MM, 27.0, RIGHT_MM - LEFT_MM, 240.0)
    end = draw_slices(page, report.case, report.measured, slices, area, remote)
    draw_legend(page, end + 3.5, LEFT_MM, report.case.labels, report.methods.remote_region)
    return page


def _head(page: Page, report: ReportInput) -> None:
    page.text(LEFT_MM, 15.5, TITLE, 14.0, bold=True)
    text, is_read = report_text.status_line(report.case, report.measured, report.method)
    page.text(RIGHT_MM, 15.5, text, 8.0, align="right", bold=True,
               colour=INK if is_read else WARNING_COLOUR)  # fmt: skip
    page.text(LEFT_MM, 20.8, report_text.patient_line(report.case, report.identify), 8.0)
    reader = f"Reader {report.case.reader}" if report.case.reader else "No reader"
    page.text(RIGHT_MM, 20.8, reader, 8.0, align="right")
    page.line(23.2, strong=True)


def _headline(page: Page, report: ReportInput) -> None:
    """Draw the four main numbers, each with its rule."""
    measured = report.measured
    other = next(one for one in MassConvention if one is not measured.convention)
    rule, other_rule = CONVENTIONS[measured.convention], CONVENTIONS[other]
    other_scar = (
        measured.scar_mass_spacing_g
        if other is MassConvention.SPACING
        else measured.scar_mass_thickness_g
    )
    interval = report.interval
    has_result = report_text.has_result(measured)
    scar_g = measured.scar_mass_g if has_result else None
    mvo_g = measured.mvo_mass_g if has_result else None
    rules = (
        f"by {rule}; {report_text.rounded_grams(other_scar)} g by {other_rule}"
        if has_result
        else "nothing was read"
    )
    mvo_rule = report_text.NOT_LOOKED_FOR if has_result and mvo_g is None else f"by {rule}"
    if interval is not None:
        between = f"interval {interval.low_g:.1f} to {interval.high_g:.1f} g"
        page.text(LEFT_MM, 41.6, between, 6.2, colour=QUIET)
    blocks = (
        (LEFT_MM, "Scar", _grams(scar_g), rules),
        (84.0, "Share of LV", _with_unit(measured.scar_percent_lv, 1, "%"), "of LV mass"),
        (119.0, "MVO in the scar", _grams(mvo_g), mvo_rule),
        (157.0, "LV mass", _with_unit(measured.lv_mass_g, 1, "g"), f"by {rule}, from LGE"),
    )
    for x, name, value, small in blocks:
        page.text(x, 28.2, name, 7.0, colour=QUIET)
        page.text(x, 35.0, value, 16.0, bold=name == "Scar")
        page.text(x, 38.8, small, 6.2, colour=QUIET)


def _grams(grams: float | None) -> str:
    return report_text.BLANK if grams is None else f"{report_text.rounded_grams(grams)} g"


def _with_unit(value: float | None, digits: int, unit: str) -> str:
    return report_text.BLANK if value is None else f"{value:.{digits}f} {unit}"


def _segments(page: Page, report: ReportInput) -> None:
    left, right = _LEFT_COLUMN
    y = page.heading(left, NUMBERS_TOP_MM, "Where: scar in % of each segment", right)
    found = report.wall_map
    if found is None:
        page.text(left, y, "No slice has a closed wall: no segments.", 6.8, colour=QUIET)
        return
    side = right - left
    panel = page.axes(left, y - 3.5, side, side * 0.94)
    territories = {
        artery: amount.scar_percent(report.measured.convention)
        for artery, amount in found.measured.territories
    }
    draw_bullseye(panel, found.area_percents, territories=territories, scale=0.68, legend_columns=3)
    page.text(left, SMALL_PRINT_MM - 6.0, report_text.insertion_note(found), 5.8, colour=QUIET)


def _results(page: Page, report: ReportInput) -> None:
    left, right = _MIDDLE_COLUMN
    y = page.heading(left, NUMBERS_TOP_MM, "Numbers, by both mass conventions", right)
    places = (left, right - 17.0, right)
    page.row(y, ("", "by thickness", "by spacing"), places, 6.2, colour=QUIET)
    for row in report_text.result_rows(report.measured, report.interval):
        y += 3.7
        page.row(y, row, places, 6.8, bold=row[0].startswith("Scar (infarct)"))
    _slice_table(page, report, y + 6.2)


def _slice_table(page: Page, report: ReportInput, y: float) -> None:
    """Draw the grams of every slice with a bar, to show which slices make up the mass."""
    left, right = _MIDDLE_COLUMN
    measured, external = report.measured, report_text.is_external(report.method)
    step = min(3.5, (SMALL_PRINT_MM - 6.0 - y) / (len(measured.slices) + 1))
    size = min(6.4, 1.85 * step)
    rule = CONVENTIONS[measured.convention]
    page.text(left, y, "slice", 5.8, colour=QUIET)
    page.text(left + 14.0, y, "at mm", 5.8, colour=QUIET, align="right")
    page.text(right, y, f"g by {rule}", 5.8, colour=QUIET, align="right")
    largest = max((slice_grams(measured, one.slice_index) for one in measured.slices), default=0)
    bars = page.axes(left + 29.0, y + 0.6, 21.0, step * len(measured.slices))
    bars.set_axis_off()
    bars.set_xlim(0, 1)
    bars.set_ylim(len(measured.slices), 0)
    for k, one in enumerate(measured.slices):
        grams = slice_grams(measured, k)
        base = y + (k + 0.85) * step
        page.text(left + 3.2, base, str(k + 1), size, align="right")
        page.text(left + 14.0, base, f"{one.position_mm:.1f}", size, align="right")
        page.text(left + 15.5, base, status_text(one.status, external), size, colour=QUIET)
        blank = (
            one.status is SliceStatus.UNSEEN and grams == 0
        )  # 0 g must never stand for "not read"
        text = report_text.BLANK if blank else report_text.rounded_grams(grams)
        page.text(right, base, text, size, align="right")
        if grams > 0 and largest > 0:
            bars.barh(k + 0.5, grams / largest, height=0.62, color="#c98500", linewidth=0)


def _methods(page: Page, report: ReportInput) -> None:
    left, right = _RIGHT_COLUMN
    convention = report.measured.convention
    y = page.heading(left, NUMBERS_TOP_MM, "By threshold, to compare", right)
    places = (left, right - 11.0, right)
    page.row(y, ("scar", "g", "% of LV"), places, 6.2, colour=QUIET)
    y += 3.7
    own = (report.measured.scar_mass_g, report.measured.scar_percent_lv)
    cells = ("This segmentation", *(report_text.format_number(one, 1) for one in own))
    page.row(y, cells, places, 6.8, bold=True)
    for row in report_text.method_lines(report.methods, convention):
        y += 3.5
        page.row(y, row, places)
    y += 6.0
    page.row(y, ("core and grey zone", "core g", "grey g"), places, 6.2, colour=QUIET)
    for row in report_text.zone_lines(report.methods, convention):
        y += 3.5
        page.row(y, row, places)
    note = report_text.method_note(report.case, report.methods)
    note += f" Mass by {CONVENTIONS[convention]}."
    page.paragraph(left, y + 5.0, right - left, note, 5.4, colour=QUIET, max_lines=8)


def _small_print(page: Page, report: ReportInput) -> None:
    y = SMALL_PRINT_MM
    page.line(y - 3.6)
    made = report_text.provenance_lines(
        report.case, report.method, report.interval, report.with_seconds
    )
    if report.labels_from:
        made.insert(1, f"Labels {report.labels_from}")
    parts: Sequence[tuple[str, str, int]] = (
        ("Geometry", report_text.geometry_line(report.case, report.measured), 2),
        ("Warnings", report_text.warning_line(report.measured, report.warnings), 3),
        *(("Provenance" if number == 0 else "", line, 2) for number, line in enumerate(made)),
    )
    width = RIGHT_MM - LEFT_MM - 18
    size = _fitting_size([(text, most) for _, text, most in parts], width)
    for name, text, most in parts:
        room = int((SIGNATURE_MM - SIGNATURE_HEIGHT_MM - y) / line_height_mm(size))
        if room < 1:
            break  # what does not fit stands in the sidecar of the tables
        page.text(LEFT_MM, y, name, size, bold=True)
        y = page.paragraph(LEFT_MM + 18, y, width, text, size, max_lines=min(most, room))
        y += 0.5 if name else 0.0


def _fitting_size(parts: Sequence[tuple[str, int]], width: float) -> float:
    """Return the largest font size, in points, that keeps the lines clear of the signature."""
    for size in SMALL_PRINT_SIZES:
        lines = sum(min(len(wrap_text(text, 0.985 * width, size)), most) for text, most in parts)
        height = lines * line_height_mm(size) + 0.5 * len(parts)
        if SMALL_PRINT_MM + height <= SIGNATURE_MM - SIGNATURE_HEIGHT_MM:
            return size
    return SMALL_PRINT_SIZES[-1]


def _foot(page: Page, number: int, n: int) -> None:
    page.line(286.5)
    page.text(LEFT_MM, 290.0, RESEARCH_USE, 6.4, bold=True)
    about = f"scarseg {scarseg.__version__}     sheet {number} of {n}"
    page.text(RIGHT_MM, 290.0, about, 6.0, align="right", colour=QUIET)
    if number == 1:
        y = SIGNATURE_MM
        page.text(LEFT_MM, y, "Read and signed by", 6.4, colour=QUIET)
        start = LEFT_MM + width_mm("Read and signed by", 6.4) + 2
        page.line(y + 0.6, start, start + 70)
        page.text(start + 74, y, "Date", 6.4, colour=QUIET)
        page.line(y + 0.6, start + 81, start + 116)
