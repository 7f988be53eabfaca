"""SAM and MedSAM ViT-B/L/H checkpoints of a user as a segmenter: scar only, 1024 pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.errors import WeightsError
from scarseg.models import Embedding, Logits
from scarseg.models.weights import ResolvedWeights

OUTSIDE_LOGIT = -12.0
MODEL_OF_WIDTH = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


@dataclass(frozen=True, eq=False)
class VitFeatures:
    """Image embedding with the size (row, column) of the slice as it entered the network."""

    embedding: Tensor
    input_size: tuple[int, int]
    scale: tuple[float, float]


class VitSegmenter:
    """Segmenter with segment-anything's own model on the whole slice; it predicts scar only."""

    def __init__(self, sam: Sam, identity: ModelIdentity, device: str) -> None:
        self.identity = identity
        self.device = torch.device(device)
        self.sam = sam.to(self.device).eval()

    @torch.inference_mode()
    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        rows, columns = image.pixels.shape
        spacing_row, spacing_column = image.pixel_spacing_mm
        size = self.sam.image_encoder.img_size
        long_mm = max(rows * spacing_row, columns * spacing_column)
        scale = (size * spacing_column / long_mm, size * spacing_row / long_mm)
        inside = (max(1, round(rows * scale[1])), max(1, round(columns * scale[0])))
        low, high = np.percentile(image.pixels, (0.5, 99.5))
        grey = np.clip((image.pixels - float(low)) / max(float(high - low), 1e-6), 0, 1) * 255
        source = torch.from_numpy(grey.astype(np.float32))[None, None]
        shown = F.interpolate(source, inside, mode="bilinear", antialias=True)
        batch = self.sam.preprocess(shown.expand(-1, 3, -1, -1).to(self.device))
        features = VitFeatures(self.sam.image_encoder(batch), inside, scale)
        return Embedding((rows, columns), lv_box, features, image.pixel_spacing_mm)

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
            image_embeddings=own.embedding,
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
        WeightsError: E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN.
    """
    path = weights.path
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        message = f"The weights file {path} is damaged or holds more than tensors."
        raise WeightsError("E_WEIGHTS_DAMAGED", message, str(path)) from error
    state = _sam_tensors(state)
    width = state.get("image_encoder.pos_embed")
    if not isinstance(width, Tensor) or width.ndim != 4 or width.shape[-1] not in MODEL_OF_WIDTH:
        raise _unknown(path, state)
    sam = sam_model_registry[MODEL_OF_WIDTH[width.shape[-1]]]()
    try:
        sam.load_state_dict(state)
    except RuntimeError as error:
        raise _unknown(path, state) from error
    return VitSegmenter(sam, weights.identity, device)


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
