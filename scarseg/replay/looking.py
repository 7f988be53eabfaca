"""Let the models look at a slice as they did when it was read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scarseg import models, pipeline
from scarseg.asking import detect
from scarseg.errors import WeightsError
from scarseg.models import Detection, Models, weights
from scarseg.pipeline import Located, SliceProposal
from scarseg.prompts import Box, SlicePrompts
from scarseg.proposal import settle_lv_boxes
from scarseg.record import Look, Sight
from scarseg.stack import Stack

SAME_PIXELS, SAME_SCORE = 0.01, 0.001
"""Boxes that are nearer than this are the same."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What the models say of a slice now, and who they are."""

    models: Models
    proposal: SliceProposal


class Weights:
    """Models by the weights that a record names, loaded once each.

    Weights given beforehand take their place; so do the default ones where the manifest does not
    know those of the record.
    """

    def __init__(
        self, segmenter: str | None = None, detector: str | None = None, device: str = "auto"
    ) -> None:
        self._segmenter, self._detector, self._device = segmenter, detector, device
        self._loaded: dict[tuple[str | None, str | None], Models] = {}

    def of(self, look: Look) -> Models:
        """Give the models that looked, or those that stand in for them.

        Raises:
            WeightsError: they cannot be loaded.
        """
        names = (
            self._segmenter or _named(look.segmenter_sha256, "segmenter"),
            self._detector
            or (_named(look.detector_sha256, "detector") if look.detector_sha256 else "none"),
        )
        if names not in self._loaded:
            self._loaded[names] = models.load(*names, self._device)
        return self._loaded[names]


def same_box(one: Box | None, other: Box | None) -> bool:
    """Tell whether two boxes are the same but for the last digits of a model's answer."""
    if one is None or other is None:
        return one is other
    corners = (
        abs(getattr(one, side) - getattr(other, side))
        for side in ("column0", "row0", "column1", "row1")
    )
    scores = abs((one.score or 0.0) - (other.score or 0.0))
    return max(corners) <= SAME_PIXELS and scores <= SAME_SCORE and one.origin is other.origin


def same_prompts(one: SlicePrompts, other: SlicePrompts) -> bool:
    """Tell whether prompts ask the same but for the last digits of their boxes."""
    mine, theirs = ((each.lv_box, each.pool_box, *each.boxes) for each in (one, other))
    return (
        len(one.boxes) == len(other.boxes)
        and all(map(same_box, mine, theirs))
        and (one.points, one.no_scar) == (other.points, other.no_scar)
    )


def _as_recorded(located: Located, look: Look) -> Located:
    """Take the recorded ventricle box where the detector finds it again.

    Its last digits depend on processor and threads, and a millionth of a pixel moves the logits
    enough to turn a voxel.
    """
    found_again = look.lv_hint is None and same_box(located.lv_box, look.lv_box)
    return replace(located, lv_box=look.lv_box) if found_again else located


def _named(sha256: str, kind: str) -> str | None:
    """Name the shipped weights with this hash; None where there are none."""
    try:
        entries = weights.list_weights()
    except WeightsError:
        return None
    return next((e.name for e in entries if (e.sha256, e.kind) == (sha256, kind)), None)


class Looking:
    """Look at the slices of one stack; what the detector says of each is asked for once."""

    def __init__(self, stack: Stack, source: Weights) -> None:
        self._stack, self._source = stack, source
        self._found: dict[tuple[int, int], list[Detection]] = {}
        self._located: dict[int, list[Box | None]] = {}

    def at(self, k: int, look: Look) -> Seen:
        """Look at a slice as a record says.

        Raises:
            ModelError: the segmenter gave nothing usable.
            WeightsError: the weights cannot be loaded.
        """
        asked = self._source.of(look)
        if look.sight is Sight.NOTHING:
            located = Located(look.lv_hint, ())
        elif look.sight is Sight.SLICE:
            found = self._detected(asked, k)
            located = Located(settle_lv_boxes([found])[0], tuple(found))
        else:
            located = Located(self._settled(asked)[k], tuple(self._detected(asked, k)))
        located = _as_recorded(located, look)
        image = self._stack.image(k)
        proposal = pipeline.propose_slice(image, asked, look.lv_hint, located=located)
        return Seen(asked, proposal)

    def _detected(self, asked: Models, k: int) -> list[Detection]:
        key = (id(asked), k)
        if key not in self._found:
            self._found[key] = detect(asked, self._stack.image(k))
        return self._found[key]

    def _settled(self, asked: Models) -> list[Box | None]:
        if id(asked) not in self._located:
            every = [self._detected(asked, k) for k in range(self._stack.n_slices)]
            self._located[id(asked)] = settle_lv_boxes(every)
        return self._located[id(asked)]
