"""Kill a batch at random moments and resume it: nothing twice, and the same tables in the end.

    python benchmarks/interruptions.py [--stacks 500] [--kills 10] [--jobs 2] [--no-interval]
        [--fakes]
    python benchmarks/interruptions.py --cluster --stacks 12 [--kills 1]

One simulated study is copied under new UIDs. One run is left in peace; another is killed
(SIGKILL, the program and so its workers) at random numbers of finished stacks, up to a second
later, and resumed each time. Printed: whether the tables and masks are the same bytes, how many
finished stacks were computed again, the time that the interruptions cost, and the largest memory of
the parent after a tenth of the stacks and at the end. With ``--fakes`` the networks are those of
the tests and the images small, which need little time: what is tried then is the journal.

With ``--cluster`` the other run is measured by two workers of a scheduler on this machine, of which
one is killed on the way, at every kill another that was started instead; the run in peace has
``--jobs 1``. Exit status 1 where something differs.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pydicom

from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.studies import StudyOptions, write_study

ROOT = Path(__file__).resolve().parents[1]
FAKES = """
import scarseg.models
from scarseg.cli import main
from tests.fakes import load_fakes
scarseg.models.load = load_fakes
if __name__ == "__main__":
    raise SystemExit(main())
"""
"""The command line with the models of the tests."""


def copy_study(source: Path, folder: Path, number: int) -> None:
    """Write the images of a study as another study of another patient."""
    folder.mkdir(parents=True)
    for n, path in enumerate(sorted(one for one in source.rglob("*") if one.is_file())):
        dataset = pydicom.dcmread(path)
        dataset.PatientID = dataset.PatientName = f"COPY{number:05d}"
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            dataset[keyword].value = f"{dataset[keyword].value[:50]}.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / f"{n:04d}.dcm")


class Batch:
    """One run of ``scarseg batch`` in a process of its own."""

    def __init__(self, data: Path, folder: Path, words: list[str], fakes: bool) -> None:
        self.folder = folder
        program = ["-c", FAKES] if fakes else ["-m", "scarseg"]
        self.command = [sys.executable, *program, "batch", str(data)]
        self.command += ["-o", "scar.csv", "--masks", "masks", *words]
        folder.mkdir()

    @contextmanager
    def running(self, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start the run; kill it where it still runs at the end of the block."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [*self.command, *more],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def finished(self) -> dict[str, int]:
        """Return the finished stacks: name of the entry to the moment it was written."""
        entries = (self.folder / "scar.csv.partial").glob("*.json")
        found = {}
        for path in entries:
            try:
                found[path.name] = path.stat().st_mtime_ns
            except FileNotFoundError:  # the run has just ended
                continue
        return {name: moment for name, moment in found.items() if name != "run.json"}

    def contents(self) -> dict[str, bytes]:
        """Return all files that the run has left."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


def watch(process: subprocess.Popen[bytes], batch: Batch, n_stacks: int) -> tuple[float, float]:
    """Wait for a run; return the memory of the parent in MiB at a tenth and at the end."""
    early = late = 0.0
    while process.poll() is None:
        try:
            late = max(late, psutil.Process(process.pid).memory_info().rss / 2**20)
        except psutil.NoSuchProcess:
            break
        if len(batch.finished()) <= n_stacks / 10:
            early = late
        time.sleep(0.2)
    return early, late


def source_study(folder: Path, small: bool) -> Path:
    """Simulate the study to copy; return the folder of its images."""
    options = StudyOptions()
    if small:
        simulation = SimulationOptions(
            n_slices=3, rows=96, columns=96, pixel_spacing_mm=(2.5, 2.5), scar=True
        )
        options = StudyOptions(simulation, pair=False, scout=False, localizer=False)
    return write_study(folder, 19, options).dicom_folder


def wait_for(process: subprocess.Popen[bytes], batch: Batch, n_finished: int) -> None:
    """Wait until a run has finished so many stacks, or has ended."""
    while process.poll() is None and len(batch.finished()) < n_finished:
        time.sleep(0.1)


def interrupt(batch: Batch, targets: Sequence[int], rng: random.Random) -> tuple[int, int]:
    """Kill and resume a run; return its exit status and the finished stacks computed again."""
    n_twice, known = 0, dict[str, int]()
    for target in [*targets, None]:
        with batch.running("--resume") as process:
            if target is None:
                process.wait()
            else:
                wait_for(process, batch, target)
                time.sleep(rng.uniform(0, 1))
        now = batch.finished()
        n_twice += sum(now.get(key, moment) != moment for key, moment in known.items())
        known |= now
        print("ended" if target is None else f"killed with {len(now)} finished", flush=True)
    return process.returncode, n_twice


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children, as a machine that loses its power."""
    with suppress(psutil.NoSuchProcess):
        whole = psutil.Process(process.pid)
        for one in [*whole.children(recursive=True), whole]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def lose_workers(batch: Batch, targets: Sequence[int]) -> int:
    """Run on a cluster of two workers and kill one at each target; return the exit status."""
    serve = [sys.executable, "-m", "scarseg"]
    address = batch.folder.parent / "cluster.json"
    words = ["scheduler", "--port", "0", "--file", str(address)]
    started = [subprocess.Popen([*serve, *words], cwd=ROOT, stdout=subprocess.DEVNULL)]
    try:
        while not address.exists() and started[0].poll() is None:
            time.sleep(0.1)
        join = [*serve, "worker", str(address)]
        started += [subprocess.Popen(join, cwd=ROOT) for _ in range(2)]
        with batch.running("--scheduler", str(address)) as process:
            for target in targets:
                wait_for(process, batch, target)
                kill_tree(started.pop())
                print(f"a worker killed with {len(batch.finished())} finished", flush=True)
                started.append(subprocess.Popen(join, cwd=ROOT))
            return process.wait()
    finally:
        for one in reversed(started):
            kill_tree(one)


def main() -> int:
    """Run both batches and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=500)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--no-interval", action="store_true")
    parser.add_argument("--fakes", action="store_true", help="networks that need little time")
    parser.add_argument("--cluster", action="store_true", help="kill workers of a cluster")
    options = parser.parse_args()
    if options.fakes and options.cluster:
        parser.error("--fakes and --cluster exclude each other: workers load the weights")
    n_kills = options.kills or (1 if options.cluster else 10)
    # Ended by SIGTERM too, the run in progress is stopped and the temporary folder removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    interval = ["--no-interval"] if options.no_interval else []
    rng = random.Random(options.seed)
    targets = sorted(rng.randrange(1, options.stacks) for _ in range(n_kills))
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        source = source_study(base / "source", options.fakes)
        for number in range(options.stacks):
            copy_study(source, base / "data" / f"{number:05d}", number)
        jobs = "1" if options.cluster else options.jobs
        whole = Batch(base / "data", base / "whole", ["--jobs", jobs, *interval], options.fakes)
        begin = time.monotonic()
        with whole.running() as process:
            early, late = watch(process, whole, options.stacks)
            if process.wait():
                raise SystemExit(f"the undisturbed run ended with exit status {process.returncode}")
        undisturbed = time.monotonic() - begin
        print(f"undisturbed {undisturbed:.0f} s", flush=True)
        begin, n_twice = time.monotonic(), 0
        if options.cluster:
            other = Batch(base / "data", base / "other", interval, fakes=False)
            status = lose_workers(other, targets)
        else:
            words = ["--jobs", options.jobs, *interval]
            other = Batch(base / "data", base / "other", words, options.fakes)
            status, n_twice = interrupt(other, targets, rng)
        disturbed = time.monotonic() - begin
        same = not status and whole.contents() == other.contents()
    print(f"the same bytes: {'yes' if same else 'NO'}")
    print(f"finished stacks computed again: {n_twice}")
    print(f"undisturbed {undisturbed:.0f} s, with {n_kills} kills {disturbed:.0f} s")
    print(f"memory of the parent: {early:.0f} MiB at a tenth, {late:.0f} MiB at most")
    return 0 if same and not n_twice else 1


if __name__ == "__main__":
    raise SystemExit(main())
