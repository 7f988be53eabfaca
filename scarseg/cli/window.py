"""``scarseg gui``: open the window."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from scarseg.cli.options import calibration_of
from scarseg.cli.parser import Commands, examples
from scarseg.errors import InputError


def add_gui(commands: Commands) -> None:
    """Add ``scarseg gui``."""
    gui = commands.add_parser(
        "gui",
        help="open the window",
        epilog=examples("scarseg gui", "scarseg gui study", "scarseg gui --calibration site.json"),
    )
    gui.add_argument("path", nargs="?", metavar="PATH", help="folder, file or zip to open")
    gui.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help='what scarseg calibrate learned of a site; kept for the next start ("none": no more)',
    )
    gui.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not has_display():
        raise InputError(
            "E_NO_DISPLAY",
            "There is no display for a window; use scarseg batch or scarseg demo --headless.",
        )
    if str(options.calibration) != "none":
        calibration_of(options, None, None)  # refused before the window opens
    return open_window(options.path, options.calibration)


def has_display() -> bool:
    """Return whether a window can be shown here."""
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_window(path: str | None, calibration: Path | None = None) -> int:
    """Open the window, on a study if ``path`` names one; return its exit status.

    Raises:
        InputError: E_QT_LIBRARY, E_NO_DISPLAY.
    """
    try:
        from scarseg.gui.display import require_display

        require_display()  # before the window's modules, which take seconds to import
        from scarseg.gui import app
    except ImportError as error:  # a library of the system that Qt itself is linked with
        from_linker = "cannot open shared object file" in str(error)
        if not from_linker:
            raise
        raise InputError("E_QT_LIBRARY", f"Qt cannot be loaded: {error}.") from error
    return int(app.main(path, calibration=calibration))
