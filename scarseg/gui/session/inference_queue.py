"""What the models still have to do for one case, and what of it comes next. No Qt, no threads."""

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
    """One short piece of work on one slice."""

    LOOK = "look"
    """Let the detector see the slice."""
    PROPOSE = "propose"
    """Embed and propose."""
    ANSWER = "answer"
    """Answer the reader's prompts."""
    SPARE = "spare"
    """What can wait until nothing else is to be done."""


class RequestKind(StrEnum):
    """Why a proposal is made over what stands on a slice."""

    ASKED = "asked"
    RELOCATED = "relocated"
    WALL = "wall"


@dataclass(frozen=True)
class IdleTask:
    """Short work on one slice for which nobody waits; what is done with its answer, or failure."""

    slice_index: int
    work: Callable[[], Any]
    done: Callable[[Any], None]
    failed: Callable[[BaseException], None]


@dataclass
class InferenceQueue:
    """Everything that is still to be done for a stack of ``n`` slices.

    What a reader asks for comes first, on the slice in sight before others, the newest before
    older. Then the slice in sight is proposed, by what the detector says of it alone where that
    is clear. Then the detector sees the rest, the slices settle together where the heart is, and
    the others are proposed, the nearest first, those that were read last.

    Attributes:
        found: what the detector says of each slice; None where it has not looked.
        located: the same, settled together; empty until every slice was looked at.
        waiting: slices to be embedded; ``known`` those of them that need no detector, ``later``
            those that can wait longest.
        alone: the box by which a slice was proposed before the others were looked at.
        unsettled: such slices whose box turned out to be another.
        wishes: slices to be proposed anew because a reader asked.
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
        """Note that the prompts of a slice want an answer, as the newest question of all."""
        self._questions += 1
        self.asked.pop(k, None)
        self.asked[k] = self._questions

    def request(self, k: int, why: RequestKind) -> None:
        """Note that a slice is to be proposed anew."""
        self.requests.pop(k, None)
        self.requests[k] = why

    def next_task(self, here: int) -> tuple[Task, int] | None:
        """Give what to do now, with slice ``here`` in sight; None when there is nothing."""
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
        return (Task.LOOK, self._nearest(blank, here)) if blank else None

    def _toward(self, k: int) -> tuple[Task, int] | None:
        """Give the next step to the embedding of a slice; None where others must be seen first."""
        if self.located or k in self.known:
            return Task.PROPOSE, k
        if self.found[k] is None:
            return Task.LOOK, k
        return (Task.PROPOSE, k) if self.has_one_heart(k) or not self.awake else None

    def has_one_heart(self, k: int) -> bool:
        """Say whether the detector saw one heart on this slice, and one only."""
        hearts = [d for d in self.found[k] or () if d.structure is Structure.LEFT_VENTRICLE]
        return len(hearts) == 1

    def set_located(self, located: tuple[LocatedHeart, ...]) -> None:
        """Take where the heart is; slices that were proposed by another box are unsettled."""
        self.located = located
        self.unsettled |= {k for k, box in self.alone.items() if located[k].lv_box != box}
        self.alone.clear()

    def clear(self) -> None:
        """Forget all that was to be done."""
        self.awake = False
        for each in (self.waiting, self.unsettled, self.requests, self.asked):
            each.clear()

    def _nearest(self, slices: Iterable[int], here: int) -> int:
        return min(slices, key=lambda k: (k in self.later, abs(k - here), k))
