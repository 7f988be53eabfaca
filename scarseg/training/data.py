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

from scarseg.models.crop import CROP_PIXELS, CROP_SPACING_MM, normalise
from scarseg.training.cases import TrainingCase
from scarseg.training.painting import paint_scar, to_lge_contrast, vary_contrast
from scarseg.training.prompting import CropPrompts, Mask, corrective_click, simulate_prompts


@dataclass
class Sample:
    """One augmented crop: image (CHANNELS, row, column), zeros where there is no neighbour;
    masks (3, row, column) pool, wall, scar."""

    image: npt.NDArray[np.float32]
    present: npt.NDArray[np.bool_]
    masks: npt.NDArray[np.bool_]
    scar_known: bool
    spacing_mm: float


def _lv_centre(labels: npt.NDArray[np.uint8]) -> tuple[float, float, float] | None:
    """Give (column, row, extent in pixels) of pool and wall, or None."""
    rows, columns = np.nonzero((labels >= 1) & (labels <= 4))
    if rows.size == 0:
        return None
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    return (
        (columns.min() + columns.max() + 1) / 2,
        (rows.min() + rows.max() + 1) / 2,
        float(extent),
    )


def _grid(
    shape: tuple[int, int],
    spacing: tuple[float, float],
    centre: tuple[float, float],
    crop_spacing: float,
    rng: np.random.Generator,
) -> Tensor:
    """Make a random affine and elastic sampling grid (1, row, column, 2) over a source slice."""
    angle = rng.uniform(0, 2 * np.pi)
    flip = rng.choice((-1.0, 1.0))
    scale = np.exp(rng.uniform(-0.22, 0.22)) * crop_spacing
    aspect = np.exp(rng.uniform(-0.1, 0.1))
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = matrix @ np.diag([flip * scale * aspect, scale / aspect])
    offset = torch.arange(CROP_PIXELS, dtype=torch.float32) + 0.5 - CROP_PIXELS / 2
    rows, columns = torch.meshgrid(offset, offset, indexing="ij")
    grid = torch.stack((columns, rows), dim=-1)
    if rng.random() < 0.5:
        coarse = torch.from_numpy(rng.normal(0, 1.2, (1, 2, 5, 5)).astype(np.float32))
        bend = F.interpolate(coarse, (CROP_PIXELS, CROP_PIXELS), mode="bicubic")
        grid = grid + bend[0].permute(1, 2, 0)
    shift = rng.uniform(-6, 6, 2) * (1 if rng.random() < 0.85 else 2)
    grid = (grid + torch.from_numpy(shift.astype(np.float32))) @ torch.from_numpy(
        matrix.T.astype(np.float32)
    )
    size = torch.tensor([shape[1] * spacing[1], shape[0] * spacing[0]], dtype=torch.float32)
    middle = torch.tensor([centre[0] * spacing[1], centre[1] * spacing[0]], dtype=torch.float32)
    return ((grid + middle) * 2 / size - 1)[None]


def _disturb(image: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Vary gamma, bias field, gain, blur and noise of an image in 0..1."""
    x = torch.from_numpy(image).float()[:, None].clamp(0, 1.5)
    if rng.random() < 0.7:
        x = x ** float(np.exp(rng.uniform(-0.45, 0.45)))
    if rng.random() < 0.5:
        coarse = torch.from_numpy(rng.normal(0, 0.15, (1, 1, 3, 3)).astype(np.float32))
        x = x * torch.exp(F.interpolate(coarse, (CROP_PIXELS, CROP_PIXELS), mode="bicubic"))
    sharpness = rng.random()
    if sharpness < 0.5:
        k = [_gaussian(rng.uniform(0.3, 1.1)) for _ in range(2)]
        smooth = F.conv2d(
            F.pad(x, (3, 3, 3, 3), mode="replicate"), (k[0][:, None] * k[1])[None, None]
        )
        # Finer scanners, sampled more coarsely, look sharper than ours: teach both.
        x = smooth if sharpness < 0.3 else x + rng.uniform(0.2, 1.0) * (x - smooth)
    out = x[:, 0].numpy().astype(np.float32)
    if rng.random() < 0.5:
        noise = rng.normal(0, rng.uniform(0.01, 0.07), (2, *out.shape))
        out = np.hypot(out + noise[0], noise[1]) if rng.random() < 0.5 else out + noise[0]
    return np.asarray(out, dtype=np.float32)


def _gaussian(sigma: float) -> Tensor:
    kernel = torch.exp(-0.5 * (torch.arange(-3, 4) / sigma) ** 2)
    return (kernel / kernel.sum()).float()


def _neighbours(
    case: TrainingCase, index: int, grid: Tensor, rng: np.random.Generator
) -> list[npt.NDArray[np.float32] | None]:
    """Cut the slices before and after on the same grid, as breath holds leave them: a little off.

    Order, distance and presence vary: stacks run either way, have gaps, and end somewhere.
    """
    away = 2 if rng.random() < 0.12 else 1
    sides = [-away, away] if rng.random() < 0.5 else [away, -away]
    crops: list[npt.NDArray[np.float32] | None] = []
    for side in sides:
        if not 0 <= index + side < len(case.labels) or rng.random() < 0.12:
            crops.append(None)
            continue
        rows, columns = case.labels.shape[1:]
        size = np.array([columns * case.pixel_spacing_mm[1], rows * case.pixel_spacing_mm[0]])
        off = torch.from_numpy((rng.normal(0, 1.5, 2) * 2 / size).astype(np.float32))
        source = torch.from_numpy(case.pixels[index + side].astype(np.float32))
        crops.append(
            F.grid_sample(source[None, None], grid + off, align_corners=False)[0, 0].numpy()
        )
    return crops


def _scaled(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Map the 1st and 99th percentile of the crop's centre to 0 and 1."""
    edge = CROP_PIXELS // 8
    low, high = np.percentile(image[edge:-edge, edge:-edge], (1, 99))
    return np.asarray((image - low) / max(high - low, 1e-6), dtype=np.float32)


def make_sample(case: TrainingCase, index: int, rng: np.random.Generator) -> Sample:
    """Cut one augmented crop round the left ventricle of slice ``index``."""
    labels, pixels = case.labels[index], case.pixels[index]
    place = _lv_centre(labels)
    if place is None:
        others = [p for k in range(len(case.labels)) if (p := _lv_centre(case.labels[k]))]
        place = others[0] if others else (labels.shape[1] / 2, labels.shape[0] / 2, 1.0)
    extent_mm = place[2] * max(case.pixel_spacing_mm)
    spacing = max(CROP_SPACING_MM, extent_mm / (0.84 * CROP_PIXELS))
    grid = _grid(labels.shape, case.pixel_spacing_mm, place[:2], spacing, rng)
    kinds = np.stack([labels == 1, labels >= 2, (labels == 3) | (labels == 4), labels == 5])
    kinds[1] &= labels <= 4
    low, high = np.percentile(pixels, (0.5, 99.5))
    scaled = (pixels - float(low)) / max(float(high - low), 1e-6)
    source = torch.from_numpy(np.concatenate([scaled[None], kinds]).astype(np.float32))
    crop = F.grid_sample(source[None], grid, align_corners=False)[0].numpy()
    image, weights = crop[0], crop[1:]
    masks = weights > 0.5
    masks[2] &= masks[1]
    known, alone = True, case.kind == "cine" or rng.random() < 0.2
    if case.kind == "lge" and rng.random() < 0.3:
        image = vary_contrast(image, weights, rng)
        alone = alone or rng.random() < 0.5
    if case.kind == "cine":
        image = to_lge_contrast(image, weights, rng)
        known = False
    if case.kind == "cine" or (case.kind == "lge" and not masks[2].any()):
        share = 0.6 if case.kind == "cine" else 0.15
        if rng.random() < share and masks[1].any() and masks[0].any():
            image, scar = paint_scar(image, masks[0], masks[1], rng)
            masks[2] = scar
            known = alone = True
    others = [None, None] if alone else _neighbours(case, index, grid, rng)
    present = [True, *(other is not None for other in others)]
    slices = [_scaled(one) if one is not None else np.zeros_like(image) for one in [image, *others]]
    disturbed = _disturb(np.stack(slices), rng)
    return Sample(disturbed, np.array(present), masks[:3], known, spacing)


class SampleStream(IterableDataset[dict[str, Tensor]]):
    """Endless batches of prompts and targets.

    ``shares`` weigh the groups: LGE slices with scar, LGE slices without, cine, simulated.
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
        groups: list[list[tuple[TrainingCase, int]]] = [[], [], [], []]
        for case in cases:
            for k in range(len(case.labels)):
                if case.kind == "lge":
                    group = 0 if (case.labels[k] >= 3).any() else 1
                else:
                    group = 2 if case.kind == "cine" else 3
                groups[group].append((case, k))
        self.groups = groups
        weights = np.array([s if g else 0.0 for s, g in zip(shares, groups, strict=True)])
        self.shares = weights / weights.sum()

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        torch.set_num_threads(1)
        while True:
            yield collate([self._draw(rng) for _ in range(self.batch)])

    def _draw(self, rng: np.random.Generator) -> tuple[Sample, CropPrompts]:
        group = self.groups[int(rng.choice(4, p=self.shares))]
        case, index = group[int(rng.integers(len(group)))]
        sample = make_sample(case, index, rng)
        if not np.isfinite(sample.image).all():
            raise ValueError(f"{case.name}, slice {index}: image is not finite")
        lv = sample.masks[0] | sample.masks[1]
        prompts, target = simulate_prompts(lv, sample.masks[2], sample.masks[1], rng)
        sample.masks[2] = target
        return sample, prompts


def collate(drawn: Sequence[tuple[Sample, CropPrompts]]) -> dict[str, Tensor]:
    """Stack samples and pad their prompts."""
    from scarseg.training.prompting import MAX_BOXES, MAX_POINTS

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
    known = torch.ones(n, 3, dtype=torch.bool)
    known[:, 2] = torch.tensor([s.scar_known for s, _ in drawn])
    return {
        "image": image * present,
        "masks": torch.from_numpy(np.stack([s.masks for s, _ in drawn])).float(),
        "known": known,
        "spacing_mm": torch.tensor([s.spacing_mm for s, _ in drawn], dtype=torch.float32),
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
