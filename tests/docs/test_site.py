"""The site builds without a warning, and its pages load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from scarseg.cli import build_parser
from scarseg.gui.actions import ACTIONS
from tests.docs.pages import ROOT

LOADS = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src",
    "audio": "src", "embed": "src", "object": "data", "link": "href",
}  # fmt: skip
"""Elements that make a browser fetch something, and the attribute that says what."""


class Loads(HTMLParser):
    """Collect what a page makes a browser fetch, and the elements and text it has."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.classes: set[str] = set()
        self.styles: list[str] = []
        self.ids: set[str] = set()
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in LOADS and LOADS[tag] in values:
            self.fetched.append(values[LOADS[tag]])
        self.classes |= set(values.get("class", "").split())
        self.styles.append(values.get("style", ""))
        self.ids.add(values.get("id", ""))
        self.in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.styles.append(data)


def is_remote(address: str) -> bool:
    return address.strip().startswith(("http:", "https:", "//"))


def fetched_by_css(text: str) -> list[str]:
    return re.findall(r"(?:url\(|@import\s+)['\"]?([^'\")\s]+)", text)


def build(folder: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def test_site_builds_strictly_and_loads_nothing_remote(tmp_path: Path) -> None:
    build(tmp_path)
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) >= 12
    remote = {}
    for path in pages:
        page = Loads()
        page.feed(path.read_text(encoding="utf-8"))
        css = [one for style in page.styles for one in fetched_by_css(style)]
        found = [one for one in (*page.fetched, *css) if is_remote(one)]
        # A diagram would be drawn by a script from a remote server.
        found += ["mermaid"] if "mermaid" in page.classes else []
        if found:
            remote[path.name] = found
    for path in tmp_path.rglob("*.css"):
        found = [one for one in fetched_by_css(path.read_text("utf-8")) if is_remote(one)]
        if found:
            remote[path.name] = found
    assert remote == {}
    _check_commands((tmp_path / "commands.html").read_text(encoding="utf-8"))
    _check_shortcuts((tmp_path / "shortcuts.html").read_text(encoding="utf-8"))
    assert "W_GAP" in (tmp_path / "codes.html").read_text(encoding="utf-8")
    assert "read_stack" in (tmp_path / "reference.html").read_text(encoding="utf-8")


def _check_commands(html: str) -> None:
    """Check that every command and every option of the parser is on its page."""
    (commands,) = (one for one in build_parser()._actions if one.choices)
    assert isinstance(commands.choices, dict)
    page = Loads()
    page.feed(html)
    for name, parser in commands.choices.items():
        assert name in page.ids
        for action in parser._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or f"{option}" in html, f"{name} {option}"


def _check_shortcuts(html: str) -> None:
    for row in ACTIONS:
        for key in row.keys:
            assert f"<code>{key}</code>" in html.replace("&quot;", '"'), row.name
