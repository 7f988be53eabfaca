"""Queue of what the models have to do for one case, and what comes next. No Qt, no threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from scarseg.case.prompts import Box
from scarseg.models import Detection, Structure

if TYPE_CHECKING:
    from scarseg.segmentation.pipeline import LocatedHeart


class Task(StrEnum):
    """Kind of a short job on one slice."""

    DETECT = "detect"
    """Run the detector."""
    EMBED = "embed"
    """Compute the next part of an embedding that takes long."""
    PROPOSE = "propose"
    """Embed and propose."""
    ANSWER = "answer"
    """Answer the reader's prompts."""
    MVO = "mvo"
    """Look for MVO in scar that the models drew."""
    IDLE = "idle"
    """Work that can wait until nothing else is to be done."""


class RequestKind(StrEnum):
    """Why a slice that has labels is proposed anew."""

    ASKED = "asked"
    RELOCATED = "relocated"
    WALL = "wall"


@dataclass(frozen=True)
class IdleTask:
    """Short work on one slice for which nobody waits, with the slots for its result or failure."""

    slice_index: int
    work: Callable[[], Any]
    done: Callable[[Any], None]
    failed: Callable[[BaseException], None]


@dataclass
class InferenceQueue:
    """What is still to be done for a stack of ``n`` slices.

    Requests of the reader come first: those on the current slice before others, newer before
    older. Then the current slice is proposed, by its own detections where these are clear. Then
    the detector runs on the rest, the heart is located from all slices together, and the others
    are proposed, the nearest first, those already read last.

    Attributes:
        found: detections of each slice; None where the detector has not run.
        located: the heart on each slice, from all detections; empty until every slice has them.
        waiting: slices to be embedded; ``known`` those of them that need no detector, ``later``
            those that can wait longest.
        alone: the box by which a slice was proposed before the heart was located.
        unsettled: such slices whose box turned out to be another.
        requests: slices to be proposed anew because a reader asked.
        asked: slices whose prompts wait for an answer, each with the number of the question.
        awake: whether slices are proposed that nobody asked for.
    """

    n: int
    found: list[tuple[Detection, ...] | None] = field(default_factory=list)
    located: tuple[LocatedHeart, ...] = ()
    waiting: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)
    later: set[int] = field(default_factory=set)
    embedded: set[int] = field(default_factory=set)
    alone: dict[int, Box | None] = field(default_factory=dict)
    unsettled: set[int] = field(default_factory=set)
    requests: dict[int, RequestKind] = field(default_factory=dict)
    asked: dict[int, int] = field(default_factory=dict)
    awake: bool = False
    _questions: int = 0

    def __post_init__(self) -> None:
        self.found = self.found or [None] * self.n

    def ask(self, k: int) -> None:
        """Add the prompts of a slice as the newest question."""
        self._questions += 1
        self.asked.pop(k, None)
        self.asked[k] = self._questions

    def request(self, k: int, kind: RequestKind) -> None:
        """Add a slice to be proposed anew."""
        self.requests.pop(k, None)
        self.requests[k] = kind

    def next_task(self, here: int) -> tuple[Task, int] | None:
        """Return the next task and its slice, seen from slice ``here``; None where all is done."""
        newest = [*reversed(self.requests), *reversed(self.asked)]
        for k in sorted(newest, key=lambda k: k != here):
            if k in self.requests:
                return Task.PROPOSE, k
            if k in self.embedded:
                return Task.ANSWER, k
            if (step := self._toward(k)) is not None:
                return step
        return self._unasked(here) if self.awake else None

    def _unasked(self, here: int) -> tuple[Task, int] | None:
        if here in self.waiting and (step := self._toward(here)) is not None:
            return step
        if self.unsettled:
            return Task.PROPOSE, self._nearest(self.unsettled, here)
        if not self.waiting:
            return None
        if self.located or self.waiting <= self.known:
            return Task.PROPOSE, self._nearest(self.waiting, here)
        blank = [k for k, found in enumerate(self.found) if found is None]
        return (Task.DETECT, self._nearest(blank, here)) if blank else None

    def _toward(self, k: int) -> tuple[Task, int] | None:
        """Return the next task towards an embedding; None until other slices are detected."""
        if self.located or k in self.known:
            return Task.PROPOSE, k
        if self.found[k] is None:
            return Task.DETECT, k
        return (Task.PROPOSE, k) if self.has_one_heart(k) or not self.awake else None

    def has_one_heart(self, k: int) -> bool:
        """Return whether the detector found exactly one heart on this slice."""
        hearts = [d for d in self.found[k] or () if d.structure is Structure.LEFT_VENTRICLE]
        return len(hearts) == 1

    def set_located(self, located: tuple[LocatedHeart, ...]) -> None:
        """Set where the heart is; slices proposed by another box become unsettled."""
        self.located = located
        self.unsettled |= {k for k, box in self.alone.items() if located[k].lv_box != box}
        self.alone.clear()

    def clear(self) -> None:
        """Remove everything from the queue."""
        self.awake = False
        for each in (self.waiting, self.unsettled, self.requests, self.asked):
            each.clear()

    def _nearest(self, slices: Iterable[int], here: int) -> int:
        return min(slices, key=lambda k: (k in self.later, abs(k - here), k))
