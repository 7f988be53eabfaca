"""Shape of the left ventricle, right ventricle and scar, as functions of position.

Heart coordinates: x to the right of the image (septum at the left before rotation), y downwards
(inferior), z from base (0) to apex, all in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scarseg.case.stack import FloatArray, LgeSequence
from scarseg.quant.segments import Territory


@dataclass(frozen=True)
class SimulationOptions:
    """Fixed parts of a simulated stack; None means drawn from the seed.

    Fixing one value does not change what is drawn for the others: the same seed with another
    ``sequence`` shows the same heart.

    Args:
        scar: True, False, or None for scar in about two patients of three.
        territories: territories of the scar components, in order; implies scar.
        mvo: force or forbid microvascular obstruction.
        sequence: magnitude or PSIR.
        n_slices: 1 or more.
        rows, columns: matrix.
        pixel_spacing_mm: (row, column).
        slice_thickness_mm, slice_gap_mm: thickness, and empty distance between slices.
        noise: standard deviation of the noise as a share of the blood signal.
        inversion_error: TI over the nulling TI of remote myocardium, minus 1.
        beyond_heart: whether slices above the base or below the apex may appear.
    """

    scar: bool | None = None
    territories: tuple[Territory, ...] | None = None
    mvo: bool | None = None
    sequence: LgeSequence | None = None
    n_slices: int | None = None
    rows: int | None = None
    columns: int | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    slice_thickness_mm: float | None = None
    slice_gap_mm: float | None = None
    noise: float | None = None
    inversion_error: float | None = None
    beyond_heart: bool = True


TERRITORY_ANGLE = {
    Territory.LAD: np.deg2rad(-115.0),
    Territory.RCA: np.deg2rad(120.0),
    Territory.LCX: np.deg2rad(5.0),
}
"""Middle of each territory, clockwise on the screen from the image's right (lateral) side."""


@dataclass(frozen=True, eq=False)
class Waves:
    """A smooth random function of angle and depth along the heart, standard deviation about 1.

    ``terms`` float64 (n, 4): angular order, waves per 100 mm along z, phase, amplitude.
    """

    terms: npt.NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, n: int = 6, orders: tuple[int, int] = (1, 7)) -> Waves:
        order = rng.integers(orders[0], orders[1], n).astype(np.float64)
        along = rng.uniform(-2.0, 2.0, n)
        phase = rng.uniform(0, 2 * np.pi, n)
        amplitude = rng.normal(0, 1, n) * np.sqrt(2.0 / n)
        return cls(np.stack([order, along, phase, amplitude], axis=1))

    def __call__(self, angle: FloatArray, z: FloatArray) -> FloatArray:
        total = np.zeros(np.broadcast_shapes(np.shape(angle), np.shape(z)), dtype=np.float32)
        for order, along, phase, amplitude in self.terms:
            shift = (along * 0.02 * np.pi) * z + phase
            turn = np.float32(order) * angle + np.asarray(shift, dtype=np.float32)
            total += np.float32(amplitude) * np.cos(turn)
        return total


@dataclass(frozen=True, eq=False)
class ScarComponent:
    """One infarct: a patch of the endocardium from which scar reaches outward.

    Args:
        territory: the coronary territory.
        angle, half_angle: middle and half width in rad, in the heart's frame.
        z_mm, half_length_mm: middle and half length along the long axis.
        transmurality: largest share of the wall reached (1 is transmural).
        mvo: share of that reach that is no-reflow core, 0 for none.
        waves: roughness of the border.
    """

    territory: Territory
    angle: float
    half_angle: float
    z_mm: float
    half_length_mm: float
    transmurality: float
    mvo: float
    mvo_start: float
    waves: Waves

    def reach(self, angle: FloatArray, z: FloatArray) -> FloatArray:
        """Return the share of the wall that scar reaches through, at an angle (rad) and z (mm)."""
        turn = np.remainder(angle - self.angle + np.pi, 2 * np.pi) - np.pi
        far = np.hypot(turn / self.half_angle, (z - self.z_mm) / self.half_length_mm)
        rough = self.waves(angle, z)
        edge = np.clip((1.0 + 0.15 * rough - far) / 0.4, 0.0, 1.0)
        reach = self.transmurality * edge * (1.0 + 0.10 * rough)
        return np.asarray(reach, dtype=np.float32)

    def core(self, angle: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return thickness and start of the no-reflow core, as shares of the wall."""
        reach = self.reach(angle, z)
        inner = np.clip((reach / self.transmurality - 0.55) / 0.4, 0, 1) * self.mvo * reach
        start = self.mvo_start * np.minimum(1, reach)
        return np.asarray(inner, dtype=np.float32), np.asarray(start, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class HeartShape:
    """Parameters of one heart, drawn at random. Lengths in mm, angles in rad."""

    length: float
    radius: float
    wall: float
    apex_wall: float
    taper: float
    ellipticity: float
    ellipse_angle: float
    rotation: float
    tilt: tuple[float, float]
    bend: tuple[float, float]
    endo_waves: Waves
    wall_waves: Waves
    roughness: float
    wall_variation: float
    septum_angle: float
    rv_width: float
    rv_height: float
    rv_length: float
    rv_lift: float
    rv_wall: float
    fat: float
    fat_waves: Waves
    papillary: tuple[tuple[float, float, float, float], ...]
    thinning: float
    scars: tuple[ScarComponent, ...]

    def axis(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the centre (x, y) of the LV at z."""
        share = z / np.float32(self.length)
        x = self.tilt[0] * share + self.bend[0] * np.sin(np.pi * share)
        y = self.tilt[1] * share + self.bend[1] * np.sin(np.pi * share)
        return x.astype(np.float32), y.astype(np.float32)

    def endo_radius(self, angle: FloatArray, z: FloatArray) -> FloatArray:
        """Return the distance of the endocardium from the axis; negative below the cavity."""
        share = np.clip(z / (self.length - self.apex_wall), -0.3, None)
        profile = np.sign(1 - share) * np.abs(1 - np.maximum(share, 0) ** self.taper) ** 0.6
        ellipse = 1 + self.ellipticity * np.cos(2 * (angle - self.ellipse_angle))
        rough = 1 + self.roughness * self.endo_waves(angle, z)
        return np.asarray(self.radius * profile * ellipse * rough, dtype=np.float32)

    def wall_width(self, angle: FloatArray, z: FloatArray) -> FloatArray:
        """Return the thickness of the wall, thinner towards the apex and inside old scar."""
        share = np.clip(z / self.length, 0.0, 1.2)
        width = self.wall * (1 - 0.3 * share**2)
        width = width * (1 + self.wall_variation * self.wall_waves(angle, z))
        if self.thinning:
            width = width * (1 - self.thinning * np.clip(self.scar_reach(angle, z), 0, 1))
        return np.asarray(np.maximum(width, 3.0), dtype=np.float32)

    def scar_reach(self, angle: FloatArray, z: FloatArray) -> FloatArray:
        """Return the share of the wall that is scar, from the endocardium outward."""
        reach = np.zeros(np.broadcast_shapes(angle.shape, z.shape), dtype=np.float32)
        for scar in self.scars:
            np.maximum(reach, scar.reach(angle, z), out=reach)
        return reach


def _draw_scar(
    rng: np.random.Generator, territory: Territory, length: float, options: SimulationOptions
) -> ScarComponent:
    size = rng.beta(1.8, 1.3)
    transmurality = rng.uniform(0.4, 0.8) + 0.5 * size
    apical = {Territory.LAD: 0.62, Territory.RCA: 0.38, Territory.LCX: 0.42}[territory]
    has_mvo = rng.random() < 0.15 + 0.6 * size * (transmurality > 0.7)
    depth = rng.uniform(0.25, 0.6)
    if options.mvo is not None:
        has_mvo = options.mvo
    return ScarComponent(
        territory,
        angle=float(TERRITORY_ANGLE[territory] + rng.normal(0, 0.25)),
        half_angle=float(0.42 + 1.15 * size * rng.uniform(0.8, 1.2)),
        z_mm=float(length * (apical + rng.normal(0, 0.12))),
        half_length_mm=float(length * (0.2 + 0.45 * size * rng.uniform(0.8, 1.2))),
        transmurality=float(transmurality),
        mvo=float(depth) if has_mvo else 0.0,
        mvo_start=float(rng.choice([0.0, rng.uniform(0.05, 0.25)])),
        waves=Waves.draw(rng, 8, (2, 8)),
    )


def draw_scars(
    rng: np.random.Generator, length: float, options: SimulationOptions
) -> tuple[ScarComponent, ...]:
    """Draw the infarcts of one heart: none in a third of the hearts, else one, two or three."""
    present = bool(rng.random() < 2 / 3)
    count = int(rng.choice([1, 2, 3], p=[0.72, 0.22, 0.06]))
    order = [list(Territory)[i] for i in rng.permutation(3)]
    if rng.random() < 0.3:
        order[0] = Territory.LAD
    if options.scar is not None:
        present = options.scar
    territories = order[:count] if present else []
    if options.territories is not None:
        territories = list(options.territories)
    return tuple(_draw_scar(rng, territory, length, options) for territory in territories)


def draw_heart(
    rng: np.random.Generator, scar_rng: np.random.Generator, options: SimulationOptions
) -> HeartShape:
    """Draw one heart."""
    radius = float(np.clip(rng.normal(24.5, 3.5), 17, 35))
    length = float(np.clip(radius * rng.uniform(3.0, 3.9), 66, 110))
    wall = float(np.clip(rng.normal(9.5, 1.7), 6, 15))
    septum = float(np.pi + rng.normal(0.25, 0.15))
    papillary = tuple(
        (
            float(angle + rng.normal(0, 0.2)),
            float(rng.uniform(3.0, 5.5)),
            float(length * rng.uniform(0.45, 0.6)),
            float(length * rng.uniform(0.2, 0.3)),
        )
        for angle in (-0.75, 1.25)
    )
    heart = {
        "apex_wall": float(rng.uniform(4, 8)),
        "taper": float(rng.uniform(2.0, 3.2)),
        "ellipticity": float(abs(rng.normal(0, 0.05))),
        "ellipse_angle": float(rng.uniform(0, np.pi)),
        "rotation": float(rng.normal(0, 0.3)),
        "tilt": (float(rng.normal(6, 6)), float(rng.normal(4, 6))),
        "bend": (float(rng.normal(0, 2)), float(rng.normal(0, 2))),
        "endo_waves": Waves.draw(rng, 8, (2, 9)),
        "wall_waves": Waves.draw(rng, 5, (1, 4)),
        "roughness": float(rng.uniform(0.006, 0.022)),
        "wall_variation": float(rng.uniform(0.04, 0.14)),
        "septum_angle": septum,
        "rv_width": float((radius + wall) * 0.6 + rng.uniform(16, 34)),
        "rv_height": float(rng.uniform(0.82, 1.12)),
        "rv_length": float(length * rng.uniform(0.78, 0.98)),
        "rv_lift": float(rng.normal(0, 4)),
        "rv_wall": float(rng.uniform(2.0, 4.0)),
        "fat": float(rng.uniform(-2.0, 4.5)),
        "fat_waves": Waves.draw(rng, 6, (1, 5)),
        "thinning": float(rng.uniform(0.2, 0.5)) if rng.random() < 0.35 else 0.0,
    }
    return HeartShape(
        length=length,
        radius=radius,
        wall=wall,
        papillary=papillary,
        scars=draw_scars(scar_rng, length, options),
        **heart,  # type: ignore[arg-type]
    )


STEPS = 1440
ANGLES: FloatArray = ((np.arange(STEPS) + 0.5) * (2 * np.pi / STEPS) - np.pi).astype(np.float32)
"""The tabulated directions, rad, (1440,)."""


class Directions:
    """Directions of all pixels, as indices into tables by direction.

    ``angle`` float32 (..., row, column), rad, any turn; a table is float32 (1440,), or
    (sample, 1440) where the angles are (sample, row, column).
    """

    def __init__(self, angle: FloatArray) -> None:
        index = np.floor((angle + np.float32(np.pi)) * np.float32(STEPS / (2 * np.pi)))
        self._index: npt.NDArray[np.int32] = np.mod(index.astype(np.int32), STEPS)
        if angle.ndim == 3:
            self._index += (np.arange(len(angle), dtype=np.int32) * STEPS)[:, None, None]

    def look_up(self, table: FloatArray) -> FloatArray:
        """Return the value of a table in the direction of each pixel."""
        return np.asarray(np.take(table, self._index), dtype=np.float32)
