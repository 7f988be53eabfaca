"""Propose, segment, measure: what both front ends call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scarseg.case import Case, Change
from scarseg.labels import LabelArray
from scarseg.measurements import DENSITY_G_PER_ML, MassConvention, Measurements
from scarseg.models import Embedding, Logits, Models
from scarseg.progress import Progress, silent
from scarseg.prompts import Box, SlicePrompts
from scarseg.stack import SliceImage, Stack


@dataclass(frozen=True, eq=False)
class SliceProposal:
    """What the models say of one slice before a reader has looked.

    ``prompts`` holds the left_ventricle box and the scar boxes (origin detector); ``labels``
    uint8 (row, column); ``embedding`` and ``logits`` serve later clicks.
    """

    prompts: SlicePrompts
    labels: LabelArray
    embedding: Embedding
    logits: Logits


def propose_slice(image: SliceImage, models: Models, lv_hint: Box | None = None) -> SliceProposal:
    """Find the left ventricle and scar boxes on one slice and segment them.

    ``lv_hint`` is the left_ventricle box to use instead of the detector's.
    """
    raise NotImplementedError


def propose_stack(
    stack: Stack,
    models: Models,
    progress: Progress = silent,
    order: Sequence[int] | None = None,
) -> Iterator[tuple[int, SliceProposal]]:
    """Yield a proposal for every slice as it gets ready, in ``order``."""
    raise NotImplementedError
    yield


def segment(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    before: LabelArray,
    previous: Logits | None = None,
) -> tuple[LabelArray, Logits]:
    """Answer a reader's prompts on an embedded slice.

    Scar (and MVO) of ``before`` (row, column) is replaced by the answer; wall and blood pool
    of ``before`` stay where they are drawn, and are proposed where there are none.
    """
    raise NotImplementedError


def proposal_change(case: Case, slice_index: int, proposal: SliceProposal) -> Change | None:
    """Turn a proposal into a change, or None where the slice is protected."""
    raise NotImplementedError


def measure(
    case: Case,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> Measurements:
    """Measure a case in both conventions."""
    raise NotImplementedError
