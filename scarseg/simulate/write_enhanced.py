"""Stored pixels, and the header of an Enhanced MR Image with its functional groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedMRImageStorage

from scarseg.case.stack import FloatArray, LgeSequence, Stack
from scarseg.io.dicom.uids import decimal_string, derived_uid

StoredPixels = npt.NDArray[np.int16] | npt.NDArray[np.uint16]


class Storage(StrEnum):
    """Storage of pixel values.

    ``DIRECT``: the value itself, signed where some are negative, without rescale.
    ``OFFSET``: unsigned, with an intercept below zero where values are negative.
    ``SCALED``: every slice has its own slope and intercept and fills the range.
    """

    DIRECT = "direct"
    OFFSET = "offset"
    SCALED = "scaled"


@dataclass(frozen=True, eq=False)
class StoredSlice:
    """Stored integers (row, column), 16 bits, with ``slope`` and ``intercept`` or None."""

    pixels: StoredPixels
    slope: str | None
    intercept: str | None


def store_slices(pixels: FloatArray, storage: Storage) -> list[StoredSlice]:
    """Encode pixels float32 (slice, row, column), one entry per slice, all of one integer type.

    Whole numbers within 16 bits come back exactly with DIRECT and OFFSET; anything else is
    SCALED, exact to half of 1/60000 of the slice's range.
    """
    low, high = float(pixels.min()), float(pixels.max())
    whole = bool(np.array_equal(pixels, np.round(pixels)))
    if storage is Storage.DIRECT and whole and -32768 <= low < 0 and high <= 32767:
        return [StoredSlice(part.astype(np.int16), None, None) for part in pixels]
    if storage is Storage.DIRECT and whole and low >= 0 and high <= 65535:
        return [StoredSlice(part.astype(np.uint16), None, None) for part in pixels]
    offset = 4096 * int(np.ceil(max(-low, 0) / 4096))
    if storage is Storage.OFFSET and whole and high + offset <= 65535:
        slope, intercept = ("1", str(-offset)) if offset else (None, None)
        return [StoredSlice((part + offset).astype(np.uint16), slope, intercept) for part in pixels]
    return [_scaled(part) for part in pixels]


def _scaled(pixels: FloatArray) -> StoredSlice:
    values = pixels.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    slope = decimal_string((high - low) / 60000 if high > low else 1.0)
    intercept = decimal_string(low)
    stored = np.round((values - float(intercept)) / float(slope))
    return StoredSlice(np.clip(stored, 0, 65535).astype(np.uint16), slope, intercept)


def set_pixels(dataset: Dataset, frames: list[StoredPixels]) -> None:
    """Set the image pixel module from frames (row, column) of one integer type."""
    pixels = np.stack(frames)
    signed = bool(pixels.dtype == np.int16)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[1:]
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"


_TIMING = ("RepetitionTime", "FlipAngle", "EchoTrainLength")
_IN_FUNCTIONAL_GROUPS = {
    *_TIMING,
    "EchoTime",
    "InversionTime",
    "NumberOfAverages",
    "PixelBandwidth",
    "ImagingFrequency",
    "ImageType",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "SequenceName",
    "TriggerTime",
    "HeartRate",
    "BodyPartExamined",
    "SpacingBetweenSlices",
    "SliceThickness",
    "PixelSpacing",
}


def item(**values: Any) -> Dataset:
    """Return a dataset of keyword arguments; lists of datasets become sequences."""
    dataset = Dataset()
    for keyword, value in values.items():
        nested = isinstance(value, list) and value and isinstance(value[0], Dataset)
        setattr(dataset, keyword, Items(value) if nested else value)
    return dataset


def code(value: str, scheme: str, meaning: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def enhanced_dataset(
    stack: Stack, slices: list[StoredSlice], values: Mapping[str, object]
) -> Dataset:
    """Return the dataset of an Enhanced MR Image with a frame per slice, in slice order."""
    dataset = _top(stack, values)
    dataset.SharedFunctionalGroupsSequence = Items([_shared(stack, values)])
    dataset.PerFrameFunctionalGroupsSequence = Items(
        [_frame(stack, k, part) for k, part in enumerate(slices)]
    )
    set_pixels(dataset, [part.pixels for part in slices])
    return dataset


def _component(stack: Stack) -> str:
    return "REAL" if stack.sequence is LgeSequence.PSIR else "MAGNITUDE"


def _date_time(stack: Stack, values: Mapping[str, object]) -> str:
    date = stack.study_date if len(stack.study_date) == 8 else "20000101"
    return f"{date}{values.get('StudyTime') or '000000'}"


def _top(stack: Stack, values: Mapping[str, object]) -> Dataset:
    dimension = derived_uid(stack.series_uid, "dimension")
    frame_content, stack_id, position = 0x00209111, 0x00209056, 0x00209057
    dataset = item(
        SOPClassUID=EnhancedMRImageStorage,
        SOPInstanceUID=stack.sources[0].sop_instance_uid,
        ImageType=["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"],
        PatientName=stack.patient_name,
        PatientID=stack.patient_id,
        StudyInstanceUID=stack.study_uid,
        SeriesInstanceUID=stack.series_uid,
        FrameOfReferenceUID=derived_uid(stack.study_uid, "frame of reference"),
        PositionReferenceIndicator="",
        StudyDate=stack.study_date,
        SeriesDescription=stack.description,
        Modality="MR",
        PatientPosition="HFS",
        InstanceNumber=1,
        NumberOfFrames=stack.n_slices,
        ContentDate=_date_time(stack, values)[:8],
        ContentTime=_date_time(stack, values)[8:],
        AcquisitionDateTime=_date_time(stack, values),
        AcquisitionNumber=1,
        AcquisitionDuration=10.0 * stack.n_slices,
        AcquisitionContextSequence=Items([]),
        ContentQualification="RESEARCH",
        ResonantNucleus="1H",
        KSpaceFiltering="NONE",
        ApplicableSafetyStandardAgency="IEC",
        BurnedInAnnotation="NO",
        LossyImageCompression="00",
        PresentationLUTShape="IDENTITY",
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent=_component(stack),
        AcquisitionContrast="T1",
        CardiacSynchronizationTechnique="PROSPECTIVE",
        CardiacSignalSource="ECG",
        CardiacRRIntervalSpecified=850.0,
        LowRRValue=700,
        HighRRValue=1000,
        IntervalsAcquired=1,
        IntervalsRejected=0,
        CardiacBeatRejectionTechnique="NONE",
        PulseSequenceName="lge_ir_gre",
        MRAcquisitionType="2D",
        EchoPulseSequence="GRADIENT",
        MultiPlanarExcitation="NO",
        PhaseContrast="NO",
        TimeOfFlightContrast="NO",
        SteadyStatePulseSequence="NONE",
        EchoPlanarPulseSequence="NO",
        SaturationRecovery="NO",
        SpectrallySelectedSuppression="NONE",
        OversamplingPhase="NONE",
        GeometryOfKSpaceTraversal="RECTILINEAR",
        RectilinearPhaseEncodeReordering="LINEAR",
        SegmentedKSpaceTraversal="PARTIAL",
        NumberOfKSpaceTrajectories=1,
        DimensionOrganizationSequence=[item(DimensionOrganizationUID=dimension)],
        DimensionIndexSequence=[
            item(
                DimensionOrganizationUID=dimension,
                DimensionIndexPointer=stack_id,
                FunctionalGroupPointer=frame_content,
                DimensionDescriptionLabel="Stack ID",
            ),
            item(
                DimensionOrganizationUID=dimension,
                DimensionIndexPointer=position,
                FunctionalGroupPointer=frame_content,
                DimensionDescriptionLabel="In-Stack Position Number",
            ),
        ],
    )
    for keyword, value in values.items():
        if keyword not in _IN_FUNCTIONAL_GROUPS and value is not None:
            setattr(dataset, keyword, value)
    return dataset


def _number(values: Mapping[str, object], keyword: str, default: float) -> float:
    value = values.get(keyword)
    return float(value) if isinstance(value, int | float | str) else default


def _shared(stack: Stack, values: Mapping[str, object]) -> Dataset:
    """Return the shared functional groups: pixel measures, orientation, contrast."""
    measures = item(
        SliceThickness=decimal_string(stack.slice_thickness_mm),
        PixelSpacing=[decimal_string(v) for v in stack.pixel_spacing_mm],
    )
    if stack.spacing_between_slices_mm is not None:
        measures.SpacingBetweenSlices = decimal_string(stack.spacing_between_slices_mm)
    orientation = [decimal_string(v) for v in stack.orientation]
    frame_type = item(
        FrameType=["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent=_component(stack),
        AcquisitionContrast="T1",
    )
    anatomy = item(AnatomicRegionSequence=[code("80891009", "SCT", "Heart")], FrameLaterality="U")
    return item(
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[item(ImageOrientationPatient=orientation)],
        FrameAnatomySequence=[anatomy],
        MRImageFrameTypeSequence=[frame_type],
        **_contrast(stack, values),
    )


def _contrast(stack: Stack, values: Mapping[str, object]) -> dict[str, list[Dataset]]:
    """Return the functional groups of the pulse sequence."""
    sar = item(SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=1.0)
    timing = item(
        RepetitionTime=decimal_string(_number(values, "RepetitionTime", 700)),
        FlipAngle=decimal_string(_number(values, "FlipAngle", 25)),
        EchoTrainLength=1,
        RFEchoTrainLength=0,
        GradientEchoTrainLength=int(_number(values, "EchoTrainLength", 1)),
        SpecificAbsorptionRateSequence=[sar],
        GradientOutputType="DB_DT",
        GradientOutput=10.0,
        OperatingModeSequence=[
            item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"),
            item(OperatingModeType="RF", OperatingMode="IEC_NORMAL"),
            item(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL"),
        ],
    )
    modifier = item(
        InversionRecovery="YES",
        InversionTimes=_number(values, "InversionTime", 300),
        FlowCompensation="NONE",
        Spoiling="RF",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    imaging = item(
        MagnetizationTransfer="NONE",
        BloodSignalNulling="NO",
        Tagging="NONE",
        TransmitterFrequency=_number(values, "ImagingFrequency", 63.87),
        PixelBandwidth=_number(values, "PixelBandwidth", 140),
    )
    geometry = item(
        InPlanePhaseEncodingDirection="ROW",
        MRAcquisitionFrequencyEncodingSteps=stack.rows,
        MRAcquisitionPhaseEncodingStepsInPlane=stack.columns,
        PercentSampling="100",
        PercentPhaseFieldOfView="100",
    )
    receive = item(
        ReceiveCoilName="BODY_ARRAY",
        ReceiveCoilManufacturerName="",
        ReceiveCoilType="SURFACE",
        QuadratureReceiveCoil="YES",
    )
    transmit = item(
        TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY"
    )
    averages = item(NumberOfAverages=decimal_string(_number(values, "NumberOfAverages", 1)))
    return {
        "MRTimingAndRelatedParametersSequence": [timing],
        "MRFOVGeometrySequence": [geometry],
        "MREchoSequence": [item(EffectiveEchoTime=_number(values, "EchoTime", 3.2))],
        "MRModifierSequence": [modifier],
        "MRImagingModifierSequence": [imaging],
        "MRReceiveCoilSequence": [receive],
        "MRTransmitCoilSequence": [transmit],
        "MRAveragesSequence": [averages],
    }


def _frame(stack: Stack, k: int, part: StoredSlice) -> Dataset:
    low, high = np.percentile(stack.pixels[k], [1, 99])
    date = stack.study_date if len(stack.study_date) == 8 else "20000101"
    content = item(
        FrameReferenceDateTime=f"{date}120000",
        FrameAcquisitionDateTime=f"{date}120000",
        FrameAcquisitionDuration=10000.0,
        FrameAcquisitionNumber=k + 1,
        DimensionIndexValues=[1, k + 1],
        StackID="1",
        InStackPositionNumber=k + 1,
    )
    rescale = item(
        RescaleIntercept=part.intercept or "0",
        RescaleSlope=part.slope or "1",
        RescaleType="US",
    )
    window = item(
        WindowCenter=decimal_string(float(round((low + high) / 2, 3))),
        WindowWidth=decimal_string(float(max(round(high - low, 3), 1))),
    )
    position = [decimal_string(v) for v in stack.origins_mm[k]]
    return item(
        FrameContentSequence=[content],
        PlanePositionSequence=[item(ImagePositionPatient=position)],
        PixelValueTransformationSequence=[rescale],
        FrameVOILUTSequence=[window],
        CardiacSynchronizationSequence=[
            item(NominalCardiacTriggerDelayTime=600.0, RRIntervalTimeNominal=850.0)
        ],
    )
