"""A calibration file: the same when read, refused once it is anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scarseg.errors import InputError, WeightsError
from scarseg.models.calibration_file import CalibrationFile, read_calibration
from tests.calibrations import learned


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "site.json"
    path.write_bytes(learned().encode())
    return path


def test_a_file_is_read_as_it_was_written(path: Path) -> None:
    found = read_calibration(path)
    assert found == learned()
    assert json.loads(path.read_text())["sha256"] == found.sha256 == found.calibration.sha256
    assert found.calibration.endocardium_offset_mm == 1.0


def test_layout_and_order_of_keys_do_not_matter(path: Path) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(sorted(content.items(), reverse=True))))
    assert read_calibration(path).sha256 == learned().sha256


def test_nothing_in_it_names_a_patient(path: Path) -> None:
    names = set(json.loads(path.read_text()))
    assert names == {
        *("kind", "version", "software_version", "segmenter_sha256", "detector_sha256"),
        *("n_cases", "n_cases_with_scar", "rules", "figures", "sha256"),
    }


def changed(content: dict[str, Any], *keys: str, to: Any) -> dict[str, Any]:
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    return content


@pytest.mark.parametrize(
    ("keys", "to", "says"),
    [
        (("rules", "automatic_logit"), -1.5, "was changed after it was written"),
        (("n_cases",), 99, "was changed after it was written"),
        (("sha256",), None, "was changed after it was written"),
        (("rules", "automatic_logit"), "low", "is damaged"),
        (("rules", "automatic_logit"), None, "is damaged"),
        (("rules",), [], "is damaged"),
        (("version",), 2, "version 2, not 1"),
        (("version",), None, "version None, not 1"),
        (("kind",), "weights", "is no calibration"),
    ],
)
def test_a_changed_file_is_refused(path: Path, keys: tuple[str, ...], to: Any, says: str) -> None:
    path.write_text(json.dumps(changed(json.loads(path.read_text()), *keys, to=to)))
    with pytest.raises(InputError, match=says) as refused:
        read_calibration(path)
    assert refused.value.code == "E_CALIBRATION"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000])
def test_bytes_that_are_no_calibration_are_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(InputError) as refused:
        read_calibration(path)
    assert refused.value.code == "E_CALIBRATION"


def test_every_cut_of_a_file_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for n in range(0, len(data) - 1, 7):
        path.write_bytes(data[:n])
        with pytest.raises(InputError):
            read_calibration(path)


@pytest.mark.parametrize("name", ["automatic_logit", "prompted_logit", "given_wall_logit"])
def test_rules_that_make_no_sense_are_refused_though_the_sum_is_right(
    path: Path, name: str
) -> None:
    path.write_bytes(learned(**{name: float("nan")}).encode())
    with pytest.raises(InputError, match="makes no sense"):
        read_calibration(path)
    path.write_bytes(learned(**{name: 500.0}).encode())
    with pytest.raises(InputError, match="makes no sense"):
        read_calibration(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_calibration(tmp_path / "none.json")
    assert refused.value.code == "E_INPUT_MISSING"


@pytest.mark.parametrize(
    ("segmenter", "detector"), [("2" * 64, "0" * 64), ("1" * 64, "2" * 64), ("1" * 64, "")]
)
def test_other_weights_are_refused(segmenter: str, detector: str) -> None:
    file: CalibrationFile = learned()
    assert file.of_weights("1" * 64, "0" * 64) == file.calibration
    with pytest.raises(WeightsError) as refused:
        file.of_weights(segmenter, detector)
    assert refused.value.code == "E_CALIBRATION_WEIGHTS"
