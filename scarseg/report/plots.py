"""Plots of two readings: Bland-Altman, scatter, bars per patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from scarseg.quant.agreement import bland_altman, concordance

Values = npt.NDArray[np.float64]

DOT, LINE, OTHER = "#0072b2", "#d55e00", "#999999"
"""From the palette of Okabe and Ito, safe for colour-blind readers."""
MAX_BARS = 60


def agreement_figure(
    a: Values, b: Values, names: tuple[str, str], quantity: str, unit: str
) -> Figure:
    """Return Bland-Altman beside the scatter; ``a`` and ``b`` are paired by position."""
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_bland_altman(left, a, b, quantity, unit)
    draw_scatter(right, a, b, names, quantity, unit)
    return figure


def bars_figure(
    a: Values, b: Values, labels: Sequence[str], names: tuple[str, str], quantity: str, unit: str
) -> Figure:
    """Return bars of both values of every patient, largest difference first; at most 60 of them."""
    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    draw_bars(figure, a, b, labels, names, quantity, unit)
    return figure


def draw_bland_altman(panel: Axes, a: Values, b: Values, quantity: str, unit: str) -> None:
    """Draw differences against means, with bias, limits of agreement and their 95 % intervals."""
    found = bland_altman(a, b)
    panel.axhline(0, color="black", linewidth=0.5)
    lines = (
        (found.bias, found.bias_ci, "-", "bias"),
        (found.upper_limit, found.upper_limit_ci, "--", "+1.96 SD"),
        (found.lower_limit, found.lower_limit_ci, "--", "-1.96 SD"),
    )
    for value, interval, style, what in lines:
        if value is None:
            continue
        if interval is not None:
            panel.axhspan(interval.low, interval.high, color=LINE, alpha=0.12, linewidth=0)
        panel.axhline(value, color=LINE, linewidth=1.2, linestyle=style)
        panel.annotate(
            f"{what}\n{value:+.2f}",
            (1.01, value),
            xycoords=("axes fraction", "data"),
            ha="left",
            va="center",
            fontsize=7,
            color="#8a3c00",
        )
    panel.scatter((a + b) / 2, a - b, s=18, color=DOT, zorder=3, clip_on=False)
    panel.margins(x=0.08, y=0.12)
    panel.set_title("Bland-Altman", fontsize=9, loc="left")
    panel.set_xlabel(_axis("mean of A and B", quantity, unit), fontsize=8)
    panel.set_ylabel(_axis("A - B", quantity, unit), fontsize=8)
    _style_axes(panel)


def draw_scatter(
    panel: Axes, a: Values, b: Values, names: tuple[str, str], quantity: str, unit: str
) -> None:
    """Draw ``a`` against ``b`` with the line of identity."""
    low, high = float(min(a.min(), b.min(), 0.0)), float(max(a.max(), b.max()))
    margin = 0.05 * (high - low or 1.0)
    panel.axline((0, 0), slope=1, color="black", linewidth=0.7)
    panel.scatter(b, a, s=18, color=DOT, zorder=3, clip_on=False)
    panel.set_xlim(low - (margin if low < 0 else 0), high + margin)
    panel.set_ylim(low - (margin if low < 0 else 0), high + margin)
    panel.set_aspect("equal")
    agreed = concordance(a, b)
    if agreed is not None:
        text = f"CCC {agreed.ccc:.3f}"
        panel.annotate(text, (0.04, 0.93), xycoords="axes fraction", fontsize=8)
    panel.set_title("Scatter with identity", fontsize=9, loc="left")
    panel.set_xlabel(_axis(f"B: {names[1]}", quantity, unit), fontsize=8)
    panel.set_ylabel(_axis(f"A: {names[0]}", quantity, unit), fontsize=8)
    _style_axes(panel)


def draw_bars(
    figure: Figure | SubFigure,
    a: Values,
    b: Values,
    labels: Sequence[str],
    names: tuple[str, str],
    quantity: str,
    unit: str,
) -> None:
    """Draw a bar of ``a`` and of ``b`` for each patient, largest difference first."""
    order = np.argsort(-np.abs(a - b), kind="stable")[:MAX_BARS]
    places = np.arange(len(order))
    panel = figure.subplots()
    panel.bar(places - 0.2, a[order], 0.4, color=DOT, label=_escape(f"A: {names[0]}"))
    panel.bar(places + 0.2, b[order], 0.4, color=OTHER, label=_escape(f"B: {names[1]}"))
    panel.set_xticks(places)
    shown = [_escape(_short(labels[k])) for k in order]
    panel.set_xticklabels(shown, fontsize=6, rotation=90 if len(order) > 8 else 0)
    panel.set_xlim(-0.8, max(len(order), 6) - 0.2)
    cut = f" ({MAX_BARS} of {len(a)})" if len(a) > MAX_BARS else ""
    panel.set_title(f"Every patient, largest difference first{cut}", fontsize=9, loc="left")
    panel.set_ylabel(f"{quantity}, {unit}" if unit else quantity, fontsize=8)
    panel.legend(fontsize=7, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    _style_axes(panel, grid="y")


def _axis(what: str, quantity: str, unit: str) -> str:
    return _escape(f"{what} ({quantity}, {unit})" if unit else f"{what} ({quantity})")


def _escape(text: str) -> str:
    """Escape ``$``: matplotlib would read a file name with it as mathematics."""
    return text.replace("$", r"\$")


def _short(label: str) -> str:
    return label if len(label) <= 12 else f"…{label[-10:]}"


def _style_axes(panel: Axes, grid: str | None = None) -> None:
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)
    if grid == "y":
        panel.tick_params(axis="x", labelsize=6, length=0)
        panel.grid(axis="y", linewidth=0.3)
        panel.set_axisbelow(True)
