"""DICOM of a patient who must not be found again: marks in every place that names somebody."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from dataclasses import replace
from pathlib import Path

import pydicom
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from scarseg.case.stack import Stack
from scarseg.simulate.write_dicom import write_series

MARK = "ZQXJ"
NAMES = (
    "PatientName", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName",
    "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "RequestingPhysician",
    "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ResponsiblePerson",
    "ConsultingPhysicianName", "ScheduledPerformingPhysicianName",
)  # fmt: skip
TEXTS = (
    "PatientID", "IssuerOfPatientID", "InstitutionName", "InstitutionAddress",
    "InstitutionalDepartmentName", "MilitaryRank", "BranchOfService", "MedicalRecordLocator",
    "CountryOfResidence", "RegionOfResidence", "AdmissionID", "RequestedProcedureDescription",
    "Occupation", "PatientAddress", "PatientReligiousPreference", "StudyDescription",
    "ProtocolName", "PerformedProcedureStepDescription", "CurrentPatientLocation",
    "PatientInstitutionResidence", "ServiceEpisodeID", "AccessionNumber", "StationName", "StudyID",
    "PatientTelephoneNumbers", "EthnicGroup", "PerformedStationName", "RequestedProcedureID",
    "PerformedProcedureStepID", "DeviceSerialNumber", "PatientComments", "ImageComments",
    "AdditionalPatientHistory", "VisitComments", "ResponsibleOrganization",
)  # fmt: skip
NUMBERS = {"PatientBirthDate": "19010203", "PatientWeight": "177.77", "PatientAge": "123Y"}
FOUND_AS = (MARK, MARK.lower(), "19010203", "1901-02-03", "177.77", "123Y")


def marked(dataset: Dataset) -> None:
    """Write a mark into every identifying element of a data set."""
    for number, keyword in enumerate((*NAMES, *TEXTS)):
        text = f"{MARK}{number:02d}"
        setattr(dataset, keyword, f"{text}^{MARK}" if keyword in NAMES else text)
    for keyword, value in NUMBERS.items():
        setattr(dataset, keyword, value)
    other = Dataset()
    other.PatientID = f"{MARK}80"
    dataset.OtherPatientIDsSequence = [other]
    request = Dataset()
    request.RequestedProcedureID = f"{MARK}81"
    request.ReasonForTheRequestedProcedure = f"{MARK}82"
    dataset.RequestAttributesSequence = [request]
    private = dataset.private_block(0x0009, f"{MARK}83", create=True)
    private.add_new(0x01, "LO", f"{MARK}84")


def write_marked_study(folder: Path, stack: Stack) -> Stack:
    """Write a stack, a series that is cut off, and one with values no standard allows.

    Gives the stack as it must be read back, with its identity.
    """
    write_series(folder / "a", stack)
    write_series(folder / "b", _copy(stack, "2"))
    write_series(folder / "c", _copy(stack, "3"))
    for path in sorted(folder.rglob("*.dcm")):
        dataset = pydicom.dcmread(path)
        marked(dataset)
        if path.parent.name == "c":
            _break(dataset)
        dataset.save_as(path)
        if path.parent.name == "b":
            path.write_bytes(path.read_bytes()[:-3000])
    return replace(stack, patient_id=f"{MARK}13", patient_name=f"{MARK}00^{MARK}")


def _copy(stack: Stack, suffix: str) -> Stack:
    sources = tuple(
        replace(each, sop_instance_uid=f"{each.sop_instance_uid}.{suffix}")
        for each in stack.sources
    )
    return replace(stack, series_uid=f"{stack.series_uid}.{suffix}", sources=sources)


def _break(dataset: Dataset) -> None:
    """Make values whose complaint would quote them."""
    for keyword, value in (
        ("PatientBirthDate", f"{MARK}90"),
        ("PatientID", f"{MARK}91" + "x" * 80),
        ("PatientAge", f"{MARK}92"),
        ("PatientName", f"{MARK}93" + "y" * 80 + "^a^b^c^d^e^f"),
        ("AccessionNumber", f"{MARK}94" + "z" * 40),
    ):
        kind = dictionary_VR(keyword)
        dataset.add(DataElement(keyword, kind, value, validation_mode=IGNORE))


def traces_in(data: bytes) -> list[str]:
    """Return which marks stand in some bytes, in whatever encoding."""
    found = []
    for mark in FOUND_AS:
        for encoding in ("ascii", "utf-16-le", "utf-16-be"):
            if mark.encode(encoding) in data:
                found.append(f"{mark} ({encoding})")
    return found


def traces_below(folder: Path) -> list[str]:
    """Search every name and every byte below a folder, also inside what is compressed."""
    found = []
    for path in sorted(folder.rglob("*")):
        found += [f"name {path.name}: {each}" for each in traces_in(path.name.encode())]
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".gz":
                data += gzip.decompress(data)
            if path.suffix == ".safetensors":  # among millions of numbers any four bytes occur
                data = data[: 8 + int.from_bytes(data[:8], "little")]
            found += [f"{path.name}: {each}" for each in traces_in(data + _inflated(data))]
    return found


def _inflated(data: bytes) -> bytes:
    """Unpack whatever zlib streams stand in some bytes (PNG texts, labels)."""
    unpacked, start = b"", 0
    while (start := data.find(b"\x78", start)) >= 0:
        with contextlib.suppress(zlib.error):
            unpacked += zlib.decompressobj().decompress(data[start:], 1 << 20)
        start += 1
    return unpacked
