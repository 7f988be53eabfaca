"""The calibration that the window uses: a file that it remembers from one start to the next."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QSettings

from scarseg.case.calibration import Calibration
from scarseg.errors import ScarsegError
from scarseg.models.calibration_file import read_calibration
from scarseg.models.weights import resolve_weights

CALIBRATION_KEY = "calibration"


def remember_calibration(settings: QSettings, path: Path | None) -> None:
    """Remember the file of a calibration; None: none is used any more."""
    if path is None:
        settings.remove(CALIBRATION_KEY)
    else:
        settings.setValue(CALIBRATION_KEY, str(path.absolute()))


def recall_calibration(settings: QSettings) -> tuple[Calibration | None, str]:
    """Return the calibration that is remembered, and a sentence where it cannot be used."""
    path = str(settings.value(CALIBRATION_KEY, ""))
    if not path:
        return None, ""
    try:
        found = read_calibration(Path(path))
        used = (resolve_weights(None, kind).identity.sha256 for kind in ("segmenter", "detector"))
        return found.of_weights(*used), ""
    except ScarsegError as error:
        return None, (
            f"{error.code}: {error.message} The models propose without calibration; start with"
            " --calibration FILE for another, or none for no more of it."
        )
