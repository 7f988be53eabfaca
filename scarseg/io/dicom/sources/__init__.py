"""Sources of DICOM files: folders, files, zips and DICOMDIRs."""
