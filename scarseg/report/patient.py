"""A report of one patient as PDF; what both front ends call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

import scarseg
from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.measurements import MassConvention, Measurements
from scarseg.case.prompts import InsertionPoint
from scarseg.io.files import safe_name, write_file
from scarseg.io.tables.provenance import RESEARCH_USE
from scarseg.io.tables.table import reading_method as method_of
from scarseg.quant.method_comparison import MethodComparison, compare_methods
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
    render_pdf,
    width_mm,
)
from scarseg.report.slices import draw_legend, draw_slices, slice_grams, status_text
from scarseg.report.text import CONVENTIONS, ScarInterval

PICTURES_TOP_MM, NUMBERS_TOP_MM, SMALL_PRINT_MM = 44.0, 168.0, 253.5
MOST_ON_FIRST, MOST_ON_LATER = 16, 30
_EYE = (LEFT_MM, 73.0)
_MIDDLE = (80.0, 142.0)
_RIGHT = (149.0, RIGHT_MM)


@dataclass(frozen=True, eq=False)
class ReportInput:
    """All that a report shows. ``wall_map`` is None where no ring closes; ``method`` as in the
    table; ``warnings`` are codes beside those of ``measured``; ``labels_from`` tells the file of
    labels made elsewhere."""

    case: Case
    measured: Measurements
    wall_map: WallMap | None
    methods: MethodComparison
    method: str
    interval: ScarInterval | None = None
    warnings: tuple[str, ...] = ()
    identify: bool = False
    labels_from: str = ""


def report_figures(shown: ReportInput) -> list[Figure]:
    """Draw the sheets: one, and more where over 16 slices have to be shown."""
    n = shown.case.stack.n_slices
    first = range(min(n, MOST_ON_FIRST))
    later = [
        range(start, min(n, start + MOST_ON_LATER)) for start in range(len(first), n, MOST_ON_LATER)
    ]
    sheets = [_first_sheet(shown, first)]
    sheets += [_later_sheet(shown, one) for one in later]
    for number, sheet in enumerate(sheets, start=1):
        _foot(sheet, number, len(sheets))
    return [sheet.figure for sheet in sheets]


def _first_sheet(shown: ReportInput, slices: range) -> Page:
    sheet = Page()
    _head(sheet, shown)
    _headline(sheet, shown)
    remote = shown.methods.remote if shown.methods.remote.any() else None
    room = (LEFT_MM, PICTURES_TOP_MM, RIGHT_MM - LEFT_MM, NUMBERS_TOP_MM - PICTURES_TOP_MM - 9)
    end = draw_slices(sheet, shown.case, shown.measured, slices, room, remote)
    draw_legend(sheet, end + 3.5, LEFT_MM, shown.case.labels, remote is not None)
    if len(slices) < shown.case.stack.n_slices:
        sheet.text(RIGHT_MM, end + 3.5, "more slices on the next sheet", 6.2, align="right")
    _where(sheet, shown)
    _numbers(sheet, shown)
    _comparators(sheet, shown)
    _small_print(sheet, shown)
    return sheet


def _later_sheet(shown: ReportInput, slices: range) -> Page:
    sheet = Page()
    _head(sheet, shown)
    remote = shown.methods.remote if shown.methods.remote.any() else None
    room = (LEFT_MM, 27.0, RIGHT_MM - LEFT_MM, 240.0)
    end = draw_slices(sheet, shown.case, shown.measured, slices, room, remote)
    draw_legend(sheet, end + 3.5, LEFT_MM, shown.case.labels, remote is not None)
    return sheet


def _head(sheet: Page, shown: ReportInput) -> None:
    sheet.text(LEFT_MM, 15.5, "Myocardial scar on LGE", 14.0, bold=True)
    text, is_read = report_text.status_line(shown.case, shown.measured, shown.method)
    sheet.text(RIGHT_MM, 15.5, text, 8.0, align="right", bold=True,
               colour=INK if is_read else WARNING_COLOUR)  # fmt: skip
    sheet.text(LEFT_MM, 20.8, report_text.patient_line(shown.case, shown.identify), 8.0)
    reader = f"Reader {shown.case.reader}" if shown.case.reader else "No reader"
    sheet.text(RIGHT_MM, 20.8, reader, 8.0, align="right")
    sheet.line(23.2, strong=True)


def _headline(sheet: Page, shown: ReportInput) -> None:
    """Set the four numbers of a reading large, each with its rule."""
    measured = shown.measured
    other = next(one for one in MassConvention if one is not measured.convention)
    rule, other_rule = CONVENTIONS[measured.convention], CONVENTIONS[other]
    other_scar = (
        measured.scar_mass_spacing_g
        if other is MassConvention.SPACING
        else measured.scar_mass_thickness_g
    )
    interval = shown.interval
    looked_at = report_text.has_result(measured)
    seen = measured.scar_mass_g if looked_at else None
    mvo = measured.mvo_mass_g if looked_at else None
    scar = f"by {rule}; {other_scar:.2f} g by {other_rule}" if looked_at else "nothing was read"
    if interval is not None:
        between = f"interval {interval.low_g:.1f} to {interval.high_g:.1f} g"
        sheet.text(LEFT_MM, 41.6, between, 6.2, colour=QUIET)
    blocks = (
        (LEFT_MM, "Scar", _with_unit(seen, 2, "g"), scar),
        (84.0, "Share of LV", _with_unit(measured.scar_percent_lv, 1, "%"), "of LV mass"),
        (119.0, "MVO in the scar", _with_unit(mvo, 2, "g"), f"by {rule}"),
        (157.0, "LV mass", _with_unit(measured.lv_mass_g, 1, "g"), f"by {rule}, from LGE"),
    )
    for x, name, value, small in blocks:
        sheet.text(x, 28.2, name, 7.0, colour=QUIET)
        sheet.text(x, 35.0, value, 16.0, bold=name == "Scar")
        sheet.text(x, 38.8, small, 6.2, colour=QUIET)


def _with_unit(value: float | None, digits: int, unit: str) -> str:
    return report_text.BLANK if value is None else f"{value:.{digits}f} {unit}"


def _where(sheet: Page, shown: ReportInput) -> None:
    left, right = _EYE
    y = sheet.heading(left, NUMBERS_TOP_MM, "Where: scar in % of each segment", right)
    found = shown.wall_map
    if found is None:
        sheet.text(left, y, "No slice has a closed wall: no segments.", 6.8, colour=QUIET)
        return
    side = right - left
    panel = sheet.axes(left, y - 3.5, side, side * 0.94)
    territories = {
        artery: amount.scar_percent(shown.measured.convention)
        for artery, amount in found.measured.territories
    }
    draw_bullseye(panel, found.area_percents, territories=territories, scale=0.68, legend_columns=3)
    sheet.text(left, SMALL_PRINT_MM - 6.0, report_text.insertion_note(found), 5.8, colour=QUIET)


def _numbers(sheet: Page, shown: ReportInput) -> None:
    left, right = _MIDDLE
    y = sheet.heading(left, NUMBERS_TOP_MM, "Numbers, by both mass conventions", right)
    places = (left, right - 17.0, right)
    sheet.row(y, ("", "by thickness", "by spacing"), places, 6.2, colour=QUIET)
    for row in report_text.result_rows(shown.measured, shown.interval):
        y += 3.7
        sheet.row(y, row, places, 6.8, bold=row[0].startswith("Scar (infarct)"))
    _slice_table(sheet, shown, y + 6.2)


def _slice_table(sheet: Page, shown: ReportInput, y: float) -> None:
    """List the grams of every slice with a bar: which slice drives the number."""
    left, right = _MIDDLE
    measured, elsewhere = shown.measured, report_text.is_external(shown.method)
    step = min(3.5, (SMALL_PRINT_MM - 6.0 - y) / (len(measured.slices) + 1))
    size = min(6.4, 1.85 * step)
    rule = CONVENTIONS[measured.convention]
    sheet.text(left, y, "slice", 5.8, colour=QUIET)
    sheet.text(left + 14.0, y, "at mm", 5.8, colour=QUIET, align="right")
    sheet.text(right, y, f"g by {rule}", 5.8, colour=QUIET, align="right")
    largest = max((slice_grams(measured, one.slice_index) for one in measured.slices), default=0)
    bars = sheet.axes(left + 29.0, y + 0.6, 21.0, step * len(measured.slices))
    bars.set_axis_off()
    bars.set_xlim(0, 1)
    bars.set_ylim(len(measured.slices), 0)
    for k, one in enumerate(measured.slices):
        grams = slice_grams(measured, k)
        base = y + (k + 0.85) * step
        sheet.text(left + 3.2, base, str(k + 1), size, align="right")
        sheet.text(left + 14.0, base, f"{one.position_mm:.1f}", size, align="right")
        sheet.text(left + 15.5, base, status_text(one.status, elsewhere), size, colour=QUIET)
        blank = one.status is SliceStatus.UNSEEN and grams == 0  # zero never means "not read"
        text = report_text.BLANK if blank else f"{grams:.2f}"
        sheet.text(right, base, text, size, align="right")
        if grams > 0 and largest > 0:
            bars.barh(k + 0.5, grams / largest, height=0.62, color="#c98500", linewidth=0)


def _comparators(sheet: Page, shown: ReportInput) -> None:
    left, right = _RIGHT
    convention = shown.measured.convention
    y = sheet.heading(left, NUMBERS_TOP_MM, "By threshold, to compare", right)
    places = (left, right - 11.0, right)
    sheet.row(y, ("scar", "g", "% of LV"), places, 6.2, colour=QUIET)
    y += 3.7
    own = (shown.measured.scar_mass_g, shown.measured.scar_percent_lv)
    cells = ("This segmentation", *(report_text.format_number(one, 1) for one in own))
    sheet.row(y, cells, places, 6.8, bold=True)
    for row in report_text.method_lines(shown.methods, convention):
        y += 3.5
        sheet.row(y, row, places)
    y += 6.0
    sheet.row(y, ("core and grey zone", "core g", "grey g"), places, 6.2, colour=QUIET)
    for row in report_text.zone_lines(shown.methods, convention):
        y += 3.5
        sheet.row(y, row, places)
    note = report_text.method_note(shown.case, shown.methods)
    note += f" Mass by {CONVENTIONS[convention]}."
    sheet.paragraph(left, y + 5.0, right - left, note, 5.4, colour=QUIET, most=8)


def _small_print(sheet: Page, shown: ReportInput) -> None:
    y = SMALL_PRINT_MM
    sheet.line(y - 3.6)
    made = report_text.provenance_lines(shown.case, shown.method, shown.interval)
    if shown.labels_from:
        made.insert(1, f"Labels {shown.labels_from}")
    parts: Sequence[tuple[str, str, int]] = (
        ("Geometry", report_text.geometry_line(shown.case, shown.measured), 2),
        ("Warnings", report_text.warning_line(shown.measured, shown.warnings), 3),
        *(("Provenance" if number == 0 else "", line, 2) for number, line in enumerate(made)),
    )
    for name, text, most in parts:
        sheet.text(LEFT_MM, y, name, 5.6, bold=True)
        y = sheet.paragraph(LEFT_MM + 18, y, RIGHT_MM - LEFT_MM - 18, text, 5.6, most=most)
        y += 0.5 if name else 0.0


def _foot(sheet: Page, number: int, n: int) -> None:
    sheet.line(286.5)
    sheet.text(LEFT_MM, 290.0, RESEARCH_USE, 6.4, bold=True)
    about = f"scarseg {scarseg.__version__}     sheet {number} of {n}"
    sheet.text(RIGHT_MM, 290.0, about, 6.0, align="right", colour=QUIET)
    if number == 1:
        y = 283.6
        sheet.text(LEFT_MM, y, "Read and signed by", 6.4, colour=QUIET)
        start = LEFT_MM + width_mm("Read and signed by", 6.4) + 2
        sheet.line(y + 0.6, start, start + 70)
        sheet.text(start + 74, y, "Date", 6.4, colour=QUIET)
        sheet.line(y + 0.6, start + 81, start + 116)


TITLE = "Myocardial scar on LGE"


def write_report(
    path: Path,
    case: Case,
    measured: Measurements,
    *,
    points: Sequence[InsertionPoint] = (),
    interval: ScarInterval | None = None,
    method: str = "",
    warnings: Sequence[str] = (),
    identify: bool = False,
    labels_from: str = "",
    force: bool = False,
) -> None:
    """Write the report of a case; the same case gives the same bytes.

    Args:
        measured: the numbers of the same case; their convention is the headline's.
        points: the anterior RV insertion instead of the case's own; proposed where neither is.
        interval: of the headline's scar mass, where there is one.
        method: as the table says it, where that is not the case's own.
        warnings: codes beside those of ``measured``.
        identify: name the patient; by default a pseudonym.
        labels_from: which file labels made elsewhere came from, without its name.
        force: replace what stands at ``path``; a report with these very bytes is left.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    shown = prepare(
        case,
        measured,
        points=points,
        interval=interval,
        method=method,
        warnings=warnings,
        identify=identify,
        labels_from=labels_from,
    )
    data = render_report(shown)
    if not force and _holds(path, data):
        return
    write_file(path, data, force)


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
) -> ReportInput:
    """Compute what a report shows beside the numbers; arguments as :func:`write_report`."""
    stack, density = case.stack, measured.density_g_per_ml
    return ReportInput(
        case,
        measured,
        map_wall(case.labels, stack, points or reader_insertion(case), density),
        compare_methods(stack, case.labels, density_g_per_ml=density),
        method or method_of(case),
        interval,
        tuple(warnings),
        identify,
        labels_from,
    )


def render_report(shown: ReportInput) -> bytes:
    """Give the report as PDF: one sheet, more with over 16 slices."""
    return render_pdf(report_figures(shown), TITLE)


def report_name(stack_id: str) -> str:
    """Name the report of a stack: by its UID."""
    return f"{safe_name(stack_id)}.pdf"


def _holds(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == data
    except OSError:
        return False
