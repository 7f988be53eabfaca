"""How many grams each threshold would give: what a number owes to where the line is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scarseg.labels import MaskArray
from scarseg.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.quant.mass import MM3_PER_ML, slice_depths_mm
from scarseg.stack import Stack


@dataclass(frozen=True, eq=False)
class MassCurve:
    """Grams above each threshold; ``thresholds`` rise, in source units, ``mass_g`` falls."""

    thresholds: npt.NDArray[np.float64]
    mass_g: npt.NDArray[np.float64]
    convention: MassConvention

    def mass_at(self, threshold: float) -> float:
        """Give the grams above a threshold, between the points of the curve by a straight line."""
        return float(np.interp(threshold, self.thresholds, self.mass_g))


def mass_curve(
    stack: Stack,
    wall: MaskArray,
    region: MaskArray | None = None,
    *,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    n_points: int = 101,
) -> MassCurve | None:
    """Weigh the wall above every threshold, the same on all slices.

    No island is dropped and no dark core added, so that the curve only falls.

    Args:
        stack: gives signals and lengths.
        wall: (slice, row, column).
        region: where scar may be, of the same shape; all of the wall without it.
        convention: the depth a slice stands for.
        density_g_per_ml: of myocardium.
        n_points: evenly from the lowest signal of the wall to the highest.

    Returns:
        None when there is no wall in the region.
    """
    area = wall if region is None else wall & region
    if not area.any():
        return None
    row_mm, column_mm = stack.pixel_spacing_mm
    depths = np.asarray(slice_depths_mm(stack, convention), dtype=np.float64)
    grams = density_g_per_ml / MM3_PER_ML * row_mm * column_mm * depths
    values = stack.pixels[area].astype(np.float64)
    order = np.argsort(values, kind="stable")
    values, weights = values[order], grams[np.nonzero(area)[0]][order]
    below = np.concatenate(([0.0], np.cumsum(weights)))
    thresholds = np.linspace(values[0], values[-1], n_points)
    reached = np.searchsorted(values, thresholds, side="right")
    mass = np.maximum(below[-1] - below[reached], 0.0)
    return MassCurve(thresholds, mass, convention)
