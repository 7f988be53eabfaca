"""Training crops for the detector: drawn, augmented, and stacked to batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from scarseg.case.stack import FloatArray
from scarseg.models.detector_crop import (
    DETECTOR_CROP_PIXELS,
    FAR_MM_PER_PIXEL,
    NEAR_MM_PER_PIXEL,
    DetectorCrop,
    crop_image,
    resample,
)
from scarseg.models.detector_network import CLASSES
from scarseg.training.augmentation import paint_scar, to_lge_contrast
from scarseg.training.detector.data import LabelledSlice, box_around, scar_parts, true_boxes

WHOLE_SLICE_SHARE = 0.12
"""Share of crops of the whole slice; the others are close-ups of the heart.

Of the whole slice only the heart's box is learned, which is easy; scars are learned from close-ups
alone, and small ones were what the detector missed at a share of 0.3."""
TARGET_SCALE = 0.5
"""Pixels of the mask targets per crop pixel."""


@dataclass(frozen=True, eq=False)
class DetectorSample:
    """One training example.

    ``image`` float32 (row, column) 0 to 1; ``boxes`` (n, 4) in crop pixels with ``classes``
    (n,); ``masks`` (3, row, column) bool at half the resolution: pool, wall, scar;
    ``scar_known`` is False where nothing may be learned about scar.
    """

    image: FloatArray
    boxes: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    masks: npt.NDArray[np.bool_]
    scar_known: bool


def random_transform(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw a rotation, mirror, change of size and of aspect as a (2, 2) matrix."""
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.normal(0, 0.15)
    cosine, sine = np.cos(angle), np.sin(angle)
    mirror = np.diag(rng.choice((-1.0, 1.0), 2))
    size = np.exp(rng.uniform(-0.22, 0.22))
    aspect = np.exp(rng.uniform(-0.09, 0.09))
    return (
        np.array([[cosine, -sine], [sine, cosine]])
        @ mirror
        @ np.diag([size * aspect, size / aspect])
    )


def whole_slice_crop(labelled: LabelledSlice, rng: np.random.Generator) -> DetectorCrop:
    """Draw a crop of the whole slice with the heart anywhere in it."""
    rows, columns = labelled.labels.shape
    turn = random_transform(rng)
    heart = labelled.heart_centre or (columns / 2, rows / 2)
    crop = DetectorCrop.around(heart, labelled.pixel_spacing_mm, FAR_MM_PER_PIXEL, turn=turn)
    shift = rng.uniform(-0.36, 0.36, 2) * DETECTOR_CROP_PIXELS
    if rng.random() < 0.5:
        shift *= 0.4
    middle = crop.to_source(
        np.array([[DETECTOR_CROP_PIXELS / 2, DETECTOR_CROP_PIXELS / 2]]) + shift
    )[0]
    centre = (float(middle[0]), float(middle[1]))
    return DetectorCrop.around(centre, labelled.pixel_spacing_mm, FAR_MM_PER_PIXEL, turn=turn)


def heart_crop(labelled: LabelledSlice, rng: np.random.Generator) -> DetectorCrop:
    """Draw a close-up of the heart, off by as much as the first pass errs, sometimes elsewhere."""
    rows, columns = labelled.labels.shape
    heart = labelled.heart_centre or (rng.uniform(0, columns), rng.uniform(0, rows))
    off_mm = rng.normal(0, 5, 2) if rng.random() < 0.8 else rng.uniform(-25, 25, 2)
    if rng.random() < 0.07:
        direction, distance = rng.uniform(0, 2 * np.pi), rng.uniform(50, 130)
        off_mm = distance * np.array([np.cos(direction), np.sin(direction)])
    spacing_row, spacing_column = labelled.pixel_spacing_mm
    centre = (heart[0] + off_mm[0] / spacing_column, heart[1] + off_mm[1] / spacing_row)
    mm = NEAR_MM_PER_PIXEL
    return DetectorCrop.around(centre, labelled.pixel_spacing_mm, mm, turn=random_transform(rng))


def cut_margins(labelled: LabelledSlice, rng: np.random.Generator) -> LabelledSlice:
    """Cut random margins off a slice, never nearer than 12 mm to the heart."""
    rows, columns = np.nonzero(labelled.heart)
    if rows.size == 0:
        return labelled
    cuts = []
    for axis, place in ((0, rows), (1, columns)):
        margin = int(np.ceil(12 / labelled.pixel_spacing_mm[axis]))
        low = max(0, int(place.min()) - margin)
        high = min(labelled.labels.shape[axis], int(place.max()) + 1 + margin)
        start = int(low * rng.uniform(0, 1) ** 2)
        stop = labelled.labels.shape[axis] - int(
            (labelled.labels.shape[axis] - high) * rng.random() ** 2
        )
        cuts.append(slice(start, stop))
    rows_kept, columns_kept = cuts
    return LabelledSlice(
        labelled.patient,
        labelled.index,
        labelled.pixels[rows_kept, columns_kept],
        labelled.labels[rows_kept, columns_kept],
        labelled.pixel_spacing_mm,
        labelled.kind,
    )


def vary_slice_appearance(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Vary gamma, bias field, blur and noise of an image (row, column) in about 0 to 1."""
    out = np.clip(image, 0, 1.5)
    if rng.random() < 0.7:
        out = out ** np.exp(rng.uniform(-0.5, 0.5))
    if rng.random() < 0.5:
        out = out * np.exp(_smooth_field(image.shape, rng) * rng.uniform(0.05, 0.25))
    if rng.random() < 0.3:
        out = ndimage.gaussian_filter(out, rng.uniform(0.3, 1.2), truncate=2)
    if rng.random() < 0.5:
        level = rng.uniform(0.005, 0.05)
        noise = rng.standard_normal((2, *out.shape), dtype=np.float32) * level
        out = np.hypot(out + noise[0], noise[1]) if rng.random() < 0.5 else out + noise[0]
    return np.asarray(out, dtype=np.float32)


def _smooth_field(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Draw a slowly varying field (row, column) of about unit size."""
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    a, b, c, d, e = rng.normal(0, 1, 5).astype(np.float32)
    field = a * rows + b * columns + c * rows * columns + d * rows**2 + e * columns**2
    return np.asarray(field - field.mean(), dtype=np.float32)


def make_sample(labelled: LabelledSlice, rng: np.random.Generator, far: bool) -> DetectorSample:
    """Draw one training example from a slice."""
    if rng.random() < 0.4:
        labelled = cut_margins(labelled, rng)
    crop = whole_slice_crop(labelled, rng) if far else heart_crop(labelled, rng)
    boxes, classes = true_boxes(labelled, crop)
    labels = resample(np.where(_outside_zero(labelled, crop), labelled.labels, 0), crop, order=0)
    painted: list[npt.NDArray[np.bool_]] = []

    def distort(seen: FloatArray) -> FloatArray:
        low, high = np.percentile(seen, (0.5, 99.5))
        scaled = (seen - low) / max(float(high - low), 1e-6)
        changed, scar = _repaint(scaled.astype(np.float32), labels, labelled.kind, far, rng)
        if scar is not None:
            painted.append(scar)
        return vary_slice_appearance(changed, rng)

    image = crop_image(labelled.pixels, crop, distort)
    masks = np.stack([labels == 1, (labels >= 2) & (labels <= 4), (labels == 3) | (labels == 4)])
    scar_known = not far and labelled.kind != "cine"
    if painted:
        masks[2] = painted[0]
        scar_known = not far
        boxes, classes = _with_painted(boxes, classes, painted[0], crop, labelled)
    if not scar_known:
        boxes, classes = boxes[classes == 1], classes[classes == 1]
    step = round(1 / TARGET_SCALE)
    return DetectorSample(image, boxes, classes, masks[:, ::step, ::step], scar_known)


def _outside_zero(labelled: LabelledSlice, crop: DetectorCrop) -> npt.NDArray[np.bool_]:
    """Return which labels may be repeated beyond the border: none of the outermost pixels."""
    kept = np.zeros(labelled.labels.shape, dtype=bool)
    kept[1:-1, 1:-1] = True
    return kept


def _repaint(
    image: FloatArray,
    labels: npt.NDArray[np.uint8],
    kind: str,
    far: bool,
    rng: np.random.Generator,
) -> tuple[FloatArray, npt.NDArray[np.bool_] | None]:
    """Turn cine into LGE contrast; now and then paint scar into a wall that has none."""
    pool, wall = labels == 1, (labels >= 2) & (labels <= 4)
    scar = labels >= 3
    if kind == "cine":
        kinds = np.stack([pool, wall, np.zeros_like(wall), labels == 5]).astype(np.float32)
        weights = ndimage.gaussian_filter(kinds, (0, 0.7, 0.7), truncate=2)
        image = to_lge_contrast(image, weights, rng)
    share = {"cine": 0.6, "lge": 0.15}.get(kind, 0.0)
    if far or (kind != "cine" and scar.any()) or rng.random() >= share:
        return image, None
    if pool.sum() < 30 or wall.sum() < 60:
        return image, None
    return paint_scar(image, pool, wall, rng)


def _with_painted(
    boxes: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
    scar: npt.NDArray[np.bool_],
    crop: DetectorCrop,
    labelled: LabelledSlice,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Replace the scar boxes by those of a mask painted on the crop (row, column)."""
    spacing = np.diag(labelled.pixel_spacing_mm[::-1])
    area_mm2 = abs(np.linalg.det(spacing @ crop.matrix[:, :2]))
    edge = float(np.sqrt(area_mm2))
    parts = scar_parts(scar.astype(np.uint8) * np.uint8(3), (edge, edge))
    drawn = np.array([box_around(p) for p in parts], dtype=np.float32).reshape(-1, 4)
    kept = classes == 1
    return (
        np.concatenate([boxes[kept], drawn]),
        np.concatenate([classes[kept], np.zeros(len(drawn), dtype=np.int64)]),
    )


SHARES = {"scar": 0.42, "free": 0.2, "cine": 0.2, "simulated": 0.18}
"""How often a slice is drawn from each group; an absent group's share goes to the others."""
SMALL_SCARS = ((200.0, 3.0), (500.0, 2.0))
"""Slices whose smallest scar box is below so many mm2 are drawn so many times as often: small
scars are rare, and most of those that a detector misses are small."""


class Sampler:
    """Draw batches of random crops, group by group.

    Args:
        slices: to learn from.
        batch: crops of a batch; seed: the same gives the same batches.
    """

    def __init__(self, slices: Sequence[LabelledSlice], batch: int, seed: int) -> None:
        groups: dict[str, list[LabelledSlice]] = {name: [] for name in SHARES}
        for labelled in slices:
            scar = "scar" if (labelled.labels >= 3).any() else "free"
            groups[scar if labelled.kind == "lge" else labelled.kind].append(labelled)
        self._groups = [g for g in groups.values() if g]
        self._probabilities = [slice_probabilities(g) for g in self._groups]
        shares = np.array([SHARES[name] for name, g in groups.items() if g])
        self._shares = shares / shares.sum()
        self._batch = batch
        self._rng = np.random.default_rng(seed)

    def draw(self) -> dict[str, Tensor]:
        """Return one batch as :class:`scarseg.training.detector.loss.DetectionLoss` reads it."""
        samples = []
        for _ in range(self._batch):
            number = int(self._rng.choice(len(self._groups), p=self._shares))
            group, probabilities = self._groups[number], self._probabilities[number]
            labelled = group[int(self._rng.choice(len(group), p=probabilities))]
            whole_slice = bool(self._rng.random() < WHOLE_SLICE_SHARE)
            samples.append(make_sample(labelled, self._rng, whole_slice))
        return collate(samples)


def slice_probabilities(group: Sequence[LabelledSlice]) -> npt.NDArray[np.float64]:
    """Return how often each slice of a group is drawn: with a small scar more often."""
    weights = np.ones(len(group))
    for number, labelled in enumerate(group):
        pixel_mm2 = labelled.pixel_spacing_mm[0] * labelled.pixel_spacing_mm[1]
        areas = [
            float(np.prod(np.ptp(part, axis=0))) * pixel_mm2
            for part in scar_parts(labelled.labels, labelled.pixel_spacing_mm)
        ]
        factors = (factor for most, factor in SMALL_SCARS if areas and min(areas) < most)
        weights[number] = next(factors, 1.0)
    return np.asarray(weights / weights.sum())


def collate(samples: Sequence[DetectorSample]) -> dict[str, Tensor]:
    """Stack samples; boxes become centre and size in shares of the image."""
    rows, columns = samples[0].image.shape
    corners = torch.from_numpy(np.concatenate([k.boxes for k in samples]))
    corners = corners / torch.tensor([columns, rows, columns, rows])
    known = torch.ones(len(samples), len(CLASSES), dtype=torch.bool)
    known[:, 0] = torch.tensor([k.scar_known for k in samples])
    counts = torch.tensor([len(k.boxes) for k in samples])
    return {
        "img": torch.from_numpy(np.stack([k.image for k in samples]))[:, None],
        "masks": torch.from_numpy(np.stack([k.masks for k in samples])).float(),
        "batch_idx": torch.repeat_interleave(torch.arange(len(samples)), counts).float(),
        "cls": torch.from_numpy(np.concatenate([k.classes for k in samples]))[:, None].float(),
        "bboxes": torch.cat(
            [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1
        ).float(),
        "known": known,
    }
