"""The documentation says what the program is: codes, layers, files, figures of the project."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

import scarseg
from tests.docs.pages import DOCS, ROOT, fenced_block, first_cells, section, text_of

CODE = re.compile(r"\b[EW]_[A-Z][A-Z_]*[A-Z]\b")
PROSE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *sorted(
    f"docs/{path.name}" for path in DOCS.glob("*.md")
))  # fmt: skip


def sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "scarseg").rglob("*.py"))


def layers_of_the_contract() -> list[set[str]]:
    settings = tomllib.loads(text_of("pyproject.toml"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one.get("containers") == ["scarseg"])
    return [names for line in layers if (names := _names(line)) != {"__main__"}]


def _names(line: str) -> set[str]:
    return {name.strip() for name in line.split("|")}


def test_readme_explains_every_code() -> None:
    explained = set(CODE.findall(section(text_of("README.md"), "## Warnings and errors")))
    raised = set(re.findall(r"[\"']([EW]_[A-Z][A-Z_]*[A-Z])[\"']", sources()))
    assert raised - explained == set()
    assert explained - set(CODE.findall(sources())) == set()


def test_readme_begins_with_the_two_commands() -> None:
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text_of("README.md"), re.M | re.S)
    assert "scarseg demo" in blocks[0]
    assert "pytest" in blocks[1]


def test_pictures_of_the_layers_are_the_import_contract() -> None:
    wanted = layers_of_the_contract()
    picture = fenced_block(section(text_of("docs/developer.md"), "## Layers"))
    assert [_names(line) for line in picture.splitlines()] == wanted
    readme = section(text_of("README.md"), "## How it is built")
    pictures = re.findall(r"^```\n(.*?)^```", readme, re.M | re.S)
    lines = [re.split(r" {2,}", line)[0] for line in pictures[-1].splitlines()]
    assert [_names(line) for line in lines] == wanted


def test_every_package_is_described() -> None:
    here = {
        path.stem
        for path in (ROOT / "scarseg").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists())
        and not path.name.startswith("_")
    }
    table = section(text_of("docs/developer.md"), "## Packages")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {re.split(r"[/.]", name)[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert here - named == set()


@pytest.mark.parametrize("page", ["docs/developer.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    names = re.findall(r"`((?:[a-z_]+/)*(?:[a-z_]+\.[a-z]+|[a-z_]+/))`", text_of(page))
    files = [one for one in names if one.endswith((".py", "/", ".json", ".md"))]
    assert len(files) > 5
    below = (ROOT, ROOT / "scarseg", ROOT / "scarseg/gui", ROOT / "weights")
    assert [one for one in files if not any((root / one).exists() for root in below)] == []


@pytest.mark.parametrize("page", PROSE)
def test_links_between_files_hold(page: str) -> None:
    generated = {"commands.md", "shortcuts.md", "codes.md", "contributing.md", "changelog.md"}
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page))
    folder = (ROOT / page).parent
    known = generated if folder == DOCS else set()
    assert [one for one in targets if one not in known and not (folder / one).exists()] == []


def test_glossary_has_each_term_once() -> None:
    rows = section(text_of("docs/developer.md"), "## Glossary").splitlines()
    cells = [line.strip("|").split("|") for line in rows if line.startswith("| ")][1:]
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in cells)
    terms = [term.strip() for row in cells for term in row[0].split(",")]
    assert len(terms) > 50
    assert len(set(terms)) == len(terms)


def test_citation_is_of_this_version() -> None:
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == scarseg.__version__
    assert citation["license"] == tomllib.loads(text_of("pyproject.toml"))["project"]["license"]
    assert citation["authors"] == [{"name": "The scarseg developers"}]
    assert {"message", "title", "type"} <= citation.keys()


def test_hooks_run_what_ci_runs() -> None:
    (repository,) = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    assert all(hook["language"] == "system" for hook in repository["hooks"])
    programs = {hook["entry"].split()[0] for hook in repository["hooks"]}
    assert programs == {"ruff", "mypy", "lint-imports"}
    assert all(f".venv/bin/{program}" in text_of(".ci/run") for program in programs)


def test_package_is_marked_as_typed() -> None:
    assert (ROOT / "scarseg" / "py.typed").read_bytes() == b""


def test_changelog_has_this_version_and_unreleased() -> None:
    headings = re.findall(r"^## (\S+)", text_of("CHANGELOG.md"), re.M)
    assert headings[0] == "Unreleased"
    assert scarseg.__version__ in headings


def test_tables_have_no_empty_names() -> None:
    assert "" not in first_cells(text_of("docs/tables.md"))
