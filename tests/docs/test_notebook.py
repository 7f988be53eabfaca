"""The notebook and the recipes run as they are printed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT


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
