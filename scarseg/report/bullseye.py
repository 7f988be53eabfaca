"""Bull's-eye plot of the 17 AHA segments: base outside, apex in the middle.

The five classes of transmurality are shades of one hue that only darken, so that their order is
kept for colour-blind readers and in a grey print; every segment shows its number as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Wedge

from scarseg.quant import bullseye_layout
from scarseg.quant.bullseye_layout import (
    ChangeClass,
    change_class,
    sector_degrees,
    signed_grams,
    whole_percent,
)
from scarseg.quant.segments import SEGMENTS, Segment, Territory
from scarseg.quant.transmurality import TransmuralityClass, transmurality_class

COLOURS = {
    TransmuralityClass.NONE: "#f5f5f5",
    TransmuralityClass.TO_25: "#fde0c0",
    TransmuralityClass.TO_50: "#fdae6b",
    TransmuralityClass.TO_75: "#e6550d",
    TransmuralityClass.TO_100: "#7f2704",
}
CHANGE_COLOURS = {
    ChangeClass.LESS: "#2b7bba",
    ChangeClass.WITHIN: "#f5f5f5",
    ChangeClass.MORE: "#e6550d",
    ChangeClass.UNKNOWN: "#f5f5f5",
}
UNSEEN = "#ffffff"
_DARK = (TransmuralityClass.TO_75, TransmuralityClass.TO_100)
_ARTERY_AT = {Territory.LAD: 130, Territory.RCA: 225, Territory.LCX: 330}
_EDGE, _BORDER = "#555555", "#000000"


def bullseye_figure(
    percents: Mapping[int, float | None],
    title: str = "Scar, % of each segment",
    territories: Mapping[Territory, float | None] | None = None,
) -> Figure:
    """Return a bull's eye as a figure of its own.

    Args:
        percents: 0 to 100 by segment number; None or missing is drawn as "not seen".
        title: the title of the plot.
        territories: percents of the coronary territories, written beside their names.
    """
    figure = Figure(figsize=(4.6, 5.0), layout="constrained")
    draw_bullseye(figure.subplots(), percents, title, territories)
    return figure


def draw_bullseye(
    panel: Axes,
    percents: Mapping[int, float | None],
    title: str = "",
    territories: Mapping[Territory, float | None] | None = None,
    *,
    scale: float = 1.0,
    legend_columns: int = 6,
) -> None:
    """Draw a bull's eye into ``panel``; see :func:`bullseye_figure`.

    Args:
        scale: factor of all letters and lines, for a smaller picture.
        legend_columns: columns of the legend below.
    """
    for segment in SEGMENTS:
        percent = percents.get(segment.number)
        kind = None if percent is None else transmurality_class(percent)
        text = "" if percent is None else whole_percent(percent)
        colour = None if kind is None else COLOURS[kind]
        _draw_segment(panel, segment, colour, text, kind in _DARK, scale)
    names = {
        artery: f"{artery}\n{whole_percent(percent)} %"
        for artery, percent in (territories or {}).items()
        if percent is not None
    }
    _draw_frame(panel, names, title, scale)
    patches = [
        Patch(facecolor=colour, edgecolor=_EDGE, label=f"{name} %".replace(" to ", "–"))
        for name, colour in COLOURS.items()
    ]
    _draw_legend(panel, patches, scale, legend_columns)


def draw_changes(
    panel: Axes,
    changes: Mapping[int, tuple[float, bool | None]],
    title: str = "",
    territories: Mapping[Territory, tuple[float, bool | None]] | None = None,
    *,
    scale: float = 1.0,
    legend_columns: int = 4,
) -> None:
    """Draw the change of every segment between two studies in grams.

    A colour says that the change is beyond the program's repeatability.

    Args:
        changes: grams, and whether they are beyond repeatability, by segment number; a missing
            segment is drawn as "not seen".
        territories: the same of the coronary territories.
        scale: factor of all letters and lines.
        legend_columns: columns of the legend below.
    """
    for segment in SEGMENTS:
        found = changes.get(segment.number)
        kind = None if found is None else change_class(*found)
        text = "" if found is None else signed_grams(found[0])
        colour = None if kind is None else CHANGE_COLOURS[kind]
        dark = kind in (ChangeClass.LESS, ChangeClass.MORE)
        _draw_segment(panel, segment, colour, text, dark, scale)
    names = {
        artery: f"{artery}\n{signed_grams(grams)} g"
        for artery, (grams, _) in (territories or {}).items()
    }
    _draw_frame(panel, names, title, scale)
    classes = dict.fromkeys(change_class(*found) for found in changes.values())
    patches = [
        Patch(facecolor=CHANGE_COLOURS[kind], edgecolor=_EDGE, label=str(kind))
        for kind in ChangeClass
        if kind in classes
    ]
    _draw_legend(panel, patches, scale, legend_columns)


def _draw_frame(panel: Axes, names: Mapping[Territory, str], title: str, scale: float) -> None:
    for line in bullseye_layout.territory_borders():
        across, up = zip(*line, strict=True)
        panel.plot(across, up, color=_BORDER, linewidth=2.2 * scale)
    for name, angle in bullseye_layout.WALL_NAMES:
        turn = {180.0: 90, 0.0: -90}.get(angle, 0)
        at = bullseye_layout.polar_point(1.07, angle)
        panel.text(*at, name, ha="center", va="center", fontsize=8 * scale, rotation=turn)
    for artery, angle in _ARTERY_AT.items():
        panel.text(
            *bullseye_layout.polar_point(1.2, angle),
            names.get(artery, str(artery)),
            ha="center",
            va="center",
            fontsize=8.5 * scale,
            weight="bold",
        )
    panel.set_xlim(-1.24, 1.24)
    panel.set_ylim(-1.16, 1.16)
    panel.set_aspect("equal")
    panel.set_axis_off()
    if title:
        panel.set_title(title, fontsize=10 * scale)


def _draw_legend(panel: Axes, patches: list[Patch], scale: float, columns: int) -> None:
    panel.legend(
        handles=[
            *patches,
            Patch(facecolor=UNSEEN, edgecolor=_EDGE, hatch="////", label="not seen"),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=columns,
        fontsize=max(5.5, 7 * scale),
        frameon=False,
        handlelength=1.2,
        columnspacing=0.9,
        handletextpad=0.4,
    )


def _draw_segment(
    panel: Axes, segment: Segment, colour: str | None, text: str, dark: bool, scale: float
) -> None:
    """Draw a segment with its text; without a colour it was not seen."""
    inner, outer = bullseye_layout.RADII[segment.level]
    start, end = sector_degrees(segment)
    wedge = Wedge(
        (0, 0),
        outer,
        start,
        end,
        width=outer - inner,
        facecolor=colour or UNSEEN,
        edgecolor="#aaaaaa" if colour is None else _EDGE,
        linewidth=0.8 * scale,
        hatch="////" if colour is None else None,
    )
    panel.add_patch(wedge)
    x, y = bullseye_layout.segment_centre(segment)
    text_colour = "white" if dark else "black"
    if colour is None:
        panel.text(
            x, y, str(segment.number), ha="center", va="center", color="#666666",
            fontsize=7 * scale,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
        return
    big, small = (11 if len(text) < 4 else 9.5) * scale, max(4.5, 6 * scale)
    panel.text(
        x,
        y - 0.02,
        text,
        ha="center",
        va="bottom",
        fontsize=big,
        color=text_colour,
    )
    panel.text(
        x, y - 0.045, str(segment.number), ha="center", va="top", fontsize=small, color=text_colour
    )
