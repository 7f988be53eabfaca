"""The interval of the scar mass, computed for the open case while nothing else is to be done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from scarseg.case.case import Case
from scarseg.case.measurements import MassConvention, MassInterval
from scarseg.case.prompts import Box
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui.session.document import Document
from scarseg.gui.session.inference import Inference
from scarseg.gui.session.inference_queue import IdleTask
from scarseg.models import Embedding, Models
from scarseg.progress import Progress
from scarseg.quant.mass import headline_convention
from scarseg.segmentation import interval as segmentation_interval
from scarseg.segmentation import uncertainty

if TYPE_CHECKING:
    from scarseg.segmentation.interval import Floats, SliceMassSpread
    from scarseg.segmentation.uncertainty import PromptVariation

REST_MS = 1000
"""The interval is computed once the reader did nothing for this long (debounce)."""
Intervals = dict[MassConvention, MassInterval]
IntervalOf = Callable[[Case, Progress], MassInterval | None]
"""Returns the interval of a case in the convention of its headline."""


@dataclass(eq=False)
class SliceVariation:
    """The varied prompts of one slice, and the predictions for them so far.

    Labels are no part of it: a brush stroke needs no new prediction.
    """

    variation: PromptVariation
    lv_box: Box | None
    rows: list[Floats] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.rows) == len(self.variation.prompts)


class IntervalUpdater(QObject):
    """Update the interval of one document, slice by slice, one prediction at a time.

    It begins when the reader has rested for a second and the models have nothing else to do,
    and gives way after every answer. What comes late for the state of a slice is dropped; what
    was asked about the other slices stays. A slice of a finished case that is at rest is looked
    at again as the models looked last, so that the interval is the same whenever it is made.

    Signals:
        changed: there is an interval now, or no longer one that holds for the case as it stands.
    """

    changed = pyqtSignal()

    def __init__(
        self, document: Document, inference: Inference, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._inference = document, inference
        n = document.case.stack.n_slices
        self.found: Intervals | None = None
        self.slices: dict[MassConvention, list[tuple[float, float] | None]] = {
            each: [None] * n for each in MassConvention
        }
        self._asked: dict[int, SliceVariation] = {}
        self._drawn: dict[int, SliceMassSpread] = {}
        self._embedded: dict[int, Embedding] = {}
        self._todo: list[int] | None = None
        self._state = 0
        self._given_up = False
        self._recall()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._begin)
        inference.set_idle_task(self._next)
        document.slice_changed.connect(self._changed)
        inference.ready_changed.connect(self._slice_embedded)
        inference.pending_changed.connect(self._stir)
        inference.proposing_changed.connect(self._stir)

    @property
    def coming(self) -> bool:
        """Return whether there will be an interval."""
        return self._inference.models is not None and not self._given_up

    def embeddings(self) -> list[Embedding | None]:
        """Return the embedding of every slice, None where there is none now."""
        return [self._inference.embedding(k) for k in self._indices]

    @property
    def _indices(self) -> range:
        return range(self._document.case.stack.n_slices)

    def _recall(self) -> None:
        """Show the intervals that are kept with the case, where they are those of this rule."""
        kept = {each.convention: each for each in self._document.case.intervals}
        if len(kept) == len(MassConvention) and all(
            is_current(each, self._document.case) for each in kept.values()
        ):
            self._set(kept)

    def _set(self, found: Intervals) -> None:
        self.found, self._todo = found, None
        for convention, one in found.items():
            self.slices[convention] = list(one.slices_g)

    # When

    def _changed(self, k: int) -> None:
        self._drawn.pop(k, None)
        for each in self.slices.values():
            each[k] = None
        self._given_up = False
        self._drop()

    def _slice_embedded(self, k: int) -> None:
        """Restart where a slice was embedded, maybe with another box."""
        embedding, asked = self._inference.embedding(k), self._asked.get(k)
        recalled = asked is None and bool(self._document.case.intervals)
        other = asked is None or (embedding is not None and asked.lv_box != embedding.lv_box)
        if embedding is not None and other and not recalled:
            self._drop()
        self._stir()

    def _drop(self) -> None:
        self._state += 1
        self._todo = self.found = None
        self._rest.start()
        self.changed.emit()

    def _stir(self, *_: object) -> None:
        if self.found is None:
            self._todo = None
            self._rest.start()

    def _begin(self) -> None:
        """Plan what to ask, once the reader rests."""
        inference = self._inference
        idle = not inference.proposing and not inference.pending
        if self.found is None and inference.models is not None and idle and not self._given_up:
            self._plan()
            self.changed.emit()
            inference.resume()

    # What

    def _plan(self) -> None:
        from scarseg.segmentation.calibration import calibrated
        from scarseg.segmentation.interval import slices_to_embed
        from scarseg.segmentation.uncertainty import slice_variation

        case = self._document.case
        boxes = {
            k: embedding.lv_box
            for k, embedding in enumerate(self.embeddings())
            if embedding is not None
        }
        boxes |= slices_to_embed(case, boxes)
        now: dict[int, SliceVariation] = {}
        for k, box in boxes.items():
            variation = slice_variation(case, k, box, rules=calibrated(case.calibration))
            if variation is not None:
                known = self._asked.get(k)
                same = known is not None and (known.variation, known.lv_box) == (variation, box)
                now[k] = known if known is not None and same else SliceVariation(variation, box)
        self._asked = now
        self._embedded = {
            k: one for k, one in self._embedded.items() if k in now and one.lv_box == boxes[k]
        }
        here = self._document.current
        self._todo = sorted(self._indices, key=lambda k: abs(k - here))

    def _next(self) -> IdleTask | None:
        """Return the next short piece of work, or None."""
        if self._todo is None or self.found is not None:
            return None
        while self._todo:
            work = self._for_slice(self._todo[0])
            if work is not None:
                return work
            self._embedded.pop(self._todo.pop(0), None)
        return self._put_together()

    def _for_slice(self, k: int) -> IdleTask | None:

        case, asked, models = self._document.case, self._asked.get(k), self._inference.models
        assert models is not None
        if asked is None:
            spacing, labels = case.stack.pixel_spacing_mm, case.labels[k]
            embedded = self._inference.embedding(k) is not None
            drawn = uncertainty.mass_basis(case, k, embedded) is uncertainty.MassBasis.DRAWN
            if not drawn or k in self._drawn:
                return None
            work: Callable[[], Any] = partial(
                segmentation_interval.drawn_spread, labels.copy(), spacing
            )
            return self._spare(k, work, self._while_it_stands(partial(self._drawn.__setitem__, k)))
        if asked.complete:
            return None
        embedding = self._inference.embedding(k) or self._embedded.get(k)
        if embedding is None:
            work = partial(models.segmenter.embed, case.stack.image(k), asked.lv_box)
            return self._spare(k, work, partial(self._embedded.__setitem__, k))
        work = partial(
            segmentation_interval.count_at_levels,
            replace(models, calibration=case.calibration),
            embedding,
            asked.variation,
            len(asked.rows),
        )
        return self._spare(k, work, asked.rows.append)

    def _put_together(self) -> IdleTask:
        from scarseg.segmentation.interval import mass_spread

        case = self._document.case.copy()
        spreads = [
            mass_spread(asked.variation, asked.rows, case.labels[k])
            if (asked := self._asked.get(k)) is not None
            else self._drawn.get(k)
            for k in self._indices
        ]
        return self._spare(
            self._document.current,
            partial(_both_ways, case, spreads),
            self._while_it_stands(self._take),
        )

    def _take(self, found: Intervals) -> None:
        models = self._inference.models
        weights = "" if models is None else models.segmenter.identity.sha256
        rules = _calibration_sha256(self._document.case)
        self._set(
            {
                way: replace(one, segmenter_sha256=weights, calibration_sha256=rules)
                for way, one in found.items()
            }
        )
        self._document.set_intervals(list((self.found or {}).values()))
        self.changed.emit()

    def _spare(self, k: int, work: Callable[[], Any], done: Callable[[Any], None]) -> IdleTask:
        return IdleTask(k, work, done, self._failed)

    def _while_it_stands(self, done: Callable[[Any], None]) -> Callable[[Any], None]:
        """Drop what comes late for the case as it stands."""
        state = self._state

        def take(what: Any) -> None:
            if state == self._state:
                done(what)

        return take

    def _failed(self, error: BaseException) -> None:
        """Leave the interval out: it must not hold up the reading."""
        if not isinstance(error, (ScarsegError, MemoryError, RuntimeError)):
            raise error
        self._todo, self._given_up = None, True
        self.changed.emit()


def _both_ways(case: Case, spreads: Sequence[SliceMassSpread | None]) -> Intervals:
    from scarseg.segmentation.interval import interval_from_spreads

    return {each: interval_from_spreads(case, spreads, each) for each in MassConvention}


def is_current(interval: MassInterval, case: Case, models: Models | None = None) -> bool:
    """Return whether a kept interval is what would be computed now: same rules, same weights."""
    same = models is None or models.segmenter.identity.sha256 == interval.segmenter_sha256
    same &= interval.calibration_sha256 == _calibration_sha256(case)
    return interval.method == uncertainty.RULE.name and same


def _calibration_sha256(case: Case) -> str:
    return "" if case.calibration is None else case.calibration.sha256


class IntervalMaker:
    """Return the interval of an exported case: kept with it, computed for the window, or made.

    One that was made is remembered, so that a second export does not make it again.
    """

    def __init__(self) -> None:
        self._made: dict[bytes, MassInterval] = {}

    def make(
        self,
        case: Case,
        models: Models | None,
        embeddings: Sequence[Embedding | None],
        progress: Progress,
    ) -> MassInterval | None:
        """Return the interval in the convention of the headline; None where there is none.

        Args:
            case: as it is exported.
            models: as far as they are loaded; without them nothing is made.
            embeddings: one per slice, None where there is none at hand.
            progress: may raise Cancelled.
        """
        from scarseg.segmentation.interval import case_interval, embed_missing

        convention = headline_convention(case.stack, MassConvention.THICKNESS)
        for kept in case.intervals:
            if kept.convention is convention and is_current(kept, case, models):
                return kept
        if models is None:
            return None
        key = _state_of(case, models)
        if key not in self._made:
            try:
                embedded = embed_missing(case, models, embeddings, progress)
                self._made[key] = case_interval(case, models, embedded)
            except Cancelled:
                raise
            except ScarsegError:
                return None  # a model that gives no answer keeps no number back
        return self._made[key]


def _state_of(case: Case, models: Models) -> bytes:
    """Return a digest of everything that the interval of a case depends on."""
    digest = hashlib.sha256(case.stack.stack_id.encode("utf-8", "surrogatepass"))
    digest.update(models.segmenter.identity.sha256.encode())
    digest.update(_calibration_sha256(case).encode())
    digest.update(case.labels.tobytes())
    digest.update(repr(case.readings).encode("utf-8", "surrogatepass"))
    return digest.digest()
