"""DICOM series for tests: an oblique short-axis stack with unequal spacings everywhere."""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)

ROWS, COLUMNS, N_SLICES = 36, 44, 6
ROW_SPACING, COLUMN_SPACING, THICKNESS, SPACING = 1.5, 1.25, 8.0, 9.0
SERIES, STUDY = "1.2.826.7.1", "1.2.826.7"


def oblique() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return (orientation, normal): normal left, anterior, down, as from base to apex."""
    normal = np.array([0.62, -0.58, -0.53])
    normal /= np.linalg.norm(normal)
    row = np.cross(normal, [0.1, 0.2, 1.0])
    row /= np.linalg.norm(row)
    column = np.cross(normal, row)
    return np.concatenate([row, column]), normal


ORIENTATION, NORMAL = oblique()
BASE = np.array([-12.3, 45.6, 78.9])


def stored_pixels(k: int, bits: int = 12) -> npt.NDArray[np.uint16]:
    """Stored values of slice ``k``: noise over ramps, no two slices or rows alike."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    noise = np.random.default_rng(k).integers(0, 200, (ROWS, COLUMNS))
    return ((rows * 37 + columns * 11 + k * 101 + noise) % (1 << bits)).astype(np.uint16)


def decimals(values: Iterable[float]) -> list[str]:
    return [f"{value:.9f}"[:16] for value in values]


def slice_dataset(k: int, *, spacing: float = SPACING, pixels: np.ndarray | None = None) -> Dataset:
    """Make slice ``k`` counted from the base."""
    ds = Dataset()
    ds.SOPClassUID = MRImageStorage
    ds.SOPInstanceUID = f"{SERIES}.{k + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.Modality = "MR"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    ds.PatientID, ds.PatientName, ds.StudyDate = "ID-7", "Test^Case", "20240305"
    ds.SeriesDescription, ds.SeriesNumber = "LGE SAX", 5
    ds.InstanceNumber, ds.AcquisitionNumber = k + 1, 1
    ds.InversionTime = "300"
    ds.PixelSpacing = decimals([ROW_SPACING, COLUMN_SPACING])
    ds.SliceThickness = str(THICKNESS)
    ds.ImagePositionPatient = decimals(BASE + NORMAL * spacing * k)
    ds.ImageOrientationPatient = decimals(ORIENTATION)
    put_pixels(ds, stored_pixels(k) if pixels is None else pixels)
    return ds


def put_pixels(ds: Dataset, pixels: np.ndarray, bits_stored: int = 12) -> None:
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits_stored, bits_stored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds["PixelData"] = RawDataElement(
        Tag(0x7FE00010),
        "OW",
        pixels.nbytes,
        pixels.astype(pixels.dtype.newbyteorder("<")).tobytes(),
        0,
        False,
        True,
    )


def series(
    n: int = N_SLICES, *, spacing: float = SPACING, skip: Sequence[int] = ()
) -> list[Dataset]:
    return [slice_dataset(k, spacing=spacing) for k in range(n) if k not in skip]


def put_raw(ds: Dataset, keyword: str, value: bytes) -> None:
    """Write bytes into an element as they are, valid or not; explicit little endian only."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    vr = dictionary_VR(tag)
    value += b" " * (len(value) % 2)
    filler = {"PN": b"a", "CS": b"A"}.get(vr, b"1") * len(value)
    if keyword in ds:
        del ds[keyword]
    if keyword != "SpecificCharacterSet":  # pydicom would act on it; put in when saving
        ds[tag] = RawDataElement(Tag(tag), vr, len(value), filler, 0, False, True)
    head = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value))
    ds.raw_values = {**getattr(ds, "raw_values", {}), head: (filler, value)}


def save(ds: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds = copy.deepcopy(ds)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        data = np.frombuffer(ds.get_item("PixelData").value, "<u2").byteswap().tobytes()
        ds["PixelData"] = RawDataElement(Tag(0x7FE00010), "OW", len(data), data, 0, False, False)
    ds.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    for head, (filler, value) in getattr(ds, "raw_values", {}).items():
        if head.startswith(b"\x08\x00\x05\x00"):
            filler = b""
            data = data.replace(b"\x08\x00\x08\x00CS", head + b"\x08\x00\x08\x00CS", 1)
        assert data.count(head + filler) == 1
        data = data.replace(head + filler, head + value)
    path.write_bytes(data)
    return path


def save_series(
    folder: Path, datasets: Sequence[Dataset], syntax: str = ExplicitVRLittleEndian
) -> list[Path]:
    return [save(ds, folder / f"IM{k:04d}.dcm", syntax) for k, ds in enumerate(datasets)]


def compressed(ds: Dataset, syntax: str) -> Dataset:
    """Return the classic data set with its pixels compressed without loss."""
    stored = np.frombuffer(ds.get_item("PixelData").value, "<u2").reshape(ds.Rows, ds.Columns)
    copy_ds = copy.deepcopy(ds)
    frames = [encode(stored, syntax)]
    _put_encapsulated(copy_ds, frames)
    return copy_ds


def encode(stored: np.ndarray, syntax: str) -> bytes:
    if syntax == JPEG2000Lossless:
        from openjpeg.utils import encode_array

        return bytes(encode_array(stored, bits_stored=12, photometric_interpretation=2))
    if syntax == JPEGLSLossless:
        import jpeg_ls

        return bytes(
            jpeg_ls.encode_buffer(stored.tobytes(), stored.shape[0], stored.shape[1], 1, 12)
        )
    if syntax == JPEGLosslessSV1:
        return jpeg_lossless(stored)
    assert syntax == RLELossless
    from pydicom.pixels.encoders import RLELosslessEncoder

    return bytes(
        RLELosslessEncoder.encode(
            stored.tobytes(),
            encoding_plugin="pydicom",
            rows=stored.shape[0],
            columns=stored.shape[1],
            samples_per_pixel=1,
            bits_allocated=16,
            bits_stored=12,
            pixel_representation=0,
            photometric_interpretation="MONOCHROME2",
            number_of_frames=1,
        )
    )


def _put_encapsulated(ds: Dataset, frames: list[bytes], with_table: bool = True) -> None:
    del ds["PixelData"]
    ds.PixelData = encapsulate(frames, has_bot=with_table)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True


def enhanced(
    datasets: Sequence[Dataset], syntax: str | None = None, shared: bool = True
) -> Dataset:
    """Make one Enhanced MR file of classic slices; plane orientation and measures shared or not."""
    first = datasets[0]
    ds = Dataset()
    for name in (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Modality",
        "ImageType",
        "PatientID",
        "PatientName",
        "StudyDate",
        "SeriesDescription",
        "SeriesNumber",
        "Rows",
        "Columns",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
    ):
        setattr(ds, name, getattr(first, name))
    ds.SOPClassUID, ds.SOPInstanceUID = EnhancedMRImageStorage, f"{SERIES}.900"
    ds.InstanceNumber, ds.NumberOfFrames = 1, len(datasets)
    common = Dataset()
    groups = []
    for k, slice_ds in enumerate(datasets):
        group = Dataset()
        group.PlanePositionSequence = Items([_only(slice_ds, "ImagePositionPatient")])
        target = common if shared else group
        target.PlaneOrientationSequence = Items([_only(slice_ds, "ImageOrientationPatient")])
        target.PixelMeasuresSequence = Items([_only(slice_ds, "PixelSpacing", "SliceThickness")])
        transform = _only(slice_ds, "RescaleSlope", "RescaleIntercept")
        transform.RescaleType = "US"
        group.PixelValueTransformationSequence = Items([transform])
        content = Dataset()
        content.TemporalPositionIndex = int(slice_ds.get("TemporalPositionIdentifier", 1))
        content.InStackPositionNumber = k + 1
        group.FrameContentSequence = Items([content])
        groups.append(group)
    ds.SharedFunctionalGroupsSequence = Items([common])
    ds.PerFrameFunctionalGroupsSequence = Items(groups)
    raw = [d.get_item("PixelData").value for d in datasets]
    if syntax is None:
        ds.PixelData = b"".join(raw)
        ds["PixelData"].VR = "OW"
    else:
        ds.PixelData = b""
        arrays = [np.frombuffer(r, "<u2").reshape(first.Rows, first.Columns) for r in raw]
        _put_encapsulated(ds, [encode(array, syntax) for array in arrays])
    return ds


def _only(ds: Dataset, *names: str) -> Dataset:
    item = Dataset()
    defaults = {"RescaleSlope": "1", "RescaleIntercept": "0"}
    for name in names:
        setattr(item, name, ds.get(name, defaults.get(name)))
    return item


def jpeg_lossless(stored: np.ndarray, precision: int = 12) -> bytes:
    """Encode as JPEG lossless, process 14, selection value 1 (ITU T.81, annex H).

    One Huffman table gives each of the 17 difference categories a code of five bits.
    """
    rows, columns = stored.shape
    values = stored.astype(np.int64)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << (precision - 1)
    bits = []
    for difference in (values - predicted).ravel().tolist():
        category = abs(difference).bit_length()
        bits.append(f"{category:05b}")
        if category:
            extra = difference if difference > 0 else difference + (1 << category) - 1
            bits.append(f"{extra:0{category}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    frame = bytes([precision]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
    table = bytes([0, 0, 0, 0, 0, 17, *([0] * 11), *range(17)])
    return (
        b"\xff\xd8"
        + _segment(0xC3, frame + b"\x01\x01\x11\x00")
        + _segment(0xC4, table)
        + _segment(0xDA, b"\x01\x01\x00\x01\x00\x00")
        + scan
        + b"\xff\xd9"
    )


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data
