"""Start the program: QApplication, the hook for uncaught exceptions, the window, signals."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType

from PyQt6 import sip
from PyQt6.QtCore import QEventLoop, QSettings, QSize, QSocketNotifier, QTimer
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication

import scarseg
from scarseg.case.calibration import Calibration
from scarseg.case.case import Case
from scarseg.gui import theme
from scarseg.gui.commands.weights import remembered_segmenter
from scarseg.gui.desktop_entry import ICON
from scarseg.gui.display import coded_abort, require_display
from scarseg.gui.main_window import MainWindow
from scarseg.gui.session.calibration import recall_calibration, remember_calibration
from scarseg.gui.session.session import ModelsLoader, Session
from scarseg.gui.session.weights import ChosenWeights
from scarseg.models import Models, prepare_environment

_log = logging.getLogger(__name__)
MOST_THREADS = 4
SWITCH_S = 0.0005
"""Interval after which a busy thread yields to the window's; Python's 5 ms add up to a stall."""
ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What ends the program from outside; not every system has every one."""
Hook = Callable[[type[BaseException], BaseException, TracebackType | None], None]


def load_models(
    calibration: Calibration | None = None,
    segmenter: Path | None = None,
    folder: Path | None = None,
) -> Models:
    """Load weights, calibrated; runs on the inference worker, torch is imported there.

    Half of the cores are left to the window and to other programs.

    Args:
        calibration: of the program's own weights; a checkpoint has none.
        segmenter: a checkpoint, None for the program's own.
        folder: of case files, beside which embeddings that take long are kept.
    """
    from scarseg import models
    from scarseg.io.casefile import embeddings

    with _without_collections():
        loaded = models.load_calibrated(
            partial(models.load, segmenter), calibration if segmenter is None else None
        )
    if folder is not None:
        store = embeddings.EmbeddingStore(folder / embeddings.FOLDER)
        models.keep_embeddings(loaded.segmenter, store)
    models.limit_threads(model_threads(_cores()))
    return loaded


@contextmanager
def _without_collections() -> Iterator[None]:
    """Collect no garbage, and leave out of later collections what is there in the end.

    A collection holds the interpreter lock, and so the window, while it goes through all modules
    of torch: several times during the import, for up to a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def model_threads(cores: int) -> int:
    """Return the number of threads for the models: half of the cores, four are enough.

    All but one gain next to nothing, and as soon as another program wants one of them, each step
    waits for the slowest thread: many times longer.
    """
    return min(max(cores // 2, 1), MOST_THREADS)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def application() -> QApplication:
    """Return the QApplication with the dark style.

    opencv-python, which ultralytics brings, points Qt at plugins of its own when it was
    imported first; PyQt6 cannot start with those.
    """
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
        if f"{os.sep}cv2{os.sep}" in os.environ.get(name, ""):
            del os.environ[name]
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        theme.apply(existing)
        return existing
    require_display()
    with coded_abort():
        made = QApplication(["scarseg"])
    made.setApplicationName("scarseg")
    made.setApplicationVersion(scarseg.__version__)
    made.setDesktopFileName("scarseg")
    made.setWindowIcon(theme.icon(ICON))
    theme.apply(made)
    return made


def make_window(
    models_loader: ModelsLoader | None = None,
    store_folder: Path | None = None,
    settings: QSettings | None = None,
    calibration: Calibration | None = None,
) -> MainWindow:
    """Create the window with its session; nothing is loaded until ``session.start()``.

    Args:
        models_loader: loads other models than the chosen weights, for tests and pictures.
        store_folder: of case files, the user's by default.
        settings: the user's by default.
        calibration: of the program's own weights.
    """
    if store_folder is None:
        from scarseg.io.casefile import store

        store_folder = store.default_folder()
    settings = settings or QSettings("scarseg", "scarseg")

    def load(segmenter: Path | None) -> Models:
        if models_loader is not None:
            return models_loader()
        return load_models(calibration, segmenter, store_folder)

    weights = ChosenWeights(remembered_segmenter(settings), load)
    session = Session(weights, store_folder)
    window = MainWindow(session, settings)
    session.setParent(window)
    return window


def excepthook(window: MainWindow) -> Hook:
    """Return the hook for uncaught exceptions: save the case, show what happened, go on."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            window.close()
            return
        where = "".join(traceback.format_tb(trace)[-6:])
        _log.error("%s in the window\n%s", kind.__name__, where)
        saved = "Nothing was open."
        if window.session.current is not None:
            window.session.current.saver.save_now()
            saved = "Your reading is being saved; the mark at the lower left tells when it is."
        window.banner.show_notice(f"An error in scarseg ({kind.__name__}: {error}). {saved}")

    return hook


@contextmanager
def close_on_signals(window: MainWindow) -> Iterator[None]:
    """Close the window, and so save, when a signal asks the program to end.

    Python runs its handlers between two of its own instructions, and Qt's event loop may execute
    none for a long time: the signal writes into a socket that wakes the loop.
    """
    receiver, sender = socket.socketpair()
    for end in (receiver, sender):
        end.setblocking(False)
    descriptor = sip.voidptr(receiver.fileno())
    notifier = QSocketNotifier(descriptor, QSocketNotifier.Type.Read)
    notifier.activated.connect(lambda *_: receiver.recv(4096))
    wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)

    def handle(number: int, frame: FrameType | None) -> None:
        QTimer.singleShot(0, partial(_close_and_quit, window))

    numbers = [getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)]
    # One that is ignored stays so: nohup has SIGHUP ignored.
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        notifier.setEnabled(False)
        receiver.close()
        sender.close()


def _close_and_quit(window: MainWindow) -> None:
    """Save and end, whatever dialog is open; stay where the reading cannot be saved."""
    if window.close():
        QApplication.quit()


def main(
    path: str | None = None,
    models_loader: ModelsLoader | None = None,
    store_folder: Path | None = None,
    demo: bool = False,
    calibration: Path | None = None,
) -> int:
    """Open the window, on ``path`` or the demo study if given, and run until it is closed.

    Args:
        calibration: file to use from now on; the word ``none``: none any more. By default the one
            of last time.
    """
    prepare_environment()
    qt = application()
    settings = QSettings("scarseg", "scarseg")
    if calibration is not None:
        remember_calibration(settings, None if str(calibration) == "none" else calibration)
    calibrated, problem = recall_calibration(settings)
    window = make_window(models_loader, store_folder, settings, calibrated)
    if problem:
        window.banner.show_notice(problem)
    before, switched = sys.excepthook, sys.getswitchinterval()
    sys.excepthook = excepthook(window)
    sys.setswitchinterval(SWITCH_S)
    window.window_layout.fit_to_screen()
    try:
        window.show()
        QTimer.singleShot(0, window.session.start)
        QTimer.singleShot(0, window.commands.export.recover)
        if demo:
            QTimer.singleShot(0, window.session.demo)
        elif path is not None:
            chosen = Path(path)
            QTimer.singleShot(0, lambda: window.session.scan([chosen]))
        with close_on_signals(window):
            return qt.exec()
    finally:
        sys.excepthook = before
        sys.setswitchinterval(switched)


def save_screenshot(
    case: Case,
    path: Path,
    size: tuple[int, int] = (1280, 800),
    slice_index: int | None = None,
    models: Models | None = None,
    montage: bool = False,
) -> None:
    """Draw the window with this case into a PNG.

    Needs no display: without a QApplication it makes one on the offscreen platform.
    ``slice_index`` is the large slice; the one with the most scar when None. ``montage`` shows
    all slices at once.
    """
    if QApplication.instance() is None:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    qt = application()
    image = render(case, QSize(*size), slice_index, models, montage)
    if not image.save(str(path), "PNG"):
        from scarseg.errors import OutputError

        raise OutputError("E_WRITE", f"The picture could not be written: {path}", str(path))
    qt.processEvents()


def render(
    case: Case,
    size: QSize,
    slice_index: int | None = None,
    models: Models | None = None,
    montage: bool = False,
) -> QImage:
    """Draw the window with this case into an image."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="scarseg-") as folder:
        settings = QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat)
        window = make_window(lambda: models or _no_models(), Path(folder), settings)
        window.resize(size)
        window.session.show_case(case, models)
        if slice_index is None:
            slice_index = int((case.labels >= 3).sum(axis=(1, 2)).argmax())
        window.commands.slices.go_to(slice_index)
        window.views.show_montage(montage)
        window.status_bar.saved.hide()
        for action in window.actions_by_name.values():
            action.setEnabled(True)
        # Drawn once, never shown: that lays everything out and needs no place on a screen.
        window.grab()
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        window.presenter.trace_all()
        window.views.active.fit_heart()
        window.histogram.count()
        image = window.grab().toImage()
        window.close()
        window.deleteLater()
        QApplication.processEvents()
    return image


def _no_models() -> Models:
    raise LookupError("a picture needs no models")
