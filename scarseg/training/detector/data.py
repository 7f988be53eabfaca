"""Labelled slices for the detector, and the boxes that their label maps mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from scarseg.case.labels import Label, LabelArray
from scarseg.case.stack import FloatArray
from scarseg.models.detector import CLASSES
from scarseg.models.detector_crop import (
    DETECTOR_CROP_PIXELS,
    FAR_MM_PER_PIXEL,
    NEAR_MM_PER_PIXEL,
    DetectorCrop,
    crop_image,
    resample,
)
from scarseg.simulate.series import simulate_stack
from scarseg.training.augmentation import paint_scar, to_lge_contrast
from scarseg.training.cases import INNER, TrainingCase

TUNING = (*INNER, "P011", "P080", "N018", "N058")
"""EMIDEC training patients kept aside to choose the checkpoint and the thresholds."""

SMALLEST_SCAR_MM2 = 24.0
"""A component below this (12 pixels of 1.43 mm) is no box of its own."""
MIN_VISIBLE_SHARE = 0.4
"""A box counts when at least this share of its area lies in the view."""

_SQUARE = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """One slice with its truth.

    ``pixels`` float32 and ``labels`` uint8 (row, column), labels 0 to 4 (and 5 for the RV of
    cine); ``kind``: lge, cine or simulated. Cine says nothing of scar.
    """

    patient: str
    index: int
    pixels: FloatArray
    labels: LabelArray
    pixel_spacing_mm: tuple[float, float]
    kind: str = "lge"

    @property
    def heart(self) -> npt.NDArray[np.bool_]:
        """Mask (row, column) of the left ventricle, pool and wall."""
        return (self.labels > 0) & (self.labels <= Label.MVO)

    @property
    def heart_centre(self) -> tuple[float, float] | None:
        """Give the middle (column, row) of the left ventricle's box, or None without one."""
        corners = box_around(corner_points(self.heart))
        if corners is None:
            return None
        return (corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2


def labelled_slices(cases: Iterable[TrainingCase]) -> list[LabelledSlice]:
    """Split stacks into labelled slices; what nobody read, or has no wall drawn, is left out."""
    return [
        LabelledSlice(
            case.patient,
            k,
            np.ascontiguousarray(case.pixels[k], dtype=np.float32),
            np.ascontiguousarray(case.labels[k], dtype=np.uint8),
            case.pixel_spacing_mm,
            case.kind,
        )
        for case in cases
        for k in case.slices_read
        if case.wall_known is None or case.wall_known[k] or not (case.labels[k] > 0).any()
    ]


def simulated_cases(patients: int, seed: int) -> list[TrainingCase]:
    """Simulate patients, scanner by scanner different, as training cases."""
    cases = []
    for number in range(patients):
        made = simulate_stack(seed * 1_000_003 + number)
        cases.append(
            TrainingCase(
                f"simulated{number:04d}",
                "simulated",
                made.stack.pixels,
                made.truth,
                made.stack.pixel_spacing_mm,
                made.stack.slice_spacing_mm or made.stack.slice_thickness_mm,
            )
        )
    return cases


def corner_points(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Give (n, 2) corners (column, row) of the first and last pixel of every row of a mask.

    Among them are all corners of its convex hull: enough for its box however it is turned.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return np.zeros((0, 2))
    kept = mask[rows]
    first = kept.argmax(axis=1)
    last = mask.shape[1] - kept[:, ::-1].argmax(axis=1)
    columns = np.concatenate([first, first, last, last])
    return np.stack([columns, np.concatenate([rows, rows + 1] * 2)], axis=1).astype(np.float64)


def box_around(points: npt.NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """Give (column0, row0, column1, row1) round points, or None without any."""
    if len(points) == 0:
        return None
    column0, row0 = points.min(axis=0)
    column1, row1 = points.max(axis=0)
    return float(column0), float(row0), float(column1), float(row1)


def scar_parts(
    labels: LabelArray, pixel_spacing_mm: tuple[float, float]
) -> list[npt.NDArray[np.float64]]:
    """Give the corner points of every component of scar and MVO that earns a box."""
    infarct = (labels == Label.SCAR) | (labels == Label.MVO)
    if not infarct.any():
        return []
    numbered, _ = ndimage.label(infarct, _SQUARE)
    pixel_mm2 = pixel_spacing_mm[0] * pixel_spacing_mm[1]
    parts = []
    for number, place in enumerate(ndimage.find_objects(numbered), start=1):
        part = numbered[place] == number
        if part.sum() * pixel_mm2 >= SMALLEST_SCAR_MM2:
            start = np.array([place[1].start, place[0].start], dtype=np.float64)
            parts.append(corner_points(part) + start)
    return parts


def true_boxes(
    labelled: LabelledSlice, view: DetectorCrop
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Give the boxes of a slice as seen in a view.

    Returns (n, 4) boxes (column0, row0, column1, row1) in view pixels, clipped to the view, and
    (n,) class numbers (0 scar, 1 left_ventricle). What is mostly out of view is left out.
    """
    parts = [(0, part) for part in scar_parts(labelled.labels, labelled.pixel_spacing_mm)]
    if labelled.heart.any():
        parts.append((1, corner_points(labelled.heart)))
    limit = np.array([view.shape[1], view.shape[0]] * 2, dtype=np.float64)
    boxes, classes = [], []
    for number, points in parts:
        full = np.array(box_around(view.to_crop(points)))
        seen = np.clip(full, 0, limit)
        if np.prod(seen[2:] - seen[:2]) >= MIN_VISIBLE_SHARE * np.prod(full[2:] - full[:2]):
            boxes.append(seen)
            classes.append(number)
    return np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(classes, dtype=np.int64)


WHOLE_SLICE_SHARE = 0.3
"""Share of looks at the whole slice; the rest look at the heart."""
TARGET_SCALE = 0.5
"""Pixels of the mask targets per view pixel."""


@dataclass(frozen=True, eq=False)
class DetectorSample:
    """One training example.

    ``image`` float32 (row, column) 0 to 1; ``boxes`` (n, 4) in view pixels with ``classes``
    (n,); ``masks`` (3, row, column) bool at half the resolution: pool, wall, scar;
    ``scar_counts`` is False where nothing may be learned about scar.
    """

    image: FloatArray
    boxes: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    masks: npt.NDArray[np.bool_]
    scar_counts: bool


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


def whole_slice_view(labelled: LabelledSlice, rng: np.random.Generator) -> DetectorCrop:
    """Draw a look at the whole slice with the heart anywhere in it."""
    rows, columns = labelled.labels.shape
    turn = random_transform(rng)
    heart = labelled.heart_centre or (columns / 2, rows / 2)
    view = DetectorCrop.around(heart, labelled.pixel_spacing_mm, FAR_MM_PER_PIXEL, turn=turn)
    shift = rng.uniform(-0.36, 0.36, 2) * DETECTOR_CROP_PIXELS
    if rng.random() < 0.5:
        shift *= 0.4
    middle = view.to_source(
        np.array([[DETECTOR_CROP_PIXELS / 2, DETECTOR_CROP_PIXELS / 2]]) + shift
    )[0]
    centre = (float(middle[0]), float(middle[1]))
    return DetectorCrop.around(centre, labelled.pixel_spacing_mm, FAR_MM_PER_PIXEL, turn=turn)


def heart_view(labelled: LabelledSlice, rng: np.random.Generator) -> DetectorCrop:
    """Draw a look at the heart, off by as much as the first look errs, sometimes elsewhere."""
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


def make_detector_sample(
    labelled: LabelledSlice, rng: np.random.Generator, far: bool
) -> DetectorSample:
    """Draw one training example from a slice."""
    if rng.random() < 0.4:
        labelled = cut_margins(labelled, rng)
    view = whole_slice_view(labelled, rng) if far else heart_view(labelled, rng)
    boxes, classes = true_boxes(labelled, view)
    labels = resample(np.where(_outside_zero(labelled, view), labelled.labels, 0), view, order=0)
    painted: list[npt.NDArray[np.bool_]] = []

    def distort(seen: FloatArray) -> FloatArray:
        low, high = np.percentile(seen, (0.5, 99.5))
        scaled = (seen - low) / max(float(high - low), 1e-6)
        changed, scar = _repaint(scaled.astype(np.float32), labels, labelled.kind, far, rng)
        if scar is not None:
            painted.append(scar)
        return vary_slice_appearance(changed, rng)

    image = crop_image(labelled.pixels, view, distort)
    masks = np.stack([labels == 1, (labels >= 2) & (labels <= 4), (labels == 3) | (labels == 4)])
    scar_counts = not far and labelled.kind != "cine"
    if painted:
        masks[2] = painted[0]
        scar_counts = not far
        boxes, classes = _with_painted(boxes, classes, painted[0], view, labelled)
    if not scar_counts:
        boxes, classes = boxes[classes == 1], classes[classes == 1]
    step = round(1 / TARGET_SCALE)
    return DetectorSample(image, boxes, classes, masks[:, ::step, ::step], scar_counts)


def _outside_zero(labelled: LabelledSlice, view: DetectorCrop) -> npt.NDArray[np.bool_]:
    """Say which labels may be repeated beyond the border: none of the outermost pixels."""
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
    """Turn cine into LGE contrast and paint scar into walls that have none, by chance."""
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
    view: DetectorCrop,
    labelled: LabelledSlice,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Replace the scar boxes by those of a mask painted on the view (row, column)."""
    spacing = np.diag(labelled.pixel_spacing_mm[::-1])
    area_mm2 = abs(np.linalg.det(spacing @ view.matrix[:, :2]))
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


class Sampler:
    """Draw batches of random looks, group by group."""

    def __init__(self, slices: Sequence[LabelledSlice], batch: int, seed: int) -> None:
        groups: dict[str, list[LabelledSlice]] = {name: [] for name in SHARES}
        for labelled in slices:
            scar = "scar" if (labelled.labels >= 3).any() else "free"
            groups[scar if labelled.kind == "lge" else labelled.kind].append(labelled)
        self._groups = [g for g in groups.values() if g]
        shares = np.array([SHARES[name] for name, g in groups.items() if g])
        self._shares = shares / shares.sum()
        self._batch = batch
        self._rng = np.random.default_rng(seed)

    def draw(self) -> dict[str, Tensor]:
        """Give one batch as :class:`scarseg.training.detector.loss.DetectionLoss` takes it."""
        looks = []
        for _ in range(self._batch):
            group = self._groups[int(self._rng.choice(len(self._groups), p=self._shares))]
            labelled = group[int(self._rng.integers(len(group)))]
            looks.append(
                make_detector_sample(
                    labelled, self._rng, bool(self._rng.random() < WHOLE_SLICE_SHARE)
                )
            )
        return collate(looks)


def collate(looks: Sequence[DetectorSample]) -> dict[str, Tensor]:
    """Stack looks; boxes become centre and size in shares of the image."""
    rows, columns = looks[0].image.shape
    corners = torch.from_numpy(np.concatenate([k.boxes for k in looks]))
    corners = corners / torch.tensor([columns, rows, columns, rows])
    known = torch.ones(len(looks), len(CLASSES), dtype=torch.bool)
    known[:, 0] = torch.tensor([k.scar_counts for k in looks])
    counts = torch.tensor([len(k.boxes) for k in looks])
    return {
        "img": torch.from_numpy(np.stack([k.image for k in looks]))[:, None],
        "masks": torch.from_numpy(np.stack([k.masks for k in looks])).float(),
        "batch_idx": torch.repeat_interleave(torch.arange(len(looks)), counts).float(),
        "cls": torch.from_numpy(np.concatenate([k.classes for k in looks]))[:, None].float(),
        "bboxes": torch.cat(
            [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1
        ).float(),
        "known": known,
    }
