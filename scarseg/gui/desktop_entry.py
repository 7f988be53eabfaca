"""The program in the applications menu of Linux: desktop entry, icon, type of case files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from scarseg.io import atomic

ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">
<rect width="64" height="64" rx="14" fill="#0f1317"/>
<circle cx="32" cy="32" r="17" fill="none" stroke="#24b8a4" stroke-width="9"/>
<path d="M32 15 A17 17 0 0 1 47.5 39" fill="none" stroke="#f29100" stroke-width="9"/>
</svg>
"""
ENTRY = """[Desktop Entry]
Type=Application
Name=scarseg
GenericName=Myocardial scar on LGE cardiac MR
Comment=For research use only. Not a medical device.
Exec={command} gui %f
Icon=scarseg
Terminal=false
Categories=Science;MedicalSoftware;
MimeType=application/x-scarseg-case;application/dicom;
StartupWMClass=scarseg
"""
MIME = """<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
<mime-type type="application/x-scarseg-case">
<comment>scarseg case</comment>
<glob pattern="*.scarseg"/>
</mime-type>
</mime-info>
"""
UPDATES = (
    ("update-mime-database", "mime"),
    ("update-desktop-database", "applications"),
)
"""Programs that make the system read these files, where they are installed, and their folder."""


def data_home() -> Path:
    """Return the folder in which the desktop looks for a user's applications."""
    named = os.environ.get("XDG_DATA_HOME", "")
    return Path(named) if Path(named).is_absolute() else Path.home() / ".local" / "share"


def install(folder: Path | None = None) -> list[Path]:
    """Write desktop entry, icon and file type for this user; return the files.

    Args:
        folder: in place of :func:`data_home`.

    Raises:
        OSError: a file cannot be written.
    """
    root = folder or data_home()
    files = {
        root / "applications" / "scarseg.desktop": ENTRY.format(command=_command()),
        root / "icons" / "hicolor" / "scalable" / "apps" / "scarseg.svg": ICON,
        root / "mime" / "packages" / "scarseg.xml": MIME,
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace_file(path, text.encode())
    for program, sub_folder in UPDATES:
        found = shutil.which(program)
        if found is not None:
            subprocess.run(
                [found, str(root / sub_folder)], check=False, capture_output=True, timeout=30
            )
    return list(files)


def _command() -> str:
    """Return what starts the program, quoted for a desktop entry."""
    script = Path(sys.executable).with_name("scarseg")
    words = [str(script)] if script.exists() else [sys.executable, "-m", "scarseg"]
    escaped = (word.replace("\\", "\\\\\\\\").replace('"', '\\\\"') for word in words)
    return " ".join(f'"{word}"' for word in escaped).replace("%", "%%")
