"""Agreement statistics as lines to print, and the page, JSON and CSV they are written to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import scarseg
from scarseg.agreement.pairing import Pair
from scarseg.errors import OutputError
from scarseg.io.files import refuse_existing, write_files
from scarseg.io.tables.columns import Cell
from scarseg.io.tables.provenance import RESEARCH_USE
from scarseg.io.tables.table import render_csv
from scarseg.quant.agreement import Agreement, agreement, bland_altman, concordance
from scarseg.quant.paired_series import ConfidenceInterval

MIN_PAIRS_FOR_TERTILES = 6

PUBLISHED = (
    ("Interactive tool, 53 test patients", "median mass error 1.28 g (IQR 0.74 to 2.34)"),
    ("Its repeatability, within and between readers", "CCC 0.999"),
    ("FWHM, within and between readers", "CCC 0.952 and 0.737"),
    ("Its earlier version, 45 patients", "R2 0.81, MAE 2.40 g, median difference 0.18 g"),
    ("Cascaded U-Net, 20 sites", "bias -0.4, SD 11.2 g; CCC 0.77 inside, 0.71 outside"),
)
"""Published agreement of scar mass, to compare with."""


@dataclass(frozen=True)
class StatisticLine:
    """One statistic: its name, its value, and its 95 % confidence interval or an empty text."""

    what: str
    value: str
    interval: str = ""


@dataclass(frozen=True)
class Stratum:
    """Agreement within a subgroup of the patients."""

    name: str
    n: int
    bias: float
    sd: float | None
    mae: float
    ccc: float | None


def unit_of(column: str) -> str:
    """Return the unit that the name of a column ends with; empty where it has none."""
    endings = {"_g": "g", "_ml": "ml", "_mm": "mm", "_mm2": "mm2", "seconds": "s"}
    if "percent" in column:
        return "%"
    return next((unit for ending, unit in endings.items() if column.endswith(ending)), "")


def statistic_lines(found: Agreement, unit: str) -> list[StatisticLine]:
    """Return every statistic with its interval; undefined ones are left out."""
    ba, error = found.bland_altman, found.absolute_error
    lines = [StatisticLine("pairs", str(found.n))]

    def add(
        what: str,
        value: float | None,
        interval: ConfidenceInterval | None = None,
        decimals: int = 2,
        of: str = unit,
    ) -> None:
        if value is not None:
            ends = "" if interval is None else _between(interval.low, interval.high, decimals)
            lines.append(
                StatisticLine(f"{what}, {of}" if of else what, f"{value:.{decimals}f}", ends)
            )

    add("bias (A - B)", ba.bias, ba.bias_ci)
    add("SD of differences", ba.sd)
    add("lower limit of agreement", ba.lower_limit, ba.lower_limit_ci)
    add("upper limit of agreement", ba.upper_limit, ba.upper_limit_ci)
    add("slope of difference on mean", ba.slope, decimals=3, of="")
    if found.concordance is not None:
        add("Lin's CCC", found.concordance.ccc, found.concordance.ci, 3, "")
    add("ICC(2,1)", found.icc.icc_2_1, found.icc.icc_2_1_ci, 3, "")
    if found.correlation is not None:
        add("Pearson's R2", found.correlation.r_squared, None, 3, "")
    add("mean absolute error", error.mae)
    quartiles = _between(error.lower_quartile, error.upper_quartile, 2)
    median = StatisticLine(
        _in("median absolute error (IQR)", unit), f"{error.median:.2f}", quartiles
    )
    lines.append(median)
    add("largest absolute error", error.maximum)
    add("coefficient of variation", found.cv_percent, None, 1, "%")
    add("within-subject coefficient of variation", found.within_subject_cv_percent, None, 1, "%")
    rank = found.wilcoxon
    if rank.p_value is not None:
        ties = f"{rank.n_zeros} equal, {rank.n_ties} tied"
        lines.append(StatisticLine("Wilcoxon signed rank, p", _p(rank.p_value), ties))
    else:
        lines.append(StatisticLine("Wilcoxon signed rank, p", "none", f"{rank.n_zeros} equal"))
    return lines


def strata(pairs: Sequence[Pair], unit: str, column: str | None = None) -> list[Stratum]:
    """Return the agreement by tertile of the mean value and, with ``column``, by ``stratum``.

    There are tertiles from six pairs on, unless the limits coincide.
    """
    groups: list[tuple[str, list[Pair]]] = []
    means = np.array([(one.a + one.b) / 2 for one in pairs])
    low, high = (float(v) for v in np.percentile(means, (100 / 3, 200 / 3)))
    if len(pairs) >= MIN_PAIRS_FOR_TERTILES and low < high:
        names = (f"up to {low:.1f}", f"{low:.1f} to {high:.1f}", f"over {high:.1f}")
        places = np.searchsorted((low, high), means)
        for place, name in enumerate(names):
            inside = [one for one, where in zip(pairs, places, strict=True) if where == place]
            groups.append((f"{name} {unit}".strip(), inside))
    if column is not None:
        for value in sorted({one.stratum for one in pairs}):
            inside = [one for one in pairs if one.stratum == value]
            groups.append((f"{column}: {value or '(blank)'}", inside))
    return [_stratum(name, inside) for name, inside in groups if inside]


def agreement_of(pairs: Sequence[Pair]) -> Agreement:
    """Compute all statistics of these pairs."""
    return agreement([one.a for one in pairs], [one.b for one in pairs])


def format_number(value: float | None, decimals: int = 2) -> str:
    """Return a number as text, an empty text for None."""
    return "" if value is None else f"{value:.{decimals}f}"


def _stratum(name: str, pairs: Sequence[Pair]) -> Stratum:
    a, b = np.array([one.a for one in pairs]), np.array([one.b for one in pairs])
    ba, agreed = bland_altman(a, b), concordance(a, b)
    mae = float(np.abs(a - b).mean())
    return Stratum(name, len(pairs), ba.bias, ba.sd, mae, None if agreed is None else agreed.ccc)


def _between(low: float, high: float, decimals: int) -> str:
    return f"{low:.{decimals}f} to {high:.{decimals}f}"


def _in(what: str, unit: str) -> str:
    return f"{what}, {unit}" if unit else what


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


HTML_NAME, PDF_NAME, JSON_NAME = "agreement.html", "agreement.pdf", "agreement.json"
CSV_NAME = "pairs.csv"


@dataclass(frozen=True)
class AgreementPage:
    """The content of all output files; their bytes are made on request.

    ``blocks`` are those of :mod:`scarseg.report.layout`; ``columns`` and ``rows`` the CSV of the
    pairs; ``numbers`` the JSON.
    """

    title: str
    lead: tuple[str, ...]
    blocks: tuple[Any, ...]
    numbers: Mapping[str, Any]
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Cell], ...]

    @property
    def foot(self) -> str:
        return f"scarseg {scarseg.__version__}. {RESEARCH_USE}"


def output_files(output: Path) -> list[Path]:
    """Return the files that ``-o`` writes: one by its suffix, else four in a folder.

    Raises:
        OutputError: E_OUTPUT_NAME, another suffix.
    """
    ending = output.suffix.lower()
    if ending in (".html", ".htm", ".pdf", ".json"):
        return [output]
    if ending in (".csv", ".xlsx", ".png", ".txt"):
        raise OutputError(
            "E_OUTPUT_NAME",
            f"{output} must be a folder or end in .html, .pdf or .json.",
            str(output),
        )
    return [output / name for name in (PDF_NAME, CSV_NAME, JSON_NAME, HTML_NAME)]


def write_agreement(output: Path, page: AgreementPage, force: bool = False) -> list[Path]:
    """Write the files of ``-o``, all or none; return them.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE, E_OUTPUT_NAME.
    """
    files = output_files(output)
    if not force:
        refuse_existing(files)
    write_files({path: file_bytes(path, page) for path in files}, force)
    return files


def numbers_json(numbers: Mapping[str, Any]) -> str:
    """Return the numbers as JSON."""
    about = {
        "software": "scarseg",
        "software_version": scarseg.__version__,
        "statement": RESEARCH_USE,
        **numbers,
    }
    return json.dumps(about, indent=1, allow_nan=False) + "\n"


def to_dict(value: Any) -> dict[str, Any]:
    """Return a dataclass as nested dictionaries, for JSON."""
    return asdict(value)


def file_bytes(path: Path, page: AgreementPage) -> bytes:
    """Return the bytes of one output file: HTML, PDF, JSON or CSV by its suffix."""
    ending = path.suffix.lower()
    if ending == ".json":
        return numbers_json(page.numbers).encode()
    if ending == ".csv":
        return render_csv(page.columns, page.rows)
    from scarseg.report import layout

    render = layout.document_pdf if ending == ".pdf" else layout.document_html
    return render(page.title, page.lead, page.blocks, page.foot)


def key_text(keys: Sequence[tuple[str, ...]]) -> list[str]:
    """Return keys as texts for a list."""
    return [" ".join(part for part in key if part) for key in keys]
