"""Time of a search and a fetch from a real Orthanc on the loopback, beyond the start of Python.

    python benchmarks/pacs.py [--slices 12] [--size 256] [--repeats 5]

Needs Orthanc (packages ``orthanc`` and ``orthanc-dicomweb``). Prints the median and the largest of
the repeats, by DIMSE (C-GET, C-MOVE) and DICOMweb, and the time of a test against nobody.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from scarseg.case.stack import SliceSource
from scarseg.errors import PacsError
from scarseg.pacs import connect
from scarseg.pacs.addresses import parse_address
from scarseg.pacs.archive import Query
from scarseg.pacs.fetching import fetch_study
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient
from tests.pacs.orthanc import free_port, running_orthanc

NOBODY_TIMEOUT_S = 2.0


def write_stack(folder: Path, n_slices: int, size: int) -> None:
    """Write a stack of noise in the size of a real one."""
    first = patient(1)
    noise = np.random.default_rng(1).uniform(0, 4000, (n_slices, size, size)).astype(np.float32)
    stack = replace(
        first,
        pixels=noise,
        origins_mm=tuple((0.0, 0.0, 10.0 * k) for k in range(n_slices)),
        sources=tuple(SliceSource(f"1.2.1.1.{k + 1}") for k in range(n_slices)),
    )
    write_series(folder, stack)


def timed(work: Callable[[int], object], repeats: int) -> str:
    """Return the median and the largest time of the repeats."""
    times = []
    for k in range(repeats):
        began = time.perf_counter()
        work(k)
        times.append(time.perf_counter() - began)
    return f"median {statistics.median(times):.2f} s, largest {max(times):.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_stack(folder / "images", options.slices, options.size)
        with running_orthanc(folder / "orthanc") as server:
            server.add(folder / "images")
            for way in ("get", "move", "web"):
                address = parse_address(server.web if way == "web" else server.dicom)
                if way != "web":
                    address = replace(address, retrieve=way, storage_port=server.storage_port)

                def find(_: int, address=address) -> None:
                    assert connect(address).find_studies(Query(patient_id="CANARY*"))

                def fetch(k: int, address=address, way=way) -> None:
                    found = fetch_study(connect(address), "1.2.1", [], folder / f"{way}-{k}")
                    assert found.series[0].n_images == options.slices

                print(f"{way}: find {timed(find, options.repeats)}")
                shape = f"{options.slices} x {options.size}²"
                print(f"{way}: fetch of {shape} {timed(fetch, options.repeats)}")
    nobody = parse_address(f"dicom://A@127.0.0.1:{free_port()}")
    began = time.perf_counter()
    try:
        connect(replace(nobody, timeout_s=NOBODY_TIMEOUT_S)).test()
    except PacsError as error:
        took = time.perf_counter() - began
        print(
            f"test against nobody: {error.code} after {took:.2f} s (timeout {NOBODY_TIMEOUT_S} s)"
        )


if __name__ == "__main__":
    main()
