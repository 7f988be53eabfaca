"""LGE phantoms with known truth, as arrays and as DICOM."""

from scarseg.simulate.anatomy import SimulationOptions, Territory
from scarseg.simulate.phantom import Grid, Phantom, cylinder, ring, sector
from scarseg.simulate.series import SimulatedStack, simulate_stack
from scarseg.simulate.signal import Vendor
from scarseg.simulate.studies import (
    SimulatedSeries,
    SimulatedStudy,
    StudyOptions,
    simulate_patients,
    write_study,
)

__all__ = [
    "Grid",
    "Phantom",
    "SimulatedSeries",
    "SimulatedStack",
    "SimulatedStudy",
    "SimulationOptions",
    "StudyOptions",
    "Territory",
    "Vendor",
    "cylinder",
    "ring",
    "sector",
    "simulate_patients",
    "simulate_stack",
    "write_study",
]
