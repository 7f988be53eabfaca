"""Settings that every stack of a run shares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention


class MaskFormat(StrEnum):
    """File format of masks: label maps, or DICOM that refers to its images."""

    NIFTI = "nifti"
    SEG = "seg"
    LABELMAP = "labelmap"
    RTSTRUCT = "rtstruct"
    NONE = "none"


@dataclass(frozen=True)
class ResultSettings:
    """Settings that every case of a run shares; a value that crosses processes.

    ``masks`` is the folder for masks and DICOM reports, or None; ``sr`` asks for a DICOM
    structured report of every series, ``dicom_report`` for its page as Encapsulated PDF,
    ``dicom_montage`` for its slices as Secondary Capture; ``methods`` are the threshold methods
    to compare with;
    ``reports`` is the folder for a PDF report of every series, ``cases`` that for a case file of
    every stack, which the window opens; None for none. ``staging`` takes the
    files of a stack until its row is kept; None: they are written in place.
    """

    convention: MassConvention = MassConvention.THICKNESS
    density_g_per_ml: float = DENSITY_G_PER_ML
    slice_thickness_mm: float | None = None
    masks: Path | None = None
    identify: bool = False
    force: bool = False
    mask_format: MaskFormat = MaskFormat.NIFTI
    sr: bool = False
    dicom_report: bool = False
    dicom_montage: bool = False
    methods: tuple[str, ...] = ()
    reports: Path | None = None
    cases: Path | None = None
    staging: Path | None = None
