"""Write simulated stacks as MR DICOM files, classic or Enhanced."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

from scarseg.case.stack import LgeSequence, Stack
from scarseg.errors import OutputError
from scarseg.io.dicom.uids import (
    IMPLEMENTATION_NAME,
    IMPLEMENTATION_UID,
    decimal_string,
    derived_uid,
)
from scarseg.io.files import make_folder, refuse_existing
from scarseg.simulate.write_enhanced import (
    Storage,
    StoredSlice,
    enhanced_dataset,
    set_pixels,
    store_slices,
)

_PLAIN = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
DEFAULT_HEADER: Mapping[str, object] = {
    "Manufacturer": "scarseg",
    "ManufacturerModelName": "simulator",
    "DeviceSerialNumber": "0",
    "SoftwareVersions": "1",
    "StudyTime": "120000",
    "MagneticFieldStrength": 1.5,
    "ImagingFrequency": 63.87,
    "RepetitionTime": 700.0,
    "EchoTime": 3.2,
    "InversionTime": 300.0,
    "TriggerTime": 600.0,
    "FlipAngle": 25.0,
    "NumberOfAverages": 1.0,
    "PixelBandwidth": 140.0,
    "EchoTrainLength": 1,
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "PatientBirthDate": "",
    "PatientSex": "O",
    "StudyID": "1",
    "SeriesNumber": 1,
    "BodyPartExamined": "HEART",
}
"""Header of a series where the caller sets nothing else."""


def write_series(
    folder: Path,
    stack: Stack,
    *,
    header: Mapping[str, object] | None = None,
    enhanced: bool = False,
    transfer_syntax: str = ExplicitVRLittleEndian,
    storage: Storage = Storage.DIRECT,
    prefix: str = "IM",
) -> list[Path]:
    """Write a stack as MR Image Storage, one file a slice, or as one Enhanced MR Image.

    The same input gives the same bytes; nothing is dated by the clock.

    Args:
        folder: made if needed.
        stack: pixels, geometry and identity; SOP Instance UIDs come from ``stack.sources``
            (an Enhanced file takes the first one).
        header: DICOM keyword to value, over :data:`DEFAULT_HEADER`; None leaves the
            attribute out. Values of an Enhanced file land in its functional groups where
            they belong.
        transfer_syntax: any that pydicom can write here.
        storage: how pixels are stored; see :class:`Storage`.
        prefix: files are named prefix, instance number, ``.dcm``.

    Returns:
        The files in slice order.

    Raises:
        OutputError: E_EXISTS, E_WRITE.
    """
    values = {**DEFAULT_HEADER, **(header or {})}
    slices = store_slices(stack.pixels, storage)
    if enhanced:
        datasets = [enhanced_dataset(stack, slices, values)]
    else:
        datasets = [_classic_dataset(stack, k, part, values) for k, part in enumerate(slices)]
    paths = [folder / f"{prefix}{int(dataset.InstanceNumber):04d}.dcm" for dataset in datasets]
    make_folder(folder)
    refuse_existing(paths, "choose another folder")
    for path, dataset in zip(paths, datasets, strict=True):
        _save(dataset, path, transfer_syntax)
    return paths


def _classic_dataset(
    stack: Stack, k: int, part: StoredSlice, values: Mapping[str, object]
) -> Dataset:
    source = stack.sources[k]
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = source.sop_instance_uid
    component = "PSIR" if stack.sequence is LgeSequence.PSIR else "M"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", component]
    dataset.PatientName = stack.patient_name
    dataset.PatientID = stack.patient_id
    dataset.StudyInstanceUID = stack.study_uid
    dataset.SeriesInstanceUID = stack.series_uid
    dataset.FrameOfReferenceUID = derived_uid(stack.study_uid, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDate = stack.study_date
    dataset.SeriesDescription = stack.description
    dataset.Modality = "MR"
    dataset.PatientPosition = "HFS"
    dataset.ScanningSequence = ["GR", "IR"]
    dataset.SequenceVariant = ["SP", "MP"]
    dataset.ScanOptions = "CG"
    dataset.MRAcquisitionType = "2D"
    dataset.AcquisitionNumber = k + 1
    dataset.InstanceNumber = source.instance_number or k + 1
    dataset.SliceThickness = decimal_string(stack.slice_thickness_mm)
    if stack.spacing_between_slices_mm is not None:
        dataset.SpacingBetweenSlices = decimal_string(stack.spacing_between_slices_mm)
    dataset.PixelSpacing = [decimal_string(v) for v in stack.pixel_spacing_mm]
    dataset.ImageOrientationPatient = [decimal_string(v) for v in stack.orientation]
    dataset.ImagePositionPatient = [decimal_string(v) for v in stack.origins_mm[k]]
    dataset.SliceLocation = decimal_string(stack.slice_positions_mm[k])
    if part.slope is not None and part.intercept is not None:
        dataset.RescaleIntercept = part.intercept
        dataset.RescaleSlope = part.slope
        dataset.RescaleType = "US"
    low, high = np.percentile(stack.pixels[k], [1, 99])
    dataset.WindowCenter = decimal_string(float(round((low + high) / 2, 3)))
    dataset.WindowWidth = decimal_string(float(max(round(high - low, 3), 1)))
    set_pixels(dataset, [part.pixels])
    for keyword, value in values.items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def _save(dataset: Dataset, path: Path, transfer_syntax: str) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    dataset.file_meta = meta
    if transfer_syntax not in _PLAIN:
        dataset.compress(transfer_syntax, generate_instance_uid=False)
    elif transfer_syntax == ExplicitVRBigEndian:
        pixels = np.frombuffer(dataset.PixelData, dtype="<u2")
        dataset.PixelData = pixels.astype(">u2").tobytes()
        meta.TransferSyntaxUID = ExplicitVRBigEndian
    else:
        meta.TransferSyntaxUID = UID(transfer_syntax)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    try:
        with path.open("xb") as file:
            file.write(buffer.getvalue())
    except OSError as error:
        raise OutputError(
            "E_WRITE", f"{path} cannot be written: {error.strerror or error}.", str(path)
        ) from error
