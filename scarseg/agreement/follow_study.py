"""Two studies of one patient, measured and compared: for the table, the page and the window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from scarseg.agreement.follow import (
    MassChange,
    MassWithInterval,
    SegmentMass,
    mass_change,
    segment_changes,
)
from scarseg.case.case import Case
from scarseg.case.measurements import (
    DENSITY_G_PER_ML,
    MassConvention,
    MassInterval,
    Measurements,
)
from scarseg.models import Models
from scarseg.quant.long_axis import LinkedSlices, link_slices
from scarseg.quant.wall_map import WallMap, map_wall, reader_insertion
from scarseg.segmentation import pipeline
from scarseg.segmentation.interval import case_interval, embed_missing


@dataclass(frozen=True, eq=False)
class MeasuredStudy:
    """One study of a pair, measured; ``wall`` is None where no slice has a closed wall."""

    case: Case
    measured: Measurements
    mass: MassWithInterval
    wall: WallMap | None

    @property
    def convention(self) -> MassConvention:
        return self.measured.convention

    @property
    def regions(self) -> Mapping[str, SegmentMass]:
        """Scar and wall of every segment (``"1"`` to ``"17"``) and territory."""
        if self.wall is None:
            return {}
        found = self.wall.measured
        amounts = {
            **{str(segment.number): amount for segment, amount in found.segments},
            **{str(artery): amount for artery, amount in found.territories},
        }
        return {
            region: SegmentMass(
                amount.scar_mass_g(self.convention), amount.lv_mass_g(self.convention)
            )
            for region, amount in amounts.items()
        }


@dataclass(frozen=True, eq=False)
class StudyComparison:
    """Change from the earlier study to the later one.

    ``regions`` are the changes of the segments and territories that both have; ``linked`` says
    which slices belong together.
    """

    earlier: MeasuredStudy
    later: MeasuredStudy
    change: MassChange
    regions: Mapping[str, MassChange]
    linked: LinkedSlices

    @property
    def change_percent(self) -> float | None:
        """Change in percent of the earlier mass; None where that is 0."""
        before = self.earlier.mass.mass_g
        return 100 * self.change.change_g / before if before else None

    @property
    def days_between(self) -> int | None:
        """Days from the earlier to the later study; None where a date is no date."""
        return days_between(self.earlier.case.stack.study_date, self.later.case.stack.study_date)


def measure_study(
    case: Case,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    models: Models | None = None,
    interval: MassInterval | None = None,
) -> MeasuredStudy:
    """Measure one study of a pair; with an interval, or models to compute it, its interval too."""
    measured = pipeline.measure(case, convention, density_g_per_ml)
    if interval is None and models is not None:
        embeddings = embed_missing(case, models, [None] * case.stack.n_slices)
        interval = case_interval(case, models, embeddings, convention, density_g_per_ml)
    mass = MassWithInterval(measured.scar_mass_g)
    if interval is not None:
        mass = MassWithInterval(measured.scar_mass_g, interval.low_g, interval.high_g)
    wall = map_wall(case.labels, case.stack, reader_insertion(case), density_g_per_ml)
    return MeasuredStudy(case, measured, mass, wall)


def compare_studies(earlier: MeasuredStudy, later: MeasuredStudy) -> StudyComparison:
    """Compare two measured studies of a patient."""
    return StudyComparison(
        earlier,
        later,
        mass_change(earlier.mass, later.mass),
        segment_changes(earlier.regions, later.regions, (earlier.mass, later.mass)),
        link_slices(
            (earlier.case.labels, earlier.case.stack), (later.case.labels, later.case.stack)
        ),
    )


def days_between(earlier: str, later: str) -> int | None:
    """Return the days between two DICOM dates; None where one is no date."""
    try:
        return (date.fromisoformat(later) - date.fromisoformat(earlier)).days
    except ValueError:
        return None
