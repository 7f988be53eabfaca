"""The notebook and the recipes run as they are printed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scarseg import cli
from scarseg.io.tables.columns import COLUMNS, SLICE_COLUMNS
from tests.cohorts import spoil, write
from tests.docs.pages import DOCS, ROOT, section, text_of
from tests.fakes import load_fakes


def cells() -> list[str]:
    notebook = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["language"]) == (4, "python")
    assert all(not one.get("outputs") for one in notebook["cells"])
    return ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == "code"]


@pytest.mark.timeout(600)
def test_notebook_runs_on_simulated_studies(tmp_path: Path) -> None:
    code = "\n".join(cells())
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "g true" in done.stdout.splitlines()[-1]
    assert (tmp_path / "scar.csv").exists()
    assert len(list((tmp_path / "masks").iterdir())) == 2


def recipe(language: str, heading: str) -> str:
    text = section(text_of("docs/researchers.md"), f"### {heading}")
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    assert found is not None
    return found[1]


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the tables of two patients, one of whom fails, and those of another reader."""
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    data = write(tmp_path / "in", 1, 2, 3)
    spoil(data / "p3", "PixelSpacing", None)
    words = ["batch", str(data), "-o", str(tmp_path / "scar.csv"), "--methods", "all"]
    assert cli.main(words) == 2
    shutil.copy(tmp_path / "scar.csv", tmp_path / "reader_b.csv")
    return tmp_path


def test_recipe_for_pandas_runs(tables: Path) -> None:
    pytest.importorskip("pandas")
    code = recipe("python", "pandas")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "E_SPACING" in done.stdout
    assert "100% of the stacks have gaps" in done.stdout


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_recipe_for_r_runs(tables: Path) -> None:
    script = tables / "recipe.R"
    script.write_text(recipe("r", "R"))
    done = subprocess.run(
        ["Rscript", str(script)], cwd=tables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_recipes_name_columns_that_exist() -> None:
    r_columns = re.findall(r"\$(\w+)", recipe("r", "R"))
    spss = recipe("text", "SPSS")
    named = re.findall(r"(?:VARIABLES=|IF \()([\w ]+)", spss)
    known = {*COLUMNS, *SLICE_COLUMNS, "measured", "difference"}
    known |= {f"{name}_{one}" for name in COLUMNS for one in "ab"}
    words = {*r_columns, *(word for names in named for word in names.split())}
    assert words - known - {"NE"} == set()
