"""A fault anywhere in what follows the reader's hand: the program goes on and nothing is lost."""

from __future__ import annotations

import functools
import inspect
import sys

import pytest

from scarseg.gui import app
from scarseg.gui.commands.export import ExportCommands
from scarseg.gui.commands.reader import ReaderName
from scarseg.gui.commands.segmentation import SegmentationCommands
from scarseg.gui.commands.slices import SliceCommands
from scarseg.gui.commands.studies import StudyCommands
from scarseg.gui.main_window import MainWindow
from scarseg.gui.panels.results import ResultsPanel
from scarseg.gui.panels.status_bar import Banner, StatusBar
from scarseg.gui.panels.studies import StudiesPanel
from scarseg.gui.panels.tool_selection import ToolSelection
from scarseg.gui.presenter.slices import Presenter
from scarseg.gui.reading_time import ReadingTime
from scarseg.gui.session.resume import LastSlice, LockWatcher
from scarseg.gui.viewer.filmstrip import Filmstrip
from tests.reliability.invariants import Watched, differences_on_disk

CLASSES = (
    Presenter, StudyCommands, SliceCommands, SegmentationCommands, ExportCommands, ReaderName,
    ToolSelection, ReadingTime, Filmstrip, ResultsPanel,
    StudiesPanel, StatusBar, LastSlice, LockWatcher, MainWindow,
)  # fmt: skip
KEPT = ("closeEvent", "_tick")


class Fault(Exception):  # noqa: N818 - raised on purpose
    """What a bug would raise."""


class Saboteur:
    """Make one method at a time raise, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.armed, self.raised = "", 0
        self.met: set[str] = set()
        for kind in CLASSES:
            for name, method in list(vars(kind).items()):
                if inspect.isfunction(method) and not name.startswith("__") and name not in KEPT:
                    self._spoil(monkeypatch, kind, name, method)

    def _spoil(self, monkeypatch, kind, name, method) -> None:
        label = f"{kind.__name__}.{name}"
        takes = inspect.signature(method).parameters.values()
        most = sum(each.kind is not each.KEYWORD_ONLY for each in takes)

        @functools.wraps(method)
        def spoiled(*arguments, **named):
            self.met.add(label)
            if self.armed == label:
                self.armed, self.raised = "", self.raised + 1
                raise Fault(label)
            return method(*arguments[:most], **named)  # a signal may give more than a slot takes

        monkeypatch.setattr(kind, name, spoiled)


def work(reader) -> None:
    """Paint, ask, accept, undo and go about."""
    column = 10.0 + reader.document.revision % 40
    for name in (
        "brush", "box", "next_slice", "accept", "undo", "redo", "previous_slice", "label_2",
        "label_3", "larger", "smaller", "fit", "fill", "copy_down", "no_scar", "save",
    ):  # fmt: skip
        reader.act_if_able(name)
        if name == "brush":
            reader.drag((column, 20), (column + 6, 24))
        elif name == "box":
            reader.drag((30, 20), (50, 40))
        reader.qtbot.wait(0)


def test_a_fault_in_any_slot_ends_nothing_and_loses_nothing(
    make_reader, phantom_stack, monkeypatch, log_words
):
    log_words.append("Fault")
    saboteur = Saboteur(monkeypatch)
    reader = make_reader()
    reader.act_if_able = lambda name: reader.window.actions_by_name[name].trigger()
    caught: list[BaseException] = []
    hook = app.excepthook(reader.window)

    def catch(kind, error, trace):
        caught.append(error)
        hook(kind, error, trace)

    monkeypatch.setattr(sys, "excepthook", catch)
    reader.open(phantom_stack)
    reader.wait_ready()
    watched = Watched(reader.document)
    saboteur.met.clear()
    work(reader)
    for name in sorted(saboteur.met):
        saboteur.armed = name
        work(reader)
        saboteur.armed = ""
    assert saboteur.raised > 30, "the faults were hardly ever met"
    assert all(isinstance(each, Fault) for each in caught), caught
    assert reader.window.isVisible()
    assert "Fault" in reader.window.banner.text.text()
    reader.window.banner.hide()
    work(reader)
    reader.settle()
    reader.session.current.saver.save_now()
    reader.wait_saved()
    watched.check_steps()
    assert watched.broken == []
    reader.session.current.saver.save_now()
    reader.wait_saved()
    assert differences_on_disk(reader.session.current) == []
    assert isinstance(reader.window.banner, Banner)
