"""Kill a batch at random moments and resume it: nothing twice, and the same tables in the end.

    python benchmarks/interruptions.py [--stacks 500] [--kills 10] [--jobs 2] [--no-interval]
        [--fakes]

One simulated study is copied under new UIDs. One run is left in peace; another is killed
(SIGKILL, the program and so its workers) at random moments and resumed each time. Printed: whether
the tables and masks are the same bytes, how many finished stacks were computed again, the time that
the interruptions cost, and the largest memory of the parent after a tenth of the stacks and at the
end. With ``--fakes`` the networks are those of the tests, which need no time: what is tried then is
the journal. Exit status 1 where something differs.
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
from pathlib import Path

import psutil
import pydicom

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

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """Start the run."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [*self.command, *more],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

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


def main() -> int:
    """Run both batches and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=500)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--no-interval", action="store_true")
    parser.add_argument("--fakes", action="store_true", help="networks that need no time")
    options = parser.parse_args()
    words = ["--jobs", options.jobs, *(["--no-interval"] if options.no_interval else [])]
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        from scarseg.simulate.studies import write_study

        source = write_study(base / "source", 19).dicom_folder
        for number in range(options.stacks):
            copy_study(source, base / "data" / f"{number:05d}", number)
        whole = Batch(base / "data", base / "whole", words, options.fakes)
        begin = time.monotonic()
        process = whole.start()
        early, late = watch(process, whole, options.stacks)
        if process.returncode:
            raise SystemExit(f"the undisturbed run ended with exit status {process.returncode}")
        undisturbed = time.monotonic() - begin
        killed = Batch(base / "data", base / "killed", words, options.fakes)
        moments = sorted(rng.uniform(0.05, 0.95) * undisturbed for _ in range(options.kills))
        waits = [b - a for a, b in zip([0.0, *moments], moments, strict=False)]
        n_twice, known, begin = 0, dict[str, int](), time.monotonic()
        for wait in [*waits, None]:
            process = killed.start("--resume")
            try:
                process.wait(None if wait is None else max(wait, 3.0))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            now = killed.finished()
            n_twice += sum(now.get(key, moment) != moment for key, moment in known.items())
            known |= now
            text = f"killed with {len(now)} of {options.stacks} finished" if wait else "ended"
            print(text, flush=True)
        disturbed = time.monotonic() - begin
        same = not process.returncode and whole.contents() == killed.contents()
    print(f"the same bytes: {'yes' if same else 'NO'}")
    print(f"finished stacks computed again: {n_twice}")
    print(f"undisturbed {undisturbed:.0f} s, with {options.kills} kills {disturbed:.0f} s")
    print(f"memory of the parent: {early:.0f} MiB at a tenth, {late:.0f} MiB at most")
    return 0 if same and not n_twice else 1


if __name__ == "__main__":
    raise SystemExit(main())
