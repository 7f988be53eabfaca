"""What was learned of a site's images without training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Calibration:
    """Rules of a proposal that were learned from a site's own read cases.

    Args:
        sha256: of the file it came from, by which every output names it.
        automatic_logit: scar is where the logit is above this, without prompts;
        prompted_logit: the same where a reader drew boxes or points;
        given_wall_logit: the same, at most, where a reader set the wall.
        endocardium_offset_mm: how far the predicted endocardium moves: inwards where positive.
        gate_evidence_mm2: scar of a whole stack is withheld where its evidence is below this.
    """

    sha256: str
    automatic_logit: float
    prompted_logit: float
    given_wall_logit: float
    endocardium_offset_mm: float
    gate_evidence_mm2: float
