"""Rows of a table from a wall map: segments, territories, wall outside all of them, total."""

from __future__ import annotations

from dataclasses import asdict, fields

from scarseg.case.measurements import MassConvention
from scarseg.quant.segments import TissueAmount
from scarseg.quant.transmurality import Transmurality
from scarseg.quant.wall_map import WallMap

Cell = str | int | float | None

SEGMENT_COLUMNS = (
    "region",
    "region_name",
    "level",
    "territory",
    *(field.name for field in fields(TissueAmount)),
    "scar_percent",
    "transmurality_area_percent",
    "transmurality_area_largest_percent",
    "transmurality_ray_mean_percent",
    "transmurality_ray_maximum_percent",
    "scar_extent_percent",
    "transmurality_area_class",
    "transmurality_ray_class",
    "insertion_source",
)
"""One row per region; ``region`` is 1 to 17, LAD, RCA, LCX, ``outside`` or ``total``."""


def segment_rows(
    found: WallMap, convention: MassConvention = MassConvention.THICKNESS
) -> list[dict[str, Cell]]:
    """Return the rows, in that order; ``scar_percent`` follows ``convention``.

    ``insertion_source`` is ``reader`` where the insertion was given.
    """
    source = "reader" if found.source is None else str(found.source)
    rows: list[dict[str, Cell]] = []
    for (segment, amount), through in zip(
        found.measured.segments, found.transmurality, strict=True
    ):
        rows.append(
            {
                "region": str(segment.number),
                "region_name": segment.name,
                "level": str(segment.level),
                "territory": str(segment.territory),
                **_amount_cells(amount, convention),
                **_transmurality_cells(through),
            }
        )
    for artery, amount in found.measured.territories:
        rows.append(
            {"region": str(artery), "territory": str(artery), **_amount_cells(amount, convention)}
        )
    rows.append({"region": "outside", **_amount_cells(found.measured.outside, convention)})
    rows.append({"region": "total", **_amount_cells(found.measured.total, convention)})
    return [{**row, "insertion_source": source} for row in rows]


def _amount_cells(amount: TissueAmount, convention: MassConvention) -> dict[str, Cell]:
    return {**asdict(amount), "scar_percent": amount.scar_percent(convention)}


def _transmurality_cells(one: Transmurality) -> dict[str, Cell]:
    return {
        "transmurality_area_percent": one.area_percent,
        "transmurality_area_largest_percent": one.largest_area_percent,
        "transmurality_ray_mean_percent": one.ray_mean_percent,
        "transmurality_ray_maximum_percent": one.ray_maximum_percent,
        "scar_extent_percent": one.extent_percent,
        "transmurality_area_class": None if one.area_class is None else str(one.area_class),
        "transmurality_ray_class": None if one.ray_class is None else str(one.ray_class),
    }
