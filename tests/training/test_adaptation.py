"""A site's own scanner: five studies read in the window, then one command, then new weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scarseg import cli, models
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceSource, Stack
from scarseg.models.weights import resolve_weights, sha256, weights_folder
from scarseg.simulate.write_dicom import write_series
from scarseg.training.cases import TrainingCase, read_data
from tests.conftest import make_phantom_stack, phantom_labels
from tests.gui.conftest import Reader, log_words, make_reader, no_leaks, qt_words

__all__ = ["log_words", "make_reader", "no_leaks", "qt_words"]
N_STUDIES = 5

pytestmark = pytest.mark.skipif(
    not (weights_folder() / "manifest.json").exists(), reason="no weights are shipped"
)


def write_study(folder: Path, number: int) -> Path:
    """Write the phantom as a patient's DICOM series, with noise of its own."""
    plain = make_phantom_stack()
    noise = np.random.default_rng(number).normal(0, 4, plain.pixels.shape)
    series = f"1.2.3.{number}"
    study = replace(
        plain,
        pixels=np.round(np.maximum(plain.pixels + noise, 0)).astype(np.float32),
        series_uid=series,
        study_uid=f"1.2.{number}",
        patient_id=f"Jones^{number}",
        patient_name=f"Jones^{number}",
        sources=tuple(SliceSource(f"{series}.{k + 1}", instance_number=k + 1) for k in range(5)),
    )
    write_series(folder / str(number), study)
    return folder / str(number)


def read_study(reader: Reader, folder: Path) -> Stack:
    """Open a study; draw on one slice, say "no scar" on another, accept the others."""
    reader.session.scan([folder])
    reader.wait(lambda: reader.session.current is not None)
    reader.wait_ready()
    reader.go_to(2)
    reader.paint((36.0, 10.0), (40.0, 10.0))
    reader.undo()
    reader.erase((45.0, 33.0), (47.0, 33.0))
    reader.accept()
    reader.go_to(0)
    reader.act("no_scar")
    for k in (1, 3, 4):
        reader.go_to(k)
        reader.accept()
    assert all(reading.status.read for reading in reader.case.readings)
    reader.act("save")
    reader.wait_saved()
    return reader.case.stack


@pytest.fixture
def corrected(make_reader: Callable[..., Reader], tmp_path: Path) -> list[TrainingCase]:
    """Read five studies in the window; give what training will find."""
    for number in range(1, N_STUDIES + 1):
        folder = write_study(tmp_path / "images", number)
        reader = make_reader()
        read_study(reader, folder)
        reader.session.shut_down()
    return read_data([tmp_path / "cases"], [tmp_path / "images"])


def command(tmp_path: Path, *more: str) -> list[str]:
    words = ["train", "segmenter", str(tmp_path / "cases"), "--dicom", str(tmp_path / "images")]
    words += ["--init", "default", "-o", str(tmp_path / "ours"), "--device", "cpu"]
    words += ["--steps", "3", "--batch", "2", "--threads", "1", "--workers", "0"]
    return [*words, *more]


def test_five_cases_read_in_the_window_make_weights_of_one_s_own(
    corrected: list[TrainingCase], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(corrected) == len({case.patient for case in corrected}) == N_STUDIES
    for case in corrected:
        assert case.slices_read == [0, 1, 2, 3, 4]
        erased = phantom_labels()[2] != case.labels[2]
        assert 0 < erased.sum() < 100, "the reader's hand is in the reference"
        assert np.array_equal(case.labels[1], phantom_labels()[1])
    default = resolve_weights(None, "segmenter")
    shipped = {path: path.read_bytes() for path in weights_folder().iterdir() if path.is_file()}
    assert cli.main(command(tmp_path)) == 0
    weights = tmp_path / "ours" / "ours.safetensors"
    assert sha256(weights) != default.identity.sha256
    assert {path: path.read_bytes() for path in shipped} == shipped
    ours = models.load(str(weights), None, "cpu").segmenter
    assert ours.identity.sha256 == sha256(weights)
    assert not ours.identity.verified
    theirs = models.load(None, None, "cpu").segmenter
    image, lv_box = make_phantom_stack().image(2), Box(24, 20, 48, 40)
    one, two = (
        s.predict(s.embed(image, lv_box), SlicePrompts(lv_box=lv_box)) for s in (ours, theirs)
    )
    assert one.scar.shape == two.scar.shape
    assert np.isfinite(one.scar).all()
    assert not np.array_equal(one.scar, two.scar)
    said = "".join(capfd.readouterr())
    written = "".join(
        path.read_text(encoding="utf-8") for path in (tmp_path / "ours").glob("*.json*")
    )
    assert "Jones" not in said + written
    assert "1.2.3." not in said + written
