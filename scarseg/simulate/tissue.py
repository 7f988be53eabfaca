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


def draw_tissues(
    rng: np.random.Generator, n_slices: int, options: SimulationOptions
) -> list[Tissues]:
    """Draw T1 values 10 to 20 minutes after contrast and an inversion time near the null.

    Returns one set per slice: contrast washes out while the stack is acquired and the
    inversion time follows it only roughly. The error of the first slice is the stack's.
    """
    blood = rng.uniform(260, 370)
    myocardium = blood + rng.uniform(70, 170)
    t1_and_density = _recipe(rng, float(blood), float(myocardium))
    rim_mm = float(rng.uniform(0.5, 3.5))
    repetition = float(rng.uniform(1300, 2200))
    error = float(np.exp(rng.normal(-0.02, 0.06)) - 1)
    if rng.random() < 0.12:
        error += float(rng.uniform(-0.18, 0.15))
    drift = float(rng.normal(0, 0.02))
    null = nulling_time_ms(float(myocardium), repetition)
    # a technician repeats a slice whose blood is as dark as its muscle
    error = max(error, 1.13 * nulling_time_ms(float(blood), repetition) / null - 1)
    if options.inversion_error is not None:
        error = options.inversion_error
    inversion = null * (1 + error)
    sets = []
    for k in range(n_slices):
        washed = 1 + drift * k / max(n_slices - 1, 1)
        signals = {
            name: density * inversion_signal(t1 * washed, inversion, repetition)
            for name, (t1, density) in t1_and_density.items()
        }
        sets.append(
            Tissues(
                **signals,
                rim_mm=rim_mm,
                inversion_ms=float(inversion),
                repetition_ms=repetition,
                inversion_error=error,
            )
        )
    return sets


def _recipe(
    rng: np.random.Generator, blood: float, myocardium: float
) -> dict[str, tuple[float, float]]:
    """Draw T1 (ms) and relative density of every tissue."""
    others = [float(v) for v in rng.normal(1, 0.12, 10)]
    return {
        "blood": (blood, 1.05),
        "myocardium": (myocardium, 0.95),
        "scar": (blood + (myocardium - blood) * float(rng.uniform(-0.6, 0.2)), 1.0),
        "mvo": (myocardium * float(rng.uniform(0.95, 1.7)), 0.95),
        "right_wall": (myocardium * 0.97, 0.95),
        "fat": (float(rng.uniform(190, 260)) * (0.5 + 0.5 * others[0]), 1.15),
        "pericardium": (800 * others[1], 0.25),
        "lung": (450 * others[2], 0.12),
        "vessel": (blood, 0.85),
        "muscle": ((myocardium + 60) * others[3], 0.9),
        "liver": ((blood + 0.25 * (myocardium - blood)) * (0.5 + 0.5 * others[4]), 0.85),
        "spleen": ((blood + 15) * others[5], 0.95),
        "stomach": (
            float(rng.choice([900.0, 1800.0, 350.0])) * others[6],
            float(rng.choice([0.05, 0.5, 0.9])),
        ),
        "stomach_wall": ((blood + 40) * others[7], 0.9),
        "kidney": (blood * 0.6 * others[8], 1.05),
        "bone": (330 * others[9], 0.45),
    }
