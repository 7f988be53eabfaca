"""YOLO detector of left ventricle and scar: a wide crop finds the heart, a close one its scars."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import numpy as np
import torch  # before ultralytics, which otherwise cuts torch to one thread
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, Origin
from scarseg.case.stack import SliceImage
from scarseg.errors import ModelError, WeightsError
from scarseg.models import Detection, Detector, Structure
from scarseg.models.detector_crop import (
    DETECTOR_CROP_PIXELS,
    FAR_MM_PER_PIXEL,
    NEAR_MM_PER_PIXEL,
    DetectorCrop,
    crop_image,
)
from scarseg.models.detector_network import CLASSES, build_network, half_precision, run_network
from scarseg.models.fused import fuse_detector
from scarseg.models.weights import is_pytorch, list_weights, resolve_weights

FORMAT = "scarseg-detector 1"
_LARGEST_HEART = 0.8  # share of the near crop; for larger hearts it is sampled more coarsely
_FAR_LEAST_SCORE = 0.02
_LEAST_SCORE = 0.01
_MOST_CANDIDATES = 3  # hearts cropped closely, the next only while none scores _SURE_HEART
_SURE_HEART = 0.75

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DetectorSettings:
    """Thresholds of the boxes; stored inside the weights file.

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
    """Detector that runs on the whole slice for the heart, then on a close crop for its scars."""

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
        """Return scar boxes and the left_ventricle, best score first.

        Where no candidate is a certain heart, each is returned as a left_ventricle: the stack
        decides (:func:`scarseg.segmentation.proposal.reconcile_lv_boxes`). Scar boxes are those
        of the best candidate.

        Raises:
            ModelError: E_MODEL_OUTPUT when an output is not finite.
        """
        return self.detect_all([image])[0]

    def detect_all(self, images: Sequence[SliceImage]) -> list[list[Detection]]:
        """Detect on several slices in one pass; as :meth:`detect` for each of them."""
        return [
            [d for d in found if d.score >= self._least(d.structure)]
            for found in self._candidates_all(images, _LEAST_SCORE)
        ]

    def candidates(self, image: SliceImage, least_score: float = _LEAST_SCORE) -> list[Detection]:
        """Return the boxes before the score thresholds, from which thresholds are chosen."""
        return self._candidates_all([image], least_score)[0]

    def _candidates_all(
        self, images: Sequence[SliceImage], least_score: float
    ) -> list[list[Detection]]:
        wholes = [DetectorCrop.whole(_shape(one), one.pixel_spacing_mm) for one in images]
        found = self._run(images, wholes, _FAR_LEAST_SCORE, mirrored=False)
        hearts_far = [
            [d for d in one if d.structure == Structure.LEFT_VENTRICLE][:_MOST_CANDIDATES]
            for one in found
        ]
        best: list[list[Detection]] = [[] for _ in images]
        hearts: list[list[Detection]] = [[] for _ in images]
        for n in range(_MOST_CANDIDATES):
            unsure = [
                k
                for k, far in enumerate(hearts_far)
                if n < len(far) and _heart_score(best[k]) < _SURE_HEART
            ]
            crops = [near_crop(hearts_far[k][n].box, images[k].pixel_spacing_mm) for k in unsure]
            near = self._run([images[k] for k in unsure], crops, least_score, mirrored=True)
            for k, one in zip(unsure, near, strict=True):
                hearts[k] += [d for d in one if d.structure == Structure.LEFT_VENTRICLE][:1]
                if not best[k] or _heart_score(one) > _heart_score(best[k]):
                    best[k] = one
        candidates = []
        for own, kept in zip(hearts, best, strict=True):
            scars = [d for d in kept if d.structure == Structure.SCAR]
            candidates.append(sorted(_apart(own) + scars, key=lambda d: -d.score))
        return candidates

    def _least(self, structure: Structure) -> float:
        if structure == Structure.SCAR:
            return self.settings.scar_score
        return self.settings.lv_score

    def _run(
        self,
        images: Sequence[SliceImage],
        crops: Sequence[DetectorCrop],
        least_score: float,
        mirrored: bool,
    ) -> list[list[Detection]]:
        """Run the network on a crop of each slice and map its boxes to the source, best first."""
        found: dict[int, list[Detection]] = {}
        for shape in sorted({crop.shape for crop in crops}):
            same = [k for k, crop in enumerate(crops) if crop.shape == shape]
            cropped = np.stack([crop_image(images[k].pixels, crops[k]) for k in same])
            inputs = torch.from_numpy(cropped)[:, None].to(self._device)
            overlap = self.settings.scar_overlap
            rows = run_network(self._network, inputs, least_score, overlap, mirrored)
            for k, own in zip(same, rows, strict=True):
                found[k] = to_detections(own, crops[k], _shape(images[k]))
        return [found[k] for k in range(len(crops))]


def _apart(hearts: list[Detection]) -> list[Detection]:
    """Keep the best of overlapping hearts."""
    kept: list[Detection] = []
    for one in sorted(hearts, key=lambda d: -d.score):
        if all(one.box.intersection_over_union(other.box) < 0.3 for other in kept):
            kept.append(one)
    return kept


def _heart_score(found: list[Detection]) -> float:
    """Return the best left_ventricle score, 0 without any."""
    return max((d.score for d in found if d.structure == Structure.LEFT_VENTRICLE), default=0.0)


def _shape(image: SliceImage) -> tuple[int, int]:
    rows, columns = image.pixels.shape
    return int(rows), int(columns)


def near_crop(heart: Box, pixel_spacing_mm: tuple[float, float]) -> DetectorCrop:
    """Return the close crop round a left_ventricle box in source pixels."""
    spacing_row, spacing_column = pixel_spacing_mm
    extent_mm = max(heart.width * spacing_column, heart.height * spacing_row)
    mm = max(NEAR_MM_PER_PIXEL, extent_mm / (_LARGEST_HEART * DETECTOR_CROP_PIXELS))
    return DetectorCrop.around(heart.centre, pixel_spacing_mm, mm)


def to_detections(rows: Tensor, crop: DetectorCrop, shape: tuple[int, int]) -> list[Detection]:
    """Map network boxes of an upright crop to source pixels of a slice of ``shape`` (row, column).

    Args:
        rows: (n, 6): column0, row0, column1, row1 in crop pixels, score, class number.

    Boxes are clipped to the slice; those outside it are dropped.

    Raises:
        ModelError: E_MODEL_OUTPUT when a value is not finite.
    """
    if not bool(torch.isfinite(rows).all()):
        raise ModelError("E_MODEL_OUTPUT", "The detector gave values that are not numbers.")
    values = rows.double().numpy()
    found = []
    for corners, score, number in zip(values[:, :4], values[:, 4], values[:, 5], strict=True):
        points = crop.to_source(corners.reshape(2, 2))
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
        if is_pytorch(path):
            raise WeightsError(
                "E_WEIGHTS_UNKNOWN",
                f"{path.name} is a PyTorch file; a detector made with scarseg train detector"
                " (.safetensors, classes scar and left_ventricle) is needed.",
                str(path),
            ) from error
        raise WeightsError(
            "E_WEIGHTS_DAMAGED", f"{path.name} cannot be read: {error}", str(path)
        ) from error
    return state, _settings(metadata.get("settings", ""), path)


def _settings(text: str, path: Path) -> DetectorSettings:
    """Parse the settings of a weights file."""
    try:
        values = {str(k): float(v) for k, v in json.loads(text).items()}
        settings = DetectorSettings(**values)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
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
    fuse_detector(network)
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
