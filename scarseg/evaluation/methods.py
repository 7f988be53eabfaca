"""Threshold methods beside the model, patient by patient, against the same reference.

Every method works within the wall that the program proposed, as in ``scarseg batch --methods``:
what a user gets who has no contours of a reader. A method that does not fit an image (no remote
muscle, no region of scar) has no mass there, and the patient is left out of its figures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import scarseg
from scarseg.case.labels import LabelArray
from scarseg.case.stack import Stack
from scarseg.evaluation.reader import Reference
from scarseg.evaluation.summary import Figures, to_plain
from scarseg.io.tables.provenance import RESEARCH_USE
from scarseg.io.tables.table import render_csv
from scarseg.quant.agreement import agreement
from scarseg.quant.mass import MM3_PER_ML
from scarseg.quant.method_comparison import SEGMENTATION, MethodResult, compare_methods

if TYPE_CHECKING:
    from rich.table import Table

METHODS_CSV, METHODS_JSON, METHODS_HTML = "methods.csv", "methods.json", "methods.html"
_COLUMNS = (
    "",
    "patients",
    "R2",
    "MAE, g",
    "median difference, g",
    "bias, g",
    "limits of agreement, g",
    "CCC",
    "Wilcoxon p",
    "seconds",
)


@dataclass(frozen=True, kw_only=True)
class MethodFigures:
    """One patient, one segmenter, one method: masses in g, blank where the method does not fit.

    ``method`` names threshold, scope and percentile of the maximum; ``segmentation`` is the model
    itself. ``seconds`` is the time of the method alone, for the model that of its proposal.
    """

    patient: str
    segmenter: str
    method: str
    true_scar_mass_g: float
    scar_mass_g: float | None
    scar_error_g: float | None
    seconds: float


METHOD_FIGURE_COLUMNS = tuple(field.name for field in fields(MethodFigures))


def method_figures(
    stack: Stack,
    labels: LabelArray,
    truth: Reference,
    segmenter: str,
    methods: Sequence[str],
    proposal_seconds: float,
) -> tuple[MethodFigures, ...]:
    """Measure a stack by the model and by every method, over the slices whose scar is known.

    Args:
        labels: uint8 (slice, row, column) as the model proposed them.
        methods: of :data:`scarseg.quant.method_comparison.METHOD_CHOICES`.
    """
    known = np.array(truth.scar_known)
    if not known.any():
        return ()
    row_mm, column_mm = stack.pixel_spacing_mm
    voxel_ml = row_mm * column_mm * stack.slice_thickness_mm / MM3_PER_ML
    rows: list[MethodFigures] = []
    for chosen in ((), *((one,) for one in methods)):
        begin = time.perf_counter()
        found = compare_methods(stack, labels, chosen)
        seconds = time.perf_counter() - begin
        true_g = found.density_g_per_ml * voxel_ml * int(np.count_nonzero(truth.scar[known]))
        results = [one for one in found.results if chosen or one.name == SEGMENTATION]
        for one in results[1:] if chosen else results:
            mass = None
            if one.scar is not None:
                mass = fsum(g for g, take in zip(one.scar.thickness, known, strict=True) if take)
            rows.append(
                MethodFigures(
                    patient=truth.patient,
                    segmenter=segmenter,
                    method=_name(one),
                    true_scar_mass_g=true_g,
                    scar_mass_g=mass,
                    scar_error_g=None if mass is None else mass - true_g,
                    seconds=seconds / (len(results) - 1) if chosen else proposal_seconds,
                )
            )
    return tuple(rows)


def _name(one: MethodResult) -> str:
    percentile = one.maximum_percentile
    parts = [one.name, "" if one.scope is None else f"by {one.scope}"]
    parts.append(f"{percentile:g} %" if percentile not in (None, 100.0) else "")
    return " ".join(part for part in parts if part)


def summarise_methods(rows: Sequence[MethodFigures]) -> list[Figures]:
    """Compare every method with the reference, over patients with scar, in the order of the rows.

    Differences are method minus reference.
    """
    groups: dict[tuple[str, str], list[MethodFigures]] = {}
    for row in rows:
        groups.setdefault((row.segmenter, row.method), []).append(row)
    summaries = []
    for (segmenter, method), some in groups.items():
        sick = [one for one in some if one.true_scar_mass_g > 0]
        pairs = [
            (one.scar_mass_g, one.true_scar_mass_g) for one in sick if one.scar_mass_g is not None
        ]
        figures: Figures = {
            "segmenter": segmenter,
            "method": method,
            "patients": len(pairs),
            "patients_left_out": len(sick) - len(pairs),
            "seconds": float(np.mean([one.seconds for one in some])),
        }
        if len(pairs) > 1:
            found, true = (np.array(column) for column in zip(*pairs, strict=True))
            figures["median_difference_g"] = float(np.median(found - true))
            figures["agreement"] = to_plain(agreement(found, true))
        summaries.append(figures)
    return summaries


def methods_table(summaries: Sequence[Figures]) -> Table:
    """Build the table to print: methods down, figures across."""
    from rich.table import Table as RichTable

    table = RichTable(title="Scar mass against the reference, by method", title_justify="left")
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name else "left", no_wrap=not name)
    for one in summaries:
        table.add_row(*_cells(one, summaries))
    return table


def methods_files(folder: Path) -> list[Path]:
    """Return the files of a comparison of methods."""
    return [folder / name for name in (METHODS_CSV, METHODS_JSON, METHODS_HTML)]


def render_methods(
    folder: Path,
    rows: Sequence[MethodFigures],
    summaries: Sequence[Figures],
    settings: Mapping[str, Any],
) -> dict[Path, bytes]:
    """Return the bytes of the rows as CSV, the figures as JSON, and the page."""
    import json

    about = {
        "software": "scarseg",
        "software_version": scarseg.__version__,
        "statement": RESEARCH_USE,
        "settings": dict(settings),
        "difference": "method - reference",
        "methods": list(summaries),
    }
    contents = (
        render_csv(METHOD_FIGURE_COLUMNS, [asdict(row) for row in rows]),
        (json.dumps(about, indent=1, allow_nan=False) + "\n").encode(),
        _page(rows, summaries),
    )
    return dict(zip(methods_files(folder), contents, strict=True))


def _page(rows: Sequence[MethodFigures], summaries: Sequence[Figures]) -> bytes:
    from scarseg.report.layout import FigureBlock, TableBlock, document_html
    from scarseg.report.plots import agreement_figure

    cells = tuple(_cells(one, summaries) for one in summaries)
    blocks: list[Any] = [TableBlock("Methods", _COLUMNS, cells)]
    for one in summaries:
        pairs = [
            (row.scar_mass_g, row.true_scar_mass_g)
            for row in rows
            if (row.segmenter, row.method) == (one["segmenter"], one["method"])
            and row.scar_mass_g is not None
            and row.true_scar_mass_g > 0
        ]
        if len(pairs) > 1:
            found, true = (np.array(column) for column in zip(*pairs, strict=True))
            names = (one["method"], "reference")
            figure = agreement_figure(found, true, names, "scar mass", "g")
            blocks.append(FigureBlock(f"{one['segmenter']}: {one['method']}", figure))
    lead = (
        "Differences are method - reference, over patients with scar. Methods work within the wall"
        " that the program proposed; segmentation is the model itself.",
    )
    foot = f"scarseg {scarseg.__version__}. {RESEARCH_USE}"
    return document_html("Scar mass by method, against the reference", lead, blocks, foot)


def _cells(one: Figures, summaries: Sequence[Figures]) -> tuple[str, ...]:
    several = len({each["segmenter"] for each in summaries}) > 1
    name = f"{one['segmenter']}: {one['method']}" if several else str(one["method"])
    found = one.get("agreement")
    if found is None:
        return (name, str(one["patients"]), *[""] * 7, f"{one['seconds']:.3f}")
    ba, p_value = found["bland_altman"], found["wilcoxon"]["p_value"]
    correlation, ccc = found["correlation"], found["concordance"]
    limits = (ba["lower_limit"], ba["upper_limit"])
    return (
        name,
        str(one["patients"]),
        "" if correlation is None else f"{correlation['r_squared']:.3f}",
        f"{found['absolute_error']['mae']:.2f}",
        f"{one['median_difference_g']:.2f}",
        f"{ba['bias']:.2f}",
        "" if None in limits else " to ".join(f"{limit:.1f}" for limit in limits),
        "" if ccc is None else f"{ccc['ccc']:.3f}",
        "" if p_value is None else f"{p_value:.3f}",
        f"{one['seconds']:.3f}",
    )
