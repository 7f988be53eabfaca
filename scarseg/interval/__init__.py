"""An interval beside the gram: what other prompts and other levels would have made of it.

A mask is one answer out of many. A second reader draws the box a little otherwise, and the level
at which the segmenter's logits are cut is a choice. Both are varied here, cheaply, since the
slices are embedded already, and the spread of the mass is the interval.
"""

from scarseg.interval.looking import embedded_again, slices_to_embed
from scarseg.interval.rule import RULE, IntervalRule
from scarseg.interval.spreads import (
    LEVELS,
    SliceSpread,
    cut_answer,
    drawn_spread,
    prompted_spread,
    proposed_spread,
    spread_of,
)
from scarseg.interval.stacks import (
    MassInterval,
    case_interval,
    interval_of,
    mass_interval,
    slice_spread,
)
from scarseg.interval.variation import Footing, Variation, footing_of, variation_of

__all__ = [
    "LEVELS",
    "RULE",
    "Footing",
    "IntervalRule",
    "MassInterval",
    "SliceSpread",
    "Variation",
    "case_interval",
    "cut_answer",
    "drawn_spread",
    "embedded_again",
    "footing_of",
    "interval_of",
    "mass_interval",
    "prompted_spread",
    "proposed_spread",
    "slice_spread",
    "slices_to_embed",
    "spread_of",
    "variation_of",
]
