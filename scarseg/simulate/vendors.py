"""How three manufacturers label and store an LGE series, as far as readers depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from scarseg.io.dicom_write_pixels import Storage
from scarseg.stack import Sequence


class Vendor(StrEnum):
    """A flavour of header."""

    SIEMENS = "siemens"
    GE = "ge"
    PHILIPS = "philips"


@dataclass(frozen=True)
class Flavour:
    """One series of one vendor: description, header values and way of storing pixels."""

    description: str
    header: Mapping[str, object]
    storage: Storage


_DESCRIPTIONS = {
    (Vendor.SIEMENS, Sequence.MAGNITUDE): ("DelayedEnhancement_SAX_MAG", "de_tfl_psir_sax_MAG"),
    (Vendor.SIEMENS, Sequence.PSIR): ("DelayedEnhancement_SAX_PSIR", "de_tfl_psir_sax_PSIR"),
    (Vendor.GE, Sequence.MAGNITUDE): ("SAX MDE", "2D MDE SA VIABILITY"),
    (Vendor.GE, Sequence.PSIR): ("SAX PSMDE", "PSMDE SA 10 MIN"),
    (Vendor.PHILIPS, Sequence.MAGNITUDE): ("LGE_SA_BH", "sIR_TFE_SA LATE ENHANCEMENT"),
    (Vendor.PHILIPS, Sequence.PSIR): ("LGE_PSIR_SA_BH", "PSIR_TFE_SA"),
}
_MODELS = {
    Vendor.SIEMENS: ("SIEMENS", ("Avanto", "Aera", "Skyra"), "syngo MR E11"),
    Vendor.GE: ("GE MEDICAL SYSTEMS", ("Signa HDxt", "Optima MR450w", "DISCOVERY MR750"), "27"),
    Vendor.PHILIPS: ("Philips Medical Systems", ("Achieva", "Ingenia", "Intera"), "5.3.1"),
}
_IMAGE_TYPES = {
    (Vendor.SIEMENS, Sequence.MAGNITUDE): ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"],
    (Vendor.SIEMENS, Sequence.PSIR): ["ORIGINAL", "PRIMARY", "M", "PSIR"],
    (Vendor.GE, Sequence.MAGNITUDE): ["ORIGINAL", "PRIMARY", "OTHER"],
    (Vendor.GE, Sequence.PSIR): ["ORIGINAL", "PRIMARY", "OTHER"],
    (Vendor.PHILIPS, Sequence.MAGNITUDE): ["ORIGINAL", "PRIMARY", "M_IR", "M", "IR"],
    (Vendor.PHILIPS, Sequence.PSIR): ["ORIGINAL", "PRIMARY", "CR_IR", "CR", "IR"],
}
_STORAGE = {
    (Vendor.SIEMENS, Sequence.PSIR): Storage.OFFSET,
    (Vendor.PHILIPS, Sequence.MAGNITUDE): Storage.SCALED,
    (Vendor.PHILIPS, Sequence.PSIR): Storage.SCALED,
}


def flavour(vendor: Vendor, sequence: Sequence, choice: int) -> Flavour:
    """Give how a vendor writes this sequence; ``choice`` picks model and description."""
    manufacturer, models, software = _MODELS[vendor]
    descriptions = _DESCRIPTIONS[vendor, sequence]
    strong = choice % 4 == 3
    header = {
        "Manufacturer": manufacturer,
        "ManufacturerModelName": models[choice % len(models)],
        "SoftwareVersions": software,
        "MagneticFieldStrength": 3.0 if strong else 1.5,
        "ImagingFrequency": 127.74 if strong else 63.87,
        "ImageType": _IMAGE_TYPES[vendor, sequence],
        "ProtocolName": descriptions[choice % len(descriptions)],
        "InstitutionName": "Simulated",
    }
    storage = _STORAGE.get((vendor, sequence), Storage.DIRECT)
    return Flavour(descriptions[choice % len(descriptions)], header, storage)
