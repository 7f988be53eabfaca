"""Where DICOM comes from: folders, files, zips and DICOMDIRs."""
