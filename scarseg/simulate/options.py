"""What a caller may fix of a simulated examination; everything else is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scarseg.stack import Sequence


class Territory(StrEnum):
    """Coronary territory a scar component belongs to."""

    LAD = "LAD"
    RCA = "RCA"
    LCX = "LCX"


@dataclass(frozen=True)
class SimulationOptions:
    """Fix parts of a simulated stack; None means drawn from the seed.

    Fixing one value does not change what is drawn for the others: the same seed with another
    ``sequence`` shows the same heart.

    Args:
        scar: True, False, or None for scar in about two patients of three.
        territories: territories of the scar components, in order; implies scar.
        mvo: force or forbid microvascular obstruction.
        sequence: magnitude or PSIR.
        n_slices: 1 or more.
        rows, columns: matrix.
        pixel_spacing_mm: (row, column).
        slice_thickness_mm, slice_gap_mm: thickness, and empty distance between slices.
        noise: standard deviation of the noise as a share of the blood signal.
        inversion_error: TI over the nulling TI of remote myocardium, minus 1.
        beyond_heart: whether slices above the base or below the apex may appear.
    """

    scar: bool | None = None
    territories: tuple[Territory, ...] | None = None
    mvo: bool | None = None
    sequence: Sequence | None = None
    n_slices: int | None = None
    rows: int | None = None
    columns: int | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    slice_thickness_mm: float | None = None
    slice_gap_mm: float | None = None
    noise: float | None = None
    inversion_error: float | None = None
    beyond_heart: bool = True
