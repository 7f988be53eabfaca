"""Fine-tune a SAM or MedSAM checkpoint on scar: its mask decoder alone, or all of it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from scarseg.case.labels import infarct_mask
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.errors import InputError
from scarseg.models import Embedding, Logits
from scarseg.models.sam_vit import VitSegmenter, load_vit
from scarseg.models.weights import ResolvedWeights
from scarseg.training.cases import TrainingCase
from scarseg.training.loop import Ending, Limits, StopRequest, run_training
from scarseg.training.progress_display import ProgressDisplay
from scarseg.training.prompts import bounding_box, click_inside, components, draw_box
from scarseg.training.runs import write_file
from scarseg.training.segmenter.losses import segmentation_loss
from scarseg.training.segmenter.recipe import Recipe
from scarseg.training.segmenter.trainer import UNFINISHED, SegmenterTraining
from scarseg.training.segmenter.validate import ValidationSlice

Mask = npt.NDArray[np.bool_]
ENCODER_RATE, DECODER_RATE = 1e-5, 1e-4
SCAR_SHARE, BOX_SHARE, BOTH_SHARE = 0.75, 0.75, 0.25
KEPT_EMBEDDINGS = 512
"""A frozen encoder sees every slice once; so many embeddings stay, 2 MB each in float16."""


@dataclass(frozen=True)
class DrawnPrompts:
    """Prompts of one slice in source pixels, and the scar (row, column) that they mark."""

    box: tuple[float, float, float, float] | None
    points: tuple[tuple[float, float, int], ...]
    target: Mask


class VitTraining(SegmenterTraining):
    """A run on a SAM checkpoint; images are prepared exactly as they are in use.

    Args:
        recipe: its ``train`` is decoder (mask decoder alone) or all.
        weights: the checkpoint it begins with.
    """

    network: Sam

    def __init__(
        self, recipe: Recipe, folder: Path, weights: ResolvedWeights, device: str = "cpu"
    ) -> None:
        torch.manual_seed(recipe.seed)
        sam = load_vit(weights, device).sam
        self.whole = recipe.train == "all"
        for parameter in sam.parameters():
            parameter.requires_grad_(self.whole)
        for parameter in sam.mask_decoder.parameters():
            parameter.requires_grad_(True)
        decoder = [*sam.mask_decoder.parameters()]
        groups = [(decoder, recipe.decoder_rate)]
        if self.whole:
            prompt = list(sam.prompt_encoder.parameters())
            groups = [(decoder + prompt, recipe.decoder_rate)]
            groups += [([*sam.image_encoder.parameters()], recipe.encoder_rate)]
        trained = () if self.whole else ("mask_decoder.",)
        super().__init__(recipe, folder, sam, groups, trained)
        self._slices: list[list[tuple[TrainingCase, int]]] = [[], []]
        self._kept: dict[tuple[int, int], Tensor] = {}
        self._rng = np.random.default_rng(recipe.seed)
        self._segmenter = _CachingSegmenter(
            VitSegmenter(sam, UNFINISHED, str(self.device)), self.whole
        )

    def load_initial_weights(self, weights: Path) -> None:
        """Do nothing: the checkpoint was loaded when the run was created."""

    def run(
        self,
        cases: Sequence[TrainingCase],
        validation_slices: Sequence[ValidationSlice] = (),
        limits: Limits | None = None,
        display: ProgressDisplay | None = None,
        stop: StopRequest | None = None,
    ) -> Ending:
        """Train on the slices whose scar is known; that of cine is not.

        Raises:
            InputError: E_INPUT_EMPTY without any.
        """
        for case in cases:
            if case.kind != "cine":
                for k in case.slices_read:
                    self._slices[int(not infarct_mask(case.labels[k]).any())].append((case, k))
        if not self._slices[0]:
            raise InputError("E_INPUT_EMPTY", "No case shows scar to learn from.")
        self.validation_slices = validation_slices
        self._rng = np.random.default_rng([self.recipe.seed, self.step])
        return run_training(self, limits, display, stop)

    def loss(self) -> Tensor:
        parts = [self._decode_one() for _ in range(self.recipe.batch)]
        logits, iou, target = (
            torch.cat(one) for one in list(zip(*(part[:3] for part in parts), strict=True))
        )
        spacing = torch.tensor([part[3] for part in parts], device=self.device)
        known = torch.ones(len(parts), 1, dtype=torch.bool, device=self.device)
        weights = replace(self.recipe.loss, structures=self.recipe.loss.structures[-1:])
        return segmentation_loss(logits, iou, target, known, spacing, weights)

    def _decode_one(self) -> tuple[Tensor, Tensor, Tensor, float]:
        """Draw a slice and prompts; return logits, predicted IoU, target, mm per logit pixel."""
        rng = self._rng
        free = self._slices[1] and rng.random() > SCAR_SHARE
        case, index = _any(self._slices[1] if free else self._slices[0], rng)
        pixels, labels = case.pixels[index], case.labels[index]
        if self.whole:
            axes = tuple(axis for axis in (0, 1) if rng.random() < 0.5)
            pixels, labels = np.flip(pixels, axes), np.flip(labels, axes)
        drawn = draw_prompts(labels, rng)
        embedding, inside, scale = self._embed(case, index, pixels)
        size = self.network.image_encoder.img_size
        sparse, dense = self._prompts(drawn, scale)
        low, iou = self.network.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.network.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        target = to_logit_grid(drawn.target, inside, size, low.shape[-1]).to(self.device)
        row_mm, column_mm = case.pixel_spacing_mm
        long_mm = max(pixels.shape[0] * row_mm, pixels.shape[1] * column_mm)
        return low, iou, target, long_mm / low.shape[-1]

    def _embed(
        self, case: TrainingCase, index: int, pixels: npt.NDArray[np.float32]
    ) -> tuple[Tensor, tuple[int, int], tuple[float, float]]:
        size = self.network.image_encoder.img_size
        shown, inside, scale = to_network_input(pixels, case.pixel_spacing_mm, size)
        key = (id(case), index)
        if not self.whole and key in self._kept:
            return self._kept[key].to(self.device).float(), inside, scale
        batch = self.network.preprocess(shown.to(self.device))
        with torch.set_grad_enabled(self.whole):
            embedding = self.network.image_encoder(batch)
        if not self.whole and len(self._kept) < KEPT_EMBEDDINGS:
            self._kept[key] = embedding.half().cpu()
        return embedding, inside, scale

    def _prompts(self, drawn: DrawnPrompts, scale: tuple[float, float]) -> tuple[Tensor, Tensor]:
        here = self.device
        points = boxes = None
        if drawn.points:
            where = [(c * scale[0] - 0.5, r * scale[1] - 0.5) for c, r, _ in drawn.points]
            kinds = [label for *_, label in drawn.points]
            points = (torch.tensor([where], device=here), torch.tensor([kinds], device=here))
        if drawn.box is not None:
            corners = [v * scale[i % 2] for i, v in enumerate(drawn.box)]
            boxes = torch.tensor([corners], dtype=torch.float32, device=here) - 0.5
        sparse, dense = self.network.prompt_encoder(points=points, boxes=boxes, masks=None)
        return sparse, dense

    def segmenter(self) -> _CachingSegmenter:
        return self._segmenter

    def validate(self, stop: StopRequest) -> dict[str, float] | None:
        """Measure the running average in the one network there is: a copy may not fit."""
        own = self.copied_state()
        self._load(self.average)
        try:
            return super().validate(stop)
        finally:
            self._load(own)

    def _load(self, state: Mapping[str, Tensor]) -> None:
        """Set the tensors of what is trained."""
        self.network.load_state_dict({**self.network.state_dict(), **state})

    def write_average(self, name: str) -> None:
        state = {k: v.contiguous().cpu() for k, v in self.average.items()}
        write_file(self.folder / name, save(state))

    def finished(self, trained: Path) -> bytes:
        """Return the whole checkpoint, in SAM's format, with the trained part of a file in it."""
        self._load(load_file(trained))
        buffer = io.BytesIO()
        torch.save({k: v.contiguous().cpu() for k, v in self.network.state_dict().items()}, buffer)
        return buffer.getvalue()


class _CachingSegmenter:
    """A segmenter that embeds a slice once, as long as its encoder is not trained."""

    def __init__(self, own: VitSegmenter, learning: bool) -> None:
        self.own, self.learning = own, learning
        self.identity = own.identity
        self._kept: dict[int, tuple[SliceImage, Embedding]] = {}

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        if self.learning:
            return self.own.embed(image, lv_box)
        if id(image) not in self._kept:
            self._kept[id(image)] = (image, self.own.embed(image, lv_box))
        return self._kept[id(image)][1]

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        return self.own.predict(embedding, prompts, previous, quick)


def to_network_input(
    pixels: npt.NDArray[np.float32], pixel_spacing_mm: tuple[float, float], size: int
) -> tuple[Tensor, tuple[int, int], tuple[float, float]]:
    """Prepare a slice (row, column) for the network as :class:`VitSegmenter` does.

    Returns:
        image (1, 3, row, column) in 0..255; its size; scale (column, row) from source pixels.
    """
    rows, columns = pixels.shape
    row_mm, column_mm = pixel_spacing_mm
    long_mm = max(rows * row_mm, columns * column_mm)
    scale = (size * column_mm / long_mm, size * row_mm / long_mm)
    inside = (max(1, round(rows * scale[1])), max(1, round(columns * scale[0])))
    low, high = np.percentile(pixels, (0.5, 99.5))
    grey = np.clip((pixels - float(low)) / max(float(high - low), 1e-6), 0, 1) * 255
    source = torch.from_numpy(grey.astype(np.float32))[None, None]
    shown = F.interpolate(source, inside, mode="bilinear", antialias=True)
    return shown.expand(-1, 3, -1, -1), inside, scale


def to_logit_grid(mask: Mask, inside: tuple[int, int], size: int, low: int) -> Tensor:
    """Resample a mask (row, column) to the grid of the decoder's logits (1, 1, low, low)."""
    source = torch.from_numpy(mask.astype(np.float32))[None, None]
    shown = F.interpolate(source, inside, mode="bilinear", antialias=True)
    padded = F.pad(shown, (0, size - inside[1], 0, size - inside[0]))
    return (F.avg_pool2d(padded, size // low) > 0.5).float()


def draw_prompts(labels: npt.NDArray[np.uint8], rng: np.random.Generator) -> DrawnPrompts:
    """Draw a box or clicks of a reader, in source pixels, with the scar they mark.

    A box marks one component or all of the scar; a slice without scar gets a box or a
    negative click that marks nothing.
    """
    scar = infarct_mask(labels) & (labels <= 4)
    heart = (labels >= 1) & (labels <= 4)
    if not scar.any():
        return _misleading(heart, rng)
    if rng.random() >= BOX_SHARE:
        return DrawnPrompts(None, _clicks(scar, heart & ~scar, rng), scar)
    parts = components(scar)
    target = scar if rng.random() < 0.3 else parts[int(rng.integers(len(parts)))]
    points = _clicks(target, heart & ~scar, rng) if rng.random() < BOTH_SHARE else ()
    return DrawnPrompts(draw_box(bounding_box(target), rng), points, target)


def _misleading(heart: Mask, rng: np.random.Generator) -> DrawnPrompts:
    place = heart if heart.any() else np.ones_like(heart)
    column, row = click_inside(place, rng, central=False)
    if rng.random() < 0.3:
        return DrawnPrompts(None, ((column, row, 0),), np.zeros_like(heart))
    half = rng.uniform(3, 10, 2)
    box = (column - half[0], row - half[1], column + half[0], row + half[1])
    return DrawnPrompts(box, (), np.zeros_like(heart))


def _clicks(
    target: Mask, outside: Mask, rng: np.random.Generator
) -> tuple[tuple[float, float, int], ...]:
    points = [(*click_inside(target, rng, central=rng.random() < 0.5), 1)]
    if rng.random() < 0.4 and outside.any():
        points.append((*click_inside(outside, rng, central=False), 0))
    return tuple(points)


def _any(
    slices: Sequence[tuple[TrainingCase, int]], rng: np.random.Generator
) -> tuple[TrainingCase, int]:
    return slices[int(rng.integers(len(slices)))]
