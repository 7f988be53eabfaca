"""Where a reader left each case: a convenience, kept beside the case files, named by UIDs.

Failing to keep or find a place is never an error: one then begins at the next slice to read.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from scarseg.io import atomic
from scarseg.io.store_lock import one_at_a_time

MOST = 1000
"""So many cases are remembered, the latest ones."""
_log = logging.getLogger(__name__)


def keep(folder: Path, name: str, slice_index: int) -> None:
    """Remember the slice at which the case of this name was left."""
    try:
        if not folder.is_dir():
            return
        with one_at_a_time(folder):
            places = _read(folder)
            if places.pop(name, None) == slice_index and not places:
                return
            places[name] = slice_index
            latest = dict(list(places.items())[-MOST:])
            atomic.replace_file(_file(folder), json.dumps(latest, indent=0).encode("ascii"))
    except OSError as error:
        _log.info("a place was not kept: %s", type(error).__name__)


def recall(folder: Path, name: str, n_slices: int) -> int | None:
    """Give the slice at which the case of this name was left; None where that is not known."""
    place = _read(folder).get(name)
    return place if place is not None and 0 <= place < n_slices else None


def _file(folder: Path) -> Path:
    return folder / "places.json"


def _read(folder: Path) -> dict[str, int]:
    try:
        found = json.loads(_file(folder).read_bytes()[: 1 << 20])
        return {str(name): place for name, place in found.items() if type(place) is int}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
