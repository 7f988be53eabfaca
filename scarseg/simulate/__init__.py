"""Simulated LGE examinations with known truth, as arrays and as DICOM."""

from scarseg.quant.segments import Territory
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.phantom import Phantom, PhantomGrid, cylinder, ring, sector
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
    "Phantom",
    "PhantomGrid",
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
