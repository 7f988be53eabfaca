"""A report of one patient as PDF; what both front ends call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scarseg.case import Case
from scarseg.figures.rendering import pdf
from scarseg.io.outputs import safe_name, write_whole
from scarseg.io.table import method as method_of
from scarseg.measurements import Measurements
from scarseg.quant.method_comparison import compare_methods
from scarseg.quant.segments import InsertionPoint
from scarseg.quant.wall_map import map_wall, points_of
from scarseg.report.content import Interval
from scarseg.report.page import ReportInput, report_figures

__all__ = ["Interval", "ReportInput", "prepare", "render_report", "report_name", "write_report"]

TITLE = "Myocardial scar on LGE"


def write_report(
    path: Path,
    case: Case,
    measured: Measurements,
    *,
    points: Sequence[InsertionPoint] = (),
    interval: Interval | None = None,
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
    write_whole(path, data, force)


def prepare(
    case: Case,
    measured: Measurements,
    *,
    points: Sequence[InsertionPoint] = (),
    interval: Interval | None = None,
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
        map_wall(case.labels, stack, points or points_of(case), density),
        compare_methods(stack, case.labels, density_g_per_ml=density),
        method or method_of(case),
        interval,
        tuple(warnings),
        identify,
        labels_from,
    )


def render_report(shown: ReportInput) -> bytes:
    """Give the report as PDF: one sheet, more with over 16 slices."""
    return pdf(report_figures(shown), TITLE)


def report_name(stack_id: str) -> str:
    """Name the report of a stack: by its UID."""
    return f"{safe_name(stack_id)}.pdf"


def _holds(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == data
    except OSError:
        return False
