"""Labels made elsewhere on the grid of a stack: NIfTI and DICOM Segmentation of any maker.

Voxels are matched by where they lie in the patient, never by their order in a file. Flipped,
transposed and cropped grids are put right; one that would have to be resampled is refused, for a
resampled mask has other grams. Overlapping segments follow what lies in what: MVO over scar over
myocardium over blood pool.

Refused: E_MASK (no label map, grey levels, unknown values), E_MASK_GEOMETRY (another grid or
voxels outside the stack), E_MASK_STUDY (of other images), E_MASK_SEGMENTS (nothing that is known).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from pydicom import dcmread
from pydicom.dataset import Dataset

from scarseg.case.labels import Label, LabelArray
from scarseg.case.stack import Stack
from scarseg.errors import InputError, LimitError, ScarsegError
from scarseg.io.masks.nifti import LPS_TO_RAS, MAX_VOXELS, finite_affine, read_nifti

FloatMatrix = npt.NDArray[np.float64]

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_NO_NIFTI = (
    *(OSError, EOFError, ValueError, OverflowError, zlib.error),
    *(ImageFileError, HeaderDataError, WrapStructError),
)
_MAX_SEGMENTATION_BYTES = 2**31
_VOXEL_TOLERANCE = 0.1
"""A centre may lie off by this share of a pixel, or of the distance between slices."""
_STEP_TOLERANCE = 0.01

_CODES = {
    **dict.fromkeys(("MVO",), Label.MVO),
    **dict.fromkeys(("12402003", "M-78060", "111168", "122113", "55641003"), Label.SCAR),
    **dict.fromkeys(("49848007", "74281007", "T-32020"), Label.MYOCARDIUM),
    **dict.fromkeys(("87612001", "T-C2000"), Label.BLOOD_POOL),
}
"""Property types by code value: scar, scar tissue, scarred myocardium, infarct; LV myocardium,
myocardium; blood. Older SRT codes beside SNOMED CT."""
_OTHER_SIDE = re.compile(r"\bRV\b|right|atri|pericard", re.IGNORECASE)
_WORDS = (
    (Label.MVO, re.compile(r"\bMVO\b|microvascular|no.?reflow", re.IGNORECASE)),
    (Label.SCAR, re.compile(r"scar|infarct|fibros|enhanc|\bLGE\b", re.IGNORECASE)),
    (Label.MYOCARDIUM, re.compile(r"myocard|\bmyo\b|\bwall\b", re.IGNORECASE)),
    (Label.BLOOD_POOL, re.compile(r"blood|cavity|\bpool\b|lumen", re.IGNORECASE)),
)


@dataclass(frozen=True, eq=False)
class MaskLabels:
    """Labels of a mask on the grid of a stack.

    ``labels`` uint8 (slice, row, column); ``ignored`` are names of segments that are none of the
    four tissues; ``covered`` tells of every slice whether the mask speaks of it: of another one
    nothing is known.
    """

    labels: LabelArray
    ignored: tuple[str, ...] = ()
    covered: tuple[bool, ...] = ()

    @property
    def known_slices(self) -> tuple[bool, ...]:
        """Slices of which the mask says something, be it that there is nothing.

        A slice without a label between slices with a wall was not drawn: the wall of a heart has
        no hole. A mask of scar alone may leave out any slice.
        """
        marked = np.flatnonzero(self.labels.any(axis=(1, 2)))
        has_wall = bool((self.labels == Label.MYOCARDIUM).any())
        between = range(int(marked[0]), int(marked[-1]) + 1) if has_wall else range(0)
        drawn = set(marked.tolist())
        return tuple(
            covered and (k in drawn or k not in between) for k, covered in enumerate(self.covered)
        )


@dataclass(frozen=True, eq=False)
class _Voxels:
    """Voxels of one grid: ``indices`` (n, 3) as float, ``affine`` from them to LPS mm, values."""

    indices: FloatMatrix
    affine: FloatMatrix
    values: LabelArray


def read_mask(path: Path, stack: Stack, meaning: Mapping[int, Label] | None = None) -> MaskLabels:
    """Read a NIfTI label map or a DICOM Segmentation onto the grid of a stack.

    Args:
        meaning: what values (NIfTI) or segment numbers (DICOM) stand for. By default values are
            those of ``Label`` and segments are known by their codes, then by their names.

    Raises:
        InputError: E_MASK, E_MASK_GEOMETRY, E_MASK_STUDY, E_MASK_SEGMENTS.
        LimitError: E_LIMIT.
    """
    try:
        with path.open("rb") as file:
            is_dicom = file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise InputError(
            "E_MASK", f"{path} cannot be read: {error.strerror}.", str(path)
        ) from error
    if is_dicom:
        with _reading_dicom(path):
            return _read_segmentation(path, stack, meaning)
    return _read_nifti(path, stack, meaning)


def _read_nifti(path: Path, stack: Stack, meaning: Mapping[int, Label] | None) -> MaskLabels:
    try:
        image = read_nifti(path)
        data = np.asanyarray(image.dataobj)
        codes = (int(image.header["sform_code"]), int(image.header["qform_code"]))
    except _NO_NIFTI as error:
        raise InputError("E_MASK", f"{path} is neither DICOM nor NIfTI.", str(path)) from error
    if data.ndim != 3:
        raise InputError("E_MASK", f"{path} has {data.ndim} axes, not 3.", str(path))
    if not any(codes):
        raise _geometry_error(path, "it does not say where in the patient it lies")
    known = {int(label): label for label in Label} if meaning is None else {0: 0, **meaning}
    values = np.unique(data)
    strange = [value for value in values.tolist() if value not in known]
    if strange:
        raise InputError(
            "E_MASK", f"{path} has values that stand for nothing: {strange[:5]}.", str(path)
        )
    labels = np.zeros(data.shape, dtype=np.uint8)
    for value in values.tolist():
        labels[data == value] = int(known[value])
    affine = LPS_TO_RAS @ finite_affine(path, image)
    own = stack.affine
    if labels.shape == (stack.columns, stack.rows, stack.n_slices) and np.allclose(
        affine, own, atol=1e-3
    ):  # written by this program: an irregular stack has its mean step in the file
        everywhere = (True,) * stack.n_slices
        return MaskLabels(np.ascontiguousarray(labels.transpose(2, 1, 0)), covered=everywhere)
    indices = np.argwhere(labels > 0)
    voxels = _Voxels(indices.astype(np.float64), affine, labels[tuple(indices.T)])
    result = np.zeros(stack.pixels.shape, dtype=np.uint8)
    _require_same_pixels(path, affine[:3, :3], stack)
    _place(path, voxels, stack, result)
    return MaskLabels(result, covered=_covered(affine, labels.shape, stack))


def _covered(affine: FloatMatrix, shape: tuple[int, ...], stack: Stack) -> tuple[bool, ...]:
    """Return of every slice whether it lies within half a step of a plane of the file's grid.

    ``affine`` leads from voxels of the file to LPS mm; its grid is parallel to the stack's.
    """
    normal = np.asarray(stack.normal)
    through = int(np.abs(normal @ affine[:3, :3]).argmax())
    step = float(normal @ affine[:3, through])
    start = float(normal @ (affine[:3, 3] - np.asarray(stack.origins_mm[0], dtype=np.float64)))
    planes = start + step * np.arange(shape[through])
    off = np.abs(np.asarray(stack.slice_positions_mm)[:, None] - planes).min(axis=1)
    return tuple(bool(one <= abs(step) / 2) for one in off)


@contextmanager
def _reading_dicom(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file raises into E_MASK.

    pydicom converts elements when they are asked for, and what a damaged one raises is no closed
    list: OverflowError, RecursionError, AssertionError, decimal.InvalidOperation have been seen.
    """
    try:
        yield
    except ScarsegError:
        raise
    except Exception as error:
        raise InputError(
            "E_MASK", f"{path} is no readable DICOM Segmentation.", str(path)
        ) from error


def _read_segmentation(path: Path, stack: Stack, meaning: Mapping[int, Label] | None) -> MaskLabels:
    size = path.stat().st_size
    if size > _MAX_SEGMENTATION_BYTES:
        raise LimitError("E_LIMIT", f"{path} holds {size} bytes.", str(path))
    dataset = dcmread(path)
    if dataset.SOPClassUID not in SEGMENTATIONS:
        raise InputError("E_MASK", f"{path} is no DICOM Segmentation.", str(path))
    size = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames", 1))
    if size > MAX_VOXELS:
        raise LimitError("E_LIMIT", f"{path} has {size} voxels.", str(path))
    known, ignored = _segments(path, dataset, meaning)
    referenced = _referenced_images(dataset)
    _require_same_images(path, dataset, stack, referenced)
    result = np.zeros(stack.pixels.shape, dtype=np.uint8)
    # Makers leave out frames without a voxel, but refer to the images they looked at.
    covered = [one.sop_instance_uid in referenced for one in stack.sources]
    for voxels, image in _frames(path, dataset, known):
        _require_same_pixels(path, voxels.affine[:3, :2], stack)
        slices = _place(path, voxels, stack, result)
        named = None if image is None else _slice_of(stack, image)
        if named is not None and slices - {named}:
            raise _geometry_error(path, "a frame does not lie on the image it refers to")
        for k in slices if named is None else (named,):
            covered[k] = True
    return MaskLabels(result, ignored, tuple(covered))


def _segments(
    path: Path, dataset: Dataset, meaning: Mapping[int, Label] | None
) -> tuple[dict[int, Label], tuple[str, ...]]:
    """Return the label of every segment number that has one, and the names of the others."""
    known: dict[int, Label] = {}
    names = []
    for segment in dataset.SegmentSequence:
        number = int(segment.SegmentNumber)
        label = _label_of(segment) if meaning is None else meaning.get(number)
        if label is not None:
            known[number] = label
        elif number:  # 0 is the background of a label map
            names.append(str(segment.get("SegmentLabel", number)))
    if not known:
        raise InputError(
            "E_MASK_SEGMENTS",
            f"{path} has no segment that is known: {', '.join(names)[:200]}; say what its segments"
            " are with --values (1=scar,2=myocardium).",
            str(path),
        )
    return known, tuple(names)


def _label_of(segment: Dataset) -> Label | None:
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    text = f"{segment.get('SegmentLabel', '')} {kind.get('CodeMeaning', '')}"
    if _OTHER_SIDE.search(text):
        return None
    code = _CODES.get(str(kind.get("CodeValue", "")))
    return code or next((label for label, words in _WORDS if words.search(text)), None)


def _referenced_images(dataset: Dataset) -> set[str]:
    """Return the UIDs of the images that a segmentation refers to as a whole."""
    return {
        str(image.ReferencedSOPInstanceUID)
        for series in dataset.get("ReferencedSeriesSequence", ())
        for image in series.get("ReferencedInstanceSequence", ())
    }


def _require_same_images(path: Path, dataset: Dataset, stack: Stack, referenced: set[str]) -> None:
    """Refuse a segmentation of another study: its frame of reference need not be ours."""
    ours = {one.sop_instance_uid for one in stack.sources}
    if dataset.get("StudyInstanceUID") != stack.study_uid and not ours & referenced:
        raise InputError("E_MASK_STUDY", f"{path} was made on images of another study.", str(path))


def _frames(
    path: Path, dataset: Dataset, known: Mapping[int, Label]
) -> Iterator[tuple[_Voxels, tuple[str, int | None] | None]]:
    """Yield the voxels of every frame with the image and frame number it refers to."""
    shape = (int(dataset.get("NumberOfFrames", 1)), int(dataset.Rows), int(dataset.Columns))
    pixels = np.asarray(dataset.pixel_array).reshape(shape)
    kind = str(dataset.SegmentationType)
    if kind == "FRACTIONAL":
        top = int(dataset.MaximumFractionalValue)
        if not np.isin(pixels, (0, top)).all():
            raise InputError("E_MASK", f"{path} holds grey levels, no mask.", str(path))
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for frame, own in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        affine = _frame_affine(own, shared)
        if kind == "LABELMAP":
            values = np.zeros(frame.shape, dtype=np.uint8)
            for number, label in known.items():
                values[frame == number] = label
        else:
            identity = _group(own, shared, "SegmentIdentificationSequence")
            label_here = known.get(int(identity.ReferencedSegmentNumber))
            if label_here is None:
                continue
            values = (frame > 0) * np.uint8(label_here)
        rows, columns = np.nonzero(values)
        indices = np.stack([columns, rows, np.zeros_like(rows)], axis=1).astype(np.float64)
        yield _Voxels(indices, affine, values[rows, columns]), _reference(own, shared)


def _group(own: Dataset, shared: Dataset, keyword: str) -> Dataset:
    """Return the one item of a functional group, the frame's own before the shared."""
    holder = own if keyword in own else shared
    item: Dataset = holder[keyword].value[0]
    return item


def _frame_affine(own: Dataset, shared: Dataset) -> FloatMatrix:
    """Return the matrix from (column, row, 0) of a frame to LPS mm."""
    position = _group(own, shared, "PlanePositionSequence").ImagePositionPatient
    cosines = _group(own, shared, "PlaneOrientationSequence").ImageOrientationPatient
    row_mm, column_mm = _group(own, shared, "PixelMeasuresSequence").PixelSpacing
    affine = np.eye(4)
    affine[:3, 0] = np.array(cosines[:3], dtype=np.float64) * float(column_mm)
    affine[:3, 1] = np.array(cosines[3:], dtype=np.float64) * float(row_mm)
    affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1])
    affine[:3, 3] = np.array(position, dtype=np.float64)
    if not np.isfinite(affine).all():
        raise ValueError("no finite geometry")
    return affine


def _reference(own: Dataset, shared: Dataset) -> tuple[str, int | None] | None:
    holder = own if "DerivationImageSequence" in own else shared
    for derivation in holder.get("DerivationImageSequence", ()):
        for image in derivation.get("SourceImageSequence", ()):
            frames = image.get("ReferencedFrameNumber")
            if isinstance(frames, int | str | None):
                frame = None if frames is None else int(frames)
                return str(image.ReferencedSOPInstanceUID), frame
    return None


def _slice_of(stack: Stack, referenced: tuple[str, int | None]) -> int | None:
    for k, source in enumerate(stack.sources):
        if (source.sop_instance_uid, source.frame) == referenced:
            return k
    return None


def _require_same_pixels(path: Path, steps: FloatMatrix, stack: Stack) -> None:
    """Refuse a grid whose steps in the plane are not the stack's, turned or flipped at most.

    ``steps`` are its columns, LPS mm. A third one, through the plane, must not skip a slice.
    """
    own = stack.affine[:3, :2]
    rise = np.abs(np.asarray(stack.normal) @ steps)
    in_plane = rise < 0.5 * np.linalg.norm(steps, axis=0)
    flat, heights = steps[:, in_plane], rise[~in_plane]
    gaps = np.diff(stack.slice_positions_mm)
    if heights.size and gaps.size and heights.max() > (1 + _STEP_TOLERANCE) * gaps.min():
        raise _geometry_error(path, "it leaves slices out")
    shares = np.round(np.linalg.lstsq(own, flat, rcond=None)[0])
    turned = shares.shape == (2, 2) and np.array_equal(np.abs(shares) @ np.ones(2), np.ones(2))
    allowed = _STEP_TOLERANCE * min(stack.pixel_spacing_mm)
    if not turned or np.abs(flat - own @ shares).max() > allowed:
        raise _geometry_error(path, "its pixels have another size or direction")


def _place(path: Path, voxels: _Voxels, stack: Stack, result: LabelArray) -> set[int]:
    """Write voxels where they lie in the patient; return the slices they lie on."""
    if not len(voxels.indices):
        return set()
    points = voxels.indices @ voxels.affine[:3, :3].T + voxels.affine[:3, 3]
    origins = np.asarray(stack.origins_mm, dtype=np.float64)
    heights = (points - origins[0]) @ np.asarray(stack.normal)
    off = np.abs(heights[:, None] - np.asarray(stack.slice_positions_mm))
    k = off.argmin(axis=1)
    depth = stack.slice_spacing_mm or stack.slice_thickness_mm
    if off.min(axis=1).max() > _VOXEL_TOLERANCE * depth:
        raise _geometry_error(path, "labels lie between the slices or outside of them")
    inside = points - origins[k]
    row_mm, column_mm = stack.pixel_spacing_mm
    columns = inside @ np.asarray(stack.orientation[:3]) / column_mm
    rows = inside @ np.asarray(stack.orientation[3:]) / row_mm
    places = np.stack([rows, columns], axis=1)
    whole = np.round(places)
    if np.abs(places - whole).max() > _VOXEL_TOLERANCE:
        raise _geometry_error(path, "its pixels lie between those of the stack")
    if (whole < 0).any() or (whole >= (stack.rows, stack.columns)).any():
        raise _geometry_error(path, "labels lie outside the images")
    spot = (k, whole[:, 0].astype(np.intp), whole[:, 1].astype(np.intp))
    result[spot] = np.maximum(result[spot], voxels.values)
    return set(k.tolist())


def _geometry_error(path: Path, why: str) -> InputError:
    return InputError("E_MASK_GEOMETRY", f"{path} does not fit the images: {why}.", str(path))
