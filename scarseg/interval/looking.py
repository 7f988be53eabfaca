"""Look at slices again as the models looked last, where their embeddings are not kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from scarseg.case import Case
from scarseg.interval.variation import Footing, footing_of
from scarseg.models import Embedding, Models
from scarseg.progress import Progress, silent
from scarseg.prompts import Box


def last_looks(case: Case) -> dict[int, Box | None]:
    """Give the box round which each slice was embedded last; slices never looked at are left out.

    The record knows; where it had to forget, the box among the slice's prompts is the one.
    """
    looks: dict[int, Box | None] = {
        k: reading.prompts.lv_box
        for k, reading in enumerate(case.readings)
        if reading.prompts.lv_box is not None
    }
    for step in case.record.steps:
        if step.look is not None:
            looks[step.slice_index] = step.look.lv_box
    return looks


def slices_to_embed(
    case: Case, embedded: Collection[int], sure: Collection[int] = ()
) -> dict[int, Box | None]:
    """Name the slices whose spread needs an embedding that is not there, and the box for it."""
    asked = (Footing.PROMPTED, Footing.PROPOSED)
    return {
        k: box
        for k, box in sorted(last_looks(case).items())
        if k not in embedded and footing_of(case, k, True, sure) in asked
    }


def embedded_again(
    case: Case,
    models: Models,
    embeddings: Sequence[Embedding | None],
    progress: Progress = silent,
) -> list[Embedding | None]:
    """Embed the slices whose spread needs it, so that an interval is the same whenever it is made.

    Args:
        embeddings: one per slice, None where there is none.
        progress: called before every slice; may raise Cancelled.
    """
    found = list(embeddings)
    wanted = slices_to_embed(case, [k for k, one in enumerate(found) if one is not None])
    for n, (k, box) in enumerate(wanted.items()):
        progress(n / len(wanted), f"Looking at slice {k + 1} again")
        found[k] = models.segmenter.embed(case.stack.image(k), box)
    return found
