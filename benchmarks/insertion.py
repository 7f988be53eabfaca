"""How far the proposed RV insertion lies from the drawn right ventricle, on cine stacks.

Run with a folder of cine cases whose labels hold the RV (5), in the EMIDEC layout:

    python benchmarks/insertion.py ../shared/data/acdc

The files tell no orientation, so the stacks are taken as seen from the apex and the proposal has
the image alone. Truth: the longest arc of the basal and middle rings with RV within 5 mm of the
epicardium on more than half of the slices. The depth looked at, what counts as blood and how an
arc's ends are found were chosen on such stacks: the figures are no test on new ones. What cine
cannot tell is how LGE, with its dimmer blood and its bright scar, would do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scarseg.case.labels import LabelArray, MaskArray
from scarseg.case.stack import SliceSource, Stack
from scarseg.quant import insertion_point, wall_geometry
from scarseg.quant.segments import Level, propose_levels
from scarseg.training.cases import RIGHT_VENTRICLE, TrainingCase, read_cases

NEAR_MM = np.arange(1.0, 6.0)
FAR_OFF = 30.0
"""Half a segment: beyond it most of the scar is told in a wrong one."""


def stack_of(case: TrainingCase) -> Stack:
    """Make a stack seen from the apex."""
    spacing = case.slice_spacing_mm or 10.0
    n = len(case.pixels)
    return Stack(
        pixels=case.pixels,
        pixel_spacing_mm=case.pixel_spacing_mm,
        slice_thickness_mm=spacing,
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        origins_mm=tuple((0.0, 0.0, -spacing * k) for k in range(n)),
        sources=tuple(SliceSource(str(k)) for k in range(n)),
        series_uid=case.name,
        study_uid=case.name,
    )


def true_arc(stack: Stack, labels: LabelArray, right: MaskArray) -> tuple[float, float] | None:
    """Return start and width of the RV's contact with the ring, in degrees."""
    touched: list[npt.NDArray[np.bool_]] = []
    for k, level in enumerate(propose_levels(labels, stack)):
        centre = wall_geometry.ring_centre(labels[k])
        if level not in (Level.BASAL, Level.MID) or centre is None or not right[k].any():
            continue
        radii = insertion_point.epicardial_radii_mm(stack, labels[k], centre)
        beside = insertion_point.sample_rays(
            stack, right[k].astype(np.float32), centre, radii[:, None] + NEAR_MM
        )
        touched.append((beside > 0.5).any(axis=1))
    if not touched:
        return None
    on = np.mean(touched, axis=0) > 0.5
    starts = np.flatnonzero(on & ~np.roll(on, 1))
    if not starts.size:
        return None
    widths = [int(np.argmin(np.roll(on, -int(start)))) for start in starts]
    best = int(np.argmax(widths))
    return float(starts[best]), float(widths[best])


def main(folder: Path) -> None:
    """Print the errors at both ends of the septum."""
    insertion_point.ORIENTATION_WEIGHT = 0.0
    errors: list[tuple[float, float]] = []
    sources: list[str] = []
    for case in read_cases(folder):
        labels = np.where(case.labels == RIGHT_VENTRICLE, 0, case.labels).astype(np.uint8)
        stack = stack_of(case)
        truth = true_arc(stack, labels, case.labels == RIGHT_VENTRICLE)
        found = insertion_point.propose_insertion(stack, labels)
        if truth is None or found is None:
            continue
        ends = (found.angle - truth[0], found.angle + found.septum_degrees - sum(truth))
        errors.append(tuple((end + 180) % 360 - 180 for end in ends))  # type: ignore[arg-type]
        sources.append(str(found.source))
    off = np.abs(np.array(errors))
    print(f"{len(off)} stacks, {sources.count('image')} proposed from the image")
    for name, one, signed in zip(("anterior", "inferior"), off.T, np.array(errors).T, strict=True):
        low, middle, high = np.percentile(one, (25, 50, 75))
        print(
            f"{name} insertion: off by median {middle:.0f} degrees (IQR {low:.0f} to {high:.0f}),"
            f" mean {signed.mean():+.0f}; over {FAR_OFF:.0f} in {np.mean(one > FAR_OFF):.0%}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
