"""LGE phantoms with known truth, as arrays and as DICOM."""

from scarseg.simulate.options import SimulationOptions, Territory
from scarseg.simulate.stacks import SimulatedStack, simulate_stack

__all__ = ["SimulatedStack", "SimulationOptions", "Territory", "simulate_stack"]
