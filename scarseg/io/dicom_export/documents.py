"""Pages as DICOM, for archives and viewers that show neither segmentations nor reports of numbers.

The report as Encapsulated PDF, and its pictures as Secondary Capture. Both say in pixels or PDF
whose they are, by pseudonym unless asked otherwise.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    EncapsulatedPDFStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

import scarseg
from scarseg.case.case import Case
from scarseg.io.dicom.uids import derived_uid
from scarseg.io.dicom_export import references
from scarseg.io.dicom_export.seg import content_hash

PDF_SERIES_NUMBER, PICTURE_SERIES_NUMBER = 804, 805
RgbFrames = npt.NDArray[np.uint8]
"""Pages as pixels (page, row, column, red green blue)."""


def build_document(
    case: Case, pdf: bytes, origin: references.SourceImages, created: datetime
) -> Dataset:
    """Build an Encapsulated PDF of a report; same case, PDF and time, same bytes."""
    dataset = _heading(case, origin, created, EncapsulatedPDFStorage, "document", pdf)
    dataset.Modality = "DOC"
    dataset.SeriesNumber = PDF_SERIES_NUMBER
    dataset.SeriesDescription = "Report on scar on LGE; research use only"
    dataset.AcquisitionDateTime = ""
    dataset.DocumentTitle = "Myocardial scar on LGE; research use only"
    dataset.ConceptNameCodeSequence = Items([])
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    dataset.EncapsulatedDocumentLength = len(pdf)
    return dataset


def build_picture(
    case: Case, frames: RgbFrames, origin: references.SourceImages, created: datetime
) -> Dataset:
    """Build a Secondary Capture of pages; several are frames of one instance."""
    several = len(frames) > 1
    sop_class = (
        MultiFrameTrueColorSecondaryCaptureImageStorage if several else SecondaryCaptureImageStorage
    )
    dataset = _heading(case, origin, created, sop_class, "picture", frames.tobytes())
    dataset.Modality = "OT"
    dataset.SeriesNumber = PICTURE_SERIES_NUMBER
    dataset.SeriesDescription = "Scar on LGE, all slices; research use only"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = "Slices with outlines of wall and scar; research use only"
    dataset.PatientOrientation = ""
    dataset.LossyImageCompression = "00"
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    if several:
        dataset.NumberOfFrames = len(frames)
        dataset.PageNumberVector = list(range(1, len(frames) + 1))
        dataset.FrameIncrementPointer = 0x00182001
    pixels = frames.tobytes()
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB"
    return dataset


def _heading(
    case: Case,
    origin: references.SourceImages,
    created: datetime,
    sop_class: UID,
    what: str,
    content: bytes,
) -> Dataset:
    """Return patient, study, equipment and UIDs, which come from the content alone."""
    digest = content_hash(case, origin), hashlib.sha256(content).hexdigest()
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    uid = UID(derived_uid(*digest, what))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    references.complete_dataset(dataset, origin, created)
    dataset.SeriesInstanceUID = derived_uid(*digest, f"{what} series")
    dataset.InstanceNumber = 1
    dataset.ContentDate, dataset.ContentTime = references.date_and_time(created)
    dataset.ConversionType = "WSD"
    dataset.Laterality = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.Manufacturer = references.MANUFACTURER
    dataset.ManufacturerModelName = references.MODEL
    dataset.DeviceSerialNumber = references.SERIAL
    dataset.SoftwareVersions = scarseg.__version__
    return dataset
