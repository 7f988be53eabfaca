"""One DICOM file's header -> frames with geometry, or the verdict on a bad value.

Every length comes from the element the standard keeps it in. What is missing or impossible is
refused with its raw text.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

import numpy as np
from pydicom._uid_dict import UID_dictionary

from scarseg.errors import GeometryError, InputError, LimitError, ScarsegError
from scarseg.io.dicom import values
from scarseg.io.dicom.inputs import Source
from scarseg.io.dicom.kinds import frame_kind, vendor_kind
from scarseg.io.dicom.parser import (
    DEFLATED_LE,
    DOUBLE_PIXEL_DATA,
    EXPLICIT_BE,
    FLOAT_PIXEL_DATA,
    MAX_ITEMS,
    NATIVE_SYNTAXES,
    Elements,
    Header,
)
from scarseg.io.dicom.types import Frame, ImageKind, ModalityLookup, PixelLayout

MAX_SIDE = 4096
_FLOAT_BITS = {FLOAT_PIXEL_DATA: 32, DOUBLE_PIXEL_DATA: 64}
ENHANCED_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
    }
)
CLASSIC_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"})
COMPRESSED_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2.5",
        *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    }
)
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_MEASURES, _TRANSFORM, _POSITION, _ORIENTATION = 0x00289110, 0x00289145, 0x00209113, 0x00209116
_CONTENT, _CARDIAC, _ECHO, _FRAME_TYPE, _MODIFIER = (
    *(0x00209111, 0x00189118, 0x00189114, 0x00189226, 0x00189115),
)
_ORTHONORMAL_TOLERANCE = 1e-3
_MAX_SPACING_MM, _MIN_SPACING_MM, _MAX_POSITION_MM, _MAX_THICKNESS_MM = 100.0, 0.01, 1e5, 1000.0


class NotAnImageError(Exception):
    """DICOM, but no image plane that could belong to a stack; the file is skipped."""


@dataclass(frozen=True)
class ImageFile:
    """What one file says of its patient, study and series, and its frames.

    ``error`` is the verdict that refuses the file; ``damage`` says that it ends too early, and
    then ``frames`` holds only what is known. ``merged`` are the series UIDs of all slices, base to
    apex, where every slice of a stack came as a series of its own.
    """

    source: Source
    sop_uid: str
    series_uid: str
    study_uid: str
    patient_id: str
    patient_name: str
    study_date: str
    modality: str
    description: str
    protocol: str
    sequence_name: str
    body_part: str
    series_number: int | None
    contrast: bool
    cardiac_images: int | None
    lossy: bool
    frame_of_reference: str = ""
    kind: ImageKind | None = None
    frames: tuple[Frame, ...] = field(default=())
    error: ScarsegError | None = None
    damage: str = ""
    merged: tuple[str, ...] = ()


def read_image(header: Header, source: Source) -> ImageFile:
    """Turn a header into an image file with frames.

    Raises:
        NotAnImageError: no MR or CT image plane.
        InputError: ``E_HEADER``: it does not say which image or series it is.
    """
    root = header.elements
    sop_class = values.uid(root, 0x00080016) or values.uid(root, 0x00020002)
    _check_is_image(root, sop_class, header)
    image = _describe(root, source)
    if not (image.sop_uid and image.series_uid and image.study_uid):
        if header.damage or header.pixel_offset < 0:
            why = header.damage or "the file ends before the pixel data"
            raise InputError("E_TRUNCATED", f"The header is damaged: {why}.", source.name)
        raise InputError(
            "E_HEADER",
            "SOPInstanceUID, SeriesInstanceUID or StudyInstanceUID is missing or no UID.",
            source.name,
        )
    if header.damage:
        return replace(image, damage=f"the header is damaged: {header.damage}")
    try:
        return replace(image, frames=tuple(_frames(header, source, image.sop_uid, sop_class)))
    except ScarsegError as error:
        error.path = source.name
        return replace(image, error=error)


def _check_is_image(root: Elements, sop_class: str, header: Header) -> None:
    if sop_class not in ENHANCED_CLASSES | CLASSIC_CLASSES:
        has_plane = 0x00200032 in root.values and 0x00200037 in root.values
        if not has_plane or (0x00280010 not in root.values and not header.damage):
            raise NotAnImageError(_class_name(sop_class))
    colour = values.codes(root, 0x00280004)
    if colour and colour[0] not in ("MONOCHROME1", "MONOCHROME2"):
        raise NotAnImageError("colour image")


def _class_name(sop_class: str) -> str:
    known = UID_dictionary.get(sop_class)
    return known[0] if known else "unknown"


def _describe(root: Elements, source: Source) -> ImageFile:
    image_type = values.codes(root, 0x00080008)
    return ImageFile(
        source=source,
        sop_uid=values.uid(root, 0x00080018) or values.uid(root, 0x00020003),
        series_uid=values.uid(root, 0x0020000E),
        study_uid=values.uid(root, 0x0020000D),
        patient_id=values.text(root, 0x00100020),
        patient_name=values.text(root, 0x00100010),
        study_date=values.text(root, 0x00080020),
        modality=(values.codes(root, 0x00080060) or ("",))[0],
        description=values.text(root, 0x0008103E),
        protocol=values.text(root, 0x00181030),
        sequence_name=values.text(root, 0x00180024),
        body_part=values.text(root, 0x00180015),
        series_number=values.whole(root, 0x00200011),
        contrast=bool(values.text(root, 0x00180010)),
        cardiac_images=values.whole(root, 0x00181090),
        lossy=values.raw_text(root, 0x00282110) == "01",
        frame_of_reference=values.uid(root, 0x00200052),
        kind=frame_kind(image_type, vendor=vendor_kind(root)),
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


def _frames(header: Header, source: Source, sop_uid: str, sop_class: str) -> list[Frame]:
    root = header.elements
    layout = _layout(header)
    groups = root.sequences.get(_PER_FRAME)
    if sop_class not in ENHANCED_CLASSES:  # classic files with stray functional groups exist
        if layout.frames > 1:
            raise GeometryError(
                "E_GEOMETRY", f"{layout.frames} frames without functional groups for positions."
            )
        return [_classic_frame(root, layout, source, sop_uid)]
    if groups is None or len(groups) != layout.frames:
        raise GeometryError(
            "E_GEOMETRY",
            f"{layout.frames} frames but {len(groups or [])} per-frame functional groups.",
        )
    shared = root.item(_SHARED)
    return [
        _enhanced_frame(root, (group, shared), layout, source, sop_uid, number)
        for number, group in enumerate(groups, 1)
    ]


def _layout(header: Header) -> PixelLayout:
    root = header.elements
    frames_text = values.raw_text(root, 0x00280008)
    frames = values.whole(root, 0x00280008) if frames_text else 1
    rows, columns = (values.whole(root, tag) for tag in (0x00280010, 0x00280011))
    for name, value in (("Rows", rows), ("Columns", columns), ("NumberOfFrames", frames)):
        if value is None or value < 1:
            raise InputError("E_HEADER", f"{name} is missing or no positive whole number.")
        if value > (MAX_ITEMS if name == "NumberOfFrames" else MAX_SIDE):
            raise LimitError("E_LIMIT", f"{name} is {value}; at most 4096 are read.")
    assert rows is not None and columns is not None and frames is not None
    if header.transfer_syntax not in NATIVE_SYNTAXES | COMPRESSED_SYNTAXES:
        raise InputError("E_DECODE", f"Transfer syntax {header.transfer_syntax} is not supported.")
    floating = header.pixel_tag in _FLOAT_BITS
    allocated = values.whole(root, 0x00280100)
    stored = values.whole(root, 0x00280101) or allocated
    high_bit = values.whole(root, 0x00280102)
    if floating:
        allocated = stored = _FLOAT_BITS[header.pixel_tag]
    samples = values.whole(root, 0x00280002) or 1
    if samples != 1:
        raise InputError("E_DECODE", f"{samples} samples per pixel: not a grey image.")
    if allocated not in (8, 16, 32, 64) or (allocated == 64 and not floating):
        raise InputError("E_DECODE", f"Pixels of {allocated} allocated bits cannot be read.")
    if allocated == 8 and header.transfer_syntax == EXPLICIT_BE and header.pixel_vr != b"OB":
        raise InputError("E_DECODE", "8-bit pixels in big-endian words cannot be read.")
    if stored is None or not 1 <= stored <= allocated:
        raise InputError("E_DECODE", f"{stored} of {allocated} allocated bits cannot be stored.")
    if high_bit is None or not stored - 1 <= high_bit < allocated:
        high_bit = stored - 1
    signed = values.whole(root, 0x00280103) == 1
    return PixelLayout(
        transfer_syntax=header.transfer_syntax,
        offset=header.pixel_offset,
        length=header.pixel_length,
        size=header.size,
        rows=rows,
        columns=columns,
        frames=frames,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit,
        signed=signed,
        inverted=values.codes(root, 0x00280004) == ("MONOCHROME1",),
        floating=floating,
        padding=_padding(root, signed),
        overlay_bits=_overlay_bits(root),
        frame_offsets=_frame_offsets(root),
        lookup=_lookup(root, signed),
    )


def _padding(root: Elements, signed: bool) -> tuple[int, int] | None:
    """Return the range of stored values that are no image (PS3.3 C.7.5.1.1.2)."""
    value = values.shorts(root, 0x00280120, signed)
    if not value:
        return None
    limit = values.shorts(root, 0x00280121, signed) or value
    return min(value[0], limit[0]), max(value[0], limit[0])


def _overlay_bits(root: Elements) -> int:
    """Return the bits of the pixel cells that overlays occupy, as old files keep them."""
    bits = 0
    for group in range(0x6000, 0x6020, 2):
        position = values.shorts(root, group << 16 | 0x0102, False)
        if position and 0 < position[0] < 32:
            bits |= 1 << position[0]
    return bits


def _frame_offsets(root: Elements) -> tuple[int, ...]:
    raw = root.values.get(0x7FE00001, (b"", b""))[1]
    return struct.unpack(f"<{len(raw) // 8}Q", raw[: len(raw) // 8 * 8])


def _lookup(root: Elements, signed: bool) -> ModalityLookup | None:
    """Return the Modality LUT, None where there is none.

    Raises:
        InputError: ``E_RESCALE``: it is not what its descriptor says.
    """
    items = root.sequences.get(0x00283000)
    if not items:
        return None
    item = items[0]
    descriptor = values.shorts(item, 0x00283002, False)
    raw = item.values.get(0x00283006, (b"", b""))[1]
    if len(descriptor) != 3 or descriptor[2] not in (8, 16):
        raise InputError("E_RESCALE", f"LUTDescriptor of the Modality LUT is {descriptor}.")
    n = descriptor[0] or 65536
    if descriptor[2] == 8 and len(raw) in (n, n + n % 2):
        entries = tuple(raw[:n])
    else:
        entries = values.shorts(item, 0x00283006, False)
    if len(entries) != n or max(entries) >= 1 << descriptor[2]:
        raise InputError(
            "E_RESCALE",
            f"The Modality LUT has {len(entries)} entries, its descriptor says {n} of "
            f"{descriptor[2]} bits.",
        )
    first = values.shorts(item, 0x00283002, signed)[1]
    slope, intercept = _rescale(root)
    if (slope, intercept) != (1.0, 0.0):
        raise InputError(
            "E_RESCALE", f"A Modality LUT and RescaleSlope {slope:g} exclude each other."
        )
    return ModalityLookup(first, entries)


def _classic_frame(root: Elements, layout: PixelLayout, source: Source, sop_uid: str) -> Frame:
    slope, intercept = _rescale(root)
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
        description=values.text(root, 0x0008103E),
        temporal=values.number(root, 0x00200100),
        trigger_ms=values.number(root, 0x00181060),
        acquisition=values.number(root, 0x00200012),
        echo_ms=values.number(root, 0x00180081),
        inversion_ms=_positive(values.number(root, 0x00180082)),
        time=values.raw_text(root, 0x00080032) or values.raw_text(root, 0x00080033) or "",
        damage=_pixel_damage(layout, 0),
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
        return own if own is not None or groups[1] is None else groups[1].item(tag)

    measures, content, frame_type = item(_MEASURES), item(_CONTENT), item(_FRAME_TYPE)
    thickness, thickness_text = _thickness(measures)
    slope, intercept = _rescale(item(_TRANSFORM))
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
        description=values.text(root, 0x0008103E),
        temporal=values.number(content, 0x00209128),
        trigger_ms=values.number(item(_CARDIAC), 0x00209153),
        acquisition=values.number(content, 0x00209156),
        echo_ms=values.number(item(_ECHO), 0x00189082),
        inversion_ms=_positive(values.number(item(_MODIFIER), 0x00189079)),
        time="",
        damage=_pixel_damage(layout, number - 1),
    )


def _pixel_damage(layout: PixelLayout, index: int) -> str:
    """Say what the header alone shows to be wrong with a frame's pixels."""
    if layout.offset < 0:
        return "it has no pixel data"
    if layout.transfer_syntax not in NATIVE_SYNTAXES:
        return ""
    if layout.length is None:
        return "its uncompressed pixel data have no defined length"
    there = layout.length
    if layout.transfer_syntax != DEFLATED_LE:
        there = min(there, layout.size - layout.offset)
    if there < layout.frame_bytes * (index + 1):
        there = max(0, there - layout.frame_bytes * index)
        return f"its pixel data have {there} of {layout.frame_bytes} bytes"
    return ""


def _shown(text: str | None) -> str:
    return "missing" if text is None else f"'{text[:60]}'"


def _spacing(elements: Elements | None) -> tuple[float, float]:
    parsed = values.numbers(elements, 0x00280030)
    if (
        parsed is None
        or len(parsed) != 2
        or not all(_MIN_SPACING_MM <= value <= _MAX_SPACING_MM for value in parsed)
    ):
        raise GeometryError(
            "E_SPACING",
            f"PixelSpacing is {_shown(values.raw_text(elements, 0x00280030))}; two positive "
            "numbers in mm are needed.",
        )
    return (parsed[0], parsed[1])


def _position(elements: Elements | None) -> tuple[float, float, float]:
    parsed = values.numbers(elements, 0x00200032)
    if parsed is None or len(parsed) != 3 or any(abs(value) > _MAX_POSITION_MM for value in parsed):
        raise GeometryError(
            "E_GEOMETRY",
            f"ImagePositionPatient is {_shown(values.raw_text(elements, 0x00200032))}; three "
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
        f"ImageOrientationPatient is {_shown(values.raw_text(elements, 0x00200037))}; two unit "
        "vectors at right angles are needed.",
    )


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _thickness(elements: Elements | None) -> tuple[float | None, str]:
    """Give the thickness, None where it is missing or impossible, and its raw text."""
    text = values.raw_text(elements, 0x00180050)
    parsed = values.numbers(elements, 0x00180050)
    if parsed is None or len(parsed) != 1 or not 0 < parsed[0] <= _MAX_THICKNESS_MM:
        return None, _shown(text or None)
    return parsed[0], _shown(text)


def _rescale(elements: Elements | None) -> tuple[float, float]:
    """Give slope and intercept; both absent means stored values, as the standard says."""
    pair = []
    for tag, name, absent in (
        (0x00281053, "RescaleSlope", 1.0),
        (0x00281052, "RescaleIntercept", 0.0),
    ):
        text = values.raw_text(elements, tag)
        parsed = values.numbers(elements, tag) if text else (absent,)
        if parsed is None or len(parsed) != 1 or abs(parsed[0]) > 1e9:
            raise InputError("E_RESCALE", f"{name} is {_shown(text)}; a number is needed.")
        pair.append(parsed[0])
    if pair[0] == 0:
        raise InputError("E_RESCALE", "RescaleSlope is '0'; every pixel would be the same.")
    return pair[0], pair[1]
