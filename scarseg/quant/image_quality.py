"""Grade an LGE image without a reference: noise, contrast, nulling of remote myocardium.

Everything is a ratio of signals of the same slice, so that grey scales with any offset and gain
(PSIR, exports to 8 bits) get the same grade.

The rule, for a slice and, on the medians of its slices, for a stack:

- contrast-to-noise of blood against remote myocardium. Good from 5 on, the contrast at which an
  object is seen without doubt (Rose 1948, doi:10.1364/JOSA.38.000196), poor below 3;
- nulling: where remote lies between the darkest tissue round the heart (0) and blood (1). Good
  up to 0.5, poor above 0.8: remote then looks like blood.

Good needs both good, poor needs one poor, all else is fair. Without blood pool or remote
myocardium there is no grade. The contrast of scar is reported, and not graded: patients
without scar must get the same grade as those with, and a grade must not depend on scar that a
model only proposed. Sequences that darken blood on purpose are graded poor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.stack import FloatArray
from scarseg.quant.components import window_around
from scarseg.quant.remote import MINIMUM_VOXELS, propose_remote

BORDER_MM = 2.0
"""Blood nearer to the wall is mixed with it."""
REACH_MM = 40.0
"""The darkest signal is taken from tissue within this distance of the left ventricle."""
DARK_PERCENTILE = 2.0
MAD_TO_SD = 1.4826


class Grade(StrEnum):
    """How far an image can be trusted to show scar."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


@dataclass(frozen=True)
class GradeRules:
    """Limits of the grades; see the module."""

    good_contrast: float = 5.0
    poor_contrast: float = 3.0
    good_nulling: float = 0.5
    poor_nulling: float = 0.8


RULES = GradeRules()


@dataclass(frozen=True)
class SliceQuality:
    """Signals of one slice in source units, their contrast in units of noise, and the grade.

    Args:
        noise_sd: robust SD of the blood pool about a plane.
        remote, blood, scar, dark: median signals; ``dark`` is the darkest tissue near the heart.
        blood_contrast: (blood - remote) / noise.
        scar_contrast: (scar - remote) / noise.
        scar_blood_contrast: (scar - blood) / noise.
        nulling: (remote - dark) / (blood - dark).
        grade: by the rule of the module.
    """

    noise_sd: float | None
    remote: float | None
    blood: float | None
    scar: float | None
    dark: float | None
    blood_contrast: float | None
    scar_contrast: float | None
    scar_blood_contrast: float | None
    nulling: float | None
    grade: Grade | None


@dataclass(frozen=True)
class StackQuality:
    """All slices, and the stack by the medians over those that could be graded."""

    slices: tuple[SliceQuality, ...]
    noise_sd: float | None
    blood_contrast: float | None
    scar_contrast: float | None
    nulling: float | None
    grade: Grade | None


def stack_quality(
    pixels: FloatArray,
    labels: LabelArray,
    pixel_spacing_mm: tuple[float, float],
    rules: GradeRules = RULES,
) -> StackQuality:
    """Grade a stack and each of its slices.

    Args:
        pixels: float32 (slice, row, column).
        labels: uint8 of the same shape; a reference or a proposal.
        pixel_spacing_mm: (row, column).
        rules: limits of the grades.
    """
    scar = infarct_mask(labels)
    remote = propose_remote(wall_mask(labels), pixel_spacing_mm, scar).mask
    slices = tuple(
        _slice_quality(pixels[k], labels[k], remote[k], pixel_spacing_mm, rules)
        for k in range(len(pixels))
    )
    graded = [one for one in slices if one.grade is not None]
    contrast = _median([one.blood_contrast for one in graded])
    nulling = _median([one.nulling for one in graded])
    return StackQuality(
        slices=slices,
        noise_sd=_median([one.noise_sd for one in graded]),
        blood_contrast=contrast,
        scar_contrast=_median([one.scar_contrast for one in graded]),
        nulling=nulling,
        grade=grade_of(contrast, nulling, rules),
    )


def slice_grade(
    pixels: FloatArray, labels: LabelArray, pixel_spacing_mm: tuple[float, float]
) -> Grade | None:
    """Return the grade of one slice (row, column) alone, as :func:`stack_quality` gives it."""
    return stack_quality(pixels[None], labels[None], pixel_spacing_mm).slices[0].grade


def grade_of(
    contrast: float | None, nulling: float | None, rules: GradeRules = RULES
) -> Grade | None:
    """Apply the rule of the module; None where either number is missing."""
    if contrast is None or nulling is None:
        return None
    if contrast < rules.poor_contrast or nulling > rules.poor_nulling:
        return Grade.POOR
    if contrast >= rules.good_contrast and nulling <= rules.good_nulling:
        return Grade.GOOD
    return Grade.FAIR


def _slice_quality(
    image: FloatArray,
    labels: LabelArray,
    remote: MaskArray,
    spacing: tuple[float, float],
    rules: GradeRules,
) -> SliceQuality:
    heart = np.asarray(labels != Label.BACKGROUND)
    if heart.any():  # nothing further from it counts, and distances cost by area
        near = window_around(heart, spacing, REACH_MM)
        image, labels, remote = image[near], labels[near], remote[near]
    pool = _eroded(labels == Label.BLOOD_POOL, spacing)
    noise = _noise_sd(image, pool)
    muscle = _median_signal(image, remote)
    blood = _median_signal(image, pool)
    scar = _median_signal(image, labels == Label.SCAR)
    dark = _darkest(image, labels != Label.BACKGROUND, spacing)
    blood_contrast = _contrast(blood, muscle, noise)
    nulling = None
    if muscle is not None and blood is not None and dark is not None and blood > dark:
        nulling = (muscle - dark) / (blood - dark)
    return SliceQuality(
        noise_sd=noise,
        remote=muscle,
        blood=blood,
        scar=scar,
        dark=dark,
        blood_contrast=blood_contrast,
        scar_contrast=_contrast(scar, muscle, noise),
        scar_blood_contrast=_contrast(scar, blood, noise),
        nulling=nulling,
        grade=grade_of(blood_contrast, nulling, rules),
    )


def _eroded(mask: MaskArray, spacing: tuple[float, float]) -> MaskArray:
    """Return the part of a mask deeper than ``BORDER_MM``."""
    if not mask.any():
        return mask
    box = window_around(mask, spacing)
    depth = ndimage.distance_transform_edt(np.pad(mask[box], 1), sampling=spacing)
    eroded = np.zeros_like(mask)
    eroded[box] = np.asarray(depth)[1:-1, 1:-1] > BORDER_MM
    return eroded


def _noise_sd(image: FloatArray, pool: MaskArray) -> float | None:
    """Measure noise as 1.4826 MAD of the blood pool about the plane that fits it best.

    The plane takes out the coil's unevenness; the median leaves papillary muscles out.
    """
    rows, columns = np.nonzero(pool)
    if rows.size < 2 * MINIMUM_VOXELS:
        return None
    values = image[pool].astype(np.float64)
    plane = np.column_stack((rows - rows.mean(), columns - columns.mean(), np.ones(rows.size)))
    rest: npt.NDArray[np.float64] = values - plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
    sd = MAD_TO_SD * float(np.median(np.abs(rest - np.median(rest))))
    return sd if sd > 0 else None


def _darkest(image: FloatArray, heart: MaskArray, spacing: tuple[float, float]) -> float | None:
    """Return the signal of the darkest tissue near the heart, padding left out."""
    if not heart.any():
        return None
    away = np.asarray(ndimage.distance_transform_edt(~heart, sampling=spacing))
    near = image[away <= REACH_MM]
    lowest = float(near.min())
    padding = near == lowest
    if padding.all():
        return None
    tissue = near[~padding] if padding.mean() > DARK_PERCENTILE / 100 else near
    return float(np.percentile(tissue.astype(np.float64), DARK_PERCENTILE))


def _median_signal(image: FloatArray, mask: MaskArray) -> float | None:
    values = image[mask].astype(np.float64)
    return float(np.median(values)) if values.size >= MINIMUM_VOXELS else None


def _contrast(bright: float | None, dim: float | None, noise: float | None) -> float | None:
    if bright is None or dim is None or noise is None:
        return None
    return (bright - dim) / noise


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
