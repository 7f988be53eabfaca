"""Results of a measurement: values with their units in the names."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from scarseg.case.history import SliceStatus


class MassConvention(StrEnum):
    """Depth of a slice that the mass is computed with."""

    THICKNESS = "thickness"
    SPACING = "spacing"


@dataclass(frozen=True)
class MassInterval:
    """Lower and upper end of the scar mass in g, and of every slice's.

    ``method`` is the text of the rule; ``convention`` is that of the masses; the masses were
    predicted by the weights ``segmenter_sha256``, empty where none were needed, and by the rules
    of ``calibration_sha256``, empty without one.
    """

    low_g: float
    high_g: float
    slices_g: tuple[tuple[float, float], ...]
    method: str
    convention: MassConvention = MassConvention.THICKNESS
    segmenter_sha256: str = field(default="", compare=False)
    calibration_sha256: str = field(default="", compare=False)


DENSITY_G_PER_ML = 1.05
"""Density of myocardium used by default, g/ml."""


@dataclass(frozen=True)
class SliceMeasurement:
    """Measurement of one slice. Infarct = scar and MVO; both conventions side by side.

    ``scar_mass_proposed_*`` is that of the models' proposal, MVO included, and ``changed`` is
    True where any label differs from it now; None where they proposed nothing. MVO is None where
    nothing looked for it.
    """

    slice_index: int
    sop_instance_uid: str
    frame: int | None
    status: SliceStatus
    position_mm: float
    depth_thickness_mm: float
    depth_spacing_mm: float
    n_infarct_voxels: int
    n_mvo_voxels: int | None
    n_wall_voxels: int
    scar_area_mm2: float
    scar_mass_thickness_g: float
    scar_mass_spacing_g: float
    mvo_mass_thickness_g: float | None
    mvo_mass_spacing_g: float | None
    lv_mass_thickness_g: float
    lv_mass_spacing_g: float
    scar_mass_proposed_thickness_g: float | None = None
    scar_mass_proposed_spacing_g: float | None = None
    changed: bool | None = None


@dataclass(frozen=True)
class Measurements:
    """Measurement of one stack, float64.

    ``scar_mass_g``, ``scar_volume_ml``, ``mvo_mass_g``, ``lv_mass_g`` and ``scar_percent_lv``
    follow ``convention``. ``lv_mass_g`` and ``scar_percent_lv`` are None without a wall.
    MVO is None where it was not looked for on any slice with scar. ``examined`` is False while
    no slice was proposed or read: the scar masses are then 0 without meaning, and left blank
    wherever they are written.
    ``warnings`` are codes, in order, without duplicates. ``scar_mass_proposed_*`` sums the models'
    proposals; None where they proposed nothing on any slice.
    """

    slices: tuple[SliceMeasurement, ...]
    convention: MassConvention
    density_g_per_ml: float
    scar_mass_thickness_g: float
    scar_mass_spacing_g: float
    mvo_mass_thickness_g: float | None
    mvo_mass_spacing_g: float | None
    lv_mass_thickness_g: float | None
    lv_mass_spacing_g: float | None
    scar_volume_ml: float
    scar_percent_lv: float | None
    n_slices: int
    n_slices_reviewed: int
    complete: bool
    warnings: tuple[str, ...]
    scar_mass_proposed_thickness_g: float | None = None
    scar_mass_proposed_spacing_g: float | None = None

    @property
    def examined(self) -> bool:
        """Return whether any slice was proposed or read, or has scar."""
        seen = any(one.status is not SliceStatus.UNSEEN for one in self.slices)
        return seen or any(one.n_infarct_voxels for one in self.slices)

    @property
    def n_slices_changed(self) -> int:
        """Number of slices whose labels differ from the models' proposal."""
        return sum(bool(one.changed) for one in self.slices)

    @property
    def scar_mass_proposed_g(self) -> float | None:
        if self.convention is MassConvention.THICKNESS:
            return self.scar_mass_proposed_thickness_g
        return self.scar_mass_proposed_spacing_g

    @property
    def scar_mass_g(self) -> float:
        if self.convention is MassConvention.THICKNESS:
            return self.scar_mass_thickness_g
        return self.scar_mass_spacing_g

    @property
    def mvo_mass_g(self) -> float | None:
        if self.convention is MassConvention.THICKNESS:
            return self.mvo_mass_thickness_g
        return self.mvo_mass_spacing_g

    @property
    def lv_mass_g(self) -> float | None:
        if self.convention is MassConvention.THICKNESS:
            return self.lv_mass_thickness_g
        return self.lv_mass_spacing_g
