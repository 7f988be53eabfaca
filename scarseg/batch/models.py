"""Measure many stacks with models: one row each, whatever happens to the others."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.batch.cluster import run_on_cluster
from scarseg.batch.cluster_client import Cluster
from scarseg.batch.cluster_worker import cached_models
from scarseg.batch.compact_rows import compact
from scarseg.batch.process_pool import Died, run_jobs
from scarseg.batch.results import (
    StackResult,
    failure_result,
    run_guarded,
    with_warning,
    write_results,
)
from scarseg.batch.selection import BatchJob
from scarseg.batch.settings import MaskFormat, ResultSettings
from scarseg.batch.stack_files import mask_name, refuse_existing_results
from scarseg.io import dicom
from scarseg.io.atomic import replace_file
from scarseg.io.casefile import library, store
from scarseg.io.files import make_folder, require_writable
from scarseg.io.prompts_json import PromptsFile, SliceKey
from scarseg.models import Models, limit_threads
from scarseg.progress import ItemLog, Progress, silent
from scarseg.segmentation import pipeline
from scarseg.segmentation.gate import probably_no_scar
from scarseg.segmentation.interval import case_interval

if TYPE_CHECKING:
    from scarseg.batch.journal import Journal

logger = logging.getLogger(__name__)

ModelsLoader = Callable[[], Models]
"""Loads the models in whichever process needs them; must survive pickling for many jobs."""

THREADS = 1
"""Torch threads of every job: the same for any number of jobs, since a sum split otherwise may
differ in its last digit."""


@dataclass(frozen=True)
class BatchSettings(ResultSettings):
    """Settings that every stack of a batch shares; ``prompts`` switch scar to a reader's.

    ``interval`` asks for one beside the scar mass: one prediction more per slice, six where a
    reader prompts.
    """

    prompts: PromptsFile | None = None
    interval: bool = True


@dataclass(frozen=True)
class BatchResult:
    """Results of all stacks, sentences on what failed, and prompts that belong to no stack."""

    results: tuple[StackResult, ...]
    notes: tuple[str, ...] = ()
    unused_prompts: tuple[SliceKey, ...] = ()


def measure_jobs(
    jobs: Sequence[BatchJob],
    settings: BatchSettings,
    load_models: ModelsLoader,
    n_processes: int = 1,
    progress: Progress = silent,
    journal: Journal | None = None,
    cluster: Cluster | None = None,
) -> BatchResult:
    """Measure every stack; the same records for any number of processes.

    Args:
        journal: keeps every finished stack, and knows those that need not be measured again.
        cluster: measures on its workers instead of processes of this machine.

    Raises:
        WeightsError: the models cannot be loaded; nothing was measured.
        OutputError: E_WRITE, masks or the journal cannot be written; E_EXISTS, a mask or report
            is there already. Nothing was measured.
        Cancelled: by ``progress``.
    """
    if settings.masks is not None:
        require_writable(settings.masks / "mask")
    results: list[StackResult] = []
    items: list[_StackItem] = []
    for job in jobs:
        finished = None if journal is None else journal.result_of(job)
        if finished is not None:
            results.append(compact(finished))
        else:
            items.append(_StackItem(job, None if journal is None else journal.staging(job)))
    refuse_existing_results([item.job for item in items], settings)
    if items:  # else no reason to wait for the models
        n_done = len(results)
        measure_each = _in_this_process if min(n_processes, len(items)) <= 1 else _in_processes
        if cluster is not None:
            measure_each = partial(_on_cluster, cluster=cluster)

        log = ItemLog(logger, len(jobs), n_done)

        def report(done: float, text: str) -> None:
            progress((n_done + done * len(items)) / len(jobs), text)

        for job, result in measure_each(items, settings, load_models, n_processes, report):
            if result.trouble:
                logger.error("A series failed by a bug in the program:\n%s", result.trouble)
            results.append(compact(result if journal is None else journal.keep(job, result)))
            log.add(job.summary.stack_id, str(result.record.row.get("error_code") or ""))
    given = settings.prompts.slices if settings.prompts is not None else {}
    used = frozenset[SliceKey]().union(*(result.used for result in results))
    return BatchResult(
        tuple(results),
        tuple(sorted(result.note for result in results if result.note)),
        tuple(key for key in given if key not in used),
    )


def measure_job(
    job: BatchJob, settings: BatchSettings, models: Models, progress: Progress = silent
) -> StackResult:
    """Read, propose, measure and write the files of one stack; a failure is its record."""
    used: set[SliceKey] = set()
    result = run_guarded(job, settings, lambda: _measure(job, settings, models, progress, used))
    return replace(result, used=frozenset(used))


def _measure(
    job: BatchJob, settings: BatchSettings, models: Models, progress: Progress, used: set[SliceKey]
) -> StackResult:
    """Measure one stack; add the entries of the prompts file that belong to it to ``used``."""
    stack = dicom.read_stack(job.summary, settings.slice_thickness_mm)
    prompts = None
    if settings.prompts is not None:
        used |= settings.prompts.keys_in(stack)
        prompts = settings.prompts.for_stack(stack)
    case, embeddings = pipeline.propose_case_with_embeddings(stack, models, progress, prompts)
    interval = None
    if settings.interval and prompts != {}:
        # A slice that a reader's file does not mention is, by that file, free of scar.
        sure = () if prompts is None else set(range(stack.n_slices)) - set(prompts)
        interval = case_interval(
            case, models, embeddings, settings.convention, settings.density_g_per_ml, sure=sure
        )
    kind = settings.mask_format if settings.masks is not None else MaskFormat.NONE
    without_prompts = prompts is not None and not prompts
    withheld = probably_no_scar(case)
    method = "prompted" if without_prompts else ""
    result = write_results(case, job, settings, mask_name(job, kind), method, interval=interval)
    if without_prompts:
        note = (
            f"series {stack.stack_id}: none of the prompts names one of its slices; nothing"
            " was asked, so nothing is known of its scar."
        )
        result = with_warning(result, "W_NO_PROMPTS", note)
    if withheld:
        note = f"series {stack.stack_id}: probably no scar; scar that was proposed is withheld."
        result = replace(result, note=note)
    return result


@dataclass(frozen=True)
class _StackItem:
    """A stack to measure, and the folder that takes its files until its row is kept."""

    job: BatchJob
    staging: Path | None


def _measure_item(
    item: _StackItem, settings: BatchSettings, models: Models, progress: Progress = silent
) -> StackResult:
    if item.staging is not None:
        shutil.rmtree(item.staging, ignore_errors=True)  # of a run that was killed
    return measure_job(item.job, replace(settings, staging=item.staging), models, progress)


def _in_this_process(
    items: Sequence[_StackItem],
    settings: BatchSettings,
    load_models: ModelsLoader,
    n_processes: int,
    progress: Progress,
) -> Iterator[tuple[BatchJob, StackResult]]:
    progress(0.0, "Loading the models")
    models = load_models()
    before = limit_threads(THREADS)
    try:
        for n, item in enumerate(items):

            def report(fraction: float, _what: str, n: int = n) -> None:
                progress((n + fraction) / len(items), f"Series {n + 1} of {len(items)}")

            report(0.0, "")
            yield item.job, _measure_item(item, settings, models, report)
    finally:
        limit_threads(before)
    progress(1.0, f"{len(items)} series")


def _in_processes(
    items: Sequence[_StackItem],
    settings: BatchSettings,
    load_models: ModelsLoader,
    n_processes: int,
    progress: Progress,
) -> Iterator[tuple[BatchJob, StackResult]]:
    """Measure in several processes; a stack that kills its process costs only itself."""
    progress(0.0, "Loading the models")
    work = partial(_measure_in_worker, settings=settings, load_models=load_models)
    results = run_jobs(work, items, min(n_processes, len(items)))
    try:
        for n, (item, result) in enumerate(results, start=1):
            progress(n / len(items), f"Series {n} of {len(items)}")
            if isinstance(result, Died):
                message = "The process that read this series died."
                yield item.job, failure_result(item.job, settings, "E_CRASH", message)
            else:
                yield item.job, result
    finally:
        results.close()


@dataclass(frozen=True)
class _RemoteResult:
    """A result that a worker sends, with the bytes of the files it staged, by name."""

    result: StackResult
    contents: Mapping[str, bytes]


def _on_cluster(
    items: Sequence[_StackItem],
    settings: BatchSettings,
    load_models: ModelsLoader,
    n_processes: int,
    progress: Progress,
    cluster: Cluster,
) -> Iterator[tuple[BatchJob, StackResult]]:
    """Measure on the workers of a cluster; files come as bytes and are written here."""
    progress(0.0, "Looking for workers")
    refused = [(item, _refused_case(item.job, settings)) for item in items]
    yield from ((item.job, result) for item, result in refused if result is not None)
    work = partial(_measure_remotely, settings=settings, load_models=load_models)
    wanted = [item for item, result in refused if result is None]
    results = run_on_cluster(work, wanted, cluster, _first_file)
    try:
        for n, (item, remote) in enumerate(results, start=1):
            progress(n / len(items), f"Series {n} of {len(items)}")
            if isinstance(remote, Died):
                message = "The workers that read this series died."
                yield item.job, failure_result(item.job, settings, "E_CRASH", message)
            else:
                _stage(item, remote)
                yield item.job, remote.result
    finally:
        results.close()


def _first_file(item: _StackItem) -> str:
    return str(item.job.summary.frames[0].source.path)


def _refused_case(job: BatchJob, settings: BatchSettings) -> StackResult | None:
    """Return the failure of a stack whose case file is here and must stay: workers see none."""
    if settings.cases is None:
        return None
    path = store.case_path(settings.cases, job.summary)
    if not store.has_case(path) or (settings.force and not library.has_reader_work(path)):
        return None
    message = f"{path} exists already; it is not replaced."
    return failure_result(job, settings, "E_EXISTS", message)


def _measure_remotely(
    item: _StackItem, settings: BatchSettings, load_models: ModelsLoader
) -> _RemoteResult:
    models = cached_models(load_models)
    limit_threads(THREADS)
    with tempfile.TemporaryDirectory(prefix="scarseg-") as folder:
        staging = Path(folder) / "stack"
        result = measure_job(item.job, replace(settings, staging=staging), models)
        contents = {one.name: (staging / one.name).read_bytes() for one in result.files}
    return _RemoteResult(result, contents)


def _stage(item: _StackItem, remote: _RemoteResult) -> None:
    """Write the files of a worker where those of a process wait, or where they belong."""
    if item.staging is None:
        for one in remote.result.files:
            make_folder(one.target.parent)
            replace_file(one.target, remote.contents[one.name])
        return
    shutil.rmtree(item.staging, ignore_errors=True)
    if remote.contents:
        make_folder(item.staging)
    for name, data in remote.contents.items():
        replace_file(item.staging / name, data)


_worker_models: list[Models] = []
"""Models of a worker process, loaded with its first stack."""


def _measure_in_worker(
    item: _StackItem, settings: BatchSettings, load_models: ModelsLoader
) -> StackResult:
    if not _worker_models:
        _worker_models.append(load_models())
        limit_threads(THREADS)
    return _measure_item(item, settings, _worker_models[0])
