"""Signal of every tissue after inversion, slice geometry, image formation and vendor headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.stack import FloatArray, LgeSequence, Vector
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.write_enhanced import Storage


def inversion_signal(t1_ms: float, inversion_ms: float, repetition_ms: float) -> float:
    """Return the longitudinal magnetisation read after an inversion: signed, 1 at equilibrium.

    ``1 - 2 exp(-TI/T1) + exp(-TR/T1)``: steady state of a complete inversion every TR.
    """
    return float(1 - 2 * np.exp(-inversion_ms / t1_ms) + np.exp(-repetition_ms / t1_ms))


def nulling_time_ms(t1_ms: float, repetition_ms: float) -> float:
    """Return the inversion time at which a tissue has no signal."""
    return float(t1_ms * np.log(2 / (1 + np.exp(-repetition_ms / t1_ms))))


@dataclass(frozen=True)
class TissueSignals:
    """Signed signals of all tissues relative to full magnetisation, and the inversion time."""

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
) -> list[TissueSignals]:
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
            TissueSignals(
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


TYPICAL_NORMAL = np.array([-0.62, 0.62, 0.48])
"""Short-axis normal from apex to base, LPS, of a typical heart."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """Position of the slices. Lengths in mm, base to apex.

    ``heart_position_mm`` is where the LV axis meets the base, in the image (x to the right, y
    down) from the outer corner of pixel (0, 0); ``z_mm`` the middle of every slice on the axis;
    ``shifts_mm`` (slice, 2) the displacement (x, y) by breathing.
    """

    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    thickness_mm: float
    gap_mm: float
    z_mm: npt.NDArray[np.float64]
    heart_position_mm: tuple[float, float]
    shifts_mm: npt.NDArray[np.float64]
    orientation: tuple[float, float, float, float, float, float]
    origins_mm: tuple[Vector, ...]


def _orientation(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw an oblique short-axis frame: rows of the result are row and column direction."""
    normal = TYPICAL_NORMAL + rng.normal(0, 0.12, 3)
    normal /= np.linalg.norm(normal)
    down = np.array([0.0, 0.0, -1.0])
    down -= (down @ normal) * normal
    down /= np.linalg.norm(down)
    across = np.cross(down, normal)
    turn = rng.normal(0, 0.25)
    row = np.cos(turn) * across + np.sin(turn) * down
    column = np.cross(normal, row)
    return np.stack([row, column])


def _slices(
    rng: np.random.Generator, length: float, options: SimulationOptions
) -> tuple[float, float, npt.NDArray[np.float64]]:
    thickness = float(rng.choice([5, 6, 7, 8, 8, 8, 10, 10]))
    gap = float(rng.choice([0, 0, 0, 1, 2, 2, 2.5, 3, 4]))
    cover = rng.uniform(0.85, 1.1)
    start = rng.uniform(-0.15, 0.9)
    beyond = rng.random() < 0.25
    thickness = options.slice_thickness_mm or thickness
    gap = gap if options.slice_gap_mm is None else options.slice_gap_mm
    step = thickness + gap
    count = options.n_slices or int(np.clip(round(length * cover / step), 6, 13))
    first = step * (start - (1.0 if beyond and options.beyond_heart else 0.0))
    first = max(first, 0.5 * thickness) if not (beyond and options.beyond_heart) else first
    if not options.beyond_heart:
        count = max(1, min(count, int((length - 3 - first) // step) + 1))
    fits = int((length + 0.6 * step - first) // step) + 1
    if options.n_slices is None:
        count = max(4, min(count, fits))
    return thickness, gap, np.asarray(first + step * np.arange(count), dtype=np.float64)


def draw_geometry(
    rng: np.random.Generator, length: float, reach: float, options: SimulationOptions
) -> Geometry:
    """Draw matrix, spacing, slices and position for a heart of this length and reach (mm)."""
    spacing = float(rng.uniform(1.1, 2.0))
    unequal = float(np.exp(rng.normal(0, 0.12))) if rng.random() < 0.4 else 1.0
    sides = rng.integers(144, 321, 2)
    view = rng.uniform(250, 400, 2)
    place = rng.uniform(0, 1, 2)
    thickness, gap, z = _slices(rng, length, options)
    frame = np.round(_orientation(rng), 12)
    shift_size = float(rng.choice([0.3, 1.0, 2.0], p=[0.4, 0.4, 0.2]))
    shifts = rng.normal(0, shift_size, (64, 2))[: len(z)]
    corner = rng.uniform(-40, 40, 3) - 150 * frame[0] - 150 * frame[1]

    row_spacing = float(np.clip(spacing * np.sqrt(unequal), 1.1, 2.0))
    column_spacing = float(np.clip(spacing / np.sqrt(unequal), 1.1, 2.0))
    row_spacing, column_spacing = options.pixel_spacing_mm or (
        round(row_spacing, 4),
        round(column_spacing, 4),
    )
    del sides
    rows = options.rows or int(np.clip(round(view[0] / row_spacing / 4) * 4, 144, 320))
    columns = options.columns or int(np.clip(round(view[1] / column_spacing / 4) * 4, 144, 320))
    position = []
    for pixels, step, share in ((columns, column_spacing, place[0]), (rows, row_spacing, place[1])):
        field = pixels * step
        margin = min(reach + 18, 0.5 * field)
        low, high = max(margin, 0.3 * field), min(field - margin, 0.7 * field)
        position.append(low + share * max(high - low, 0.0))
    normal = np.cross(frame[0], frame[1])
    origins = tuple(
        tuple(round(float(v), 6) for v in corner - normal * depth) for depth in z - z[0]
    )
    cosines = tuple(float(v) for v in frame.ravel())
    return Geometry(
        rows,
        columns,
        (row_spacing, column_spacing),
        thickness,
        gap,
        z,
        (position[0], position[1]),
        shifts,
        cosines,  # type: ignore[arg-type]
        origins,  # type: ignore[arg-type]
    )


@dataclass(frozen=True, eq=False)
class Scanner:
    """Parameters of image formation; ``sequence`` may be replaced without redrawing the rest."""

    sequence: LgeSequence
    gain: float
    noise: float
    blur: float
    coil: npt.NDArray[np.float64]
    flare: float
    normalisation: float
    ghost: float
    ghost_shift: float
    seed: int


def draw_scanner(rng: np.random.Generator, options: SimulationOptions) -> Scanner:
    """Draw noise, coil, blur and reconstruction."""
    psir = bool(rng.random() < 0.5)
    coil = np.concatenate([rng.uniform(-0.25, 0.6, 2), rng.uniform(0.5, 1.6, 2)])
    scanner = {
        "gain": float(np.exp(rng.uniform(np.log(700), np.log(3000)))),
        "noise": float(np.exp(rng.uniform(np.log(0.03), np.log(0.2)))),
        "blur": float(rng.uniform(0.25, 0.75)),
        "flare": float(rng.uniform(0.0, 2.0)),
        "normalisation": float(rng.choice([0.0, 0.6, 0.9, 1.0])),
        "ghost": float(rng.choice([0.0, 0.0, rng.uniform(0.01, 0.05)])),
        "ghost_shift": float(rng.uniform(0.2, 0.5)),
        "seed": int(rng.integers(2**63)),
    }
    if options.noise is not None:
        scanner["noise"] = options.noise
    sequence = options.sequence or (LgeSequence.PSIR if psir else LgeSequence.MAGNITUDE)
    return Scanner(sequence=sequence, coil=coil, **scanner)  # type: ignore[arg-type]


def form_images(scanner: Scanner, signal: FloatArray, blood: float) -> FloatArray:
    """Return the reconstructed images of a signed signal (slice, row, column), same shape.

    Complex noise is added, so that magnitude images are Rician and phase-sensitive ones signed.
    """
    rng = np.random.default_rng(scanner.seed)
    n, rows, columns = signal.shape
    cx, cy, wide, high = scanner.coil
    u = (np.arange(columns, dtype=np.float32) / columns - np.float32(cx)) / np.float32(wide)
    v = (np.arange(rows, dtype=np.float32) / rows - np.float32(cy)) / np.float32(high)
    far = v[:, None] ** 2 + u[None] ** 2
    coil = np.float32(0.3) + np.float32(1.2) * np.exp(-0.5 * far)
    coil += np.float32(scanner.flare) * np.exp(np.float32(-4) * far)
    flatten = coil ** np.float32(-scanner.normalisation)
    sigma = np.float32(scanner.noise * abs(blood))
    noise = rng.standard_normal((2, n, rows, columns), dtype=np.float32) * sigma
    soften = 0.35 if scanner.blur > 0.5 else 0.0
    images = np.empty_like(signal)
    for k in range(n):
        real = ndimage.gaussian_filter(signal[k], scanner.blur, mode="nearest") * coil
        if scanner.ghost:
            real = real + scanner.ghost * np.roll(real, int(scanner.ghost_shift * rows), axis=0)
        one, two = noise[0, k], noise[1, k]
        if soften:
            one = ndimage.gaussian_filter(one, soften) * 1.2
            two = ndimage.gaussian_filter(two, soften) * 1.2
        if scanner.sequence is LgeSequence.PSIR:
            images[k] = (real + one) * flatten
        else:
            images[k] = np.hypot(real + one, two) * flatten
    return np.round(images * np.float32(scanner.gain)).astype(np.float32)


class Vendor(StrEnum):
    """Manufacturer whose header conventions are imitated."""

    SIEMENS = "siemens"
    GE = "ge"
    PHILIPS = "philips"


@dataclass(frozen=True)
class SeriesStyle:
    """Description, header values and pixel storage of one series of one vendor."""

    description: str
    header: Mapping[str, object]
    storage: Storage


_DESCRIPTIONS = {
    (Vendor.SIEMENS, LgeSequence.MAGNITUDE): ("DelayedEnhancement_SAX_MAG", "de_tfl_psir_sax_MAG"),
    (Vendor.SIEMENS, LgeSequence.PSIR): ("DelayedEnhancement_SAX_PSIR", "de_tfl_psir_sax_PSIR"),
    (Vendor.GE, LgeSequence.MAGNITUDE): ("SAX MDE", "2D MDE SA VIABILITY"),
    (Vendor.GE, LgeSequence.PSIR): ("SAX PSMDE", "PSMDE SA 10 MIN"),
    (Vendor.PHILIPS, LgeSequence.MAGNITUDE): ("LGE_SA_BH", "sIR_TFE_SA LATE ENHANCEMENT"),
    (Vendor.PHILIPS, LgeSequence.PSIR): ("LGE_PSIR_SA_BH", "PSIR_TFE_SA"),
}
_MODELS = {
    Vendor.SIEMENS: ("SIEMENS", ("Avanto", "Aera", "Skyra"), "syngo MR E11"),
    Vendor.GE: ("GE MEDICAL SYSTEMS", ("Signa HDxt", "Optima MR450w", "DISCOVERY MR750"), "27"),
    Vendor.PHILIPS: ("Philips Medical Systems", ("Achieva", "Ingenia", "Intera"), "5.3.1"),
}
_IMAGE_TYPES = {
    (Vendor.SIEMENS, LgeSequence.MAGNITUDE): ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"],
    (Vendor.SIEMENS, LgeSequence.PSIR): ["ORIGINAL", "PRIMARY", "M", "PSIR"],
    (Vendor.GE, LgeSequence.MAGNITUDE): ["ORIGINAL", "PRIMARY", "OTHER"],
    (Vendor.GE, LgeSequence.PSIR): ["ORIGINAL", "PRIMARY", "OTHER"],
    (Vendor.PHILIPS, LgeSequence.MAGNITUDE): ["ORIGINAL", "PRIMARY", "M_IR", "M", "IR"],
    (Vendor.PHILIPS, LgeSequence.PSIR): ["ORIGINAL", "PRIMARY", "CR_IR", "CR", "IR"],
}
_STORAGE = {
    (Vendor.SIEMENS, LgeSequence.PSIR): Storage.OFFSET,
    (Vendor.PHILIPS, LgeSequence.MAGNITUDE): Storage.SCALED,
    (Vendor.PHILIPS, LgeSequence.PSIR): Storage.SCALED,
}


def series_style(vendor: Vendor, sequence: LgeSequence, choice: int) -> SeriesStyle:
    """Return the style of a vendor for a sequence; ``choice`` selects model and description."""
    manufacturer, models, software = _MODELS[vendor]
    descriptions = _DESCRIPTIONS[vendor, sequence]
    strong = choice % 4 == 3
    header = {
        "Manufacturer": manufacturer,
        "ManufacturerModelName": models[choice % len(models)],
        "SoftwareVersions": software,
        "MagneticFieldStrength": 3.0 if strong else 1.5,
        "ImagingFrequency": 127.74 if strong else 63.87,
        "ImageType": _IMAGE_TYPES[vendor, sequence],
        "ProtocolName": descriptions[choice % len(descriptions)],
        "InstitutionName": "Simulated",
    }
    storage = _STORAGE.get((vendor, sequence), Storage.DIRECT)
    return SeriesStyle(descriptions[choice % len(descriptions)], header, storage)
