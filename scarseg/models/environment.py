"""The environment that torch and ultralytics read; cheap to import."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

_GUARDS = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",
    "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
}

_DEFAULTS = {
    # Threads that spin while they wait make torch twenty times slower on a busy machine. OpenMP
    # reads this once, when torch is loaded.
    "OMP_WAIT_POLICY": "PASSIVE",
    # What ultralytics sets by itself when it is imported.
    "NUMEXPR_MAX_THREADS": str(min(8, max(1, (os.cpu_count() or 2) - 1))),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "KINETO_LOG_LEVEL": "5",
}


def prepare_environment() -> None:
    """Set what keeps ultralytics off the network, and its settings in a folder of our own.

    Call before torch and ultralytics are imported, and before any thread is started: to add to
    the environment while another thread's library reads it can end the process. Calling again
    does no harm.
    """
    os.environ.update(_GUARDS)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if "SCARSEG_YOLO_CONFIG_DIR" not in os.environ:
        folder = user_cache_path("scarseg", appauthor=False) / "ultralytics"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(folder)
        except OSError:
            folder = Path(tempfile.mkdtemp(prefix="scarseg-ultralytics-"))
        os.environ["SCARSEG_YOLO_CONFIG_DIR"] = str(folder)
    os.environ["YOLO_CONFIG_DIR"] = os.environ["SCARSEG_YOLO_CONFIG_DIR"]
