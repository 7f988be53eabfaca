"""SAM and MedSAM ViT-B/L/H checkpoints of a user as a segmenter: scar only, 1024 pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import psutil
import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.errors import ModelError, WeightsError
from scarseg.models import Embedding, Logits
from scarseg.models.weights import ResolvedWeights

OUTSIDE_LOGIT = -12.0
PIXEL_MEAN, PIXEL_SD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of segment_anything's registry, for the three channels; they are not in the checkpoint."""
WORKING_BYTES, LARGE_WORKING_BYTES = 2_500_000_000, 3_300_000_000
"""Memory to embed a slice besides the weights: 2.48 GB measured for the 12 heads of ViT-B by
``benchmarks/sam.py``; for ViT-L and ViT-H in proportion to their 16."""
LARGE_FILE_BYTES = 600_000_000
"""A checkpoint of ViT-B has 375 MB, of ViT-L 1.2 GB, of ViT-H 2.6 GB."""
MODEL_OF_WIDTH = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


@dataclass(frozen=True, eq=False)
class VitFeatures:
    """Image embedding with the size (row, column) of the slice as it entered the network."""

    embedding: Tensor
    input_size: tuple[int, int]
    scale: tuple[float, float]


@dataclass(frozen=True, eq=False)
class PartialFeatures:
    """A slice in the image encoder after ``block`` of ``n_blocks``: tokens (1, row, column, n)."""

    x: Tensor
    block: int
    n_blocks: int
    input_size: tuple[int, int]
    scale: tuple[float, float]

    @property
    def done(self) -> float:
        """Part that is done, 0 to 1."""
        return self.block / self.n_blocks


class VitSegmenter:
    """Segmenter with segment-anything's own model on the whole slice; it predicts scar only."""

    def __init__(self, sam: Sam, identity: ModelIdentity, device: str) -> None:
        self.identity = identity
        self.device = torch.device(device)
        self.sam = sam.to(self.device).eval()

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        partial = self.begin(image)
        while partial.done < 1:
            partial = self.advance(partial)
        rows, columns = image.pixels.shape
        return Embedding((rows, columns), lv_box, self.finish(partial), image.pixel_spacing_mm)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of an embedding: 1, channel, row, column."""
        prompts = self.sam.prompt_encoder
        return (1, prompts.embed_dim, *prompts.image_embedding_size)

    def geometry(self, image: SliceImage) -> tuple[tuple[int, int], tuple[float, float]]:
        """Return the size (row, column) of a slice in the network, and the scale (column, row)."""
        rows, columns = image.pixels.shape
        spacing_row, spacing_column = image.pixel_spacing_mm
        size = self.sam.image_encoder.img_size
        long_mm = max(rows * spacing_row, columns * spacing_column)
        scale = (size * spacing_column / long_mm, size * spacing_row / long_mm)
        return (max(1, round(rows * scale[1])), max(1, round(columns * scale[0]))), scale

    @torch.inference_mode()
    def begin(self, image: SliceImage) -> PartialFeatures:
        """Prepare a slice and embed its patches; :meth:`advance` runs the blocks."""
        inside, scale = self.geometry(image)
        low, high = np.percentile(image.pixels, (0.5, 99.5))
        grey = np.clip((image.pixels - float(low)) / max(float(high - low), 1e-6), 0, 1) * 255
        source = torch.from_numpy(grey.astype(np.float32))[None, None]
        shown = F.interpolate(source, inside, mode="bilinear", antialias=True)
        batch = self.sam.preprocess(shown.expand(-1, 3, -1, -1).to(self.device))
        encoder = self.sam.image_encoder
        x = encoder.patch_embed(batch)
        if encoder.pos_embed is not None:
            x = x + encoder.pos_embed
        return PartialFeatures(x, 0, len(encoder.blocks), inside, scale)

    @torch.inference_mode()
    def advance(self, partial: PartialFeatures) -> PartialFeatures:
        """Run the next block of the image encoder, one to a few seconds on a processor.

        Raises:
            ModelError: E_MEMORY.
        """
        try:
            x = self.sam.image_encoder.blocks[partial.block](partial.x)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "alloc" not in str(error).lower():
                raise
            message = f"There is too little memory for {self.identity.name} to embed a slice."
            raise ModelError("E_MEMORY", message) from error
        return replace(partial, x=x, block=partial.block + 1)

    @torch.inference_mode()
    def finish(self, partial: PartialFeatures) -> VitFeatures:
        """Return the embedding of a slice whose blocks all have run."""
        features = self.sam.image_encoder.neck(partial.x.permute(0, 3, 1, 2))
        return VitFeatures(features, partial.input_size, partial.scale)

    @torch.inference_mode()
    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        """Predict each box on its own and take the maximum; without prompts there is no scar."""
        own: VitFeatures = embedding.features
        logits = np.full(embedding.shape, OUTSIDE_LOGIT, dtype=np.float32)
        if not prompts.has_scar_prompts or prompts.no_scar:
            return Logits(logits)
        for box in prompts.boxes or (None,):
            logits = np.maximum(logits, self._one(own, box, prompts, embedding.shape))
        return Logits(logits)

    def _one(
        self,
        own: VitFeatures,
        box: Box | None,
        prompts: SlicePrompts,
        shape: tuple[int, int],
    ) -> np.ndarray:
        scale_column, scale_row = own.scale
        points = None
        if prompts.points:
            # PromptEncoder adds half a pixel itself.
            where = [
                ((p.pixel[0] + 0.5) * scale_column - 0.5, (p.pixel[1] + 0.5) * scale_row - 0.5)
                for p in prompts.points
            ]
            kinds = [int(p.positive) for p in prompts.points]
            points = (
                torch.tensor([where], device=self.device),
                torch.tensor([kinds], device=self.device),
            )
        boxes = None
        if box is not None:
            corners = [
                box.column0 * scale_column,
                box.row0 * scale_row,
                box.column1 * scale_column,
                box.row1 * scale_row,
            ]
            boxes = torch.tensor([corners], device=self.device) - 0.5
        sparse, dense = self.sam.prompt_encoder(points=points, boxes=boxes, masks=None)
        low, _ = self.sam.mask_decoder(
            image_embeddings=own.embedding.to(self.device, torch.float32),
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        size = self.sam.image_encoder.img_size
        large = F.interpolate(low, (size, size), mode="bilinear", align_corners=False)
        inside = large[..., : own.input_size[0], : own.input_size[1]]
        back = F.interpolate(inside, shape, mode="bilinear", align_corners=False, antialias=True)
        return np.asarray(back[0, 0].float().cpu().numpy(), dtype=np.float32)


def load_vit(weights: ResolvedWeights, device: str) -> VitSegmenter:
    """Load a SAM or MedSAM checkpoint; the kind of ViT follows from its tensors.

    Only tensors are unpickled (``weights_only``): a file cannot run code.

    Raises:
        WeightsError: E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN; E_MEMORY, before anything is read.
    """
    path = weights.path
    require_memory(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        message = f"The weights file {path} is damaged or holds more than tensors."
        raise WeightsError("E_WEIGHTS_DAMAGED", message, str(path)) from error
    state = _sam_tensors(state)
    width = state.get("image_encoder.pos_embed")
    if not isinstance(width, Tensor) or width.ndim != 4 or width.shape[-1] not in MODEL_OF_WIDTH:
        raise _unknown(path, state)
    # Without memory of its own: the tensors of the file take their places.
    with torch.device("meta"):
        sam = sam_model_registry[MODEL_OF_WIDTH[width.shape[-1]]]()
    try:
        sam.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise _unknown(path, state) from error
    for name, values in (("pixel_mean", PIXEL_MEAN), ("pixel_std", PIXEL_SD)):
        setattr(sam, name, torch.tensor(values).view(-1, 1, 1))
    return VitSegmenter(sam, weights.identity, device)


def require_memory(path: Path) -> None:
    """Raise WeightsError E_MEMORY where a checkpoint and its work would not fit into memory."""
    size = path.stat().st_size
    needed = size + (WORKING_BYTES if size < LARGE_FILE_BYTES else LARGE_WORKING_BYTES)
    free = psutil.virtual_memory().available
    if needed > free:
        message = (
            f"{path.name} needs about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are"
            " free: close other programs, or choose a smaller checkpoint."
        )
        raise WeightsError("E_MEMORY", message, str(path))


_WRAPPERS = ("model", "state_dict", "model_state_dict", "sam")
"""Where training programs put the tensors beside the state of their optimizer."""
_PREFIXES = ("module.", "model.", "sam.")
"""What DistributedDataParallel and wrapping modules put before every name."""


def _sam_tensors(state: object) -> dict[str, object]:
    """Return the tensors of a checkpoint by SAM's own names, whatever they are wrapped in."""
    for _ in range(3):
        if not isinstance(state, dict):
            return {}
        inner = [state[name] for name in _WRAPPERS if isinstance(state.get(name), dict)]
        if len(inner) != 1:
            break
        state = inner[0]
    if not isinstance(state, dict):
        return {}
    found = {str(name): value for name, value in state.items()}
    for _ in range(3):
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in found)), None)
        if not found or prefix is None:
            return found
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _unknown(path: Path, state: dict[str, object]) -> WeightsError:
    first = ", ".join(name[:60] for name in list(state)[:3])
    has = f"it has {first}" if first else "it holds no named tensors"
    message = (
        f"The weights file {path} is not a SAM checkpoint: {has}; needed are the image_encoder.,"
        " prompt_encoder. and mask_decoder. tensors of SAM ViT-B, L or H."
    )
    return WeightsError("E_WEIGHTS_UNKNOWN", message, str(path))
