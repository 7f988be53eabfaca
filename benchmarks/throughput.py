"""CPU seconds of a batch per study, of this program and of another checkout in the same run.

Simulated studies of 7 slices are measured plain (without interval), with the interval, and with
everything (interval, masks, all methods and a report each), by one process. A short
and a long run are subtracted, so that start and loading of models are not in the figures but beside
them. Both programs take turns, so that other load on the machine meets both.

    python benchmarks/throughput.py --old ../older-checkout --studies 6
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.studies import StudyOptions, simulate_patients

MODES: dict[str, tuple[str, ...]] = {
    "plain": ("--no-interval",),
    "with interval": (),
    "with everything": ("--masks", "--report", "--methods"),
}
SLICES = 7


@dataclass(frozen=True)
class Cost:
    """CPU and wall seconds of a run."""

    cpu_s: float
    wall_s: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.cpu_s - other.cpu_s, self.wall_s - other.wall_s)


def batch(program: Path, inputs: Path, folder: Path, mode: str) -> Cost:
    """Run a batch of a checkout in a process of its own; return what it cost with its children."""
    words = [*MODES[mode]]
    if "--masks" in words:
        words = ["--masks", str(folder / "masks"), "--report", str(folder / "reports")]
        words += ["--methods", "all"]
    command = [sys.executable, "-m", "scarseg", "batch", str(inputs), "-o", str(folder / "s.csv")]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(program)}
    done = subprocess.run(
        [*command, *words], cwd=program, env=environment, capture_output=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr.decode()[-2000:])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path, help="checkout to compare with")
    parser.add_argument("--studies", type=int, default=6)
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=list(MODES))
    options = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    programs = {"this": here, **({"old": options.old.resolve()} if options.old else {})}
    fixed = StudyOptions(
        SimulationOptions(n_slices=SLICES, scar=True),
        pair=False,
        scout=False,
        localizer=False,
        enhanced=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder, "few"), Path(folder, "many")
        simulate_patients(few, 1, 1, options=fixed)
        simulate_patients(many, 1 + options.studies, 1, options=fixed)
        for mode in options.modes:
            costs: dict[str, tuple[Cost, Cost]] = {}
            for name, program in programs.items():
                runs = []
                for number, inputs in enumerate((few, many)):
                    out = Path(folder, f"{name}-{mode}-{number}")
                    out.mkdir()
                    runs.append(batch(program, inputs / "dicom", out, mode))
                costs[name] = (runs[0], runs[1] - runs[0])
            for name, (start, rest) in costs.items():
                cpu, wall = rest.cpu_s / options.studies, rest.wall_s / options.studies
                print(
                    f"{mode}, {name}: {cpu:.2f} CPU s, {wall:.2f} s per study of {SLICES} slices; a"
                    f" run of one study {start.cpu_s:.1f} CPU s",
                    flush=True,
                )
            if "old" in costs:
                ratio = costs["this"][1].cpu_s / costs["old"][1].cpu_s
                print(f"{mode}: this takes {100 * ratio:.0f} % of the CPU time of old", flush=True)


if __name__ == "__main__":
    main()
