"""Simulated LGE examinations with known truth, as arrays and as DICOM."""
