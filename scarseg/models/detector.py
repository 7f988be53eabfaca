"""YOLO proposes the left ventricle and the scars of a slice."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch  # before ultralytics, which otherwise cuts torch to one thread
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, Origin
from scarseg.case.stack import SliceImage
from scarseg.errors import ModelError, WeightsError
from scarseg.models import Detection, Detector, Structure, prepare_environment
from scarseg.models.detector_crop import (
    DETECTOR_CROP_PIXELS,
    FAR_MM_PER_PIXEL,
    NEAR_MM_PER_PIXEL,
    DetectorCrop,
    crop_image,
)
from scarseg.models.weights import list_weights, resolve_weights

CLASSES = (Structure.SCAR, Structure.LEFT_VENTRICLE)
"""Class numbers of the network, in order."""

STRIDES = (8, 16, 32)
"""Pixels per cell of the three maps that the boxes are read from."""

_NECK_LAYER = 16  # finest of the three maps that YOLO11's head reads: 1/8, 64 channels in size n

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
    """Give the layer whose output is the 1/8 map with 64 channels (training listens to it)."""
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
    """Run, and suppress double boxes class by class.

    Args:
        network: built by :func:`build_network`, in eval mode.
        images: float32 (image, 1, row, column), 0 to 1, sides multiples of 32.
        least_score: drop what scores less.
        overlap: intersection over union above which the lower-scoring of two boxes goes.
        mirrored: average over the four mirror images.
        most: keep at most so many per image.

    Returns one (n, 6) tensor per image: column0, row0, column1, row1, score, class number, in
    input pixels, best first.
    """
    prepare_environment()
    from ultralytics.utils.nms import non_max_suppression

    with torch.inference_mode():
        answers = mirrored_mean(network, images) if mirrored else network(images)[0]
        # ultralytics gives up after max_time_img: a slow machine must not lose boxes
        found = non_max_suppression(
            answers, least_score, overlap, max_det=most, nc=len(CLASSES), max_time_img=1e6
        )
    return [boxes.float().cpu() for boxes in found]


def mirrored_mean(network: nn.Module, images: Tensor) -> Tensor:
    """Average what the network says of an image and of its three mirror images, cell by cell.

    Returns (image, 4 + class, cell): centre column, centre row, width, height in pixels, scores.
    """
    rows, columns = images.shape[-2:]
    mirrors: tuple[list[int], ...] = ([], [-1], [-2], [-2, -1])
    answers = network(torch.cat([images.flip(axes) for axes in mirrors]))[0]
    grids = [(rows // stride, columns // stride) for stride in STRIDES]
    total = torch.zeros_like(answers[: len(images)])
    for axes, answer in zip(mirrors, answers.split(len(images)), strict=True):
        levels = answer.split([r * c for r, c in grids], dim=2)
        back = torch.cat(
            [
                level.unflatten(2, grid).flip(axes).flatten(2)
                for level, grid in zip(levels, grids, strict=True)
            ],
            dim=2,
        )
        if -1 in axes:
            back[:, 0] = columns - back[:, 0]
        if -2 in axes:
            back[:, 1] = rows - back[:, 1]
        total += back
    return total / len(mirrors)


def half_precision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give a state dict for shipping: kernels as float16, vectors as float32, counters left out."""
    kept = {}
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        dtype = torch.float16 if value.ndim > 1 else torch.float32
        kept[key] = value.detach().to("cpu", dtype).contiguous()
    return kept


FORMAT = "scarseg-detector 1"
_LARGEST_HEART = 0.8  # of the near view; for larger hearts it is sampled more coarsely
_FAR_LEAST_SCORE = 0.02
_MOST_PLACES = 3  # looked at closely, the next only when none yet shows a sure heart
_SURE_HEART = 0.75

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DetectorSettings:
    """What decides which boxes are shown; travels inside the weights file.

    Args:
        scar_score, lv_score: boxes scoring less are not proposed.
        scar_overlap: intersection over union above which two scar boxes are one.
        far_mm_per_pixel, near_mm_per_pixel: sampling the weights were trained on.
    """

    scar_score: float = 0.25
    lv_score: float = 0.25
    scar_overlap: float = 0.45
    far_mm_per_pixel: float = FAR_MM_PER_PIXEL
    near_mm_per_pixel: float = NEAR_MM_PER_PIXEL


class YoloDetector:
    """Look at the whole slice for the heart, then closely at the heart for its scars."""

    def __init__(
        self,
        network: nn.Module,
        settings: DetectorSettings,
        identity: ModelIdentity,
        device: str = "cpu",
    ) -> None:
        self.settings = settings
        self.identity = identity
        self._device = torch.device(device)
        self._network = network.to(self._device).eval()

    def detect(self, image: SliceImage) -> list[Detection]:
        """Give scar boxes and the left_ventricle, best score first.

        Where no place shows a sure heart, each that may be one gives a left_ventricle: the
        stack decides. Scar boxes are those at the best of them.

        Raises:
            ModelError: E_MODEL_OUTPUT when the network answers with something not finite.
        """
        return [d for d in self.candidates(image) if d.score >= self._least(d.structure)]

    def candidates(self, image: SliceImage, least_score: float = 0.01) -> list[Detection]:
        """Give the boxes before the score thresholds: what thresholds are chosen from."""
        whole = DetectorCrop.whole(_shape(image), image.pixel_spacing_mm)
        places = [
            d
            for d in self._run(image, whole, _FAR_LEAST_SCORE, mirrored=False)
            if d.structure == Structure.LEFT_VENTRICLE
        ]
        best: list[Detection] = []
        hearts: list[Detection] = []
        for place in places[:_MOST_PLACES]:
            near = near_crop(place.box, image.pixel_spacing_mm)
            found = self._run(image, near, least_score, mirrored=True)
            hearts += [d for d in found if d.structure == Structure.LEFT_VENTRICLE][:1]
            if not best or _heart_score(found) > _heart_score(best):
                best = found
            if _heart_score(best) >= _SURE_HEART:
                break
        scars = [d for d in best if d.structure == Structure.SCAR]
        return sorted(_apart(hearts) + scars, key=lambda d: -d.score)

    def _least(self, structure: Structure) -> float:
        if structure == Structure.SCAR:
            return self.settings.scar_score
        return self.settings.lv_score

    def _run(
        self, image: SliceImage, view: DetectorCrop, least_score: float, mirrored: bool
    ) -> list[Detection]:
        """Run the network on one view and map its boxes to the source, best first."""
        seen = crop_image(image.pixels, view)
        inputs = torch.from_numpy(seen)[None, None].to(self._device)
        overlap = self.settings.scar_overlap
        rows = run_network(self._network, inputs, least_score, overlap, mirrored)[0]
        return to_detections(rows, view, _shape(image))


def _apart(hearts: list[Detection]) -> list[Detection]:
    """Keep the best of those that lie on each other."""
    kept: list[Detection] = []
    for one in sorted(hearts, key=lambda d: -d.score):
        if all(one.box.intersection_over_union(other.box) < 0.3 for other in kept):
            kept.append(one)
    return kept


def _heart_score(found: list[Detection]) -> float:
    """Give the best left_ventricle score, 0 without any."""
    return max((d.score for d in found if d.structure == Structure.LEFT_VENTRICLE), default=0.0)


def _shape(image: SliceImage) -> tuple[int, int]:
    rows, columns = image.pixels.shape
    return int(rows), int(columns)


def near_crop(heart: Box, pixel_spacing_mm: tuple[float, float]) -> DetectorCrop:
    """Make the close look round a left_ventricle box in source pixels."""
    spacing_row, spacing_column = pixel_spacing_mm
    extent_mm = max(heart.width * spacing_column, heart.height * spacing_row)
    mm = max(NEAR_MM_PER_PIXEL, extent_mm / (_LARGEST_HEART * DETECTOR_CROP_PIXELS))
    return DetectorCrop.around(heart.centre, pixel_spacing_mm, mm)


def to_detections(rows: Tensor, view: DetectorCrop, shape: tuple[int, int]) -> list[Detection]:
    """Map network boxes of an upright view to source pixels of a slice of ``shape`` (row, column).

    Args:
        rows: (n, 6): column0, row0, column1, row1 in view pixels, score, class number.

    Boxes are clipped to the slice; what lies outside it is dropped.

    Raises:
        ModelError: E_MODEL_OUTPUT when a value is not finite.
    """
    if not bool(torch.isfinite(rows).all()):
        raise ModelError("E_MODEL_OUTPUT", "The detector gave values that are not numbers.")
    values = rows.double().numpy()
    found = []
    for corners, score, number in zip(values[:, :4], values[:, 4], values[:, 5], strict=True):
        points = view.to_source(corners.reshape(2, 2))
        (column0, row0), (column1, row1) = np.clip(points, 0, [shape[1], shape[0]]).tolist()
        if column1 > column0 and row1 > row0:
            box = Box(column0, row0, column1, row1, Origin.DETECTOR, float(score))
            found.append(Detection(box, CLASSES[int(number)], float(score)))
    return found


def save_weights(path: Path, state: dict[str, Tensor], settings: DetectorSettings) -> None:
    """Write weights as safetensors: kernels in float16, settings in the file's metadata."""
    metadata = {"format": FORMAT, "settings": json.dumps(asdict(settings), sort_keys=True)}
    save_file(half_precision(state), path, metadata)


def read_weights(path: Path) -> tuple[dict[str, Tensor], DetectorSettings]:
    """Read weights and settings; nothing in the file is executed.

    Raises:
        WeightsError: E_WEIGHTS_MISSING, E_WEIGHTS_DAMAGED or E_WEIGHTS_UNKNOWN.
    """
    if not path.is_file():
        raise WeightsError("E_WEIGHTS_MISSING", f"{path} does not exist.", str(path))
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise WeightsError(
                    "E_WEIGHTS_UNKNOWN",
                    f"{path.name} is not a scarseg detector (format {metadata.get('format')!r}).",
                    str(path),
                )
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            "E_WEIGHTS_DAMAGED", f"{path.name} cannot be read: {error}", str(path)
        ) from error
    return state, _settings(metadata.get("settings", ""), path)


def _settings(text: str, path: Path) -> DetectorSettings:
    """Parse the settings of a weights file."""
    try:
        values = {str(k): float(v) for k, v in json.loads(text).items()}
        settings = DetectorSettings(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            "E_WEIGHTS_DAMAGED", f"{path.name} has unreadable settings: {error}", str(path)
        ) from error
    scales = (settings.far_mm_per_pixel, settings.near_mm_per_pixel)
    if not all(isfinite(v) for v in values.values()) or scales != (
        FAR_MM_PER_PIXEL,
        NEAR_MM_PER_PIXEL,
    ):
        raise WeightsError(
            "E_WEIGHTS_UNKNOWN",
            f"{path.name} was trained on other sampling ({scales} mm per pixel).",
            str(path),
        )
    return settings


def open_detector(
    path: Path,
    identity: ModelIdentity,
    device: str = "cpu",
    settings: DetectorSettings | None = None,
) -> YoloDetector:
    """Build the detector of a weights file; ``settings`` replaces those in the file.

    Raises:
        WeightsError: as :func:`read_weights`, also when the tensors do not fit the network.
    """
    state, stored = read_weights(path)
    network = build_network()
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise WeightsError(
            "E_WEIGHTS_DAMAGED", f"{path.name} does not fit the detector.", str(path)
        ) from error
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected or not all(bool(torch.isfinite(v).all()) for v in state.values()):
        raise WeightsError(
            "E_WEIGHTS_DAMAGED",
            f"{path.name} lacks {len(missing)} tensors, has {len(unexpected)} unknown ones or "
            "holds values that are not numbers.",
            str(path),
        )
    network.eval()
    network.fuse(verbose=False)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return YoloDetector(network, settings or stored, identity, device)


def load_detector(name_or_path: Path | str | None, device: str = "auto") -> Detector | None:
    """Load a detector by name in the manifest or by file; None means the default one.

    Args:
        device: auto, cpu, cuda or mps. "auto" is the CPU: a slice takes milliseconds.

    Returns None for the name "none" and where no detector is shipped: the segmenter proposes.

    Raises:
        WeightsError: E_WEIGHTS_MISSING, E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN.
    """
    if name_or_path == "none":
        return None
    if name_or_path is None and not any(e.kind == "detector" for e in list_weights()):
        logger.warning("No detector is installed; the segmenter proposes.")
        return None
    weights = resolve_weights(name_or_path, "detector")
    return open_detector(weights.path, weights.identity, "cpu" if device == "auto" else device)
