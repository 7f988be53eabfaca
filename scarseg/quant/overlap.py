"""Compare two masks of the same image: overlap, surface distances, volume.

Surface. The surface of a mask is its own voxels that miss at least one neighbour across a face
(4 in a slice, 6 in a volume); beyond the image there is background. Distances run between voxel
centres, in mm. That is the surface of MedPy and MONAI; DeepMind's surface-distance weighs
surface elements by their area instead, and differs by a fraction of a voxel.

Symmetry. The Hausdorff distance of a percentile is the larger of the two directed percentiles,
as in MONAI, DeepMind's library and Metrics Reloaded; MedPy pools both directions before it takes
the percentile, which hides a small mask far from a large one.

Emptiness. What a mask without voxels leaves undefined is None, never 0 and never 1: empty
against empty is to be counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from scarseg.case.labels import MaskArray

Distances = npt.NDArray[np.float64]

MM3_PER_ML = 1000.0


@dataclass(frozen=True)
class Overlap:
    """Overlap and distances of two masks; ``found`` is compared against ``reference``.

    ``volume_difference_ml`` is found minus reference; of 2-D masks there is none.
    """

    n_found_voxels: int
    n_reference_voxels: int
    dice: float | None
    jaccard: float | None
    precision: float | None
    recall: float | None
    volume_difference_ml: float | None
    hausdorff_mm: float | None
    hd95_mm: float | None
    mean_surface_distance_mm: float | None

    @property
    def both_empty(self) -> bool:
        return self.n_found_voxels == 0 and self.n_reference_voxels == 0


def compare_masks(found: MaskArray, reference: MaskArray, spacing_mm: Sequence[float]) -> Overlap:
    """Compute every figure of this module for two masks, measuring the surfaces once.

    Args:
        found, reference: boolean, (row, column) or (slice, row, column).
        spacing_mm: one length per axis, in the order of the axes.
    """
    distances = surface_distances_mm(found, reference, spacing_mm)
    return Overlap(
        n_found_voxels=int(np.count_nonzero(found)),
        n_reference_voxels=int(np.count_nonzero(reference)),
        dice=dice(found, reference),
        jaccard=jaccard(found, reference),
        precision=precision(found, reference),
        recall=recall(found, reference),
        volume_difference_ml=(
            volume_difference_ml(found, reference, spacing_mm) if found.ndim == 3 else None
        ),
        hausdorff_mm=_larger_percentile(distances, 100.0),
        hd95_mm=_larger_percentile(distances, 95.0),
        mean_surface_distance_mm=_pooled_mean(distances),
    )


def dice(a: MaskArray, b: MaskArray) -> float | None:
    """Compute 2 |A and B| / (|A| + |B|), any shape; None when both are empty."""
    _same_shape(a, b)
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return None if total == 0 else 2 * int(np.count_nonzero(a & b)) / total


def jaccard(a: MaskArray, b: MaskArray) -> float | None:
    """Compute |A and B| / |A or B|, any shape; None when both are empty."""
    _same_shape(a, b)
    union = int(np.count_nonzero(a | b))
    return None if union == 0 else int(np.count_nonzero(a & b)) / union


def precision(found: MaskArray, reference: MaskArray) -> float | None:
    """Compute the share of found voxels that are right; None when nothing was found."""
    _same_shape(found, reference)
    total = int(np.count_nonzero(found))
    return None if total == 0 else int(np.count_nonzero(found & reference)) / total


def recall(found: MaskArray, reference: MaskArray) -> float | None:
    """Compute the share of the reference's voxels that were found; None when it has none."""
    return precision(reference, found)


def volume_difference_ml(
    found: MaskArray, reference: MaskArray, spacing_mm: Sequence[float]
) -> float:
    """Compute the volume of found minus reference in ml; masks (slice, row, column)."""
    _same_shape(found, reference)
    if found.ndim != 3 or len(spacing_mm) != 3:
        raise ValueError("a volume has three axes, each with its spacing")
    more = int(np.count_nonzero(found)) - int(np.count_nonzero(reference))
    return more * prod(spacing_mm) / MM3_PER_ML


def hausdorff_mm(
    a: MaskArray, b: MaskArray, spacing_mm: Sequence[float], percentile: float = 100.0
) -> float | None:
    """Compute the Hausdorff distance of two masks in mm; with 95 as percentile, HD95.

    Args:
        a, b: boolean, (row, column) or (slice, row, column).
        spacing_mm: one length per axis, in the order of the axes.
        percentile: of the distances of each surface to the other; the larger one counts.

    Returns:
        None when either mask is empty.
    """
    return _larger_percentile(surface_distances_mm(a, b, spacing_mm), percentile)


def slice_hausdorff_mm(
    a: MaskArray,
    b: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    percentile: float = 100.0,
) -> tuple[float | None, ...]:
    """Compute the in-plane Hausdorff distance of every slice; masks (slice, row, column).

    A slice where either mask is empty has None.
    """
    _same_shape(a, b)
    return tuple(
        hausdorff_mm(one, other, pixel_spacing_mm, percentile)
        for one, other in zip(a, b, strict=True)
    )


def slice_dice(a: MaskArray, b: MaskArray) -> tuple[float | None, ...]:
    """Compute the Dice of every slice, None where both masks are empty; (slice, row, column)."""
    _same_shape(a, b)
    return tuple(dice(one, other) for one, other in zip(a, b, strict=True))


def surface_distances_mm(
    a: MaskArray, b: MaskArray, spacing_mm: Sequence[float]
) -> tuple[Distances, Distances] | None:
    """Measure from every surface voxel of one mask to the nearest of the other, in mm.

    Returns:
        (from a to b, from b to a); None when either mask is empty.
    """
    _same_shape(a, b)
    if len(spacing_mm) != a.ndim or not all(np.isfinite(v) and v > 0 for v in spacing_mm):
        raise ValueError(f"spacing {tuple(spacing_mm)} does not fit masks of {a.ndim} axes")
    if not a.any() or not b.any():
        return None
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    rims = surface_voxels(a), surface_voxels(b)
    # Counted from the first, so that rounding is the same wherever the masks lie.
    here, there = ((rim - rims[0][0]) * spacing for rim in rims)
    forth = np.asarray(KDTree(there).query(here)[0], dtype=np.float64)
    back = np.asarray(KDTree(here).query(there)[0], dtype=np.float64)
    return forth, back


def surface_voxels(mask: MaskArray) -> npt.NDArray[np.int64]:
    """Return the indices (voxel, axis) of the surface voxels of a mask, as defined above."""
    if not mask.any():
        return np.zeros((0, mask.ndim), dtype=np.int64)
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    inner = mask[box]
    surface = inner & ~ndimage.binary_erosion(inner)
    corner = np.array([side.start for side in box], dtype=np.int64)
    return np.argwhere(surface).astype(np.int64) + corner


def _larger_percentile(
    distances: tuple[Distances, Distances] | None, percentile: float
) -> float | None:
    if distances is None:
        return None
    return max(float(np.percentile(one, percentile)) for one in distances)


def _pooled_mean(distances: tuple[Distances, Distances] | None) -> float | None:
    return None if distances is None else float(np.concatenate(distances).mean())


def _same_shape(a: MaskArray, b: MaskArray) -> None:
    if a.shape != b.shape:
        raise ValueError(f"masks of different shapes: {a.shape} and {b.shape}")
    if a.dtype != np.bool_ or b.dtype != np.bool_:
        raise ValueError("masks are boolean")
