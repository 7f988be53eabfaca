"""Measure many series: one row each, whatever happens to the others."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context, parent_process

from scarseg.batch.results import (
    MaskFormat,
    ResultSettings,
    StackResult,
    failure_result,
    mask_name,
    run_guarded,
    with_warning,
    write_results,
)
from scarseg.batch.selection import BatchJob
from scarseg.errors import WeightsError
from scarseg.io import dicom
from scarseg.io.files import require_writable
from scarseg.io.prompts_json import PromptsFile, SliceKey
from scarseg.models import Models, limit_threads
from scarseg.progress import Progress, silent
from scarseg.segmentation import pipeline
from scarseg.segmentation.interval import case_interval

logger = logging.getLogger(__name__)

ModelsLoader = Callable[[], Models]
"""Loads the models in whichever process needs them; must survive pickling for many jobs."""

THREADS = 1
"""Torch threads of every job: the same for any number of jobs, since a sum split otherwise may
differ in its last digit."""


@dataclass(frozen=True)
class BatchSettings(ResultSettings):
    """What every series of a batch shares; ``prompts`` switch scar to a reader's.

    ``interval`` asks for one beside the scar mass: one answer more per slice, six where a reader
    prompts.
    """

    prompts: PromptsFile | None = None
    interval: bool = True


@dataclass(frozen=True)
class BatchResult:
    """What became of all jobs, what failed in words, and prompts that spoke of no series."""

    outcomes: tuple[StackResult, ...]
    notes: tuple[str, ...] = ()
    unused_prompts: tuple[SliceKey, ...] = ()


def measure_jobs(
    jobs: Sequence[BatchJob],
    settings: BatchSettings,
    load_models: ModelsLoader,
    n_processes: int = 1,
    progress: Progress = silent,
) -> BatchResult:
    """Measure every job; the same records for any number of processes.

    Raises:
        WeightsError: the models cannot be loaded; nothing was measured.
        OutputError: E_WRITE, the folder for masks cannot be written.
        Cancelled: by ``progress``; no row is written then.
    """
    if settings.masks is not None:
        require_writable(settings.masks / "mask")
    if not jobs:  # all was refused: no reason to wait for the models
        return BatchResult((), (), tuple(settings.prompts.slices if settings.prompts else ()))
    outcomes: list[StackResult] = []
    spread = _one_by_one if n_processes <= 1 or len(jobs) <= 1 else _side_by_side
    for outcome in spread(jobs, settings, load_models, n_processes, progress):
        outcomes.append(outcome)
        if outcome.trouble:
            logger.error("A series failed by a bug in the program:\n%s", outcome.trouble)
    asked = settings.prompts.slices if settings.prompts is not None else {}
    used = frozenset[SliceKey]().union(*(outcome.used for outcome in outcomes))
    return BatchResult(
        tuple(outcomes),
        tuple(sorted(outcome.note for outcome in outcomes if outcome.note)),
        tuple(key for key in asked if key not in used),
    )


def measure_job(
    job: BatchJob, settings: BatchSettings, models: Models, progress: Progress = silent
) -> StackResult:
    """Read, propose, measure and write the mask of one series; a failure is its record."""
    used: set[SliceKey] = set()
    outcome = run_guarded(job, settings, lambda: _measure(job, settings, models, progress, used))
    return replace(outcome, used=frozenset(used))


def _measure(
    job: BatchJob, settings: BatchSettings, models: Models, progress: Progress, used: set[SliceKey]
) -> StackResult:
    """Measure one series; adds to ``used`` the entries of the prompts file that speak of it."""
    stack = dicom.read_stack(job.summary, settings.slice_thickness_mm)
    prompts = None
    if settings.prompts is not None:
        used |= settings.prompts.keys_in(stack)
        prompts = settings.prompts.for_stack(stack)
    case, embeddings = pipeline.propose_case_with_embeddings(stack, models, progress, prompts)
    interval = None
    if settings.interval:
        # Where a reader's file asks for nothing it says that there is no scar.
        sure = () if prompts is None else set(range(stack.n_slices)) - set(prompts)
        interval = case_interval(
            case, models, embeddings, settings.convention, settings.density_g_per_ml, sure=sure
        )
    kind = settings.mask_format if settings.masks is not None else MaskFormat.NONE
    unasked = prompts is not None and not prompts
    method = "prompted" if unasked else ""
    outcome = write_results(case, job, settings, mask_name(job, kind), method, interval=interval)
    if unasked:
        note = f"series {stack.stack_id}: no prompts, so no scar."
        outcome = with_warning(outcome, "W_NO_PROMPTS", note)
    return outcome


def _one_by_one(
    jobs: Sequence[BatchJob],
    settings: BatchSettings,
    load_models: ModelsLoader,
    n_processes: int,
    progress: Progress,
) -> Iterator[StackResult]:
    progress(0.0, "Loading the models")
    models = load_models()
    before = limit_threads(THREADS)
    try:
        for done, job in enumerate(jobs):

            def report(fraction: float, what: str, done: int = done) -> None:
                progress((done + fraction) / len(jobs), f"Series {done + 1} of {len(jobs)}")

            report(0.0, "")
            yield measure_job(job, settings, models, report)
    finally:
        limit_threads(before)
    progress(1.0, f"{len(jobs)} series")


def _side_by_side(
    jobs: Sequence[BatchJob],
    settings: BatchSettings,
    load_models: ModelsLoader,
    n_processes: int,
    progress: Progress,
) -> Iterator[StackResult]:
    """Measure in several processes; a job that kills its process costs only itself."""
    work = partial(_work, settings=settings, load_models=load_models)
    done = 0
    progress(0.0, "Loading the models")
    suspects: list[BatchJob] = []
    for job, outcome in _pooled(jobs, work, min(n_processes, len(jobs))):
        if outcome is None:
            suspects.append(job)
            continue
        done += 1
        progress(done / len(jobs), f"Series {done} of {len(jobs)}")
        yield _loaded(outcome)
    # When one process dies the pool gives all its jobs up: try each of them alone.
    for job in suspects:
        [(_, outcome)] = _pooled([job], work, 1)
        done += 1
        progress(done / len(jobs), f"Series {done} of {len(jobs)}")
        yield (
            failure_result(job, settings, "E_CRASH", "The process that read this series died.")
            if outcome is None
            else _loaded(outcome)
        )


def _pooled(
    jobs: Sequence[BatchJob], work: Callable[[BatchJob], StackResult | _NoModels], n_processes: int
) -> Iterator[tuple[BatchJob, StackResult | _NoModels | None]]:
    """Yield each job with its outcome as it comes, None where the process died."""
    # spawn: a forked child of a program with threads (torch, Qt) may hang.
    pool = ProcessPoolExecutor(n_processes, get_context("spawn"), _start_worker)
    try:
        running: dict[Future[StackResult | _NoModels], BatchJob] = {
            pool.submit(work, job): job for job in jobs
        }
        left = set(running)
        while left:
            finished, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in finished:
                try:
                    yield running[future], future.result()
                except BrokenProcessPool:
                    yield running[future], None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _NoModels:
    """The worker could not load the models."""

    code: str
    message: str
    path: str | None


def _loaded(outcome: StackResult | _NoModels) -> StackResult:
    if isinstance(outcome, _NoModels):
        raise WeightsError(outcome.code, outcome.message, outcome.path)
    return outcome


_worker_models: list[Models] = []


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when its parent is killed: the pool alone would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(
    job: BatchJob, settings: BatchSettings, load_models: ModelsLoader
) -> StackResult | _NoModels:
    """Measure one job in a worker, which loads the models once."""
    if not _worker_models:
        try:
            _worker_models.append(load_models())
        except WeightsError as error:
            return _NoModels(error.code, error.message, error.path)
        limit_threads(THREADS)
    return measure_job(job, settings, _worker_models[0])
