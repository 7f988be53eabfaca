"""Tables of two readings, written as the program writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scarseg.io.tables.columns import COLUMNS, Cell
from scarseg.io.tables.table import render_csv


def row(n: int, mass: float | None, **cells: Cell) -> dict[str, Cell]:
    return {
        "patient_id": f"patient{n:02}",
        "series_uid": f"1.2.{n}",
        "status": "read",
        "scar_mass_g": mass,
        "mass_convention": "thickness",
        "density_g_per_ml": 1.05,
        **cells,
    }


def write(path: Path, rows: list[dict[str, Cell]]) -> Path:
    path.write_bytes(render_csv(COLUMNS, rows))
    return path


def two_readings(folder: Path, n: int = 12) -> tuple[Path, Path]:
    """Write A.csv and B.csv of ``n`` patients; A reads 1 g more, with some spread."""
    rng = np.random.default_rng(4)
    true = rng.uniform(2, 40, n)
    other = true + 1 + rng.normal(0, 2, n)
    sequence = ["magnitude", "psir"]
    a = [row(k, float(m), sequence=sequence[k % 2]) for k, m in enumerate(other)]
    b = [row(k, float(m)) for k, m in enumerate(true)]
    return write(folder / "A.csv", a), write(folder / "B.csv", b)
