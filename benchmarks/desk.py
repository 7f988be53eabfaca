"""Print the speed table of the desk: the real window, offscreen, the weights that are shipped."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from scarseg.simulate import studies as simulate_studies

N_FILES = 500
FRAME_S = 0.016
PAUSE_S = 0.050
BEAT_S = 0.004


@dataclass(frozen=True)
class Row:
    """One line of the table; ``limit_s`` None where nothing was promised."""

    event: str
    seconds: Sequence[float]
    limit_s: float | None
    peer: str = ""

    def line(self) -> str:
        middle = statistics.median(self.seconds)
        most = sorted(self.seconds)[max(round(0.95 * len(self.seconds)) - 1, 0)]
        verdict = ""
        if self.limit_s is not None:
            word = "ok" if middle <= self.limit_s else "OVER"
            if word == "ok" and most > self.limit_s:
                word = "ok (median)"
            verdict = f"{self.limit_s * 1e3:8.0f}  {word}"
        return f"{self.event:<46}{middle * 1e3:9.1f}{most * 1e3:9.1f}{verdict:<22}{self.peer}"


# Scenarios: what the child does


def only_start(driver: Any) -> None:
    driver.until(lambda: driver.session.models is not None)
    driver.figures["models"] = time.monotonic() - float(os.environ["BEGUN"])
    driver.quiet()


def begin_with_a_study(driver: Any) -> None:
    """``scarseg PATH``: from the command to every slice proposed."""
    driver.until(lambda: driver.session.current is not None and driver.painted.n)
    driver.figures["first slice"] = time.monotonic() - float(os.environ["BEGUN"])
    driver.until(lambda: driver.inference.n_ready == driver.document.case.stack.n_slices)
    driver.figures["proposed"] = time.monotonic() - float(os.environ["BEGUN"])
    driver.quiet()


def list_folder(driver: Any) -> None:
    driver.until(lambda: driver.session.models is not None)
    driver.quiet()
    driver.heart.begin("list")
    studies = driver.window.studies.studies
    begin = time.monotonic()
    driver.drop(Path(os.environ["FOLDER"]))
    driver.figures["list"] = driver.until(lambda: studies.count() and studies.isVisible()) - begin
    driver.quiet()


def read(driver: Any) -> None:
    """Open and read studies of twelve slices, the last of 512 x 512."""
    from benchmarks import desk_reading

    desk_reading.read(driver)


SCENARIOS: dict[str, Callable[[Any], None]] = {
    each.__name__: each for each in (only_start, begin_with_a_study, list_folder, read)
}


# The parent


def child(scenario: str, home: Path, *arguments: str, folder: Path | None = None) -> Any:
    """Run a scenario in a process of its own; give its figures."""
    root = Path(__file__).parent.parent
    environment = os.environ | {
        "SCARSEG_HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "settings"),
        "FOLDER": str(folder or ""),
        "PYTHONPATH": str(root),
        "BEGUN": str(time.monotonic()),
    }
    command = [sys.executable, str(Path(__file__)), "--child", scenario, *arguments]
    with Idle() as idle:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    figures = json.loads(done.stdout.decode().splitlines()[-1])
    figures["idle"] = idle.longest(figures["phases"])
    return figures


class Idle(threading.Thread):
    """A process that does nothing, beating meanwhile: how long the machine itself paused."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self._pauses: list[tuple[float, float]] = []

    def run(self) -> None:
        last = time.monotonic()
        while not self._over.wait(BEAT_S):
            now = time.monotonic()
            self._pauses.append((now, now - last - BEAT_S))
            last = now

    def __enter__(self) -> Idle:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def longest(self, phases: Sequence[tuple[str, float]]) -> dict[str, float]:
        """Return the longest pause within each phase of the window."""
        found: dict[str, float] = {}
        for (phase, begin), (_, end) in pairwise(phases):
            within = [pause for at, pause in self._pauses if begin <= at <= end]
            found[phase] = max([found.get(phase, 0.0), *within])
        return found


def many_files(folder: Path) -> list[Path]:
    """Simulate patients until there are enough files; the rest is taken away."""
    from scarseg.simulate.studies import simulate_patients

    files: list[Path] = []
    for seed in range(0, 1000, 10):
        simulate_patients(folder / str(seed), 10, seed)
        files = sorted(folder.rglob("*.dcm"))
        if len(files) >= N_FILES:
            break
    for path in files[N_FILES:]:
        path.unlink()
    return files[:N_FILES]


def some_studies(folder: Path, n: int) -> None:
    """Simulate studies of twelve slices, the last of 512 x 512."""
    from scarseg.simulate.anatomy import SimulationOptions
    from scarseg.simulate.studies import StudyOptions

    for k in range(n):
        large = {"rows": 512, "columns": 512} if k == n - 1 else {"rows": 224, "columns": 200}
        heart = SimulationOptions(scar=True, n_slices=12, beyond_heart=False, **large)
        plain = StudyOptions(
            heart, enhanced=False, pair=False, localizer=False, scout=False, patient_id=f"SIM{k}"
        )
        simulate_studies.write_study(folder / f"study{k}", 40 + k, plain)


def seconds_of_pydicom(files: Sequence[Path]) -> float:
    import pydicom

    begin = time.perf_counter()
    for path in files:
        pydicom.dcmread(path, stop_before_pixels=True)
    return time.perf_counter() - begin


def start_rows(place: Path, times: int) -> list[Row]:
    """Start the program without and with a study of twelve slices."""
    some_studies(place / "studies", 1)
    starts = [child("only_start", place / f"a{k}") for k in range(times)]
    study = str(place / "studies" / "study0" / "dicom")
    whole = [child("begin_with_a_study", place / f"b{k}", study) for k in range(times)]
    return [
        Row("program start to a usable window", [each["start"] for each in starts], 1.5),
        Row("  ... to the models loaded", [each["models"] for each in starts], None),
        Row("  ... with a study, to its first slice", [e["first slice"] for e in whole], None),
        Row("  ... with a study, to 12 slices proposed", [e["proposed"] for e in whole], None),
        *_pause_rows({"start": max(_pauses(each)["start"] for each in starts)}),
        *_pause_rows({"start with a study": max(_pauses(each)["start"] for each in whole)}),
    ]


def list_rows(place: Path, times: int) -> list[Row]:
    """Drop a folder of many files on the window."""
    files = many_files(place / "files")
    listing = child("list_folder", place / "c", folder=place / "files")
    peer = seconds_of_pydicom(files)
    return [
        Row(
            f"folder of {len(files)} files to a study list", [listing["list"]], 2.0,
            f"pydicom, headers alone {peer:.2f} s ({peer / listing['list']:.2f} x)",
        ),
        *_pause_rows({"list": _pauses(listing)["list"]}),
    ]  # fmt: skip


def reading_rows(place: Path, times: int) -> list[Row]:
    """Open four studies and read the last, of 512 x 512 pixels."""
    some_studies(place / "studies", 4)
    reading = child("read", place / "d", folder=place / "studies")
    rows = [Row(event, seconds, limit) for event, (seconds, limit) in reading["rows"].items()]
    return [*rows, *_pause_rows(_pauses(reading))]


PARTS = {"start": start_rows, "list": list_rows, "reading": reading_rows}


def _pause_rows(pauses: dict[str, tuple[float, float]]) -> list[Row]:
    return [
        Row(
            f"longest pause of the window: {phase}", [pause], PAUSE_S,
            f"an idle process meanwhile {idle * 1e3:.0f} ms",
        )
        for phase, (pause, idle) in pauses.items()
    ]  # fmt: skip


def _pauses(figures: Any) -> dict[str, tuple[float, float]]:
    """Return the longest pause of every phase, and an idle process's beside it."""
    return {k: (pause, figures["idle"].get(k, 0.0)) for k, pause in figures["pauses"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="how often the program is started")
    parser.add_argument("--parts", default=",".join(PARTS), help="of start, list and reading")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        from benchmarks import desk_driver

        scenario, *arguments = options.child
        desk_driver.run(SCENARIOS[scenario], arguments)
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f} before")
    print(f"{'milliseconds':<46}{'median':>9}{'95 %':>9}{'at most':>8}")
    for part in options.parts.split(","):
        with tempfile.TemporaryDirectory(prefix="scarseg-desk-") as name:
            for row in PARTS[part](Path(name), options.times):
                print(row.line(), flush=True)
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
