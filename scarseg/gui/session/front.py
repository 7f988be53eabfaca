"""The signals of whichever case is open."""

from __future__ import annotations

from PyQt6.QtCore import QMetaObject, QObject, pyqtSignal

from scarseg.gui.session.open_case import OpenCase


class OpenCaseSignals(QObject):
    """Pass on the signals of the open case: of its document, models, saving, interval and doubts.

    Panels connect once, in their constructors. A case that is left goes on being proposed and
    saved, and another one is prepared behind it: nothing of theirs arrives here.

    Signals:
        slice_changed, current_changed, edited, insertion_changed, remote_changed: see
            :class:`scarseg.gui.session.document.Document`.
        ready_changed, pending_changed, proposing_changed, failed: see
            :class:`scarseg.gui.session.inference_state.InferenceState`.
        save_state_changed: the state of the case on the disk changed.
        interval_changed, doubts_changed: there are others now, or none.
    """

    slice_changed = pyqtSignal(int)
    current_changed = pyqtSignal(int)
    edited = pyqtSignal()
    insertion_changed = pyqtSignal()
    remote_changed = pyqtSignal()
    ready_changed = pyqtSignal(int)
    pending_changed = pyqtSignal(int)
    proposing_changed = pyqtSignal()
    failed = pyqtSignal(str)
    save_state_changed = pyqtSignal()
    interval_changed = pyqtSignal()
    doubts_changed = pyqtSignal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._connected: list[QMetaObject.Connection] = []

    def follow(self, case: OpenCase | None) -> None:
        """Pass on the signals of another case, or of none."""
        for connection in self._connected:
            QObject.disconnect(connection)
        self._connected = []
        if case is None:
            return
        document, inference = case.document, case.inference
        self._connected = [
            document.slice_changed.connect(self.slice_changed),
            document.current_changed.connect(self.current_changed),
            document.edited.connect(self.edited),
            document.insertion_changed.connect(self.insertion_changed),
            document.remote_changed.connect(self.remote_changed),
            inference.ready_changed.connect(self.ready_changed),
            inference.pending_changed.connect(self.pending_changed),
            inference.proposing_changed.connect(self.proposing_changed),
            inference.failed.connect(self.failed),
            case.saver.state_changed.connect(self.save_state_changed),
            case.interval.changed.connect(self.interval_changed),
            case.doubts.changed.connect(self.doubts_changed),
        ]
