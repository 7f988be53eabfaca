"""Determine the kind of an image (magnitude, PSIR, phase, localizer, derived) from its header."""

from __future__ import annotations

import re
from collections.abc import Collection

from scarseg.io.dicom import values
from scarseg.io.dicom.elements import PRIVATE_ELEMENTS, Elements
from scarseg.io.dicom.series_words import split_words
from scarseg.io.dicom.types import ImageKind

_LOCALIZER = {"LOCALIZER", "LOCALISER", "SCOUT"}
_PSIR = {"PSIR", "PSMDE", "PS", "CR", "R", "REAL"}
_PHASE = {"P", "PHASE", "PHASEMAP", "PHASE MAP", "VELOCITY", "VELOCITY MAP", "I", "IMAGINARY", "B0"}
_DERIVED = {"MPR", "MIP", "MINIP", "PROJECTION IMAGE", "SUBTRACTION", "T1 MAP", "T2 MAP", "ADC"}
_DERIVED |= {"T1MAP", "T2MAP", "MAP", "ECV", "RESAMPLED", "VOLUME RENDERING"}
_MAGNITUDE = {"MAG", "MAGNITUDE"}
_COMPONENTS = {
    "REAL": ImageKind.PSIR,
    "PHASE": ImageKind.PHASE,
    "IMAGINARY": ImageKind.PHASE,
}


def frame_kind(
    image_type: tuple[str, ...], component: str = "", vendor: ImageKind | None = None
) -> ImageKind | None:
    """Return the kind of one frame, None where its own header leaves it open.

    The single letter M says little: scanners write it on PSIR as well.

    Args:
        image_type: the values of ImageType or FrameType.
        component: ComplexImageComponent.
        vendor: what the vendor's own elements say, from :func:`vendor_kind`.
    """
    words = {value.replace("_", " ") for value in image_type}
    words |= {part for value in image_type for part in value.split("_")}
    if words & _LOCALIZER:
        return ImageKind.LOCALIZER
    if words & _DERIVED:
        return ImageKind.DERIVED
    if component in _COMPONENTS:
        return _COMPONENTS[component]
    if words & _PSIR:
        return ImageKind.PSIR
    if words & _PHASE:
        return ImageKind.PHASE
    if vendor is not None:
        return vendor
    if words & _MAGNITUDE or component == "MAGNITUDE":
        return ImageKind.MAGNITUDE
    return None


_GE_KINDS = {1: ImageKind.PHASE, 2: ImageKind.PSIR, 3: ImageKind.PHASE}
"""(0043,102F) of GE: 0 is magnitude and says as little as M."""
_GE = (0x0043, b"GEMS_PARM_01", 0x10)
_SIEMENS = (0x0021, b"SIEMENS MR SDI 02", 0x11)
_PHILIPS = (0x2005, b"Philips MR Imaging DD 001", 0x10)
_COMMENTS = (
    (r"\b(psir|ps|phase.?sensitive|real)\b", ImageKind.PSIR),
    (r"\b(mag|magnitude)\b", ImageKind.MAGNITUDE),
    (r"\bphase\b", ImageKind.PHASE),
)


def vendor_kind(root: Elements, frame: Elements | None = None) -> ImageKind | None:
    """Return the kind that private elements of GE, Siemens or Philips, or a comment, tell.

    Magnitude and real images of one series often differ in nothing else.

    Args:
        root: the data set.
        frame: the functional groups of one frame of an Enhanced file.
    """
    places = [one for one in (frame, root) if one is not None and _has_private(one)]
    siemens = [item for one in places if (item := one.item(0x002111FE)) is not None]
    philips = [item for one in places if (item := one.item(0x2005140F)) is not None]
    for one in places:
        for tag in _private(one, _GE):
            kind = _GE_KINDS.get((values.shorts(one, tag, True) or (0,))[0])
            if kind is not None:
                return kind
    for one in (*siemens, *places):
        for tag in _private(one, _SIEMENS):
            kind = frame_kind(values.codes(one, tag))
            if kind is not None:
                return kind
    for one in (*philips, *places):
        for tag in _private(one, _PHILIPS):
            kind = frame_kind(values.codes(one, tag))
            if kind is not None:
                return kind
    if 0x00204000 not in root.values:
        return None
    comment = values.text(root, 0x00204000).replace("_", " ")
    for pattern, kind in _COMMENTS:
        if re.search(pattern, comment, re.IGNORECASE):
            return kind
    return None


def _has_private(elements: Elements) -> bool:
    if 0x002111FE in elements.sequences or 0x2005140F in elements.sequences:
        return True
    return any(tag & 0x00010000 for tag in elements.values)


def _private(elements: Elements, block: tuple[int, bytes, int]) -> list[int]:
    """Return the tags of a vendor's element: where its creator is, else where it usually is."""
    group, creator, usual = block
    last = PRIVATE_ELEMENTS[group]
    of_group = [tag for tag in elements.values if tag >> 16 == group]
    blocks = [
        tag & 0xFF
        for tag in of_group
        if tag & 0xFFFF <= 0xFF and elements.values[tag][1].rstrip(b"\0 ") == creator
    ]
    wanted = {group << 16 | number << 8 | last for number in blocks or [usual]}
    return [tag for tag in of_group if tag in wanted]


def resolve_kind(described: Collection[ImageKind | None], description: str) -> ImageKind:
    """Return the kind of frames that leave it open, from their series and its description.

    Where others in the series say that they are PSIR or magnitude, the open ones are
    magnitude; otherwise the description decides.
    """
    words = {word.casefold() for word in split_words(description)}
    if set(described) & {ImageKind.PSIR, ImageKind.MAGNITUDE}:
        return ImageKind.MAGNITUDE
    if words & {"mag", "magnitude", "magn"}:
        return ImageKind.MAGNITUDE
    if words & {"localizer", "localiser", "scout", "survey", "loc"}:
        return ImageKind.LOCALIZER
    if words & {"psir", "psmde", "psde"}:
        return ImageKind.PSIR
    return ImageKind.MAGNITUDE
