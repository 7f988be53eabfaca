"""LGE phantoms with known truth, as arrays and as DICOM."""
