"""Time a folder of 500 files to a study list, beside reading the same files with pydicom."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pydicom

from scarseg.io.dicom import scan
from scarseg.simulate.studies import simulate_patients

N_FILES = 500


def seconds(work: Callable[[], object]) -> float:
    work()
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def some_files(folder: Path) -> list[Path]:
    """Simulate patients until there are enough files; the rest is taken away."""
    patients = 0
    files: list[Path] = []
    while len(files) < N_FILES:
        simulate_patients(folder / str(patients), 10, patients)
        patients += 10
        files = sorted(p for p in folder.rglob("*") if p.suffix == ".dcm")
    for path in files[N_FILES:]:
        path.unlink()
    return files[:N_FILES]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        files = some_files(Path(name))
        own = seconds(lambda: scan([Path(name)]))
        headers = seconds(lambda: [pydicom.dcmread(p, stop_before_pixels=True) for p in files])
        report = scan([Path(name)])
        print(f"{len(files)} files, {len(report.stacks)} stacks, {len(report.refused)} refused")
        print(f"scan to a study list     {own:6.3f} s")
        print(f"pydicom, headers alone   {headers:6.3f} s ({headers / own:.2f} x)")


if __name__ == "__main__":
    main()
