"""Read a study in the real window, from opening to a bug in a slot, and tell what was to be seen.

``python -m tests.reliability.reading STUDY fakes|real [MODULE ...]``: the modules are imported
before the window is. The last line printed is JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SECRET = "ZQXJ99"
PATIENCE_S = 120.0


def read(study: str, models: str) -> dict[str, Any]:
    """Open, wait for proposals, accept a slice, stumble over a bug, save, export, close."""
    from PyQt6.QtCore import QTimer

    from scarseg.gui import app
    from tests.fakes import fake_models

    qt = app.application()
    seen: dict[str, Any] = {"bugs": 0}
    steps = _steps(app, seen)
    end = time.monotonic() + PATIENCE_S
    wanted: list[Callable[[], bool]] = [next(steps)]

    def advance() -> None:
        if time.monotonic() > end:
            seen["stuck"] = True
            qt.exit(3)
        elif wanted[0]():
            wanted[0] = next(steps, lambda: False)

    timer = QTimer(interval=20)
    timer.timeout.connect(advance)
    timer.start()
    seen["status"] = app.main(study, fake_models if models == "fakes" else _default_models)
    timer.stop()
    return seen


def _default_models() -> Any:
    """Load what the window loads; one thread is quicker on a busy machine."""
    from scarseg import models
    from scarseg.gui import app

    loaded = app.load_models()
    models.limit_threads(1)
    return loaded


def _steps(app: Any, seen: dict[str, Any]) -> Iterator[Callable[[], bool]]:
    """Yield what to wait for; act in between."""
    from PyQt6.QtCore import QTimer

    from scarseg.case.history import SliceStatus
    from scarseg.gui.session.autosave import SaveState

    def window() -> Any:
        return next((w for w in app.QApplication.topLevelWidgets() if hasattr(w, "session")), None)

    def current() -> Any:
        return None if window() is None else window().session.current

    def standing(status: SliceStatus) -> bool:
        return any(each.status is status for each in current().document.case.readings)

    yield lambda: current() is not None
    yield lambda: standing(SliceStatus.PROPOSED) and not window().session.inference_worker.busy
    document = current().document
    proposed = [k for k, r in enumerate(document.case.readings) if r.status is SliceStatus.PROPOSED]
    document.go_to(proposed[0])
    window().commands.slices.accept()
    yield lambda: standing(SliceStatus.ACCEPTED)

    def stumble() -> None:
        seen["bugs"] += 1
        raise ValueError(f"a bug that knows {SECRET}")

    QTimer.singleShot(0, stumble)
    yield lambda: seen["bugs"] > 0
    yield lambda: current().saver.state is SaveState.SAVED
    export = window().commands.export
    for name, leave in (("scar.csv", export.export_csv), ("p.json", export.save_prompts)):
        path = Path.cwd() / name
        window().dialogs.save_as = lambda *_, path=path: path
        leave()
        yield path.is_file
    seen["titles"] = [w.windowTitle() for w in app.QApplication.topLevelWidgets()]
    seen["banner"] = window().banner.isVisible()
    seen["case"] = str(current().saver.path)
    seen["platform"] = app.QApplication.platformName()
    window().close()


if __name__ == "__main__":
    for name in sys.argv[3:]:
        importlib.import_module(name)
    answer = read(sys.argv[1], sys.argv[2])
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
