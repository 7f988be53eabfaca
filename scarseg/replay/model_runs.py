"""Repeat recorded runs of the models: the weights that they name, on the slices they saw."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scarseg import models
from scarseg.case.calibration import Calibration
from scarseg.case.history import DetectorScope, ModelRun
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.errors import WeightsError
from scarseg.models import Detection, Models, weights
from scarseg.segmentation import pipeline
from scarseg.segmentation.pipeline import LocatedHeart
from scarseg.segmentation.predict import SliceProposal, detect
from scarseg.segmentation.proposal import reconcile_lv_boxes

BOX_TOLERANCE_PIXELS, SCORE_TOLERANCE = 0.01, 0.001
"""Boxes that are nearer than this are the same."""


@dataclass(frozen=True, eq=False)
class RepeatedRun:
    """Models and their proposal for a slice, computed now."""

    models: Models
    proposal: SliceProposal


class ReplayWeights:
    """Models by the weights that a record names, loaded once each.

    Weights given beforehand take their place; so do the default ones where the manifest does not
    know those of the record.
    """

    def __init__(
        self, segmenter: str | None = None, detector: str | None = None, device: str = "auto"
    ) -> None:
        self._segmenter, self._detector, self._device = segmenter, detector, device
        self._loaded: dict[tuple[str | None, str | None], Models] = {}
        self._calibrated: dict[tuple[int, Calibration | None], Models] = {}

    def models_of(self, recorded: ModelRun) -> Models:
        """Return the models of a recorded run, or those that replace them, with its calibration.

        Raises:
            WeightsError: they cannot be loaded.
        """
        names = (
            self._segmenter or _shipped_name(recorded.segmenter_sha256, "segmenter"),
            self._detector
            or (
                _shipped_name(recorded.detector_sha256, "detector")
                if recorded.detector_sha256
                else "none"
            ),
        )
        if names not in self._loaded:
            self._loaded[names] = models.load(*names, self._device)
        loaded = self._loaded[names]
        key = id(loaded), recorded.calibration
        if key not in self._calibrated:
            self._calibrated[key] = replace(loaded, calibration=recorded.calibration)
        return self._calibrated[key]


def same_box(one: Box | None, other: Box | None) -> bool:
    """Return whether two boxes are the same but for the last digits of a model's answer."""
    if one is None or other is None:
        return one is other
    corners = (
        abs(getattr(one, side) - getattr(other, side))
        for side in ("column0", "row0", "column1", "row1")
    )
    scores = abs((one.score or 0.0) - (other.score or 0.0))
    return (
        max(corners) <= BOX_TOLERANCE_PIXELS
        and scores <= SCORE_TOLERANCE
        and one.origin is other.origin
    )


def same_prompts(one: SlicePrompts, other: SlicePrompts) -> bool:
    """Return whether prompts are the same but for the last digits of their boxes."""
    mine, theirs = ((each.lv_box, each.pool_box, *each.boxes) for each in (one, other))
    return (
        len(one.boxes) == len(other.boxes)
        and all(map(same_box, mine, theirs))
        and (one.points, one.no_scar) == (other.points, other.no_scar)
        and (one.endocardium, one.epicardium) == (other.endocardium, other.epicardium)
    )


def _as_recorded(located: LocatedHeart, recorded: ModelRun) -> LocatedHeart:
    """Return the recorded ventricle box where the detector finds it again.

    Its last digits depend on processor and threads, and a millionth of a pixel moves the logits
    enough to change a voxel.
    """
    found_again = recorded.lv_hint is None and same_box(located.lv_box, recorded.lv_box)
    return replace(located, lv_box=recorded.lv_box) if found_again else located


def _shipped_name(sha256: str, kind: str) -> str | None:
    """Return the name of the shipped weights with this hash, or None."""
    try:
        entries = weights.list_weights()
    except WeightsError:
        return None
    return next((e.name for e in entries if (e.sha256, e.kind) == (sha256, kind)), None)


class ModelRunner:
    """Repeats recorded runs of the models on one stack; the detector runs once on each slice."""

    def __init__(self, stack: Stack, source: ReplayWeights) -> None:
        self._stack, self._source = stack, source
        self._found: dict[tuple[int, int], list[Detection]] = {}
        self._located: dict[int, list[Box | None]] = {}

    def repeat(self, k: int, recorded: ModelRun) -> RepeatedRun:
        """Run the models on a slice as a record describes.

        Raises:
            ModelError: the segmenter gave nothing usable.
            WeightsError: the weights cannot be loaded.
        """
        chosen = self._source.models_of(recorded)
        if recorded.detector_scope is DetectorScope.NONE:
            located = LocatedHeart(recorded.lv_hint, ())
        elif recorded.detector_scope is DetectorScope.SLICE:
            found = self._detections(chosen, k)
            located = LocatedHeart(reconcile_lv_boxes([found])[0], tuple(found))
        else:
            located = LocatedHeart(
                self._lv_boxes_of_stack(chosen)[k], tuple(self._detections(chosen, k))
            )
        located = _as_recorded(located, recorded)
        image = self._stack.image(k)
        proposal = pipeline.propose_slice(image, chosen, recorded.lv_hint, located=located)
        return RepeatedRun(chosen, proposal)

    def _detections(self, chosen: Models, k: int) -> list[Detection]:
        key = (id(chosen), k)
        if key not in self._found:
            self._found[key] = detect(chosen, self._stack.image(k))
        return self._found[key]

    def _lv_boxes_of_stack(self, chosen: Models) -> list[Box | None]:
        if id(chosen) not in self._located:
            every = [self._detections(chosen, k) for k in range(self._stack.n_slices)]
            self._located[id(chosen)] = reconcile_lv_boxes(every)
        return self._located[id(chosen)]
