"""What is missing for a window is said in a sentence, before Qt aborts the process."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import PyQt6
import pytest

from scarseg.errors import InputError
from scarseg.gui import display
from scarseg.gui.display import library_in, missing_library, missing_library_error

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the xcb plugin is Linux's")
QT = Path(PyQt6.__file__).parent / "Qt6"
PLUGIN = QT / "plugins" / "platforms" / "libqxcb.so"


@pytest.fixture
def plugin_without_cursor(tmp_path: Path) -> Path:
    """Copy the plugin with the name of one needed library changed to one that does not exist."""
    if not PLUGIN.is_file():
        pytest.skip("Qt has no xcb plugin here")
    (tmp_path / "plugins" / "platforms").mkdir(parents=True)
    (tmp_path / "lib").symlink_to(QT / "lib")
    data = PLUGIN.read_bytes()
    assert b"libxcb-cursor.so.0\0" in data
    copy = tmp_path / "plugins" / "platforms" / PLUGIN.name
    copy.write_bytes(data.replace(b"libxcb-cursor.so.0\0", b"libxcb-cursox.so.0\0"))
    return copy


def test_the_library_that_the_linker_misses_is_named(plugin_without_cursor: Path) -> None:
    if missing_library(PLUGIN) is not None:
        pytest.skip("the plugin cannot be loaded here anyway")
    assert missing_library(plugin_without_cursor) == "libxcb-cursox.so.0"


def test_a_plugin_that_is_not_there_is_left_to_qt(tmp_path: Path) -> None:
    assert missing_library(tmp_path / "libqxcb.so") is None


def test_the_error_says_how_to_install_the_library() -> None:
    error = missing_library_error("libxcb-cursor.so.0")
    assert error.code == "E_QT_LIBRARY"
    assert "libxcb-cursor.so.0" in error.message
    assert "sudo apt install libxcb-cursor0" in error.message
    assert "xcb-util-cursor" in error.message
    assert "libfoo.so.3" in missing_library_error("libfoo.so.3").message


@pytest.mark.parametrize(
    ("message", "library"),
    [
        ("libxcb-cursor.so.0: cannot open shared object file", "libxcb-cursor.so.0"),
        ("/usr/lib/libxcb-cursor.so.0: file too short", "libxcb-cursor.so.0"),
        ("libstdc++.so.6: version not found", "libstdc++.so.6"),
        ("something else", None),
    ],
)
def test_library_in_a_message_of_the_linker(message: str, library: str | None) -> None:
    assert library_in(message) == library


def test_no_x_server_is_a_sentence_and_no_abort(tmp_path: Path) -> None:
    if missing_library(PLUGIN) is not None:
        pytest.skip("the plugin cannot be loaded here")
    environment = {k: v for k, v in os.environ.items() if k != "WAYLAND_DISPLAY"}
    environment |= {"DISPLAY": ":9876", "QT_QPA_PLATFORM": "xcb", "SCARSEG_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "scarseg", "gui"],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("E_NO_DISPLAY: No X server answers at DISPLAY=':9876'.")


class XServer:
    """An X server as far as a connection: it accepts the first ``accepts``, and refuses others.

    ``kept`` is, for every connection after the first, whether the one before was still open.
    """

    def __init__(self, accepts: int | None) -> None:
        self.accepts = accepts
        self.kept: list[bool] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def display(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1] - 6000}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            if len(self._open) > 1:
                self.kept.append(self._is_open(self._open[-2]))
            if self.accepts is not None:
                self._answer(connection, len(self._open) <= self.accepts)

    @staticmethod
    def _answer(connection: socket.socket, accepted: bool) -> None:
        connection.recv(4096)
        if accepted:  # success, protocol 11.0, 32 more bytes: no screen, no vendor
            connection.sendall(struct.pack("<BxHHH", 1, 11, 0, 8) + bytes(32))
        else:
            connection.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _is_open(connection: socket.socket) -> bool:
        connection.settimeout(0.5)
        try:
            return connection.recv(1) != b""
        except TimeoutError:
            return True

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()


@pytest.fixture
def x_server() -> Iterator[Callable[[int | None], XServer]]:
    servers: list[XServer] = []

    def make(accepts: int | None) -> XServer:
        servers.append(XServer(accepts))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def test_x_server_that_refuses_the_second_connection_is_a_sentence_and_no_abort(
    x_server: Callable[[int | None], XServer], tmp_path: Path
) -> None:
    if missing_library(PLUGIN) is not None:
        pytest.skip("the plugin cannot be loaded here")
    server = x_server(1)
    environment = {k: v for k, v in os.environ.items() if k != "WAYLAND_DISPLAY"}
    environment |= {
        "DISPLAY": server.display,
        "QT_QPA_PLATFORM": "xcb",
        "SCARSEG_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "scarseg", "gui"],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("E_NO_DISPLAY: Qt opens no window: ")
    assert f"could not connect to display {server.display}" in done.stderr
    # A server that loses its only program begins anew, and refuses the next one meanwhile.
    assert server.kept
    assert all(server.kept)


def test_x_server_that_never_answers_is_given_up(
    x_server: Callable[[int | None], XServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing_library(PLUGIN) is not None:
        pytest.skip("the plugin cannot be loaded here")
    server = x_server(None)
    monkeypatch.setattr(display, "ANSWER_S", 0.5)
    monkeypatch.setenv("DISPLAY", server.display)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    with pytest.raises(InputError) as caught:
        display.require_display()
    assert caught.value.code == "E_NO_DISPLAY"
    assert server.display in caught.value.message


def test_platform_that_qt_does_not_have_is_a_sentence_and_no_abort(tmp_path: Path) -> None:
    environment = os.environ | {"QT_QPA_PLATFORM": "nothing", "SCARSEG_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "scarseg", "gui"],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("E_NO_DISPLAY: Qt opens no window: ")
    assert '"nothing"' in done.stderr
