"""The entry in the applications menu, its icon and the type of case files."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path
from xml.etree import ElementTree

from scarseg.gui import desktop_entry, theme


def test_entry_icon_and_type_are_written_for_this_user(tmp_path, qapp):
    files = desktop_entry.install(tmp_path)
    assert {path.suffix for path in files} == {".desktop", ".svg", ".xml"}
    assert all(path.is_relative_to(tmp_path) for path in files)
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(tmp_path / "applications" / "scarseg.desktop")
    entry = parser["Desktop Entry"]
    command, arguments = entry["Exec"].rsplit('" ', 1)
    assert arguments == "gui %f"
    program = Path(command.split('"')[1])
    assert program in (Path(sys.executable), Path(sys.executable).with_name("scarseg"))
    assert "application/x-scarseg-case" in entry["MimeType"].split(";")
    tree = ElementTree.parse(tmp_path / "mime" / "packages" / "scarseg.xml")
    globs = [node.get("pattern") for node in tree.iter() if node.tag.endswith("glob")]
    assert globs == ["*.scarseg"]
    assert not theme.icon(desktop_entry.ICON).isNull()


def test_the_data_folder_is_the_desktops_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert desktop_entry.data_home() == tmp_path
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert desktop_entry.data_home() == Path.home() / ".local" / "share"
