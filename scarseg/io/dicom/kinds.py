"""Tell the kind of an image (magnitude, PSIR, phase, localizer, derived) from its header."""

from __future__ import annotations

from collections.abc import Collection

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


def frame_kind(image_type: tuple[str, ...], component: str, signed: bool) -> ImageKind | None:
    """Tell the kind of one frame, None where its own header leaves it open.

    ``image_type`` the values of ImageType or FrameType; ``component`` ComplexImageComponent;
    ``signed`` says that the header shows values below zero. The single
    letter M says little: scanners write it on PSIR as well.
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
    if words & _MAGNITUDE or component == "MAGNITUDE":
        return ImageKind.MAGNITUDE
    if signed:
        return ImageKind.PSIR
    return None


def resolve_kind(described: Collection[ImageKind | None], description: str) -> ImageKind:
    """Tell the kind of frames that leave it open, from their series and its description.

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
