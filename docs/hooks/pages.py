"""Pages that are made while the site is built, so that they cannot differ from the program.

Generated: the command reference (from the argument parser), the keyboard shortcuts (from the
table of actions), the warnings and errors (from the README), contributing and changelog (from
the files in the root of the repository).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 88
"""Columns of a usage line."""
CODES_SECTION = "Warnings and errors"
HEADINGS = {"positional arguments": "argument", "options": "option"}
"""What argparse calls its two groups, and what a column of the reference is called."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    for name, make in PAGES.items():
        files.append(File.generated(config, name, content=make()))
    return files


def command_page() -> str:
    """Return the command reference, one section per command, from the parser itself."""
    from scarseg.cli import build_parser

    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH + 2)  # argparse wraps usage lines to this
    try:
        return "\n".join(_command_lines(build_parser()))
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _command_lines(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield "# Commands\n"
    yield f"{_sentence(parser.description)}\n"
    yield f"{_sentence(parser.epilog)}\n"
    yield (
        "Results go to standard output; progress, notes and errors to standard error. An error"
        " is one line with a code: see [warnings and errors](codes.md).\n"
    )
    commands = _subparsers(parser)
    yield from _table(
        ("command", "purpose"),
        [(f"[`{name}`](#{_anchor(one)})", text) for name, text, one in commands],
    )
    for _, text, one in commands:
        yield from _section(one, text, "##")


def _section(parser: argparse.ArgumentParser, summary: str, level: str) -> Iterator[str]:
    """Yield the section of one command, then those of its own subcommands."""
    yield f"{level} {parser.prog} {{#{_anchor(parser)}}}\n"
    yield f"{_sentence(parser.description or summary)}\n"
    usage = parser.format_usage().removeprefix("usage: ").rstrip().replace("\n       ", "\n")
    yield f"```text\n{usage}\n```\n"
    for group in parser._action_groups:
        rows = [
            (_names(action), _escaped(action.help or ""))
            for action in group._group_actions
            if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
        ]
        if not rows:
            continue
        if group.description:
            yield f"{_escaped(f'{group.title}: {group.description}')}\n"
        yield from _table((HEADINGS.get(group.title or "", group.title or ""), "meaning"), rows)
    if (epilog := parser.epilog or "").startswith("examples:"):
        yield "```bash\n" + textwrap.dedent(epilog.partition("\n")[2]) + "\n```\n"
    for _, text, one in _subparsers(parser):
        yield from _section(one, text, level + "#")


def _subparsers(
    parser: argparse.ArgumentParser,
) -> list[tuple[str, str, argparse.ArgumentParser]]:
    """Return name, summary and parser of every subcommand, in the order they were added."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {one.dest: one.help or "" for one in action._choices_actions}
            found += [(n, _escaped(summaries.get(n, "")), p) for n, p in action.choices.items()]
    return found


def _names(action: argparse.Action) -> str:
    """Return the option strings of an argument with its value, or the name of its place."""
    value = action.metavar
    if value is None and action.choices is not None:
        value = "{" + ",".join(str(one) for one in action.choices) + "}"
    if isinstance(value, tuple):
        value = " ".join(value)
    if not action.option_strings:
        return f"`{value or action.dest}`"
    taken = "" if action.nargs == 0 else f" {value or action.dest.upper()}"
    names = ", ".join(action.option_strings)
    required = " (required)" if action.required else ""
    return f"`{names}{taken}`{required}"


def _anchor(parser: argparse.ArgumentParser) -> str:
    return parser.prog.removeprefix("scarseg ").replace(" ", "-")


def _sentence(text: str | None) -> str:
    """Return a text as a sentence: first letter upper case, closed by a full stop."""
    text = _escaped(text or "").strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _escaped(text: str) -> str:
    return text.replace("%%", "%").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def shortcut_page() -> str:
    """Return every action of the window with its keys, menu by menu."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from scarseg.gui.actions import ACTIONS, MENUS

    lines = [
        "# Keyboard shortcuts\n",
        "Every action of the window. **?** shows the same list in the program. Menus open from"
        " the button at the left end of the tool bar.\n",
    ]
    for menu in (*MENUS, ""):
        rows = [
            (
                _escaped(one.text.removesuffix("…").strip()),
                " or ".join(f"`{key}`" for key in one.keys),
                _escaped(one.tip),
            )
            for one in ACTIONS
            if one.menu == menu
        ]
        if rows:
            lines.append(f"## {menu or 'Keys held down'}\n")
            lines += _table(("action", "key", "what it does"), rows)
    return "\n".join(lines)


def codes_page() -> str:
    """Return the README's section of warnings and errors as a page of its own."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {CODES_SECTION}\n(.*?)(?=^## |\Z)", readme, re.M | re.S)
    if found is None:
        raise LookupError(f"README.md has no section {CODES_SECTION!r}")
    return f"# {CODES_SECTION}\n\n{_relinked(found[1]).strip()}\n"


def contributing_page() -> str:
    """Return CONTRIBUTING.md with links that hold within the site."""
    return _relinked((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


def changelog_page() -> str:
    """Return CHANGELOG.md with links that hold within the site."""
    return _relinked((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def _relinked(text: str) -> str:
    """Return a text of the repository's root with its links to docs/ made local.

    Links to other files of the repository become plain text: they are not part of the site.
    """
    text = text.replace("](docs/", "](")
    text = text.replace("](CONTRIBUTING.md", "](contributing.md")
    text = text.replace("](CHANGELOG.md", "](changelog.md")
    text = text.replace("](README.md#warnings-and-errors)", "](codes.md)")
    local = r"(?!https?:|#|(?:[a-z_]+\.(?:md|png))(?:#|\)))"
    return re.sub(rf"\[([^\]]+)\]\({local}[^)]*\)", r"\1", text)


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": command_page,
    "shortcuts.md": shortcut_page,
    "codes.md": codes_page,
    "contributing.md": contributing_page,
    "changelog.md": changelog_page,
}
