"""Read the frames of a header: where each image plane lies, and what tells it from others.

Every length comes from the element the standard keeps it in. What is missing or impossible is
refused with its raw text.
"""

from __future__ import annotations

import numpy as np

from scarseg.errors import GeometryError, InputError
from scarseg.io.dicom import values
from scarseg.io.dicom.elements import Elements
from scarseg.io.dicom.kinds import frame_kind, vendor_kind
from scarseg.io.dicom.layout import pixel_damage, read_layout, read_rescale
from scarseg.io.dicom.parser import Header
from scarseg.io.dicom.sources.inputs import Source
from scarseg.io.dicom.types import Frame, PixelLayout
from scarseg.io.dicom.values import shown

_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_MEASURES, _TRANSFORM, _POSITION, _ORIENTATION = 0x00289110, 0x00289145, 0x00209113, 0x00209116
_CONTENT, _CARDIAC, _ECHO, _FRAME_TYPE, _MODIFIER = (
    *(0x00209111, 0x00189118, 0x00189114, 0x00189226, 0x00189115),
)
_ORTHONORMAL_TOLERANCE = 1e-3
_MAX_POSITION_MM = 1e5
_SPACING_MM = (0.1, 10.0)
THICKNESS_MM = (0.1, 30.0)
"""Lengths outside these are beyond belief in an image of the heart."""


def read_frames(
    header: Header, source: Source, sop_uid: str, *, enhanced: bool
) -> tuple[Frame, ...]:
    """Return the frames of a classic or an Enhanced file.

    Raises:
        GeometryError: ``E_SPACING``, ``E_GEOMETRY``, ``E_THICKNESS``.
        InputError: ``E_HEADER``, ``E_DECODE``, ``E_RESCALE``, ``E_LIMIT``.
    """
    root = header.elements
    layout = read_layout(header)
    groups = root.sequences.get(_PER_FRAME)
    if not enhanced:  # classic files with stray functional groups exist
        if layout.frames > 1:
            raise GeometryError(
                "E_GEOMETRY", f"{layout.frames} frames without functional groups for positions."
            )
        return (_classic_frame(root, layout, source, sop_uid),)
    if groups is None or len(groups) != layout.frames:
        raise GeometryError(
            "E_GEOMETRY",
            f"{layout.frames} frames but {len(groups or [])} per-frame functional groups.",
        )
    if layout.lookup is not None:
        raise InputError("E_RESCALE", "A Modality LUT in an Enhanced file is not read.")
    shared = root.item(_SHARED)
    return tuple(
        _enhanced_frame(root, (group, shared), layout, source, sop_uid, number)
        for number, group in enumerate(groups, 1)
    )


def _below_zero(root: Elements, layout: PixelLayout, rescale: tuple[float, float]) -> bool | None:
    """Return whether an MR image holds values below zero after rescale; only PSIR does.

    None where the header does not show it: then only the pixels do.
    """
    if values.codes(root, 0x00080060) != ("MR",):
        return False
    slope, intercept = rescale
    smallest = values.shorts(root, 0x00280106, layout.signed)[:1]
    padded = layout.padding
    if smallest and slope > 0 and not (padded and padded[0] <= smallest[0] <= padded[1]):
        return smallest[0] * slope + intercept < -0.5 * slope
    return False if not layout.signed and slope > 0 and intercept >= 0 else None


def _classic_frame(root: Elements, layout: PixelLayout, source: Source, sop_uid: str) -> Frame:
    slope, intercept = read_rescale(root)
    image_type = values.codes(root, 0x00080008)
    thickness, thickness_text = _thickness(root)
    return Frame(
        source=source,
        layout=layout,
        sop_uid=sop_uid,
        number=None,
        instance_number=values.whole(root, 0x00200013),
        position_mm=_position(root),
        position_decimals=_decimals(root),
        orientation=_orientation(root),
        spacing_mm=_spacing(root),
        thickness_mm=thickness,
        thickness_text=thickness_text,
        header_spacing_mm=_positive(values.number(root, 0x00180088)),
        slope=slope,
        intercept=intercept,
        kind=frame_kind(image_type, vendor=vendor_kind(root)),
        below_zero=_below_zero(root, layout, (slope, intercept)),
        derived=image_type[:1] == ("DERIVED",),
        image_type=image_type,
        frame_of_reference=values.uid(root, 0x00200052),
        description=values.text(root, 0x0008103E),
        temporal=values.number(root, 0x00200100),
        trigger_ms=values.number(root, 0x00181060),
        acquisition=values.number(root, 0x00200012),
        echo_ms=values.number(root, 0x00180081),
        inversion_ms=_positive(values.number(root, 0x00180082)),
        time=values.raw_text(root, 0x00080032) or values.raw_text(root, 0x00080033) or "",
        damage=pixel_damage(layout, 0),
    )


def _enhanced_frame(
    root: Elements,
    groups: tuple[Elements, Elements | None],
    layout: PixelLayout,
    source: Source,
    sop_uid: str,
    number: int,
) -> Frame:
    def item(tag: int) -> Elements | None:
        own = groups[0].item(tag)
        common = None if groups[1] is None else groups[1].item(tag)
        if own is not None and common is not None:
            _check_agreement(own, common, number)
        return common if own is None else own

    measures, content, frame_type = item(_MEASURES), item(_CONTENT), item(_FRAME_TYPE)
    thickness, thickness_text = _thickness(measures)
    slope, intercept = read_rescale(item(_TRANSFORM))
    image_type = values.codes(frame_type, 0x00089007) or values.codes(root, 0x00080008)
    component = (values.codes(frame_type, 0x00089208) or values.codes(root, 0x00089208) or ("",))[0]
    return Frame(
        source=source,
        layout=layout,
        sop_uid=sop_uid,
        number=number,
        instance_number=values.whole(root, 0x00200013),
        position_mm=_position(item(_POSITION)),
        position_decimals=_decimals(item(_POSITION)),
        orientation=_orientation(item(_ORIENTATION)),
        spacing_mm=_spacing(measures),
        thickness_mm=thickness,
        thickness_text=thickness_text,
        header_spacing_mm=_positive(
            values.number(measures, 0x00180088) or values.number(root, 0x00180088)
        ),
        slope=slope,
        intercept=intercept,
        kind=frame_kind(image_type, component, vendor_kind(root, groups[0])),
        below_zero=_below_zero(root, layout, (slope, intercept)),
        derived=image_type[:1] == ("DERIVED",),
        image_type=image_type,
        frame_of_reference=values.uid(root, 0x00200052),
        description=values.text(root, 0x0008103E),
        temporal=values.number(content, 0x00209128),
        trigger_ms=values.number(item(_CARDIAC), 0x00209153),
        acquisition=values.number(content, 0x00209156),
        echo_ms=values.number(item(_ECHO), 0x00189082),
        inversion_ms=_positive(values.number(item(_MODIFIER), 0x00189079)),
        time="",
        damage=pixel_damage(layout, number - 1),
    )


_GEOMETRY = {
    0x00200032: "ImagePositionPatient",
    0x00200037: "ImageOrientationPatient",
    0x00280030: "PixelSpacing",
    0x00180050: "SliceThickness",
    0x00281052: "RescaleIntercept",
    0x00281053: "RescaleSlope",
}


def _check_agreement(own: Elements, common: Elements, number: int) -> None:
    """Raise GeometryError where shared and per-frame functional groups contradict each other."""
    for tag, name in _GEOMETRY.items():
        mine, shared = values.raw_text(own, tag), values.raw_text(common, tag)
        if mine is None or shared is None:
            continue
        if mine != shared and values.numbers(own, tag) != values.numbers(common, tag):
            raise GeometryError(
                "E_GEOMETRY",
                f"{name} is {shown(shared)} in the shared and {shown(mine)} in the per-frame "
                f"groups of frame {number}.",
            )


def _spacing(elements: Elements | None) -> tuple[float, float]:
    parsed = values.numbers(elements, 0x00280030)
    text = shown(values.raw_text(elements, 0x00280030))
    if parsed is None or len(parsed) != 2 or min(parsed) <= 0:
        raise GeometryError(
            "E_SPACING", f"PixelSpacing is {text}; two positive numbers in mm are needed."
        )
    low, high = _SPACING_MM
    if not all(low <= value <= high for value in parsed):
        raise GeometryError("E_SPACING", f"PixelSpacing is {text}; {low:g} to {high:g} mm is read.")
    return (parsed[0], parsed[1])


def _position(elements: Elements | None) -> tuple[float, float, float]:
    parsed = values.numbers(elements, 0x00200032)
    if parsed is None or len(parsed) != 3 or any(abs(value) > _MAX_POSITION_MM for value in parsed):
        raise GeometryError(
            "E_GEOMETRY",
            f"ImagePositionPatient is {shown(values.raw_text(elements, 0x00200032))}; three "
            "numbers in mm are needed.",
        )
    return (parsed[0], parsed[1], parsed[2])


def _decimals(elements: Elements | None) -> int:
    """Return the most decimals that any component of the position is written with."""
    text = values.raw_text(elements, 0x00200032) or ""
    most = 0
    for part in text.split("\\"):
        digits, _, exponent = part.strip().lower().partition("e")
        fraction = digits.partition(".")[2].rstrip("0")
        most = max(most, len(fraction) - int(exponent or 0))
    return min(most, 16)


def _orientation(elements: Elements | None) -> tuple[float, float, float, float, float, float]:
    parsed = values.numbers(elements, 0x00200037)
    if parsed is not None and len(parsed) == 6 and all(abs(value) < 2 for value in parsed):
        cosines = np.asarray(parsed, dtype=np.float64).reshape(2, 3)
        product = cosines @ cosines.T
        if np.abs(product - np.eye(2)).max() <= _ORTHONORMAL_TOLERANCE:
            a, b, c, d, e, f = (float(value) for value in parsed)
            return (a, b, c, d, e, f)
    raise GeometryError(
        "E_GEOMETRY",
        f"ImageOrientationPatient is {shown(values.raw_text(elements, 0x00200037))}; two unit "
        "vectors at right angles are needed.",
    )


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _thickness(elements: Elements | None) -> tuple[float | None, str]:
    """Return the thickness, None where it is missing or no positive number, and its raw text.

    Raises:
        GeometryError: ``E_THICKNESS``: a length beyond belief.
    """
    text = values.raw_text(elements, 0x00180050)
    parsed = values.numbers(elements, 0x00180050)
    if parsed is None or len(parsed) != 1 or parsed[0] <= 0:
        return None, shown(text or None)
    low, high = THICKNESS_MM
    if not low <= parsed[0] <= high:
        raise GeometryError(
            "E_THICKNESS",
            f"SliceThickness is {shown(text)}; {low:g} to {high:g} mm is read.",
        )
    return parsed[0], shown(text)
