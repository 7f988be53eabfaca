"""Several slices through a model in one pass, where it knows how; else one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from scarseg.case.prompts import Box
from scarseg.case.stack import SliceImage
from scarseg.models import Detection, Detector, Embedding, Segmenter


def detect_all(detector: Detector, images: Sequence[SliceImage]) -> list[list[Detection]]:
    """Detect on several slices, in one pass where the detector knows how."""
    several = getattr(detector, "detect_all", None)
    found: list[list[Detection]] = (
        [detector.detect(one) for one in images] if several is None else several(images)
    )
    return found


def embed_all(
    segmenter: Segmenter, images: Sequence[SliceImage], lv_boxes: Sequence[Box | None]
) -> list[Embedding]:
    """Embed several slices, in one pass where the segmenter knows how."""
    several = getattr(segmenter, "embed_all", None)
    found: list[Embedding] = (
        [segmenter.embed(image, box) for image, box in zip(images, lv_boxes, strict=True)]
        if several is None
        else several(images, lv_boxes)
    )
    return found


def predict_ahead(
    segmenter: Segmenter, embeddings: Sequence[Embedding], quick: bool = False
) -> None:
    """Predict several slices without prompts in one pass where the segmenter knows how.

    Its ``predict`` then returns what was found; other segmenters do nothing here.
    """
    several = getattr(segmenter, "predict_ahead", None)
    if several is not None:
        several(embeddings, quick)
