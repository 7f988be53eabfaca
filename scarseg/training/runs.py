"""The folder of one training run: its files, its lock, its recipe."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scarseg.errors import InputError, OutputError, StoreError
from scarseg.io.atomic import replace_file
from scarseg.io.casefile.lock import CaseLock
from scarseg.io.files import make_folder, safe_name
from scarseg.models.weights import list_weights

RECIPE, SPLIT, LOG = "recipe.json", "split.json", "log.jsonl"
CHECKPOINTS = ("checkpoint.pt", "checkpoint.safetensors")
OPEN_TO_CHANGE = frozenset({"minutes", "steps", "init"})
"""Settings that may differ when a run is resumed: its length; its start no longer matters."""


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, readable by all.

    Raises:
        OutputError: E_WRITE, for instance when the disk is full; what stood there stands.
    """
    try:
        replace_file(path, data, 0o644)
    except OSError as error:
        raise _unwritable(path, error) from error


def append_line(path: Path, line: str) -> None:
    """Add a line to a log.

    Raises:
        OutputError: E_WRITE.
    """
    try:
        with path.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        "E_WRITE", f"{path} cannot be written: {error.strerror or error}.", str(path)
    )


def claim_folder(folder: Path, resume: bool) -> bool:
    """Check that a run may start or be resumed in a folder; return whether there is one to resume.

    Raises:
        OutputError: E_EXISTS where another run stands and ``resume`` is False, E_OUTPUT_NAME
            for the name of shipped weights, E_WRITE.
    """
    name = folder.resolve().name
    if safe_name(name) != name:
        message = f"{name!r} cannot name weights; use letters, digits, dot, dash and underscore."
        raise OutputError("E_OUTPUT_NAME", message, str(folder))
    if (folder / "manifest.json").exists() or any(e.name == name for e in list_weights()):
        message = (
            f"{folder} would stand for shipped weights; give the new ones a name of their own."
        )
        raise OutputError("E_OUTPUT_NAME", message, str(folder))
    standing = any((folder / one).exists() for one in CHECKPOINTS)
    held = [
        one for one in (RECIPE, *CHECKPOINTS, *exported_names(folder)) if (folder / one).exists()
    ]
    if held and not resume:
        message = (
            f"{folder} holds a training run already ({held[0]}); go on with --resume, or choose"
            " another folder."
        )
        raise OutputError("E_EXISTS", message, str(folder))
    make_folder(folder)
    return standing


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a run's folder: two programs training in one would spoil both.

    Raises:
        OutputError: E_RUN_LOCKED while another program trains there.
    """
    lock = CaseLock()
    try:
        lock.acquire(folder / "run")
    except StoreError as error:
        if error.code != "E_CASE_LOCKED":
            raise OutputError("E_WRITE", f"{folder} cannot be written.", str(folder)) from error
        message = (
            f"Another program is training in {folder}; wait for it, or stop it first. If none"
            f" runs, delete {folder / 'run.lock'}."
        )
        raise OutputError("E_RUN_LOCKED", message, str(folder)) from error
    with lock:
        yield


def exported_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the files that a finished run writes into its folder."""
    name = folder.resolve().name
    return tuple(f"{name}.{end}" for end in ("safetensors", "pth", "json", "md", "sha256"))


def read_recipe(folder: Path) -> dict[str, Any]:
    """Read the recipe of the run in a folder; empty without one.

    Raises:
        InputError: E_INPUT_UNREADABLE.
    """
    path = folder / RECIPE
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("E_INPUT_UNREADABLE", f"{path} cannot be read.", str(path)) from error
    return recipe if isinstance(recipe, dict) else {}


def require_same_recipe(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Refuse to resume a run with another recipe; only its length may change.

    Raises:
        InputError: E_RUN_OTHER naming what differs.
    """
    ours = json.loads(json.dumps(recipe))
    before = read_recipe(folder)
    differ = [
        f"{name} was {before[name]}, is now {value}"
        for name, value in ours.items()
        if name in before and before[name] != value and name not in OPEN_TO_CHANGE
    ]
    if differ:
        message = f"The run in {folder} had other settings: {'; '.join(differ)}."
        raise InputError("E_RUN_OTHER", message, str(folder))


def write_recipe(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Write the recipe of a run, over that of the part before it."""
    write_file(folder / RECIPE, (json.dumps(recipe, indent=1) + "\n").encode())


def weights_name(folder: Path) -> str:
    """Return the name of the weights of a run: that of its folder."""
    return Path(os.path.realpath(folder)).name
