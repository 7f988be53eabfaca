"""Build and run the detector's network: YOLO11n with one input channel and two classes."""

from __future__ import annotations

import logging
from typing import Any

import torch  # before ultralytics, which otherwise cuts torch to one thread
from torch import Tensor, nn

from scarseg.models import Structure, prepare_environment

CLASSES = (Structure.SCAR, Structure.LEFT_VENTRICLE)
"""Class numbers of the network, in order."""

STRIDES = (8, 16, 32)
"""Pixels per cell of the three maps that the boxes are read from."""

_NECK_LAYER = 16  # finest of the three maps that YOLO11's head reads: 1/8, 64 channels

ARCHITECTURE: dict[str, Any] = {
    "nc": len(CLASSES),
    "scales": {"n": [0.50, 0.25, 1024]},
    "scale": "n",
    "backbone": [
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 2, "C3k2", [256, False, 0.25]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 2, "C3k2", [512, False, 0.25]],
        [-1, 1, "Conv", [512, 3, 2]],
        [-1, 2, "C3k2", [512, True]],
        [-1, 1, "Conv", [1024, 3, 2]],
        [-1, 2, "C3k2", [1024, True]],
        [-1, 1, "SPPF", [1024, 5]],
        [-1, 2, "C2PSA", [1024]],
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 2, "C3k2", [512, False]],
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 2, "C3k2", [256, False]],
        [-1, 1, "Conv", [256, 3, 2]],
        [[-1, 13], 1, "Concat", [1]],
        [-1, 2, "C3k2", [512, False]],
        [-1, 1, "Conv", [512, 3, 2]],
        [[-1, 10], 1, "Concat", [1]],
        [-1, 2, "C3k2", [1024, True]],
        [[16, 19, 22], 1, "Detect", ["nc"]],
    ],
}
"""YOLO11n of ultralytics, AGPL-3.0, with two classes; built with one input channel."""


def build_network() -> Any:
    """Build the untrained network: one input channel, two classes, no file read or fetched."""
    prepare_environment()
    threads = torch.get_num_threads()
    from ultralytics import settings
    from ultralytics.cfg import DEFAULT_CFG
    from ultralytics.nn.tasks import DetectionModel

    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    if settings.get("sync", True):
        settings.update({"sync": False})
    torch.set_num_threads(threads)
    network = DetectionModel({**ARCHITECTURE}, ch=1, nc=len(CLASSES), verbose=False)
    network.args = DEFAULT_CFG  # gains of the loss
    return network


def neck_layer(network: Any) -> nn.Module:
    """Return the layer whose output is the 1/8 map with 64 channels (training hooks into it)."""
    layer: nn.Module = network.model[_NECK_LAYER]
    return layer


def run_network(
    network: nn.Module,
    images: Tensor,
    least_score: float,
    overlap: float,
    mirrored: bool,
    most: int = 20,
) -> list[Tensor]:
    """Run the network and suppress duplicate boxes class by class.

    Args:
        network: built by :func:`build_network`, in eval mode.
        images: float32 (image, 1, row, column), 0 to 1, sides multiples of 32.
        least_score: boxes below this score are dropped.
        overlap: intersection over union above which the lower-scoring of two boxes is dropped.
        mirrored: average over the four mirror images.
        most: number of boxes kept per image, at most.

    Returns one (n, 6) tensor per image: column0, row0, column1, row1, score, class number, in
    input pixels, best first.
    """
    prepare_environment()
    from ultralytics.utils.nms import non_max_suppression

    with torch.inference_mode():
        outputs = mirrored_mean(network, images) if mirrored else network(images)[0]
        # ultralytics gives up after max_time_img: a slow machine must not lose boxes
        found = non_max_suppression(
            outputs, least_score, overlap, max_det=most, nc=len(CLASSES), max_time_img=1e6
        )
    return [boxes.float().cpu() for boxes in found]


def mirrored_mean(network: nn.Module, images: Tensor) -> Tensor:
    """Average the network's output for an image and its three mirror images, cell by cell.

    Returns (image, 4 + class, cell): centre column, centre row, width, height in pixels, scores.
    """
    rows, columns = images.shape[-2:]
    mirrors: tuple[list[int], ...] = ([], [-1], [-2], [-2, -1])
    outputs = network(torch.cat([images.flip(axes) for axes in mirrors]))[0]
    grids = [(rows // stride, columns // stride) for stride in STRIDES]
    total = torch.zeros_like(outputs[: len(images)])
    for axes, output in zip(mirrors, outputs.split(len(images)), strict=True):
        levels = output.split([r * c for r, c in grids], dim=2)
        unflipped = torch.cat(
            [
                level.unflatten(2, grid).flip(axes).flatten(2)
                for level, grid in zip(levels, grids, strict=True)
            ],
            dim=2,
        )
        if -1 in axes:
            unflipped[:, 0] = columns - unflipped[:, 0]
        if -2 in axes:
            unflipped[:, 1] = rows - unflipped[:, 1]
        total += unflipped
    return total / len(mirrors)


def half_precision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert a state dict for shipping: kernels to float16, vectors to float32, no counters."""
    kept = {}
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        dtype = torch.float16 if value.ndim > 1 else torch.float32
        kept[key] = value.detach().to("cpu", dtype).contiguous()
    return kept
