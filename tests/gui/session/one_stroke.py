"""Open a study in the real window, paint once, and wait for a signal; autosave is far away.

``python -m tests.gui.session.one_stroke STUDY`` prints ``painted``.
"""

from __future__ import annotations

import sys

from tests.reliability.painting import put_number


def paint(study: str) -> int:
    from PyQt6.QtCore import QTimer

    from scarseg.gui import app
    from scarseg.gui.session import autosave
    from tests.fakes import fake_models

    autosave.DELAY_MS = autosave.LONGEST_MS = 600_000
    qt = app.application()
    timer = QTimer(interval=20)

    def stroke() -> None:
        windows = [w for w in qt.topLevelWidgets() if hasattr(w, "session")]
        current = windows[0].session.current if windows else None
        if current is None:
            return
        timer.stop()
        document = current.document
        labels = put_number(document.case.labels[0], 7)
        document.push(document.case.change("Paint", 0, document.case.readings[0], labels))
        sys.stdout.write("painted\n")
        sys.stdout.flush()

    timer.timeout.connect(stroke)
    timer.start()
    return app.main(study, fake_models)


if __name__ == "__main__":
    raise SystemExit(paint(sys.argv[1]))
