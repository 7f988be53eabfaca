"""The command line around the batch: help, window, inspect, simulate, weights, demo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import scarseg
from scarseg import cli
from scarseg.errors import InputError
from scarseg.simulate.write_dicom import write_series
from tests.calibrations import write_calibration, write_for_shipped
from tests.conftest import make_phantom_stack
from tests.fakes import load_fakes


def child(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(("-c", code) if code else ("-m", "scarseg")), *words]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=Path(cli.__file__).parent.parent, check=False
    )


def test_help_names_every_command_and_loads_neither_torch_nor_qt() -> None:
    code = (
        "import sys; from scarseg import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as e: assert e.code in (0, None)\n"
        "heavy = {m.split('.')[0] for m in sys.modules} & "
        "{'torch', 'PyQt6', 'ultralytics', 'pydicom', 'nibabel', 'numpy', 'scipy'}\n"
        "assert not heavy, heavy"
    )
    done = child(code=code)
    assert done.returncode == 0, done.stderr
    for command in ("gui", "demo", "batch", "inspect", "simulate", "weights"):
        assert command in done.stdout
    assert "For research use only" in done.stdout.replace("\n", " ")


def test_version() -> None:
    done = child("--version")
    assert (done.returncode, done.stdout) == (0, f"scarseg {scarseg.__version__}\n")


def test_a_reader_of_the_output_who_leaves_is_no_fault(tmp_path: Path) -> None:
    write_series(tmp_path / "p", make_phantom_stack())
    with subprocess.Popen(
        [sys.executable, "-m", "scarseg", "inspect", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("error", "code"), [(ZeroDivisionError("Doe^John"), "E_INTERNAL"), (MemoryError(), "E_MEMORY")]
)
def test_a_fault_of_the_program_is_located_without_its_values(
    error: Exception,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail_with_identity(options: object) -> int:
        raise error

    monkeypatch.setattr("scarseg.cli.inspect._run", fail_with_identity)
    assert cli.main(["inspect", "."]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{code}: ")
    assert "Doe" not in said
    assert "Traceback" not in said
    assert ("fail_with_identity" in said) == (code == "E_INTERNAL")


def test_unknown_option_is_an_error_of_its_own_status() -> None:
    done = child("batch", "--frobnicate")
    assert done.returncode == 1
    assert "E_USAGE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "path"),
    [([], None), (["gui"], None), (["gui", "a b"], "a b"), (["some/folder"], "some/folder")],
)
def test_window_opens_with_or_without_a_path(
    words: list[str], path: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str | None] = []
    app = ModuleType("scarseg.gui.app")
    app.main = lambda path=None, calibration=None: opened.append(path) or 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scarseg.gui.app", app)
    monkeypatch.setattr("scarseg.gui.app", app, raising=False)
    assert cli.main(words) == 0
    assert opened == [path]


def test_a_calibration_is_checked_before_the_window_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[Path | None] = []
    app = ModuleType("scarseg.gui.app")
    app.main = lambda path=None, calibration=None: opened.append(calibration) or 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scarseg.gui.app", app)
    monkeypatch.setattr("scarseg.gui.app", app, raising=False)
    good, other = write_for_shipped(tmp_path / "a.json"), write_calibration(tmp_path / "b.json")
    assert cli.main(["gui", "--calibration", str(good)]) == 0
    assert cli.main(["gui", "--calibration", "none"]) == 0
    assert opened == [good, Path("none")]
    assert cli.main(["gui", "--calibration", str(other)]) == 1
    assert capsys.readouterr().err.startswith("E_CALIBRATION_WEIGHTS: ")
    assert cli.main(["gui", "--calibration", str(tmp_path / "c.json")]) == 1
    assert capsys.readouterr().err.startswith("E_INPUT_MISSING: ")
    assert len(opened) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has no display at times")
def test_no_display_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert cli.main([]) == 1
    assert capsys.readouterr().err.startswith("E_NO_DISPLAY: ")


def test_inspect_json_is_the_load_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_series(tmp_path / "p", make_phantom_stack())
    (tmp_path / "notes.txt").write_text("no image")
    assert cli.main(["inspect", str(tmp_path), "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(report) == {"stacks", "refused", "skipped", "skipped_by_class"}
    assert (report["refused"], report["skipped"]) == ([], 1)
    [stack] = report["stacks"]
    assert stack == {
        "series_uid": "1.2.3.4",
        "description": "LGE SAX phantom",
        "sequence": "magnitude",
        "n_slices": 5,
        "rows": 60,
        "columns": 72,
        "pixel_spacing_mm": [1.5, 1.25],
        "slice_thickness_mm": 8.0,
        "slice_spacing_mm": 10.0,
        "complete": True,
        "warnings": ["W_GAP"],
        "proposed": True,
    }


def test_inspect_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_series(tmp_path / "p", make_phantom_stack())
    assert cli.main(["inspect", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "5 slices of 60 x 72" in said
    assert "1.5 x 1.25 mm" in said
    assert "W_GAP" in said


def test_inspect_counts_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [first, *others] = write_series(tmp_path / "p", make_phantom_stack())
    for path in others:
        path.unlink()
    first.with_name("notes.txt").write_text("no image")
    assert cli.main(["inspect", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "1 slice of 60 x 72" in said
    assert "1 stack (* proposed), 0 refused, 1 other file skipped" in said


def test_an_error_names_its_file_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(message: str) -> None:
        def scan(*_: object) -> None:
            raise InputError("E_X", message, "some/file")

        monkeypatch.setattr("scarseg.io.dicom.scan", scan)

    fail("It cannot be read.")
    assert cli.main(["inspect", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "E_X: It cannot be read. [some/file]\n"
    fail("some/file cannot be read.")
    assert cli.main(["inspect", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "E_X: some/file cannot be read.\n"


def test_inspect_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("E_INPUT_MISSING: ")
    (tmp_path / "notes.txt").write_text("no image")
    assert cli.main(["inspect", str(tmp_path), "--json"]) == 1
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report == {"stacks": [], "refused": [], "skipped": 1, "skipped_by_class": {"text": 1}}
    assert said.err.startswith("E_NO_MR: ")


@pytest.mark.parametrize(("name", "code"), [("none", "E_INPUT_MISSING"), ("", "E_INPUT_EMPTY")])
def test_inspect_json_is_json_even_where_nothing_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: str
) -> None:
    path = str(tmp_path / name)
    assert cli.main(["inspect", path, "--json"]) == 1
    said = capsys.readouterr()
    report = json.loads(said.out)
    [refused] = report.pop("refused")
    assert report == {"stacks": [], "skipped": 0}
    assert (refused["path"], refused["code"]) == (path, code)
    assert said.err.startswith(f"{code}: {refused['message']}")


def test_weights_are_listed_and_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from scarseg.models import weights

    (tmp_path / "a.safetensors").write_bytes(b"weights")
    entry = {
        "name": "a",
        "kind": "segmenter",
        "file": "a.safetensors",
        "sha256": weights.sha256(tmp_path / "a.safetensors"),
        "card": "a.json",
        "licence": "CC0",
        "default": True,
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"weights": [entry]}))
    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path)
    weights.list_weights.cache_clear()
    try:
        assert cli.main(["weights"]) == 0
        assert "a" in capsys.readouterr().out
        assert cli.main(["weights", "verify"]) == 0
        assert capsys.readouterr().out.startswith("ok")
        (tmp_path / "a.safetensors").write_bytes(b"wEights")
        assert cli.main(["weights", "verify"]) == 1
        assert capsys.readouterr().out.startswith("damaged")
        (tmp_path / "manifest.json").unlink()
        weights.list_weights.cache_clear()
        assert cli.main(["weights", "list"]) == 1
        assert capsys.readouterr().err.startswith("E_WEIGHTS_MISSING: ")
    finally:
        weights.list_weights.cache_clear()


def test_simulate_leaves_studies_with_their_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["simulate", str(tmp_path / "s"), "--patients", "1", "--seed", "3"]) == 0
    assert cli.main(["inspect", str(tmp_path / "s"), "--json"]) == 0
    out = capsys.readouterr().out
    stacks = json.loads(out[out.index("{") :])["stacks"]
    assert sum(stack["proposed"] for stack in stacks) == 1
    assert list((tmp_path / "s").rglob("*.nii.gz"))
    assert cli.main(["simulate", str(tmp_path / "s")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("E_EXISTS: ")
    assert "--force" not in said  # simulate has none


def test_demo_without_display_leaves_table_masks_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    pictured: list[Path] = []
    app = ModuleType("scarseg.gui.app")

    def save_screenshot(case: object, path: Path) -> None:
        pictured.append(path)

    app.save_screenshot = save_screenshot  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scarseg.gui.app", app)
    monkeypatch.setattr("scarseg.gui.app", app, raising=False)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", "--headless"]) == 0
    named = [Path(line) for line in capsys.readouterr().out.splitlines()]
    folder = tmp_path / "scarseg-demo"
    assert [p.name for p in named[:3]] == ["scar.csv", "scar_slices.csv", "scar.json"]
    assert all(path.stat().st_size for path in named[:4])
    assert named[3].parent == folder / "masks"
    assert pictured == [named[4]] == [folder / "desk.png"]
    assert cli.main(["demo", "--headless"]) == 0  # a second time beside the first
    assert (tmp_path / "scarseg-demo-2" / "scar.csv").exists()
    assert cli.main(["demo", "--headless", "-o", str(folder)]) == 1
    assert "E_EXISTS" in capsys.readouterr().err


def test_demo_with_display_opens_the_window_on_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    app = ModuleType("scarseg.gui.app")
    app.main = lambda path=None, calibration=None: opened.append(path) or 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scarseg.gui.app", app)
    monkeypatch.setattr("scarseg.gui.app", app, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    assert cli.main(["demo", "-o", str(tmp_path / "d")]) == 0
    assert Path(opened[0]).is_dir()
    assert Path(opened[0]).is_relative_to(tmp_path / "d")
    assert os.listdir(opened[0])  # noqa: PTH208
