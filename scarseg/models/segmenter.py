"""Segmenter with the default weights: embed a slice once, predict per prompt, average mirrors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.errors import WeightsError
from scarseg.models import Embedding, Logits, Segmenter
from scarseg.models.compact_sam import (
    CompactSam,
    Features,
    PromptBatch,
    network_from_weights,
    split_members,
)
from scarseg.models.fused import fuse_segmenter
from scarseg.models.segmenter_crop import OUTSIDE_LOGIT, CropGeometry, crop_slice, uncrop
from scarseg.models.weights import is_pytorch, resolve_weights

TAKES_WALLS = "takes_walls"
"""Key in the metadata of a weights file: "yes" for a network trained with given walls."""
T = TypeVar("T")
B = TypeVar("B", Features, PromptBatch)
MIRRORS = ((), (2,), (3,), (2, 3))
"""Axes along which a crop (image, channel, row, column) is mirrored for the average."""


@dataclass(eq=False)
class CompactFeatures:
    """Features of one slice.

    ``first`` are those of the first network for the crop as it is; ``mirrored`` holds each
    network's features of its mirror images, computed with the first averaged prediction.
    ``plain`` and ``averaged`` are logits (1, 3, row, column) of the crop without any prompt, of the
    first network for the crop as it is and of all: a proposal and its interval both need them.
    """

    geometry: CropGeometry
    crop: Tensor
    first: Features
    lv_box: Box
    mirrored: tuple[Features, ...] | None = None
    plain: Tensor | None = None
    averaged: Tensor | None = None


class CompactSegmenter:
    """The default weights: blood pool, wall and scar from one embedding.

    Several networks form an ensemble: the four mirror images of a crop are divided among them and
    their logits averaged. On a processor with several threads each network runs in one of its
    own: its operations are too small to be split over threads.
    """

    def __init__(
        self,
        networks: CompactSam | Sequence[CompactSam],
        identity: ModelIdentity,
        device: str = "cpu",
        takes_walls: bool = False,
    ) -> None:
        self.identity, self.takes_walls = identity, takes_walls
        self.device = torch.device(device)
        several = [networks] if isinstance(networks, CompactSam) else networks
        self.networks = [
            one.to(memory_format=torch.channels_last).to(self.device).eval() for one in several
        ]
        self.mirrors = [MIRRORS[k :: len(self.networks)] for k in range(len(self.networks))]
        self._threads: ThreadPoolExecutor | None = None

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        return self.embed_all([image], [lv_box])[0]

    @torch.inference_mode()
    def embed_all(
        self, images: Sequence[SliceImage], lv_boxes: Sequence[Box | None]
    ) -> list[Embedding]:
        """Embed several slices in one pass; as :meth:`embed` for each of them."""
        crops, found = [], []
        for image, lv_box in zip(images, lv_boxes, strict=True):
            shape, spacing = _shape(image), image.pixel_spacing_mm
            geometry = CropGeometry.around(lv_box, shape, spacing)
            crops.append(crop_with_neighbours(image, geometry).to(self.device))
            found.append((geometry, lv_box or _central_box(shape, spacing)))
        first = _embed_crops(self.networks[0], crops)
        embeddings = []
        for k, (image, lv_box) in enumerate(zip(images, lv_boxes, strict=True)):
            geometry, used = found[k]
            features = CompactFeatures(geometry, crops[k], _rows(first, slice(k, k + 1)), used)
            embeddings.append(Embedding(_shape(image), lv_box, features, image.pixel_spacing_mm))
        return embeddings

    @torch.inference_mode()
    def predict_ahead(self, embeddings: Sequence[Embedding], quick: bool = False) -> None:
        """Predict several slices without prompts in one pass, for :meth:`predict` to return."""
        every: list[CompactFeatures] = [one.features for one in embeddings]
        wanted = [one for one in every if (one.plain if quick else one.averaged) is None]
        if not wanted:
            return
        prompts = _join(
            [self._prompt_batch(one, SlicePrompts(), (0, 0), None) for one in wanted], PromptBatch
        )
        if quick:
            for one, logits in zip(wanted, self._predict_plain(wanted, prompts), strict=True):
                one.plain = logits[None]
            return
        plain = [one.plain for one in wanted if one.plain is not None]
        known = torch.cat(plain) if len(plain) == len(wanted) else None
        averaged = self._predict_averaged(wanted, prompts, known)
        for one, logits in zip(wanted, averaged, strict=True):
            one.averaged = logits[None]

    @torch.inference_mode()
    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        own: CompactFeatures = embedding.features
        if previous is None and _asks_nothing(prompts, own.lv_box):
            self.predict_ahead([embedding], quick)
            crop_logits = own.plain if quick else own.averaged
            assert crop_logits is not None
        else:
            batch = self._prompt_batch(own, prompts, embedding.shape, previous)
            predict = self._predict_plain if quick else self._predict_averaged
            crop_logits = predict([own], batch)
        back = uncrop(crop_logits.float().cpu(), own.geometry, embedding.shape).numpy()
        scar = back[2]
        if prompts.no_scar:
            scar = np.full_like(scar, OUTSIDE_LOGIT)
        return Logits(scar=scar, blood_pool=back[0], wall=back[1])

    def _predict_plain(self, every: Sequence[CompactFeatures], prompts: PromptBatch) -> Tensor:
        """Predict crops as they are with the first network: logits (crop, 3, row, column)."""
        return self.networks[0].predict(_join([one.first for one in every], Features), prompts)[0]

    def _predict_averaged(
        self,
        every: Sequence[CompactFeatures],
        prompts: PromptBatch,
        plain: Tensor | None = None,
    ) -> Tensor:
        """Average the predictions of all networks for mirror images of crops.

        Args:
            prompts: one set per crop.
            plain: of the same prompts by the first network for the crops as they are, if known.

        Returns:
            logits (crop, 3, row, column).
        """
        new = [one for one in every if one.mirrored is None]
        if new:
            embed = [
                partial(_embed_mirrored, network, new, mirrors, k == 0)
                for k, (network, mirrors) in enumerate(
                    zip(self.networks, self.mirrors, strict=True)
                )
            ]
            for one, *features in zip(new, *self._run_all(embed), strict=True):
                one.mirrored = tuple(features)
        answer = [
            partial(
                _predict_mirrored,
                network,
                [one.mirrored[k] for one in every if one.mirrored is not None],
                prompts,
                mirrors,
                plain if k == 0 else None,
            )
            for k, (network, mirrors) in enumerate(zip(self.networks, self.mirrors, strict=True))
        ]
        answers = [one for several in self._run_all(answer) for one in several]
        return torch.stack(answers).mean(0)

    def _run_all(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run the calls of all networks in parallel where threads are available."""
        if len(calls) == 1 or self.device.type != "cpu" or torch.get_num_threads() == 1:
            return [call() for call in calls]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(
                len(self.networks), "network", initializer=partial(torch.set_num_threads, 1)
            )
        return [future.result() for future in [self._threads.submit(_infer, w) for w in calls]]

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
        return self._to_device(batch)

    def _to_device(self, batch: PromptBatch) -> PromptBatch:
        """Move prompts to the network's device."""
        return PromptBatch(
            *(getattr(batch, field.name).to(self.device) for field in fields(PromptBatch))
        )


@torch.inference_mode()
def _infer(call: Callable[[], T]) -> T:
    """Run a call in a worker thread: inference mode is per thread in torch."""
    return call()


def _embed_crops(network: CompactSam, crops: Sequence[Tensor]) -> Features:
    return network.embed(torch.cat(list(crops)).contiguous(memory_format=torch.channels_last))


def _embed_mirrored(
    network: CompactSam,
    every: Sequence[CompactFeatures],
    mirrors: Sequence[tuple[int, ...]],
    embedded: bool,
) -> list[Features]:
    """Embed the mirror images of crops; return those of each crop, one after the other.

    Args:
        embedded: the first of ``mirrors`` is the crop as it is, which is embedded already.
    """
    wanted = mirrors[1:] if embedded else mirrors
    if not wanted:
        return [one.first for one in every]
    made = _embed_crops(network, [one.crop.flip(axes) for one in every for axes in wanted])
    n = len(wanted)
    own = [_rows(made, slice(k * n, (k + 1) * n)) for k in range(len(every))]
    if not embedded:
        return own
    return [_join([one.first, made], Features) for one, made in zip(every, own, strict=True)]


def _predict_mirrored(
    network: CompactSam,
    mirrored: Sequence[Features],
    prompts: PromptBatch,
    mirrors: Sequence[tuple[int, ...]],
    known: Tensor | None,
) -> list[Tensor]:
    """Predict the mirror images of crops with one network.

    Args:
        mirrored: features of the mirror images of each crop.
        prompts: one set per crop.
        known: logits (crop, 3, row, column) of the first mirror, where they are known.

    Returns:
        logits (crop, 3, row, column) per mirror, in the orientation of the crop.
    """
    n_known = 0 if known is None else 1
    wanted = range(n_known, len(mirrors))
    found = [] if known is None else [known]
    if wanted:
        parts = [_rows(one, slice(k, k + 1)) for k in wanted for one in mirrored]
        asked = mirror_prompts(prompts, mirrors[n_known:])
        found += network.predict(_join(parts, Features), asked)[0].split(len(mirrored))
    return [one.flip(axes) for one, axes in zip(found, mirrors, strict=True)]


def _asks_nothing(prompts: SlicePrompts, lv_box: Box) -> bool:
    """Return whether nothing but the box is asked that the slice is embedded with."""
    box = prompts.lv_box or lv_box
    corners = [(one.column0, one.row0, one.column1, one.row1) for one in (box, lv_box)]
    return not prompts.boxes and not prompts.points and corners[0] == corners[1]


def _join(parts: Sequence[B], kind: type[B]) -> B:
    """Join batches of features or prompts along their first axis."""
    if len(parts) == 1:
        return parts[0]
    return kind(*(torch.cat([getattr(one, f.name) for one in parts]) for f in fields(kind)))


def _rows(features: Features, rows: slice) -> Features:
    """Return some images of a batch."""
    return Features(features.quarter[rows], features.half[rows], features.full[rows])


def _shape(image: SliceImage) -> tuple[int, int]:
    return int(image.pixels.shape[0]), int(image.pixels.shape[1])


def mirror_prompts(prompts: PromptBatch, mirrors: Sequence[tuple[int, ...]]) -> PromptBatch:
    """Repeat the prompts of crops, mirrored along these axes of (image, map, row, column)."""
    size = prompts.previous.shape[-1]
    parts = []
    for axes in mirrors:
        lv, boxes, points = prompts.lv_box, prompts.boxes, prompts.points
        for axis, place in ((3, 0), (2, 1)):
            if axis in axes:
                lv, boxes = _mirrored_boxes(lv, place, size), _mirrored_boxes(boxes, place, size)
                points = points.clone()
                points[..., place] = size - points[..., place]
        parts.append((lv, boxes, points, prompts.previous.flip(axes)))
    lv, boxes, points, previous = (torch.cat(part) for part in zip(*parts, strict=True))
    n = len(mirrors)
    return PromptBatch(
        lv,
        boxes,
        prompts.boxes_used.repeat(n, 1),
        points,
        prompts.point_labels.repeat(n, 1),
        previous,
    )


def _mirrored_boxes(boxes: Tensor, place: int, size: int) -> Tensor:
    """Mirror corners (..., 4) along columns (place 0) or rows (1)."""
    boxes = boxes.clone()
    boxes[..., [place, place + 2]] = size - boxes[..., [place + 2, place]]
    return boxes


def crop_with_neighbours(image: SliceImage, geometry: CropGeometry) -> Tensor:
    """Sample and normalise a slice and its neighbours to (1, CHANNELS, crop row, crop column)."""
    crops: list[Tensor] = []
    for pixels in (image.pixels, *image.neighbours):
        if pixels is None:
            crops.append(torch.zeros_like(crops[0]))
        else:
            source = torch.from_numpy(np.array(pixels, dtype=np.float32))
            crops.append(crop_slice(source, geometry))
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


def _central_box(shape: tuple[int, int], pixel_spacing_mm: tuple[float, float]) -> Box:
    """Return an 80 mm square round the slice's centre, used where no box is known."""
    half_rows, half_columns = 40 / pixel_spacing_mm[0], 40 / pixel_spacing_mm[1]
    row, column = shape[0] / 2, shape[1] / 2
    return Box(column - half_columns, row - half_rows, column + half_columns, row + half_rows)


def choose_device(device: str) -> str:
    """Choose the device for ``auto``, and check any other.

    Raises:
        WeightsError: E_DEVICE, the device is not available.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available()}
    available["mps"] = torch.backends.mps.is_available()
    if not available.get(device, False):
        raise WeightsError("E_DEVICE", f"This machine has no device {device}.")
    return device


def load_segmenter(name_or_path: Path | str | None, device: str = "auto") -> Segmenter:
    """Load a segmenter by manifest name, safetensors file or SAM/MedSAM checkpoint.

    Raises:
        WeightsError: E_WEIGHTS_MISSING, E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN, E_DEVICE, E_MEMORY.
    """
    device = choose_device(device)
    weights = resolve_weights(name_or_path, "segmenter")
    if weights.path.suffix in (".pth", ".pt"):
        from scarseg.models.sam_vit import load_vit
        from scarseg.models.scar_in_wall import ScarInWall

        return ScarInWall(load_vit(weights, device), load_segmenter(None, device))
    try:
        state = load_file(weights.path)
        with safe_open(weights.path, framework="pt") as file:
            takes_walls = (file.metadata() or {}).get(TAKES_WALLS) == "yes"
    except (SafetensorError, OSError) as error:
        if is_pytorch(weights.path):
            message = (
                f"{weights.path.name} is a PyTorch file; a SAM or MedSAM checkpoint ends in .pt or"
                " .pth, a segmenter made with scarseg train segmenter in .safetensors."
            )
            raise WeightsError("E_WEIGHTS_UNKNOWN", message, str(weights.path)) from error
        message = f"The weights file {weights.path} is damaged: {error}"
        raise WeightsError("E_WEIGHTS_DAMAGED", message, str(weights.path)) from error
    try:
        networks = [fuse_segmenter(network_from_weights(one)) for one in split_members(state)]
    except (RuntimeError, KeyError, ValueError) as error:
        message = f"The weights file {weights.path} is not a scarseg segmenter."
        raise WeightsError("E_WEIGHTS_UNKNOWN", message, str(weights.path)) from error
    return CompactSegmenter(networks, weights.identity, device, takes_walls)
