"""Pixel data of DICOM files: decoded in a process of its own, turned into intensities."""
