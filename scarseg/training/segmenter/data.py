"""Training slices: real LGE, cine turned into LGE, simulated stacks; augmented on the fly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import IterableDataset

from scarseg.case.labels import Label
from scarseg.case.prompts import Box
from scarseg.errors import InputError
from scarseg.models.segmenter_crop import CROP_PIXELS, CropGeometry, antialias, normalise
from scarseg.training.augmentation import (
    paint_scar,
    random_grid,
    shift_for_breath_hold,
    to_lge_contrast,
    vary_appearance,
    vary_contrast,
)
from scarseg.training.cases import TrainingCase
from scarseg.training.given_wall import GIVEN_SHARE, Maps, draw_given_wall
from scarseg.training.prompts import (
    MAX_BOXES,
    MAX_POINTS,
    CropPrompts,
    Mask,
    bounding_box,
    corrective_click,
    simulate_prompts,
)
from scarseg.training.wall_warp import WarpFactors, wall_profile, warp_grid

Image = npt.NDArray[np.float32]
WARPED_SHARE = 0.6
"""Share of the samples whose wall is made thicker or thinner: other hospitals' patients have walls
of 12 mm where EMIDEC's have 8, and a network trained on one thickness finds it everywhere."""
THICK_SHARE, MOST_MIXED = 0.25, 0.3
"""Share of the samples made of thicker slices, and how much of a neighbour these hold at most."""
GROUPS = ("scar", "no scar", "cine", "simulated")
"""Groups that the shares of a run weigh: LGE slices with and without scar, cine, simulated."""


@dataclass
class CropSample:
    """One crop.

    ``image`` (CHANNELS, row, column), zeros where there is no neighbour (``present``); ``masks``
    (3, row, column) pool, wall, scar, and which of them are ``known``; ``heart`` pool and wall,
    of a neighbouring slice where they are not known here; ``given`` (2, row, column) pool and
    wall as set from outside, zeros where they are not.
    """

    image: Image
    present: npt.NDArray[np.bool_]
    masks: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]
    heart: Mask
    spacing_mm: float
    given: Maps


def _heart(labels: npt.NDArray[np.uint8]) -> Mask:
    return np.asarray((labels >= Label.BLOOD_POOL) & (labels <= Label.MVO))


def _heart_slice(case: TrainingCase, index: int) -> int | None:
    """Return the nearest slice that shows where the left ventricle is; None without any."""
    nearest = sorted(range(len(case.labels)), key=lambda k: abs(k - index))
    walls = [k for k in nearest if case.wall_known is None or case.wall_known[k]]
    return next((k for k in (*walls, *nearest) if _heart(case.labels[k]).any()), None)


def _cut(pixels: Image, grid: Tensor, geometry: CropGeometry) -> Image:
    """Sample a slice on a grid as :func:`scarseg.models.segmenter_crop.crop_slice` does in use."""
    source = torch.from_numpy(np.array(pixels, dtype=np.float32))
    source = source - torch.quantile(source[::2, ::2].flatten(), 0.01)
    crop = F.grid_sample(antialias(source[None, None], geometry.step), grid, align_corners=False)
    return np.asarray(crop[0, 0].numpy())


def _slice_pixels(case: TrainingCase, index: int, rng: np.random.Generator | None) -> Image:
    """Return the pixels of a slice, mixed with a neighbour's now and then: a thicker slice."""
    pixels = case.pixels[index].astype(np.float32)
    if rng is None or rng.random() >= THICK_SHARE:
        return pixels
    other = index + (1 if rng.random() < 0.5 else -1)
    if not 0 <= other < len(case.pixels):
        return pixels
    share = np.float32(rng.uniform(0, MOST_MIXED))
    return np.asarray((1 - share) * pixels + share * case.pixels[other], dtype=np.float32)


def _warped(case: TrainingCase, index: int, grid: Tensor, factors: WarpFactors | None) -> Tensor:
    """Return the sampling grid of a slice whose wall is made thicker or thinner."""
    if factors is None or not (case.wall_known is None or case.wall_known[index]):
        return grid
    profile = wall_profile(case.labels[index], case.pixel_spacing_mm)
    rows, columns = case.labels.shape[1:]
    if profile is None:
        return grid
    return warp_grid(grid, profile, factors, (rows, columns), case.pixel_spacing_mm)


def _neighbours(
    case: TrainingCase,
    index: int,
    grid: Tensor,
    geometry: CropGeometry,
    rng: np.random.Generator | None,
    factors: WarpFactors | None,
) -> list[Image | None]:
    """Sample the slices before and after on the same grid, shifted as breath holds leave them.

    Order, distance and presence vary: stacks run either way, have gaps, and end somewhere.
    ``factors``: the walls of all slices of a sample change alike.
    """
    sides = [-1, 1]
    if rng is not None:
        away = 2 if rng.random() < 0.12 else 1
        sides = [-away, away] if rng.random() < 0.5 else [away, -away]
    crops: list[Image | None] = []
    for side in sides:
        beyond = not 0 <= index + side < len(case.labels)
        if beyond or (rng is not None and rng.random() < 0.12):
            crops.append(None)
            continue
        own = grid
        if rng is not None:
            rows, columns = case.labels.shape[1:]
            own = shift_for_breath_hold(grid, (rows, columns), case.pixel_spacing_mm, rng)
        own = _warped(case, index + side, own, factors)
        crops.append(_cut(case.pixels[index + side], own, geometry))
    return crops


def _scaled(image: Image) -> Image:
    """Map the 1st and 99th percentile of the crop's centre to 0 and 1."""
    edge = CROP_PIXELS // 8
    low, high = np.percentile(image[edge:-edge, edge:-edge], (1, 99))
    return np.asarray((image - low) / max(high - low, 1e-6), dtype=np.float32)


def _repainted(
    kind: str, image: Image, weights: Image, known: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Image, Mask | None, bool]:
    """Vary contrast and paint scar; return the image, the scar if it was painted, and whether
    neighbouring slices no longer match."""
    pool, wall, scar = (weight > 0.5 for weight in weights[:3])
    alone = kind == "cine" or rng.random() < 0.2
    if kind == "lge" and rng.random() < 0.4:
        image = vary_contrast(image, weights, rng)
        alone = alone or rng.random() < 0.5
    if kind == "cine":
        image = to_lge_contrast(image, weights, rng)
    share = {"cine": 0.6, "lge": 0.0 if scar.any() else 0.25}.get(kind, 0.0)
    paintable = known[:2].all() and wall.any() and pool.any()
    if share and rng.random() < share and paintable:
        image, painted = paint_scar(image, pool, wall, rng)
        return image, painted, True
    return image, None, alone


def make_sample(case: TrainingCase, index: int, rng: np.random.Generator | None) -> CropSample:
    """Cut one crop round the left ventricle of slice ``index``, augmented unless rng is None."""
    labels = case.labels[index]
    shape = (int(labels.shape[0]), int(labels.shape[1]))
    source = _heart_slice(case, index)
    box = None if source is None else Box(*bounding_box(_heart(case.labels[source])))
    geometry = CropGeometry.around(box, shape, case.pixel_spacing_mm)
    grid = geometry.sampling_grid(shape)
    if rng is not None:
        grid = random_grid(geometry, shape, case.pixel_spacing_mm, rng)
    factors = WarpFactors.draw(rng) if rng is not None and rng.random() < WARPED_SHARE else None
    unwarped, grid = grid, _warped(case, index, grid, factors)
    known = np.array(
        [
            case.pool_known is None or case.pool_known[index],
            case.wall_known is None or case.wall_known[index],
            case.kind != "cine",
        ]
    )
    seen = _heart(labels) if known[1] or source is None else _heart(case.labels[source])
    wall, scar = (labels >= 2) & (labels <= 4), (labels == 3) | (labels == 4)
    maps = np.stack([labels == 1, wall, scar, labels == 5, seen]).astype(np.float32)
    weights = F.grid_sample(torch.from_numpy(maps)[None], grid, align_corners=False)[0].numpy()
    masks, heart = weights[:3] > 0.5, weights[4] > 0.5
    if known[1]:
        masks[2] &= masks[1]
    low, high = np.percentile(case.pixels[index], (0.5, 99.5))
    image = _cut(_slice_pixels(case, index, rng), grid, geometry) / max(float(high - low), 1e-6)
    alone = False
    if rng is not None:
        image, painted, alone = _repainted(case.kind, image, weights[:4], known, rng)
        if painted is not None:
            masks[2], known[2] = painted, True
    others = [None, None] if alone else _neighbours(case, index, unwarped, geometry, rng, factors)
    present = np.array([True, *(other is not None for other in others)])
    slices = [np.zeros_like(image) if one is None else _scaled(one) for one in (image, *others)]
    stacked = np.stack(slices)
    if rng is not None:
        stacked = vary_appearance(stacked, rng)
    spacing_mm = geometry.step[0] * case.pixel_spacing_mm[1]
    given: Maps = np.zeros((2, *masks.shape[1:]), dtype=np.float32)
    drawable = known[:2].all() and masks[0].any() and masks[1].any()
    if rng is not None and drawable and rng.random() < GIVEN_SHARE:
        given = draw_given_wall(masks[0], masks[1], spacing_mm, rng)
    return CropSample(stacked, present, masks, known, heart, spacing_mm, given)


class SampleStream(IterableDataset[dict[str, Tensor]]):
    """Endless batches of prompts and targets, from every slice that was read.

    Args:
        shares: weigh :data:`GROUPS`; those that have no slice are left out of the reckoning.

    Raises:
        InputError: E_INPUT_EMPTY, there is no slice to train on.
    """

    def __init__(
        self,
        cases: Sequence[TrainingCase],
        batch: int,
        seed: int,
        shares: tuple[float, float, float, float] = (0.46, 0.22, 0.2, 0.12),
    ) -> None:
        super().__init__()
        self.batch, self.seed = batch, seed
        groups: list[list[tuple[TrainingCase, int]]] = [[] for _ in GROUPS]
        for case in cases:
            for k in case.slices_read:
                if case.kind == "lge":
                    group = 0 if (case.labels[k] >= Label.SCAR).any() else 1
                else:
                    group = 2 if case.kind == "cine" else 3
                groups[group].append((case, k))
        self.groups = groups
        there = np.array([float(bool(group)) for group in groups])
        if not there.any():
            raise InputError("E_INPUT_EMPTY", "There is no read slice to train on.")
        weights = np.array(shares) * there
        self.shares = (weights if weights.any() else there) / (weights.sum() or there.sum())

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        torch.set_num_threads(1)
        while True:
            yield collate([self._draw(rng) for _ in range(self.batch)])

    def _draw(self, rng: np.random.Generator) -> tuple[CropSample, CropPrompts]:
        group = self.groups[int(rng.choice(len(GROUPS), p=self.shares))]
        case, index = group[int(rng.integers(len(group)))]
        sample = make_sample(case, index, rng)
        if not np.isfinite(sample.image).all():
            raise ValueError(f"{case.name}, slice {index}: image is not finite")
        return with_prompts(sample, rng)


def with_prompts(sample: CropSample, rng: np.random.Generator) -> tuple[CropSample, CropPrompts]:
    """Draw prompts for a sample; its scar becomes what they ask for."""
    wall = sample.masks[1] if sample.known[1] else sample.heart
    prompts, target = simulate_prompts(sample.heart, sample.masks[2], wall, rng)
    sample.masks[2] = target
    return sample, prompts


def collate(drawn: Sequence[tuple[CropSample, CropPrompts]]) -> dict[str, Tensor]:
    """Stack samples and pad their prompts."""
    n = len(drawn)
    boxes, used = torch.zeros(n, MAX_BOXES, 4), torch.zeros(n, MAX_BOXES, dtype=torch.bool)
    points, point_labels = torch.zeros(n, MAX_POINTS, 2), -torch.ones(n, MAX_POINTS)
    for i, (_, prompts) in enumerate(drawn):
        for j, box in enumerate(prompts.boxes[:MAX_BOXES]):
            boxes[i, j], used[i, j] = torch.tensor(box), True
        for j, point in enumerate(prompts.points[:MAX_POINTS]):
            points[i, j], point_labels[i, j] = torch.tensor(point[:2]), point[2]
    image = normalise(torch.from_numpy(np.stack([s.image for s, _ in drawn])))
    present = torch.from_numpy(np.stack([s.present for s, _ in drawn]))[:, :, None, None]
    return {
        "image": image * present,
        "masks": torch.from_numpy(np.stack([s.masks for s, _ in drawn])).float(),
        "known": torch.from_numpy(np.stack([s.known for s, _ in drawn])),
        "spacing_mm": torch.tensor([s.spacing_mm for s, _ in drawn], dtype=torch.float32),
        "given": torch.from_numpy(np.stack([s.given for s, _ in drawn])),
        "lv_box": torch.tensor([p.lv_box for _, p in drawn], dtype=torch.float32),
        "boxes": boxes,
        "boxes_used": used,
        "points": points,
        "point_labels": point_labels,
    }


def add_corrections(
    batch: dict[str, Tensor], logits: Tensor, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Add a click at each sample's largest scar error; the earlier prompts stay."""
    points, labels = batch["points"].clone(), batch["point_labels"].clone()
    answers = (logits[:, 2] > 0).numpy()
    targets = batch["masks"][:, 2].numpy() > 0.5
    for i in range(len(points)):
        if not bool(batch["known"][i, 2]):
            continue
        free = int((labels[i] >= 0).sum())
        mask: Mask = targets[i]
        for click in corrective_click(mask, answers[i], rng):
            if free < points.shape[1]:
                points[i, free] = torch.tensor(click[:2])
                labels[i, free] = click[2]
                free += 1
    return {**batch, "points": points, "point_labels": labels}
