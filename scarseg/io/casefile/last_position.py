"""The slice at which each case was left, and the folder opened last."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path

from scarseg.io import atomic
from scarseg.io.casefile.lock import folder_guard

MAX_REMEMBERED = 1000
"""Cases whose last slice is remembered, the latest ones."""
RECENT, MAX_RECENT = "recent_folders.json", 8
"""File of the folders opened last, and how many are remembered."""
MIN_NAME_LENGTH = 3
"""Shorter parts of a name or identifier are found in any path."""
_log = logging.getLogger(__name__)


def save_last_slice(folder: Path, name: str, slice_index: int) -> None:
    """Remember the slice at which the case of this name was left."""
    try:
        if not folder.is_dir():
            return
        with folder_guard(folder):
            slices = _read(folder)
            if slices.pop(name, None) == slice_index and not slices:
                return
            slices[name] = slice_index
            latest = dict(list(slices.items())[-MAX_REMEMBERED:])
            atomic.replace_file(_file(folder), json.dumps(latest, indent=0).encode("ascii"))
    except OSError as error:
        _log.info("the last slice was not kept: %s", type(error).__name__)


def load_last_slice(folder: Path, name: str, n_slices: int) -> int | None:
    """Return the slice at which the case of this name was left; None where that is not known."""
    place = _read(folder).get(name)
    return place if place is not None and 0 <= place < n_slices else None


def save_last_folder(folder: Path, shown: Path, names: Iterable[str]) -> None:
    """Remember the folder that was opened, unless its path holds a part of one of these names."""
    path = shown.absolute()
    letters = _letters(str(path))
    parts = {part for name in names for part in re.split(r"[\W_]+", name.casefold())}
    whole = {_letters(name) for name in names}
    named = any(len(part) >= MIN_NAME_LENGTH and part in letters for part in parts | whole)
    kept = folder / "last_folder.json"
    try:
        if named or not path.is_dir():
            kept.unlink(missing_ok=True)
        else:
            atomic.make_private_folder(folder)
            recent = [path, *(one for one in load_recent_folders(folder) if one != path)]
            texts = [str(one) for one in recent[:MAX_RECENT]]
            atomic.replace_file(folder / RECENT, json.dumps(texts).encode("ascii"))
            atomic.replace_file(kept, json.dumps(str(path)).encode("ascii"))
    except OSError as error:
        _log.info("the folder was not kept: %s", type(error).__name__)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def load_last_folder(folder: Path) -> Path | None:
    """Return the folder of last time, if it is still there."""
    try:
        path = Path(json.loads((folder / "last_folder.json").read_bytes()[: 1 << 16]))
        return path if path.is_dir() else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def load_recent_folders(folder: Path) -> list[Path]:
    """Return the folders opened last that are still there, the latest first."""
    try:
        found = json.loads((folder / RECENT).read_bytes()[: 1 << 16])
        return [path for path in map(Path, found[:MAX_RECENT]) if path.is_dir()]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def _file(folder: Path) -> Path:
    return folder / "places.json"


def _read(folder: Path) -> dict[str, int]:
    try:
        found = json.loads(_file(folder).read_bytes()[: 1 << 20])
        return {str(name): place for name, place in found.items() if type(place) is int}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
