"""Signal histogram of the wall, with the thresholds of the usual methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.stack import FloatArray
from scarseg.quant.remote import RemoteRegion, propose_remote
from scarseg.quant.thresholds import RULES, Scope, ThresholdMethod, ThresholdRules, threshold_levels

N_BINS = 40
RANGE_PERCENTILES = (0.1, 99.9)
MARKED = (ThresholdMethod.SD_2, ThresholdMethod.SD_5, ThresholdMethod.FWHM_REMOTE)
"""The methods whose thresholds are marked."""
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WallHistogram:
    """Voxels by signal, one count per bin.

    Args:
        edges: of the bins, in source units, one more than bins; values beyond them count in the
            first or the last bin.
        wall: voxels of the wall without infarct; ``scar``, ``mvo``, ``pool``: those of each.
        remote_mean: of the proposed remote region, None without one.
        thresholds: by method, where one applies; with several slices, of the stack.
    """

    edges: npt.NDArray[np.float64]
    wall: Counts
    scar: Counts
    mvo: Counts
    pool: Counts
    remote_mean: float | None
    thresholds: dict[ThresholdMethod, float]

    @property
    def n_wall(self) -> int:
        """Number of voxels of the whole wall."""
        return int(self.wall.sum() + self.scar.sum() + self.mvo.sum())

    def above(self, value: float) -> float | None:
        """Return the share of the wall in bins above a value, None without a wall."""
        high = self.edges[:-1] >= value
        whole = self.wall + self.scar + self.mvo
        return float(whole[high].sum() / whole.sum()) if whole.any() else None


def signal_range(pixels: FloatArray, labels: LabelArray) -> tuple[float, float]:
    """Return the range of signal of wall and blood pool, without the outermost thousandth.

    Any shape; of all pixels where nothing is labelled.
    """
    inside = pixels[labels > Label.BACKGROUND]
    low, high = np.percentile(inside if inside.size else pixels, RANGE_PERCENTILES)
    return float(low), max(float(high), float(low) + 1e-3)


def wall_histogram(
    pixels: FloatArray,
    labels: LabelArray,
    pixel_spacing_mm: tuple[float, float],
    span: tuple[float, float],
    region: MaskArray | None = None,
    remote: RemoteRegion | None = None,
) -> WallHistogram:
    """Count the voxels of wall and blood pool by their signal.

    Args:
        pixels, labels: (slice, row, column).
        pixel_spacing_mm: (row, column).
        span: lowest and highest edge, in source units.
        region: where scar may be (the boxes of a reader), of the same shape: the half maximum
            is that of the wall in it; all of the wall without one.
        remote: remote region; proposed without it.
    """
    edges = np.linspace(*span, N_BINS + 1)
    wall, infarct = wall_mask(labels), infarct_mask(labels)
    if remote is None:
        remote = propose_remote(wall, pixel_spacing_mm, infarct)
    area = wall if region is None or not (wall & region).any() else wall & region
    rules = RULES if len(labels) == 1 else ThresholdRules(scope=Scope.STACK)
    thresholds = {}
    for method in MARKED:
        found = threshold_levels(method, pixels, wall, area, remote, rules)
        known = [level for level in found if level is not None]
        if known:
            thresholds[method] = known[0]
    signal = remote.stack_signal(pixels)
    return WallHistogram(
        edges,
        wall=_counts(pixels[labels == Label.MYOCARDIUM], edges),
        scar=_counts(pixels[labels == Label.SCAR], edges),
        mvo=_counts(pixels[labels == Label.MVO], edges),
        pool=_counts(pixels[labels == Label.BLOOD_POOL], edges),
        remote_mean=None if signal is None else signal.mean,
        thresholds=thresholds,
    )


def _counts(values: FloatArray, edges: npt.NDArray[np.float64]) -> Counts:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
    return counts.astype(np.int64)
