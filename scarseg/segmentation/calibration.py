"""The rules of a proposal as a site's calibration changes them."""

from __future__ import annotations

from dataclasses import replace

from scarseg.case.calibration import Calibration
from scarseg.models import Models
from scarseg.segmentation.proposal import RULES, ProposalRules


def calibrated(calibration: Calibration | None, rules: ProposalRules = RULES) -> ProposalRules:
    """Return rules with what a calibration learned in place of theirs; the same without one."""
    if calibration is None:
        return rules
    return replace(
        rules,
        automatic_logit=calibration.automatic_logit,
        prompted_logit=calibration.prompted_logit,
        given_wall_logit=calibration.given_wall_logit,
        endocardium_offset_mm=calibration.endocardium_offset_mm,
        gate_evidence_mm2=calibration.gate_evidence_mm2,
    )


def rules_of(models: Models) -> ProposalRules:
    """Return the rules in use with these models: calibrated where they were loaded so."""
    return calibrated(models.calibration)
