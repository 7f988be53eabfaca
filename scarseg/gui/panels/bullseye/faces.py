"""How a segment of a bull's eye looks: by transmurality, or by its change between two studies."""

from __future__ import annotations

from dataclasses import dataclass

from scarseg.quant.bullseye_layout import ChangeClass, change_class, signed_grams, whole_percent
from scarseg.quant.transmurality import TransmuralityClass, transmurality_class

COLOURS = {
    TransmuralityClass.NONE: "#26313b",
    TransmuralityClass.TO_25: "#5a3a1e",
    TransmuralityClass.TO_50: "#a8600a",
    TransmuralityClass.TO_75: "#ee9a1c",
    TransmuralityClass.TO_100: "#ffe4b0",
}
"""From the background of the window to bright: an order that colour-blind readers see too."""
TEXT_COLOURS = {
    TransmuralityClass.NONE: "#d7dee5",
    TransmuralityClass.TO_25: "#ffffff",
    TransmuralityClass.TO_50: "#ffffff",
    TransmuralityClass.TO_75: "#0c1114",
    TransmuralityClass.TO_100: "#0c1114",
}
CHANGE_COLOURS = {
    ChangeClass.LESS: "#4c9be8",
    ChangeClass.WITHIN: "#26313b",
    ChangeClass.MORE: "#ee9a1c",
    ChangeClass.UNKNOWN: "#26313b",
}
"""Blue and orange, which colour-blind readers tell apart; quiet where a change says nothing."""


@dataclass(frozen=True)
class SegmentFace:
    """Fill, colour of the letters and figure of a segment."""

    colour: str
    text_colour: str
    text: str


def percent_face(percent: float) -> SegmentFace:
    """Return how a segment with so many percent of scar looks."""
    kind = transmurality_class(percent)
    return SegmentFace(COLOURS[kind], TEXT_COLOURS[kind], whole_percent(percent))


def change_face(change_g: float, beyond: bool | None) -> SegmentFace:
    """Return how a segment looks whose scar changed by so many grams."""
    kind = change_class(change_g, beyond)
    coloured = kind in (ChangeClass.LESS, ChangeClass.MORE)
    letters = "#0c1114" if coloured else "#d7dee5"
    return SegmentFace(CHANGE_COLOURS[kind], letters, signed_grams(change_g))
