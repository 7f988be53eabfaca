"""Reproducible UIDs, the implementation of the files this program writes, and coded concepts."""

from __future__ import annotations

import hashlib

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code


def derived_uid(*names: object) -> str:
    """Return a valid UID (2.25 and a version-8 UUID as an integer, PS3.5 B.2) from names."""
    digest = hashlib.sha256("/".join(str(name) for name in names).encode()).digest()
    value = int.from_bytes(digest[:16], "big")
    value = value & ~(0xF << 76) | (0x8 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return f"2.25.{value}"


IMPLEMENTATION_UID = "2.25.187366913417402958131072943906122318529"
IMPLEMENTATION_NAME = "SCARSEG"


def decimal_string(value: float) -> str:
    """Return a number as DS: at most 16 characters, as precise as they allow."""
    for digits in range(16, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"no decimal string for {value}")


OWN_SCHEME = "99SCARSEG"
"""Designator of the private coding scheme (PS3.16: private ones begin with 99)."""

MYOCARDIUM = Code("49848007", "SCT", "Left Ventricle Myocardium")
SCAR_TISSUE = Code("12402003", "SCT", "Scar tissue")
LEFT_VENTRICLE: Code = codes.SCT.LeftVentricle
BLOOD: Code = codes.SCT.Blood
MVO = Code("MVO", OWN_SCHEME, "Microvascular obstruction")
ANATOMY: Code = codes.SCT.AnatomicalStructure
SUBSTANCE: Code = codes.SCT.BodySubstance
ABNORMAL: Code = codes.SCT.MorphologicallyAbnormalStructure

MRI: Code = codes.LN.MRIUnspecifiedBodyRegion
"""TID 1500 takes the procedure from CID 100, which knows no MRI of the heart."""
MASS = Code("118538004", "SCT", "Mass")
VOLUME = Code("118565006", "SCT", "Volume")
SHARE_OF_LV = Code("SCAR-PERCENT-LV", OWN_SCHEME, "Scar mass as percent of LV mass")
BY_THICKNESS = Code("MASS-THICKNESS", OWN_SCHEME, "Slice thickness as depth of a slice")
BY_SPACING = Code("MASS-SPACING", OWN_SCHEME, "Distance between slices as depth of a slice")

GRAM = Code("g", "UCUM", "g")
MILLILITRE = Code("ml", "UCUM", "ml")
PERCENT = Code("%", "UCUM", "%")
