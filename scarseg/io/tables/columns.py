"""Columns of the table of stacks and of its per-slice table."""

from __future__ import annotations

Cell = str | int | float | None
"""A value of a table; None is a blank cell."""

IDENTITY_COLUMNS = ("patient_id", "study_uid", "series_uid", "part", "study_date")
"""The cells that name a stack come first in every table."""

COLUMNS = (
    "patient_id",
    "study_uid",
    "series_uid",
    "part",
    "study_date",
    "sequence",
    "n_slices",
    "n_slices_reviewed",
    "status",
    "scar_mass_g",
    "mass_convention",
    "scar_mass_thickness_g",
    "scar_mass_spacing_g",
    "scar_volume_ml",
    "scar_mass_low_g",
    "scar_mass_high_g",
    "scar_mass_proposed_g",
    "n_slices_changed",
    "mvo_mass_g",
    "lv_mass_g",
    "scar_percent_lv",
    "slice_thickness_mm",
    "slice_thickness_source",
    "slice_spacing_mm",
    "pixel_spacing_row_mm",
    "pixel_spacing_column_mm",
    "density_g_per_ml",
    "method",
    "seconds",
    "n_interactions",
    "reader",
    "read_number",
    "warnings",
    "error_code",
    "error_message",
    "mask_file",
    "software_version",
    "segmenter_sha256",
    "detector_sha256",
)
"""The columns of the main file, one row per stack."""

SLICE_COLUMNS = (
    "patient_id",
    "study_uid",
    "series_uid",
    "part",
    "study_date",
    "slice_index",
    "sop_instance_uid",
    "frame",
    "status",
    "position_mm",
    "depth_thickness_mm",
    "depth_spacing_mm",
    "n_infarct_voxels",
    "n_mvo_voxels",
    "n_wall_voxels",
    "scar_area_mm2",
    "scar_mass_thickness_g",
    "scar_mass_spacing_g",
    "mvo_mass_thickness_g",
    "mvo_mass_spacing_g",
    "lv_mass_thickness_g",
    "lv_mass_spacing_g",
    "scar_mass_proposed_thickness_g",
    "scar_mass_proposed_spacing_g",
    "changed",
    "seconds",
    "n_interactions",
)
"""The columns of the per-slice file, one row per slice."""
