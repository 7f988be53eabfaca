"""The compact SAM of the default weights.

segment-anything's prompt encoder and two-way-transformer mask decoder over a light
convolutional encoder, with skips from 1/2 and 1/1 as SAM 2 has them, and prompts that also enter
as dense maps: with tokens alone the network did not learn to follow clicks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.fusion import fuse_conv_bn_eval

from scarseg.models.segmenter_crop import CROP_PIXELS

DIM = 128
STRUCTURES = ("blood_pool", "wall", "scar")
CHANNELS = 3
"""The slice itself, the one before and the one after; zeros where there is none."""
DENSE_MAPS = 8
"""LV box, scar boxes, any box, positive clicks, negative clicks, previous pool, wall, scar."""


@dataclass
class Features:
    """One embedded batch: 1/4 (DIM), 1/2 (32) and 1/1 (16) channels."""

    quarter: Tensor
    half: Tensor
    full: Tensor


@dataclass
class PromptBatch:
    """Prompts of a batch in crop pixels.

    ``lv_box`` (batch, 4), ``boxes`` (batch, m, 4) with ``boxes_used`` bool (batch, m), ``points``
    (batch, n, 2) with ``point_labels`` (batch, n): 1 inside, 0 outside, -1 none; columns first.
    ``previous`` (batch, 3, row, column) probabilities, zeros for none.
    """

    lv_box: Tensor
    boxes: Tensor
    boxes_used: Tensor
    points: Tensor
    point_labels: Tensor
    previous: Tensor


class ResidualBlock(nn.Module):
    """Two convolutions with a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.convolutions(x))


def conv_block(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    """Build convolution, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class ImageEncoder(nn.Module):
    """Encoder of images (batch, CHANNELS, row, column) in -2..3 to :class:`Features`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_block(CHANNELS, 20)
        widths = (20, 40, 80, 144, 192)
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(a, b, 2), ResidualBlock(b), ResidualBlock(b))
            for a, b in pairwise(widths)
        )
        self.up_eighth = nn.Conv2d(192, 144, 1)
        self.mix_eighth = ResidualBlock(144)
        self.up_quarter = nn.Conv2d(144, DIM, 1)
        self.lateral_quarter = nn.Conv2d(80, DIM, 1)
        self.mix_quarter = ResidualBlock(DIM)
        self.to_half = nn.Conv2d(40, 32, 1)
        self.to_full = nn.Conv2d(20, 16, 1)

    def forward(self, image: Tensor) -> Features:
        full = self.stem(image)
        half = self.down[0](full)
        quarter = self.down[1](half)
        eighth = self.down[2](quarter)
        sixteenth = self.down[3](eighth)
        x = self.mix_eighth(eighth + F.interpolate(self.up_eighth(sixteenth), scale_factor=2.0))
        x = F.interpolate(self.up_quarter(x), scale_factor=2.0) + self.lateral_quarter(quarter)
        return Features(self.mix_quarter(x), self.to_half(half), self.to_full(full))


class DenseMaskDecoder(MaskDecoder):
    """SAM's mask decoder for a batch of images, three structures, with skips."""

    def __init__(self) -> None:
        transformer = TwoWayTransformer(depth=2, embedding_dim=DIM, num_heads=4, mlp_dim=512)
        super().__init__(
            transformer_dim=DIM,
            transformer=transformer,
            num_multimask_outputs=len(STRUCTURES) - 1,
            iou_head_hidden_dim=DIM,
        )
        self.mix_half = ResidualBlock(DIM // 4)
        self.mix_full = ResidualBlock(DIM // 8)

    def decode(
        self, quarter: Tensor, half: Tensor, full: Tensor, position: Tensor, sparse: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits (batch, 3, row, column) and predicted IoU (batch, 3)."""
        batch = sparse.shape[0]
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight], dim=0)
        tokens = torch.cat((own[None].expand(batch, -1, -1), sparse), dim=1)
        states, source = self.transformer(quarter, position.expand(batch, -1, -1, -1), tokens)
        source = source.transpose(1, 2).reshape(quarter.shape)
        up1, norm, act1, up2, act2 = self.output_upscaling
        x = self.mix_half(act1(norm(up1(source))) + half)
        x = self.mix_full(act2(up2(x)) + full)
        weights = torch.stack(
            [mlp(states[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)],
            dim=1,
        )
        masks = (weights @ x.flatten(2)).view(batch, -1, *x.shape[2:])
        return masks, self.iou_prediction_head(states[:, 0])


class CompactSam(nn.Module):
    """Network that embeds a crop once and decodes it once per prompt."""

    def __init__(self) -> None:
        super().__init__()
        size = CROP_PIXELS // 4
        self.image_encoder = ImageEncoder()
        self.prompt_encoder = PromptEncoder(
            embed_dim=DIM,
            image_embedding_size=(size, size),
            input_image_size=(CROP_PIXELS, CROP_PIXELS),
            mask_in_chans=16,
        )
        # The dense maps replace SAM's single-mask input.
        del self.prompt_encoder.mask_downscaling, self.prompt_encoder.no_mask_embed
        self.dense_full = nn.Conv2d(DENSE_MAPS, 16, 3, padding=1)
        self.dense_half = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.dense_quarter = nn.Conv2d(32, DIM, 3, stride=2, padding=1)
        self.mix = ResidualBlock(DIM)
        self.mask_decoder = DenseMaskDecoder()
        self.position: Tensor | None = None
        """Position encoding of the crop, where it is computed once for all predictions."""

    def embed(self, image: Tensor) -> Features:
        """Encode crops (batch, CHANNELS, row, column), normalised."""
        features: Features = self.image_encoder(image)
        return features

    def predict(self, features: Features, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """Return logits (batch, 3, row, column) and predicted IoU (batch, 3)."""
        full = self.dense_full(dense_maps(prompts))
        half = self.dense_half(F.gelu(full))
        quarter = self.mix(features.quarter + self.dense_quarter(F.gelu(half)))
        logits: tuple[Tensor, Tensor] = self.mask_decoder.decode(
            quarter,
            features.half + half,
            features.full + full,
            self._position(),
            self._sparse(prompts),
        )
        return logits

    def _position(self) -> Tensor:
        if self.position is not None:
            return self.position.to(self.mask_decoder.mask_tokens.weight.device)
        made: Tensor = self.prompt_encoder.get_dense_pe()
        return made

    def _sparse(self, prompts: PromptBatch) -> Tensor:
        """Encode boxes and points as SAM's tokens; absent ones are its not-a-point token."""
        encoder = self.prompt_encoder
        batch, n_boxes = prompts.boxes_used.shape
        absent = encoder.not_a_point_embed.weight
        every = torch.cat([prompts.lv_box[:, None], prompts.boxes], dim=1)
        corners = encoder._embed_boxes(every.reshape(-1, 4) - 0.5)
        corners = corners.view(batch, 1 + n_boxes, 2, DIM)
        used = prompts.boxes_used[:, :, None, None]
        scar = torch.where(used, corners[:, 1:], absent.view(1, 1, 1, -1))
        tokens = [corners[:, 0], scar.flatten(1, 2)]
        labels = prompts.point_labels[..., None]
        clicks = encoder.pe_layer.forward_with_coords(prompts.points, encoder.input_image_size)
        kinds = torch.where(
            labels == 1, encoder.point_embeddings[1].weight, encoder.point_embeddings[0].weight
        )
        tokens.append(torch.where(labels < 0, absent.view(1, 1, -1), clicks + kinds))
        return torch.cat(tokens, dim=1)


def dense_maps(prompts: PromptBatch) -> Tensor:
    """Draw prompts as maps (batch, DENSE_MAPS, row, column) at crop resolution.

    Boxes have soft edges one pixel wide, clicks are Gaussians of 2 pixels.
    """
    device = prompts.lv_box.device
    centres = torch.arange(CROP_PIXELS, dtype=torch.float32, device=device) + 0.5

    def inside(boxes: Tensor) -> Tensor:
        lengths = []
        for low, high in ((boxes[..., 1], boxes[..., 3]), (boxes[..., 0], boxes[..., 2])):
            begin = (centres - low[..., None] + 0.5).clamp(0, 1)
            end = (high[..., None] - centres + 0.5).clamp(0, 1)
            lengths.append(begin * end)
        return lengths[0][..., :, None] * lengths[1][..., None, :]

    lv = inside(prompts.lv_box)[:, None]
    used = prompts.boxes_used[:, :, None, None]
    scar = (inside(prompts.boxes) * used).amax(dim=1, keepdim=True)
    some = prompts.boxes_used.any(dim=1).float()[:, None, None, None].expand_as(scar)
    columns = (centres - prompts.points[..., 0, None]) ** 2
    rows = (centres - prompts.points[..., 1, None]) ** 2
    clicks = torch.exp(-(rows[..., :, None] + columns[..., None, :]) / 8)
    labels = prompts.point_labels[:, :, None, None]
    positive = (clicks * (labels == 1)).amax(dim=1, keepdim=True)
    negative = (clicks * (labels == 0)).amax(dim=1, keepdim=True)
    return torch.cat([lv, scar, some, positive, negative, prompts.previous], dim=1)


def add_neighbour_channels(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Widen weights trained on one slice to three: the neighbours start with zero weight."""
    stem = state["image_encoder.stem.0.weight"]
    missing = CHANNELS - stem.shape[1]
    if missing <= 0:
        return state
    return {**state, "image_encoder.stem.0.weight": F.pad(stem, (0, 0, 0, 0, 0, missing))}


def join_members(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Join the weights of the networks of an ensemble into one state dict."""
    return {f"members.{k}.{name}": v for k, one in enumerate(states) for name, v in one.items()}


def split_members(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Split a state dict of :func:`join_members`; a single network is one member."""
    if not any(name.startswith("members.") for name in state):
        return [state]
    parts: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        _, number, own = name.split(".", 2)
        parts.setdefault(int(number), {})[own] = value
    return [parts[k] for k in sorted(parts)]


def network_from_weights(state: dict[str, Tensor]) -> CompactSam:
    """Build a network from saved weights.

    Raises:
        RuntimeError, KeyError, ValueError: weights of something else.
    """
    network = CompactSam()
    network.load_state_dict(add_neighbour_channels({k: v.float() for k, v in state.items()}))
    return network


def fold_batchnorms(network: CompactSam) -> CompactSam:
    """Fold the batch norms into the convolutions before them: same output, less work."""
    network.eval()
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for k, (first, second) in enumerate(pairwise(list(module))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[k], module[k + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return network
