"""What Qt needs to open a window on Linux: an X server and the libraries of its xcb plugin.

Without one of them Qt aborts the process: it is looked for before Qt is asked.
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from PyQt6.QtCore import QLibraryInfo, QtMsgType, qInstallMessageHandler

from scarseg.errors import InputError

_log = logging.getLogger(__name__)
ANSWER_S = 20.0
"""Longest wait for an X server to answer."""
_LIBRARY = re.compile(r"lib[\w+.-]+?\.so[.\d]*")
_PACKAGES = {
    "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor"),
    "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm"),
    "libxcb-util.so.1": ("libxcb-util1", "xcb-util"),
    "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image"),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms"),
    "libxcb-render-util.so.0": ("libxcb-render-util0", "xcb-util-renderutil"),
    "libxcb-randr.so.0": ("libxcb-randr0", "libxcb"),
    "libxcb-render.so.0": ("libxcb-render0", "libxcb"),
    "libxcb-shape.so.0": ("libxcb-shape0", "libxcb"),
    "libxcb-shm.so.0": ("libxcb-shm0", "libxcb"),
    "libxcb-sync.so.1": ("libxcb-sync1", "libxcb"),
    "libxcb-xfixes.so.0": ("libxcb-xfixes0", "libxcb"),
    "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb"),
    "libxcb.so.1": ("libxcb1", "libxcb"),
    "libX11-xcb.so.1": ("libx11-xcb1", "libX11-xcb"),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
    "libGL.so.1": ("libgl1", "libglvnd-glx"),
    "libEGL.so.1": ("libegl1", "libglvnd-egl"),
}
"""Packages of the libraries on Debian and Ubuntu, and on Fedora."""


def require_display() -> None:
    """Raise InputError where Qt would abort for want of a library or an X server.

    Raises:
        InputError: E_QT_LIBRARY, E_NO_DISPLAY.
    """
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    wayland = not platform and bool(os.environ.get("WAYLAND_DISPLAY"))
    if sys.platform != "linux" or wayland or platform.split(":")[0] not in ("", "xcb"):
        return
    plugins = Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath))
    missing = missing_library(plugins / "platforms" / "libqxcb.so")
    if missing is not None:
        raise missing_library_error(missing)
    display = os.environ.get("DISPLAY", "")
    if not _x_server_answers(display):
        raise InputError("E_NO_DISPLAY", f"No X server answers at DISPLAY={display!r}.")


def missing_library(plugin: Path) -> str | None:
    """Return the name of the library without which a plugin cannot be loaded, if there is one."""
    if not plugin.is_file():  # a Qt that is built otherwise knows better itself
        return None
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        return library_in(str(error)) or plugin.name
    return None


def library_in(message: str) -> str | None:
    """Return the library that a message of the dynamic linker begins with."""
    found = _LIBRARY.search(message)
    return found[0] if found else None


def missing_library_error(library: str) -> InputError:
    """Return the error that says which library Qt needs and how it is installed."""
    packages = _PACKAGES.get(library)
    remedy = "install it and try again"
    if packages is not None:
        remedy = f"sudo apt install {packages[0]} (Fedora: sudo dnf install {packages[1]})"
    return InputError("E_QT_LIBRARY", f"Qt cannot load {library} to open a window: {remedy}.")


@contextmanager
def coded_abort() -> Iterator[None]:
    """End the process with E_NO_DISPLAY where Qt would abort it; show its other messages after.

    An X server may go, or refuse one more program, after it was looked for.
    """
    messages: list[str] = []

    def handle(kind: QtMsgType, context: object, text: str | None) -> None:
        messages.append(" ".join((text or "").split()))
        if kind is QtMsgType.QtFatalMsg:
            sys.stderr.write(f"E_NO_DISPLAY: Qt opens no window: {messages[0]}\n")
            sys.stderr.flush()
            os._exit(1)

    before = qInstallMessageHandler(handle)
    try:
        yield
    finally:
        qInstallMessageHandler(before)
        for message in messages:
            _log.warning("%s", message)


def _x_server_answers(display: str) -> bool:
    """Return whether an X server takes connections in time; True where that cannot be known."""
    answer: list[bool] = []
    thread = threading.Thread(target=lambda: answer.append(_connects(display)), daemon=True)
    thread.start()
    thread.join(ANSWER_S)
    return bool(answer) and answer[0]


@cache
def _connects(display: str) -> bool:
    """Return whether xcb connects; the connection is kept.

    A server whose last program disconnects begins anew, and refuses connections meanwhile: that of
    Qt would be one.
    """
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(display.encode() or None, None)
    return not xcb.xcb_connection_has_error(connection)
