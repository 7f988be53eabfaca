"""Signal of every tissue after inversion, from its T1 after contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scarseg.simulate.options import SimulationOptions


def inversion_signal(t1_ms: float, inversion_ms: float, repetition_ms: float) -> float:
    """Give the longitudinal magnetisation read after an inversion, signed, full being 1.

    ``1 - 2 exp(-TI/T1) + exp(-TR/T1)`` for complete inversion every TR.
    """
    return float(1 - 2 * np.exp(-inversion_ms / t1_ms) + np.exp(-repetition_ms / t1_ms))


def nulling_time_ms(t1_ms: float, repetition_ms: float) -> float:
    """Give the inversion time at which a tissue gives no signal."""
    return float(t1_ms * np.log(2 / (1 + np.exp(-repetition_ms / t1_ms))))


@dataclass(frozen=True)
class Tissues:
    """Signed signals relative to full magnetisation, and how they were made."""

    blood: float
    myocardium: float
    scar: float
    mvo: float
    right_wall: float
    fat: float
    pericardium: float
    lung: float
    vessel: float
    muscle: float
    liver: float
    spleen: float
    stomach: float
    stomach_wall: float
    kidney: float
    bone: float
    rim_mm: float
    inversion_ms: float
    repetition_ms: float
    inversion_error: float


def draw_tissues(rng: np.random.Generator, options: SimulationOptions) -> Tissues:
    """Draw T1 values 10 to 20 minutes after contrast and an inversion time near the null."""
    blood = rng.uniform(240, 360)
    myocardium = blood + rng.uniform(90, 190)
    scar = blood * rng.uniform(0.72, 1.12)
    mvo = myocardium * rng.uniform(0.95, 1.7)
    others = rng.normal(1, 0.12, 10)
    stomach_t1 = float(rng.choice([900.0, 1800.0, 350.0]))
    stomach_density = float(rng.choice([0.05, 0.5, 0.9]))
    repetition = rng.uniform(1300, 2200)
    error = float(np.exp(rng.normal(-0.02, 0.06)) - 1)
    if rng.random() < 0.12:
        error += float(rng.uniform(-0.18, 0.15))
    if options.inversion_error is not None:
        error = options.inversion_error
    inversion = nulling_time_ms(myocardium, repetition) * (1 + error)

    def at(t1: float, density: float = 1.0) -> float:
        return density * inversion_signal(float(t1), inversion, repetition)

    return Tissues(
        blood=at(blood, 1.05),
        myocardium=at(myocardium, 0.95),
        scar=at(scar, 1.0),
        mvo=at(mvo, 0.95),
        right_wall=at(myocardium * 0.97, 0.95),
        fat=at((blood * 0.9 + 5) * (0.5 + 0.5 * others[0]), 1.1),
        pericardium=at(800 * others[1], 0.25),
        lung=at(450 * others[2], 0.12),
        vessel=at(blood, 0.85),
        muscle=at((myocardium + 60) * others[3], 0.9),
        liver=at((blood + 45) * others[4], 0.85),
        spleen=at((blood + 15) * others[5], 0.95),
        stomach=at(stomach_t1 * others[6], stomach_density),
        stomach_wall=at((blood + 40) * others[7], 0.9),
        kidney=at(blood * 0.75 * others[8], 1.0),
        bone=at(330 * others[9], 0.45),
        rim_mm=float(rng.uniform(0.5, 3.5)),
        inversion_ms=float(inversion),
        repetition_ms=float(repetition),
        inversion_error=error,
    )
