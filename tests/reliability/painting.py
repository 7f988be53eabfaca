"""Paint in the real window without end and say what the window shows as saved; to be killed.

``python -m tests.reliability.painting STUDY``. Stroke n leaves n as a row of bits (blood pool
or scar) in the first slice; each line printed is a stroke that the reader saw as saved.
"""

from __future__ import annotations

import sys
from typing import Any

from scarseg.case.labels import Label, LabelArray

N_BITS = 24


def put_number(labels: LabelArray, number: int) -> LabelArray:
    """Write a number into a copy of one slice's labels (row, column)."""
    painted = labels.copy()
    for bit in range(N_BITS):
        painted[0, bit] = Label.SCAR if number >> bit & 1 else Label.BLOOD_POOL
    return painted


def get_number(labels: LabelArray) -> int:
    """Read the number of one slice's labels (row, column); 0 before the first stroke."""
    row = labels[0, :N_BITS]
    return sum(1 << bit for bit in range(N_BITS) if row[bit] == Label.SCAR)


def paint(study: str) -> int:
    from PyQt6.QtCore import QTimer

    from scarseg.gui import app
    from scarseg.gui.session.autosave import SaveState
    from tests.fakes import fake_models

    qt = app.application()
    at: dict[str, Any] = {"number": None}

    def stroke() -> None:
        windows = [w for w in qt.topLevelWidgets() if hasattr(w, "session")]
        current = windows[0].session.current if windows else None
        if current is None or current.saver.state not in (SaveState.SAVED, SaveState.FAILED):
            return
        document = current.document
        if at["number"] is None:
            at["number"] = get_number(document.case.labels[0])
            sys.stdout.write("read only\n" if document.read_only else "opened\n")
        else:
            sys.stdout.write(f"{at['number']}\n")
        sys.stdout.flush()
        at["number"] += 1
        labels = put_number(document.case.labels[0], at["number"])
        reading = document.case.readings[0]
        document.push(document.case.change("Paint", 0, reading, labels))
        current.saver.save_now()

    timer = QTimer(interval=1)
    timer.timeout.connect(stroke)
    timer.start()
    return app.main(study, fake_models)


if __name__ == "__main__":
    raise SystemExit(paint(sys.argv[1]))
