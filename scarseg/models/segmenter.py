"""SAM: embed a slice once, predict per prompt."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from scarseg.case import ModelIdentity
from scarseg.errors import WeightsError
from scarseg.models import Embedding, Logits, Segmenter
from scarseg.models.crop import OUTSIDE_LOGIT, CropGeometry, put_back, take_crop
from scarseg.models.network import CompactSam, Features, PromptBatch, widened
from scarseg.models.weights import resolve
from scarseg.prompts import Box, SlicePrompts
from scarseg.stack import SliceImage


@dataclass(frozen=True, eq=False)
class CompactFeatures:
    """What the compact segmenter keeps of one slice."""

    geometry: CropGeometry
    crop: Tensor
    features: Features
    lv_box: Box


class CompactSegmenter:
    """The default weights: blood pool, wall and scar from one embedding."""

    def __init__(self, network: CompactSam, identity: ModelIdentity, device: str = "cpu") -> None:
        self.identity = identity
        self.device = torch.device(device)
        self.network = network.to(memory_format=torch.channels_last).to(self.device).eval()

    @torch.inference_mode()
    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        shape = (int(image.pixels.shape[0]), int(image.pixels.shape[1]))
        geometry = CropGeometry.around(lv_box, shape, image.pixel_spacing_mm)
        crop = take_slices(image, geometry).to(self.device)
        features = self.network.embed(crop.contiguous(memory_format=torch.channels_last))
        used = lv_box or _middle_box(shape, image.pixel_spacing_mm)
        return Embedding(shape, lv_box, CompactFeatures(geometry, crop, features, used))

    @torch.inference_mode()
    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        own: CompactFeatures = embedding.features
        if quick or prompts.asks_for_scar or previous is not None:
            batch = self._prompt_batch(own, prompts, embedding.shape, previous)
            crop_logits, _ = self.network.predict(own.features, batch)
        else:
            crop_logits = self._automatic(own, prompts)
        back = put_back(crop_logits.float().cpu(), own.geometry, embedding.shape).numpy()
        scar = back[2]
        if prompts.no_scar:
            scar = np.full_like(scar, OUTSIDE_LOGIT)
        return Logits(scar=scar, blood_pool=back[0], wall=back[1])

    def _automatic(self, own: CompactFeatures, prompts: SlicePrompts) -> Tensor:
        """Average the answers to four mirror images: no prompts, so no click waits for it."""
        flips = ((), (2,), (3,), (2, 3))
        crops = torch.cat([own.crop.flip(f) for f in flips[1:]])
        mirrored = self.network.embed(crops.contiguous(memory_format=torch.channels_last))
        features = Features(
            torch.cat([own.features.quarter, mirrored.quarter]),
            torch.cat([own.features.half, mirrored.half]),
            torch.cat([own.features.full, mirrored.full]),
        )
        box = torch.tensor(own.geometry.box_to_crop(prompts.lv_box or own.lv_box))
        size = own.crop.shape[-1]
        boxes = []
        for flip in flips:
            c0, r0, c1, r1 = (float(v) for v in box)
            if 3 in flip:
                c0, c1 = size - c1, size - c0
            if 2 in flip:
                r0, r1 = size - r1, size - r0
            boxes.append(torch.tensor([c0, r0, c1, r1]))
        batch = self._here(_empty_batch(torch.stack(boxes), size))
        logits, _ = self.network.predict(features, batch)
        parts = [
            logits[i].flip([d - 1 for d in f]) if f else logits[i] for i, f in enumerate(flips)
        ]
        return torch.stack(parts).mean(0, keepdim=True)

    def _prompt_batch(
        self,
        own: CompactFeatures,
        prompts: SlicePrompts,
        shape: tuple[int, int],
        previous: Logits | None,
    ) -> PromptBatch:
        to_crop = own.geometry
        size = own.crop.shape[-1]
        lv = torch.tensor([to_crop.box_to_crop(prompts.lv_box or own.lv_box)], dtype=torch.float32)
        batch = _empty_batch(lv, size)
        if prompts.boxes:
            corners = [to_crop.box_to_crop(box) for box in prompts.boxes]
            batch.boxes = torch.tensor([corners], dtype=torch.float32)
            batch.boxes_used = torch.ones(1, len(corners), dtype=torch.bool)
        if prompts.points:
            clicks = [to_crop.to_crop(p.pixel[0] + 0.5, p.pixel[1] + 0.5) for p in prompts.points]
            batch.points = torch.tensor([clicks], dtype=torch.float32)
            batch.point_labels = torch.tensor([[float(p.positive) for p in prompts.points]])
        if previous is not None and previous.wall is not None and previous.blood_pool is not None:
            maps = np.stack([previous.blood_pool, previous.wall, previous.scar])
            source = torch.from_numpy(maps).clamp(OUTSIDE_LOGIT, -OUTSIDE_LOGIT)
            grid = to_crop.sampling_grid(shape)
            inside = F.grid_sample(source[None] - OUTSIDE_LOGIT, grid, align_corners=False)
            batch.previous = torch.sigmoid(inside + OUTSIDE_LOGIT)
        return self._here(batch)

    def _here(self, batch: PromptBatch) -> PromptBatch:
        """Move prompts to the network's device."""
        return PromptBatch(
            *(getattr(batch, field.name).to(self.device) for field in fields(PromptBatch))
        )


def take_slices(image: SliceImage, geometry: CropGeometry) -> Tensor:
    """Sample and normalise a slice and its neighbours to (1, CHANNELS, crop row, crop column)."""
    crops = []
    for pixels in (image.pixels, *image.neighbours):
        if pixels is None:
            crops.append(torch.zeros_like(crops[0]))
        else:
            source = torch.from_numpy(np.array(pixels, dtype=np.float32))
            crops.append(take_crop(source, geometry))
    return torch.cat(crops, dim=1)


def _empty_batch(lv_boxes: Tensor, size: int) -> PromptBatch:
    n = len(lv_boxes)
    return PromptBatch(
        lv_boxes,
        torch.zeros(n, 1, 4),
        torch.zeros(n, 1, dtype=torch.bool),
        torch.zeros(n, 1, 2),
        -torch.ones(n, 1),
        torch.zeros(n, 3, size, size),
    )


def _middle_box(shape: tuple[int, int], pixel_spacing_mm: tuple[float, float]) -> Box:
    """Give an 80 mm square round the slice's centre: where a heart is sought without a box."""
    half_rows, half_columns = 40 / pixel_spacing_mm[0], 40 / pixel_spacing_mm[1]
    row, column = shape[0] / 2, shape[1] / 2
    return Box(column - half_columns, row - half_rows, column + half_columns, row + half_rows)


def choose_device(device: str) -> str:
    """Turn auto into what this machine has.

    Raises:
        WeightsError: E_DEVICE for a device that is not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available()}
    there["mps"] = torch.backends.mps.is_available()
    if not there.get(device, False):
        raise WeightsError("E_DEVICE", f"This machine has no device {device}.")
    return device


def load_segmenter(name_or_path: Path | str | None, device: str = "auto") -> Segmenter:
    """Load a segmenter by manifest name, safetensors file or SAM/MedSAM checkpoint.

    Raises:
        WeightsError: E_WEIGHTS_MISSING, E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN, E_DEVICE.
    """
    place = choose_device(device)
    weights = resolve(name_or_path, "segmenter")
    if weights.path.suffix in (".pth", ".pt"):
        from scarseg.models.vit import load_vit

        return load_vit(weights, place)
    try:
        state = load_file(weights.path)
    except (SafetensorError, OSError) as error:
        message = f"The weights file {weights.path} is damaged: {error}"
        raise WeightsError("E_WEIGHTS_DAMAGED", message, str(weights.path)) from error
    network = CompactSam()
    try:
        network.load_state_dict(widened({k: v.float() for k, v in state.items()}))
    except (RuntimeError, KeyError) as error:
        message = f"The weights file {weights.path} is not a scarseg segmenter."
        raise WeightsError("E_WEIGHTS_UNKNOWN", message, str(weights.path)) from error
    return CompactSegmenter(network, weights.identity, place)
