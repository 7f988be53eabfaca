"""Read studies in the real window at random, and tell of every change and what is shown as saved.

``python -m tests.reliability.killed_reader FOLDER SEED fakes|real``; it reads until it is killed.
Lines: ``opened STACK writable|locked DIGEST SECONDS``, ``changed STACK NUMBER DIGEST``,
``saving STACK SECONDS`` and ``saved STACK NUMBER``: what the foot of the window showed when that
change was the last one. ``used TOOL`` counts the insertion points and remote regions.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from typing import Any

from scarseg.case.case import Case

KEYS = ("Return", "N", "Down", "Up", "Ctrl+Z", "Ctrl+Y", "Ctrl+Down", "Alt+Down", "Space", "Ctrl+S")
WEIGHTS = (5, 1, 4, 4, 3, 1, 1, 1, 2, 2)
TOOLS = ("box", "box", "point", "brush", "brush", "eraser", "lasso")


def digest(case: Case) -> str:
    """Fingerprint everything of a case that a reader changes."""
    found = hashlib.sha256(case.labels.tobytes())
    found.update(
        repr((case.readings, case.insertion, sorted(case.remote_regions.items()))).encode()
    )
    return found.hexdigest()[:16]


def tell(*words: object) -> None:
    os.write(1, (" ".join(str(each) for each in words) + "\n").encode())


class Scripted:
    """A reader at the real window who never stops; all by mouse and keys."""

    def __init__(self, qt: Any, seed: int) -> None:
        self.qt, self.chance = qt, random.Random(seed)
        self.numbers: dict[str, int] = {}
        self.window: Any = None

    def act(self) -> None:
        """Do one thing a reader does, once the window is there."""
        if self.window is None:
            found = [w for w in self.qt.topLevelWidgets() if hasattr(w, "session")]
            if found:
                self.window = found[0]
                self.window.session.opened.connect(self.follow)
            return
        if self.window.session.current is None:
            return
        what = self.chance.choices(
            (self.gesture, self.key, self.rest, self.leave, self.insertion, self.remote),
            (5, 6, 0.5, 0.15, 0.5, 0.4),
        )
        what[0]()

    def follow(self) -> None:
        current = self.window.session.current
        if current is None:
            return
        document, name = current.document, current.entry.stack_id
        self.numbers.setdefault(name, 0)
        how = "locked" if document.read_only else "writable"
        tell("opened", name, how, digest(document.case), document.case.seconds)
        document.edited.connect(lambda: self.changed(name, document))
        current.saver.state_changed.connect(lambda: self.look_at_foot(name, current))

    def changed(self, name: str, document: Any) -> None:
        self.numbers[name] += 1
        tell("changed", name, self.numbers[name], digest(document.case))

    def look_at_foot(self, name: str, current: Any) -> None:
        """Print "saved" when the status bar of the window does, after it was drawn anew."""
        if self.window.session.current is current:
            words = self.window.status_bar.saved.text().rsplit(">", 1)[-1].strip()
            if words == "saved":
                tell("saved", name, self.numbers[name])
            elif words == "saving":
                tell("saving", name, current.document.case.seconds)

    def insertion(self) -> None:
        """Set or take back the insertion of the right ventricle by a click."""
        before = self.window.session.current.document.case.insertion
        self.window.actions_by_name["insertion"].trigger()
        self.drag(0)
        if self.window.session.current.document.case.insertion != before:
            tell("used", "insertion")

    def remote(self) -> None:
        """Draw a remote region, or take one back."""
        self.window.actions_by_name["remote"].trigger()
        regions = self.window.session.current.document.case.remote_regions
        before = dict(regions)
        self.drag(self.chance.choice((0, 6)))
        if regions != before:
            tell("used", "remote")

    def gesture(self) -> None:
        self.window.actions_by_name[self.chance.choice(TOOLS)].trigger()
        self.drag(self.chance.randint(0, 4))

    def drag(self, n_moves: int) -> None:
        """Press somewhere in the middle of the picture, move, let go."""
        from PyQt6.QtCore import QPoint, Qt
        from PyQt6.QtTest import QTest

        canvas = self.window.canvas
        handle = self.window.windowHandle()
        at = canvas.mapTo(self.window, canvas.from_source(*self.somewhere()).toPoint())
        left = Qt.MouseButton.LeftButton
        QTest.mousePress(handle, left, Qt.KeyboardModifier.NoModifier, at)
        for _ in range(n_moves):
            at += QPoint(self.chance.randint(-30, 30), self.chance.randint(-30, 30))
            QTest.mouseMove(handle, at)
        QTest.mouseRelease(handle, left, Qt.KeyboardModifier.NoModifier, at)

    def somewhere(self) -> tuple[float, float]:
        stack = self.window.session.current.document.case.stack
        return (
            stack.columns * self.chance.uniform(0.35, 0.65),
            stack.rows * self.chance.uniform(0.35, 0.65),
        )

    def key(self) -> None:
        from PyQt6.QtGui import QKeySequence
        from PyQt6.QtTest import QTest

        name = self.chance.choices(KEYS, WEIGHTS)[0]
        combination = QKeySequence(name)[0]
        QTest.keyClick(self.window, combination.key(), combination.keyboardModifiers())

    def rest(self) -> None:
        from PyQt6.QtTest import QTest

        QTest.qWait(self.chance.choice((30, 100, 1100)))

    def leave(self) -> None:
        """Open another study of the list."""
        studies = self.window.session.study_list.studies
        entry = self.chance.choice(studies).proposed
        if entry is not None:
            self.window.studies.entry_chosen.emit(entry)


def main(study: str, seed: int, models: str) -> int:
    from PyQt6.QtCore import QTimer

    from scarseg.gui import app
    from tests.fakes import fake_models

    reader = Scripted(app.application(), seed)
    timer = QTimer(interval=15)
    busy = [False]

    def act() -> None:
        if not busy[0]:
            busy[0] = True
            try:
                reader.act()
            finally:
                busy[0] = False

    timer.timeout.connect(act)
    timer.start()
    return app.main(study, fake_models if models == "fakes" else None)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
