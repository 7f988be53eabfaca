"""An inversion-time scout: one short-axis slice at several inversion times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from scarseg.io.dicom_write import write_series
from scarseg.io.uids import derived_uid
from scarseg.simulate.options import SimulationOptions
from scarseg.simulate.stacks import simulate_stack
from scarseg.stack import Sequence, SliceSource, Stack

ERRORS = (-0.45, -0.3, -0.15, 0.0, 0.2, 0.4)
"""Inversion times, as deviation from the one that nulls remote myocardium."""


def write_scout(
    folder: Path,
    stack: Stack,
    seed: int,
    options: SimulationOptions,
    header: Mapping[str, object],
) -> list[Path]:
    """Write the middle slice of the heart of ``seed`` as a magnitude series of its own.

    ``stack`` gives study and patient; ``header`` the vendor's values. All images lie at one
    position, as those of cine and scout series do.
    """
    series = derived_uid(stack.series_uid, "scout")
    files = []
    for k, error in enumerate(ERRORS):
        fixed = replace(options, sequence=Sequence.MAGNITUDE, inversion_error=error)
        simulated = simulate_stack(seed, fixed)
        middle = simulated.stack.n_slices // 2
        image = replace(
            stack,
            pixels=simulated.stack.pixels[middle : middle + 1],
            origins_mm=(simulated.stack.origins_mm[middle],),
            sources=(SliceSource(derived_uid(series, k), instance_number=k + 1),),
            series_uid=series,
            description="TI_SCOUT_SAX",
            sequence=Sequence.MAGNITUDE,
            spacing_between_slices_mm=None,
        )
        values = {
            **header,
            "ImageType": ["ORIGINAL", "PRIMARY", "M"],
            "ProtocolName": "TI_SCOUT_SAX",
            "SeriesNumber": 9,
            "InversionTime": round(simulated.inversion_time_ms, 1),
            "TriggerTime": float(100 + 60 * k),
            "AcquisitionNumber": 1,
        }
        files += write_series(folder, image, header=values)
    return files
