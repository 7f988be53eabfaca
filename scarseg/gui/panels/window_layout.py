"""Sizes of the window: text, widths of the panels, tabs or side by side; all remembered."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import QEvent, QObject, QSettings, QSize, QTimer
from PyQt6.QtWidgets import QApplication, QMainWindow

from scarseg.gui import theme
from scarseg.gui.actions import Actions
from scarseg.gui.panels.docks import PanelDocks
from scarseg.gui.panels.results import ResultsPanel
from scarseg.gui.session.session import Session

DEFAULT_SIZE = QSize(1280, 800)
LOWER_PANELS = ("histogram", "bullseye", "history")
TEXT_SIZE_KEY, SIDE_BY_SIDE_KEY = "window/text_size", "window/side_by_side"
AUTOMATIC = "text_automatic"
DEFAULT_WIDTHS, LOWER_HEIGHT = {"studies": 212, "results": 262}, 200
"""Widths of the panels and least height of the lower ones, in pixels of a small window."""
FRAME = QSize(4, 36)
"""Width and height in pixels that a title bar and borders take, which Qt does not know yet."""
NARROW_WINDOW, NARROW_WIDTHS = 1000, {"studies": 180, "results": 248}
"""Below this width of the window, in pixels, the slices need what the panels can spare."""


class WindowLayout(QObject):
    """Fit text and panels to the size of the window.

    Panels get their sizes when they are first shown and whenever the text changes its size or the
    window gets narrow, until a window was closed once: then they come back as they were left.
    """

    def __init__(
        self,
        window: QMainWindow,
        session: Session,
        docks: PanelDocks,
        results: ResultsPanel,
        actions: Actions,
        settings: QSettings,
    ) -> None:
        super().__init__(window)
        self._window, self._docks, self._results = window, docks, results
        self._session, self._settings = session, settings
        self._side_by_side = actions["side_by_side"]
        self._sized, self._narrow = False, False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.fit)
        slots = {name: partial(self._choose_text_size, name) for name in theme.TEXT_SIZES}
        actions.connect({"side_by_side": self._choose_side_by_side, **slots})
        actions[self._text_size].setChecked(True)
        side_by_side = bool(settings.value(SIDE_BY_SIDE_KEY, False, type=bool))
        self._side_by_side.setChecked(side_by_side)
        window.resize(DEFAULT_SIZE)
        docks.arrange(LOWER_PANELS, side_by_side)
        docks.restore()
        self.fit()
        session.opened.connect(self._timer.start)
        window.installEventFilter(self)

    @property
    def _text_size(self) -> str:
        chosen = str(self._settings.value(TEXT_SIZE_KEY, AUTOMATIC))
        return chosen if chosen in theme.TEXT_SIZES else AUTOMATIC

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize and watched is self._window:
            self._timer.start()
        return super().eventFilter(watched, event)

    def fit(self) -> None:
        """Choose the size of the text, and the sizes of panels that have none yet."""
        application = QApplication.instance()
        if not isinstance(application, QApplication):
            return
        wanted = theme.TEXT_SIZES[self._text_size]
        changed = theme.fit_fonts(application, self._window.size(), wanted)
        self._results.fit_fonts()
        narrow = self._window.width() < NARROW_WINDOW
        changed |= narrow is not self._narrow
        if not self._docks.remembered and (changed or not self._sized):
            self._size_panels(narrow)
            self._sized, self._narrow = self._session.current is not None, narrow

    def fit_to_screen(self) -> None:
        """Shrink a window that is larger than what its screen has room for."""
        screen = self._window.screen()
        if screen is not None:
            room = screen.availableSize() - FRAME
            self._window.resize(self._window.size().boundedTo(room))

    def _size_panels(self, narrow: bool) -> None:
        height = self._window.height()
        wanted = NARROW_WIDTHS if narrow else DEFAULT_WIDTHS
        widths = {name: theme.px(width) for name, width in wanted.items()}
        lower = max(theme.px(LOWER_HEIGHT), height // 3)
        self._docks.set_sizes(widths, {"results": height - lower, "histogram": lower})

    def _choose_text_size(self, name: str) -> None:
        self._settings.setValue(TEXT_SIZE_KEY, name)
        self.fit()

    def _choose_side_by_side(self) -> None:
        self._settings.setValue(SIDE_BY_SIDE_KEY, self._side_by_side.isChecked())
        self._docks.arrange(LOWER_PANELS, self._side_by_side.isChecked())
