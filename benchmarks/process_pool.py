"""What a queue of stacks and a crashed process cost the pool of ``scarseg batch --jobs``.

A series is as many seconds of sleep, and so is loading the models, so that other load on the
machine is not measured. Printed are:

- 16 series by two processes, undisturbed and with one that kills its process: the bar is one
  series and one load of models more. Starting a process is part of a load and printed beside;
- the memory of the parent before, while and after 10,000 results of a real stack went through it,
  each of them kept as ``scarseg batch`` keeps it: the bar is 500 MB.

    python benchmarks/process_pool.py [--queued 10000] [--series-s 1] [--load-s 3]
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scarseg.batch.compact_rows import compact
from scarseg.batch.models import BatchSettings, measure_job
from scarseg.batch.process_pool import Died, run_jobs
from scarseg.batch.results import StackResult
from scarseg.batch.selection import BatchJob, select_stacks
from scarseg.io import dicom
from tests.cohorts import write
from tests.fakes import fake_models

CRASHES = 5
"""Number of the series that kills its process."""

_loaded: list[bool] = []


def sleep_series(number: int, series_s: float, load_s: float, crash: bool) -> float:
    """Be a series; return the moment at which the process was ready for its first one."""
    started = psutil.Process().create_time()
    ready = time.time() - started
    if not _loaded:
        time.sleep(load_s)
        _loaded.append(True)
    if crash and number == CRASHES:
        time.sleep(series_s / 2)
        os._exit(9)
    time.sleep(series_s)
    return ready


def crash_cost(series_s: float, load_s: float) -> None:
    """Print the time of 16 series with and without a crash."""
    taken = {}
    for crash in (False, True):
        work = partial(sleep_series, series_s=series_s, load_s=load_s, crash=crash)
        begin, died, starts = time.monotonic(), 0, []
        for _, result in run_jobs(work, range(16), 2):
            if isinstance(result, Died):
                died += 1
            else:
                starts.append(result)
        taken[crash] = time.monotonic() - begin
        text = f"with one crash ({died} lost)" if crash else "undisturbed"
        print(
            f"16 series of {series_s:g} s, models {load_s:g} s, {text}: {taken[crash]:.1f} s;"
            f" start of a process {min(starts):.1f} s",
            flush=True,
        )
    more = taken[True] - taken[False]
    print(
        f"a crash costs {more:.1f} s; one series and one load are {series_s + load_s:g} s"
        " and a process start"
    )


def a_result(folder: Path) -> tuple[BatchJob, StackResult]:
    """Return a stack and its result, as the fakes of the tests propose it."""
    jobs = select_stacks(dicom.scan([write(folder, 1)])).jobs
    return jobs[0], measure_job(jobs[0], BatchSettings(), fake_models())


def send_result(_job: BatchJob, result: StackResult) -> StackResult:
    return result


def memory_mb() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


def queue_cost(n: int) -> None:
    """Print the memory of a parent that hands out stacks and keeps their results."""
    with tempfile.TemporaryDirectory() as folder:
        job, result = a_result(Path(folder))
    before = memory_mb()
    jobs = [copy.deepcopy(job) for _ in range(n)]
    queued = most = memory_mb()
    kept = []
    for _, one in run_jobs(partial(send_result, result=result), jobs, 2):
        assert isinstance(one, StackResult)
        kept.append(compact(one))
        most = max(most, memory_mb()) if len(kept) % 500 == 0 else most
    print(
        f"{n} stacks of {len(result.record.slices)} slices: {before:.0f} MB before,"
        f" {queued:.0f} MB queued, {max(most, memory_mb()):.0f} MB with all results kept"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--no-crash", action="store_true", help="the memory alone")
    parser.add_argument("--series-s", type=float, default=1.0)
    parser.add_argument("--load-s", type=float, default=3.0)
    options = parser.parse_args()
    if not options.no_crash:
        crash_cost(options.series_s, options.load_s)
    queue_cost(options.queued)


if __name__ == "__main__":
    main()
