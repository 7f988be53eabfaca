"""Start programs of their own: what pytest, a debugger or a warm cache would hide shows there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SWITCHES = ("YOLO", "ULTRALYTICS", "PYTEST", "SCARSEG", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a newcomer: an empty home and none of our or others' switches."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SWITCHES)}
    home.mkdir(exist_ok=True)
    places = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "SCARSEG_HOME": str(home / "scarseg"),
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": str(ROOT),
    }
    return {**kept, **places, **more}


def run_child(
    home: Path, *arguments: str, timeout_s: float = 240, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python ARGUMENTS`` in an empty working folder with a clean environment."""
    folder = home / "work"
    environment = clean_environment(home, **more)
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def last_line_as_json(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def need_weights() -> None:
    """Skip where the checkout has no default weights."""
    from scarseg.models.weights import weights_folder

    if not (weights_folder() / "manifest.json").is_file():
        pytest.skip("the checkout has no weights")
