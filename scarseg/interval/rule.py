"""The rule by which an interval is made; every figure of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IntervalRule:
    """How the interval is made; every figure of it.

    The levels' spreads make it hold the reference in ``nominal`` of patients with scar, read by
    weights that never saw them: five folds of EMIDEC without the patients kept for validation
    (``benchmarks/interval.py --folds``).

    Args:
        nominal: the share of patients whose reference the interval should hold.
        n_draws: how often a second reader's prompts are drawn on a slice, beside the given ones.
        box_edge: each edge of a redrawn box is off by a normal error of this share of the side.
        click_mm: each redrawn click is off by a normal error of this length, per axis.
        corrected_level_sd: standard deviation of the logit at which the mask is cut, where a
            reader corrected with points; half of its variance is the whole stack's, half every
            slice's own.
        boxed_level_sd: the same where a reader asked with boxes alone.
        automatic_level_sd: the same where no reader has asked.
        automatic_level_shift: ... and how much lower than usual the cut then is in the middle,
            since proposals miss faint scar far more often than they invent any.
        contour_sd_mm: standard deviation of the contour of scar that a hand drew.
        n_samples: how many stacks are put together from the slices' draws.
        seed: the same case gives the same interval.
    """

    nominal: float = 0.9
    n_draws: int = 5
    box_edge: float = 0.05
    click_mm: float = 1.5
    corrected_level_sd: float = 0.65
    boxed_level_sd: float = 1.85
    automatic_level_sd: float = 2.0
    automatic_level_shift: float = 1.0
    contour_sd_mm: float = 0.7
    n_samples: int = 4000
    seed: int = 7

    @property
    def name(self) -> str:
        """Name the rule, all its parts, as it stands beside an exported number."""
        return (
            f"{self.nominal:.0%} by {self.n_draws} redrawn prompts (box edges {self.box_edge:.0%},"
            f" clicks {self.click_mm:g} mm) and logit level SD {self.corrected_level_sd:g}"
            f" corrected, {self.boxed_level_sd:g} boxed, {self.automatic_level_sd:g} automatic"
            f" ({-self.automatic_level_shift:+g}); contours drawn by hand SD"
            f" {self.contour_sd_mm:g} mm"
        )


RULE = IntervalRule()
