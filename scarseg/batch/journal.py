"""The journal of a run: finished stacks, kept beside the table until that is written.

``scar.csv.partial/`` holds ``run.json`` (the settings, versions, weights and inputs of the run),
one ``KEY.json`` per finished stack and, while a stack is worked on, a folder ``KEY/`` with the
files it is to leave. Row, masks and report of a stack are one unit:

1. a worker writes the files into ``KEY/``;
2. the parent writes ``KEY.json``, flushed to the disk: from here on the stack is finished;
3. the parent moves the files to their places.

A program killed before step 2 has left nothing of the stack; one killed later has left all of
it, since opening the journal repeats step 3.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scarseg.batch.models import BatchSettings
from scarseg.batch.results import StackResult
from scarseg.batch.selection import BatchJob
from scarseg.batch.staging import StagedFile
from scarseg.errors import InputError, OutputError, StoreError, WeightsError
from scarseg.io.atomic import flush_folder, replace_file
from scarseg.io.casefile.lock import CaseLock
from scarseg.io.files import make_folder
from scarseg.io.tables.table import StackRecord
from scarseg.models.weights import resolve_weights

RUN, TABLES = "run.json", "tables"
NOT_KEPT = frozenset({"E_CRASH", "E_MEMORY", "E_WRITE"})
"""Failures of the machine, not of the stack: a resumed run tries again."""


@dataclass
class Journal:
    """The finished stacks of one run.

    Args:
        folder: where they are kept; made when the first stack is finished.
        settings: what decides the results; a run with others is refused.
        keys: of all stacks of the run, by the name of their mask, which is unique.
        force: whether the run may replace tables that exist.
        finished: results by key.
    """

    folder: Path
    settings: Mapping[str, Any]
    keys: Mapping[str, str]
    force: bool = False
    finished: dict[str, StackResult] = field(default_factory=dict)
    _lock: CaseLock = field(default_factory=CaseLock)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the folder; one without a finished stack is removed."""
        self._lock.release()
        if not self.finished:
            shutil.rmtree(self.folder, ignore_errors=True)

    def result_of(self, job: BatchJob) -> StackResult | None:
        """Return the result of a stack that an earlier run finished, or None."""
        return self.finished.get(self.keys[job.mask_file])

    def staging(self, job: BatchJob) -> Path:
        """Return the folder that takes the files of a stack until it is finished."""
        return self.folder / self.keys[job.mask_file]

    def keep(self, job: BatchJob, result: StackResult) -> StackResult:
        """Keep a finished stack and move its files to their places.

        Returns:
            the result as a resumed run would read it, so that both write the same bytes.

        Raises:
            OutputError: E_WRITE, E_RUN_LOCKED; the stacks before it are kept.
        """
        if result.record.row.get("error_code") in NOT_KEPT:
            return result
        key = self.keys[job.mask_file]
        data = json.dumps(_document(result), default=_plain_number).encode()
        try:
            self._create()
            replace_file(self.folder / f"{key}.json", data)
            publish(self.folder / key, result.files)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        self.finished[key] = _result(json.loads(data))
        return self.finished[key]

    def begin_tables(self) -> None:
        """Note that the tables are written from now on: a resumed run may replace them."""
        if self.finished:
            try:
                replace_file(self.folder / TABLES, b"")
            except OSError as error:
                raise _unwritable(self.folder, error) from error

    def remove(self) -> None:
        """Remove the journal; the tables are written."""
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.finished.clear()

    def resume_hint(self) -> str:
        """Return how to go on after an interruption; empty where nothing was finished."""
        if not self.finished:
            return ""
        return f"{len(self.finished)} of {len(self.keys)} series are kept; go on with --resume."

    def _create(self) -> None:
        if self._lock.held:
            return
        lock_folder(self._lock, self.folder)
        document = {"force": self.force, "settings": dict(self.settings)}
        replace_file(self.folder / RUN, (json.dumps(document, indent=1) + "\n").encode())


def journal_folder(table: Path) -> Path:
    """Return the folder of the journal of a table."""
    return table.with_name(table.name + ".partial")


def tables_may_be_replaced(table: Path) -> bool:
    """Return whether the interrupted run of a table had leave to replace it, or wrote it."""
    folder = journal_folder(table)
    return (folder / TABLES).exists() or bool(_read_run(folder).get("force"))


def open_journal(
    table: Path,
    settings: BatchSettings,
    jobs: Sequence[BatchJob],
    given: Mapping[str, Any],
    *,
    resume: bool,
    force: bool,
) -> Journal:
    """Open the journal of a run; with ``resume`` go on with the one that was interrupted.

    Args:
        given: settings of the run that ``settings`` do not hold: device, weights, prompts.

    Raises:
        OutputError: E_EXISTS, an interrupted run is here and neither ``resume`` nor ``force``;
            E_RUN_LOCKED, another program writes it; E_WRITE.
        InputError: E_RUN_OTHER, the interrupted run had other settings or inputs.
    """
    folder = journal_folder(table)
    keys = {job.mask_file: job_key(job) for job in jobs}
    journal = Journal(folder, _run_settings(settings, keys, given), keys, force)
    if not folder.exists():
        return journal
    lock_folder(journal._lock, folder)
    n_kept = sum(1 for path in folder.glob("*.json") if path.name != RUN)
    if not resume:
        if n_kept and not force:
            journal._lock.release()
            message = (
                f"{folder} holds {n_kept} finished series of an interrupted run; go on with"
                " --resume, or give --force to begin anew."
            )
            raise OutputError("E_EXISTS", message, str(folder))
        _clear(folder)
        journal._lock.release()
        return journal
    if n_kept:
        run = _read_run(folder)
        _require_same_run(folder, run.get("settings", {}), journal.settings)
        journal.force = force or tables_may_be_replaced(table)
        _load(journal)
    return journal


def lock_folder(lock: CaseLock, folder: Path) -> None:
    """Lock the journal of a run: two programs writing one would spoil both.

    Raises:
        OutputError: E_RUN_LOCKED, E_WRITE.
    """
    make_folder(folder)
    try:
        lock.acquire(folder / "run")
    except StoreError as error:
        if error.code != "E_CASE_LOCKED":
            raise OutputError("E_WRITE", f"{folder} cannot be written.", str(folder)) from error
        message = (
            f"Another program is writing {folder}; wait for it, or stop it first. If none runs,"
            f" delete {folder / 'run.lock'}."
        )
        raise OutputError("E_RUN_LOCKED", message, str(folder)) from error


def publish(staging: Path, files: Sequence[StagedFile]) -> None:
    """Move the files of a finished stack to their places; those that are there already stay.

    Raises:
        OSError, OutputError: E_WRITE.
    """
    for file in files:
        staged = staging / file.name
        if not staged.exists():
            continue
        if file.target.is_file() and file.target.read_bytes() == staged.read_bytes():
            continue
        make_folder(file.target.parent)
        try:
            staged.replace(file.target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            mode = staged.stat().st_mode & 0o777
            replace_file(file.target, staged.read_bytes(), mode)  # on another disk
            staged.unlink()
        flush_folder(file.target.parent)
    shutil.rmtree(staging, ignore_errors=True)


def job_key(job: BatchJob) -> str:
    """Return a key of a stack: of who it is and of the size and age of its files."""
    digest = hashlib.sha256()
    one = job.summary
    for part in (one.stack_id, one.study_uid, one.patient_id, job.mask_file):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    for frame in one.frames:
        try:
            status = Path(frame.source.path).stat()
            age = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            age = "gone"
        digest.update(f"{frame.sop_uid} {frame.number} {age}\0".encode())
    return digest.hexdigest()[:32]


def weights_in_use(segmenter: object, detector: object) -> dict[str, str]:
    """Return the sha256 of the weights a run reads, empty where there are none."""
    found = {}
    for kind, given in (("segmenter", segmenter), ("detector", detector)):
        try:
            found[kind] = "" if given == "none" else resolve_weights(given, kind).identity.sha256  # type: ignore[arg-type]
        except WeightsError:
            found[kind] = ""
    return found


def _run_settings(
    settings: BatchSettings, keys: Mapping[str, str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings that decide the results of a run, as JSON reads them back."""
    every = {
        **given,
        "interval": settings.interval,
        "masks": "" if settings.masks is None else str(settings.masks.absolute()),
        "mask_format": str(settings.mask_format),
        "sr": settings.sr,
        "cases": "" if settings.cases is None else str(settings.cases.absolute()),
        "report": "" if settings.reports is None else str(settings.reports.absolute()),
        "versions": {name: version(name) for name in ("scarseg", "torch", "numpy")},
        **({"dicom_report": True} if settings.dicom_report else {}),
        **({"dicom_montage": True} if settings.dicom_montage else {}),
        "inputs": hashlib.sha256("".join(sorted(keys.values())).encode()).hexdigest(),
    }
    document: dict[str, Any] = json.loads(json.dumps(every))
    return document


def _require_same_run(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differ = [
        "other inputs"
        if name == "inputs"
        else f"{name} was {before.get(name)}, is now {now.get(name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if differ:
        message = (
            f"The interrupted run in {folder} was another one: {'; '.join(differ)}. Repeat its"
            " command, or give --force without --resume to begin anew."
        )
        raise InputError("E_RUN_OTHER", message, str(folder))


def _load(journal: Journal) -> None:
    """Read the finished stacks of an interrupted run and finish moving their files."""
    for key in journal.keys.values():
        path = journal.folder / f"{key}.json"
        try:
            result = _result(json.loads(path.read_bytes()))
            publish(journal.folder / key, result.files)
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # damaged: computed again
        except OSError as error:
            raise _unwritable(journal.folder, error) from error
        if all(file.target.exists() for file in result.files):
            journal.finished[key] = result


def _read_run(folder: Path) -> dict[str, Any]:
    try:
        run = json.loads((folder / RUN).read_bytes())
    except (OSError, ValueError):
        return {}
    return run if isinstance(run, dict) else {}


def _clear(folder: Path) -> None:
    """Remove what an earlier run left in a journal, but not the lock on it."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == ".json" or path.name == TABLES:
            path.unlink(missing_ok=True)


def _document(result: StackResult) -> dict[str, Any]:
    record = result.record
    return {
        "record": {
            "row": dict(record.row),
            "slices": [dict(one) for one in record.slices],
            "provenance": dict(record.provenance),
        },
        "note": result.note,
        "trouble": result.trouble,
        "used": [list(key) for key in sorted(result.used, key=str)],
        "tables": {name: [dict(row) for row in rows] for name, rows in result.tables.items()},
        "files": [[file.name, str(file.target)] for file in result.files],
    }


def _result(document: Mapping[str, Any]) -> StackResult:
    record = document["record"]
    return StackResult(
        StackRecord(record["row"], tuple(record["slices"]), record["provenance"]),
        document["note"],
        document["trouble"],
        frozenset((uid, frame) for uid, frame in document["used"]),
        {name: tuple(rows) for name, rows in document["tables"].items()},
        tuple(StagedFile(name, Path(target)) for name, target in document["files"]),
    )


def _plain_number(value: Any) -> Any:
    """Turn a NumPy scalar into a number that JSON knows."""
    return value.item()


def _unwritable(folder: Path, error: OSError) -> OutputError:
    message = f"{folder} cannot be written: {error.strerror or error}."
    return OutputError("E_WRITE", message, str(folder))
