"""Stand-ins for the two models: quick, deterministic, right on the phantom of conftest.py."""

from __future__ import annotations

import numpy as np

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.case.stack import FloatArray, SliceImage
from scarseg.models import Detection, Embedding, Logits, Models, Structure

SCAR_LEVEL, POOL_LEVEL, WALL_LEVEL = 200.0, 150.0, 50.0


def _is(pixels: FloatArray, level: float) -> FloatArray:
    """Return +5 where the phantom has this level and -5 elsewhere."""
    return np.where(np.abs(pixels - level) < 20, 5.0, -5.0).astype(np.float32)


def _box(mask: np.ndarray, origin: Origin) -> Box:
    rows, columns = np.nonzero(mask)
    return Box(
        float(columns.min()),
        float(rows.min()),
        float(columns.max() + 1),
        float(rows.max() + 1),
        origin,
    )


class FakeDetector:
    """Find the phantom's structures by their grey level."""

    identity = ModelIdentity("fake-detector", "0" * 64, True)

    def detect(self, image: SliceImage) -> list[Detection]:
        found = []
        scar = _is(image.pixels, SCAR_LEVEL) > 0
        heart = scar | (_is(image.pixels, POOL_LEVEL) > 0) | (_is(image.pixels, WALL_LEVEL) > 0)
        if heart.any():
            found.append(Detection(_box(heart, Origin.DETECTOR), Structure.LEFT_VENTRICLE, 0.95))
        if scar.any():
            found.append(Detection(_box(scar, Origin.DETECTOR), Structure.SCAR, 0.9))
        return found


class FakeSegmenter:
    """Answer prompts on the phantom by grey level.

    Scar is what has the scar's level inside any box or, with points alone, within 6 pixels of a
    positive point; a negative point clears 4 pixels round it. Without prompts, all of it.
    """

    identity = ModelIdentity("fake-segmenter", "1" * 64, True)

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        rows, columns = image.pixels.shape
        return Embedding((rows, columns), lv_box, image.pixels, image.pixel_spacing_mm)

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        pixels: FloatArray = embedding.features
        scar = _is(pixels, SCAR_LEVEL)
        rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
        if prompts.no_scar:
            scar[:] = -5
        if prompts.has_scar_prompts:
            asked = np.zeros(pixels.shape, dtype=bool)
            for box in prompts.boxes:
                asked |= (
                    (columns > box.column0)
                    & (columns < box.column1)
                    & (rows > box.row0)
                    & (rows < box.row1)
                )
            for point in prompts.points:
                if point.positive:
                    asked |= np.hypot(columns - point.column, rows - point.row) < 6
            scar[~asked] = -5
            for point in prompts.points:
                if not point.positive:
                    scar[np.hypot(columns - point.column, rows - point.row) < 4] = -5
        wall = np.maximum(_is(pixels, WALL_LEVEL), _is(pixels, SCAR_LEVEL))
        return Logits(scar, _is(pixels, POOL_LEVEL), wall)


def fake_models() -> Models:
    return Models(FakeSegmenter(), FakeDetector())


def load_fakes(segmenter: object = None, detector: object = None, device: str = "auto") -> Models:
    """Stand in for ``scarseg.models.load``, in children of a process pool as well."""
    return fake_models()
