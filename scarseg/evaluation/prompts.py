"""Prompt strategies, and the simulated reader that draws the prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scarseg.case.labels import MaskArray
from scarseg.case.prompts import Box, Point
from scarseg.errors import InputError
from scarseg.training.given_wall import move_border
from scarseg.training.prompts import bounding_box, click_inside, components, draw_box

MAX_CLICKS = 20

BOX_ERROR = 0.06
"""Each edge of a reader's box is off by a normal error of this share of the side; boxes are neither
grown nor shrunk."""


CONTOUR_RMS_MM = 1.0
"""Contours of the wall are smoothly off by this (root mean square)."""


READER = (
    f"boxes {BOX_ERROR:.0%} off and not grown, contours {CONTOUR_RMS_MM:g} mm off (RMS), clicks at"
    " the largest error"
)
"""The simulated reader in words, printed beside figures."""


class PromptKind(StrEnum):
    """Prompts that a strategy gives the segmenter."""

    AUTO = "auto"
    """None: the proposal of the program itself."""
    DETECTOR = "detector"
    """The detector's scar boxes alone."""
    BOX = "box"
    """A reader's box per component."""
    POINT = "point"
    """A reader's click in every component."""
    BOX_POINTS = "box+points"
    """Both."""
    BOX_WALL = "box+wall"
    """A reader's box per component, and both contours of the wall drawn by hand."""
    CLICKS = "clicks"
    """Boxes, then corrective clicks where the largest error is."""
    FWHM = "fwhm"
    """No model: full width at half maximum in the proposed wall and a reader's box."""


@dataclass(frozen=True, order=True)
class PromptStrategy:
    """A prompt strategy; ``clicks`` is the most corrective clicks on a slice."""

    kind: PromptKind
    clicks: int = 0

    @property
    def name(self) -> str:
        return f"clicks:{self.clicks}" if self.kind is PromptKind.CLICKS else self.kind.value

    @property
    def uses_reader(self) -> bool:
        """Return whether a reader took part: then it is known which slices hold no scar."""
        return self.kind not in (PromptKind.AUTO, PromptKind.DETECTOR)


DEFAULT_STRATEGIES = ("auto", "box", "clicks:3", "detector")


def parse_strategies(words: Iterable[str]) -> tuple[PromptStrategy, ...]:
    """Read names as ``--prompts`` takes them; each strategy once, in the order given.

    Raises:
        InputError: E_PROMPTS for a word that names none.
    """
    found: list[PromptStrategy] = []
    for word in (part for text in words for part in text.split(",") if part):
        name, _, number = word.partition(":")
        name = {"points": "point", "box+point": "box+points"}.get(name, name)
        try:
            asking = PromptKind(name)
        except ValueError:
            asking = PromptKind.FWHM
        clicks = int(number) if number.isdecimal() else 0
        counted = asking is PromptKind.CLICKS
        if asking is PromptKind.FWHM or counted != bool(number) or counted != (clicks > 0):
            raise InputError(
                "E_PROMPTS",
                f"{word!r} is no way of asking; there are box, point, box+points, box+wall,"
                " clicks:N, auto and detector.",
            )
        if clicks > MAX_CLICKS:
            raise InputError("E_PROMPTS", f"{word!r}: at most {MAX_CLICKS} clicks.")
        if PromptStrategy(asking, clicks) not in found:
            found.append(PromptStrategy(asking, clicks))
    return tuple(found)


class RandomStream(StrEnum):
    """Actions of a simulated reader; each has random numbers of its own."""

    BOXES = "boxes"
    CONTOURS = "contours"
    POINTS = "points"
    BOX_WALL = "box+wall"
    """A reader's box per component, and both contours of the wall drawn by hand."""
    CLICKS = "clicks"


def rng_for(
    seed: int, patient: str, slice_index: int, draw: int, hand: RandomStream
) -> np.random.Generator:
    """Return the random numbers of one action of a reader on one slice.

    They depend on nothing else, so that every model and every strategy gets the same boxes.
    ``draw`` counts independent readings of the same slice.
    """
    return np.random.default_rng([seed, draw, slice_index, *hand.encode(), 0, *patient.encode()])


def reader_boxes(scar: MaskArray, rng: np.random.Generator) -> tuple[Box, ...]:
    """Draw a reader's boxes round scar (row, column): one per component, imprecise."""
    edges = (2 * BOX_ERROR, 2 * BOX_ERROR)
    return tuple(
        Box.spanning(*draw_box(bounding_box(part), rng, edges, (0.0, 0.0)))
        for part in (components(scar) if scar.any() else ())
    )


def reader_wall(
    pool: MaskArray, heart: MaskArray, spacing_mm: tuple[float, float], rng: np.random.Generator
) -> tuple[MaskArray, MaskArray]:
    """Draw both contours as a reader would; return disjoint masks (row, column) of pool and wall.

    Args:
        pool, heart: of the reference, the heart with its pool; neither empty.
    """
    outer = move_border(heart, spacing_mm, CONTOUR_RMS_MM, rng)
    inner = move_border(pool, spacing_mm, CONTOUR_RMS_MM, rng) & outer
    return inner, outer & ~inner


def reader_points(scar: MaskArray, rng: np.random.Generator) -> tuple[Point, ...]:
    """Click once into every component of scar (row, column), mostly where it is deepest."""
    return tuple(
        Point(*click_inside(part, rng, central=rng.random() < 0.8))
        for part in (components(scar) if scar.any() else ())
    )
