"""What is missing for a window is said in a sentence, before Qt aborts the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import PyQt6
import pytest

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
