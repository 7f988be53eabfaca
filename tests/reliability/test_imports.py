"""Asking for help is quick: neither torch nor Qt nor the network's libraries are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.children import last_line_as_json, run_child

HEAVY = (
    *("torch", "torchvision", "ultralytics", "segment_anything", "cv2", "PyQt6"),
    *("pynetdicom", "dicomweb_client"),
)
ASK = f"""
import contextlib, io, json, runpy, sys
{{}}
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
HELP = """
sys.argv = ["scarseg", {}]
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    runpy.run_module("scarseg", run_name="__main__")
assert "usage" in said.getvalue().lower(), said.getvalue()
"""


@pytest.mark.parametrize(
    "code",
    [
        "import scarseg, scarseg.models, scarseg.cli",
        "import scarseg.segmentation.pipeline, scarseg.simulate, scarseg.models.weights",
        "import scarseg.io.casefile.store",
        HELP.format("'--help'"),
        HELP.format("'batch', '--help'"),
        HELP.format("'pacs', 'find', '--help'"),
        "import scarseg.pacs.addresses; scarseg.pacs.addresses.parse_address('dicom://A@b:1')",
    ],
    ids=[
        *("import", "import engine", "import case files", "help", "batch help", "pacs help"),
        "addresses",
    ],
)
def test_neither_torch_nor_qt(tmp_path: Path, code: str):
    assert last_line_as_json(run_child(tmp_path, "-c", ASK.format(code))) == []


def test_the_question_can_be_answered_with_yes(tmp_path: Path):
    done = run_child(tmp_path, "-c", ASK.format("import PyQt6"))
    assert last_line_as_json(done) == ["PyQt6"]
