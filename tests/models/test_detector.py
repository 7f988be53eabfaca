"""The detector: what it sees, where its boxes land, and that its weights are only data."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Origin
from scarseg.case.stack import Stack
from scarseg.errors import ModelError, WeightsError
from scarseg.models import Structure
from scarseg.models import detector as models_detector
from scarseg.models.detector import (
    DetectorSettings,
    YoloDetector,
    load_detector,
    open_detector,
    save_weights,
    to_detections,
)
from scarseg.models.detector_crop import (
    FAR_MM_PER_PIXEL,
    DetectorCrop,
    crop_image,
    inside_slice,
    resample,
)
from scarseg.models.detector_network import build_network, mirrored_mean
from scarseg.simulate.series import simulate_stack

NOBODY = ModelIdentity("test", "0" * 64, False)
SPACING = (2.0, 1.25)  # between rows, between columns


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several test processes with all threads each would wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return build_network().eval()


@pytest.fixture
def weights(network: Any, tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    save_weights(path, network.state_dict(), DetectorSettings(0.1, 0.2))
    return path


def scripted(monkeypatch: pytest.MonkeyPatch, *answers: list[list[float]]) -> list[torch.Tensor]:
    """Make the network return ``answers`` one after the other; keep what it was fed."""
    fed: list[torch.Tensor] = []

    def run(_network: object, images: torch.Tensor, *_: object) -> list[torch.Tensor]:
        fed.append(images)
        return [torch.tensor(answers[len(fed) - 1], dtype=torch.float32).reshape(-1, 6)]

    monkeypatch.setattr(models_detector, "run_network", run)
    return fed


def detector(settings: DetectorSettings | None = None) -> YoloDetector:
    return YoloDetector(torch.nn.Identity(), settings or DetectorSettings(), NOBODY)


# --- where boxes land ---------------------------------------------------------------------------


def test_boxes_come_back_exactly_from_unequal_rows_and_columns() -> None:
    view = DetectorCrop.whole((100, 140), SPACING)
    middle_row, middle_column = view.shape[0] / 2, view.shape[1] / 2
    rows = torch.tensor(
        [[middle_column - 10, middle_row - 8, middle_column + 10, middle_row + 4, 0.75, 1]]
    )
    (found,) = to_detections(rows, view, (100, 140))
    box = found.box
    # one view pixel is 2.5 mm: two columns, one and a quarter rows
    assert (box.column0, box.column1) == pytest.approx((70 - 20, 70 + 20), abs=1e-9)
    assert (box.row0, box.row1) == pytest.approx((50 - 10, 50 + 5), abs=1e-9)
    assert found.structure == Structure.LEFT_VENTRICLE
    assert box.origin == Origin.DETECTOR
    assert box.score == found.score == 0.75


def test_boxes_are_clipped_to_the_slice_and_dropped_outside() -> None:
    view = DetectorCrop.whole((40, 60), SPACING)
    rows = torch.tensor([[0.0, 0, 128, 128, 0.9, 0], [0.0, 0, 5, 5, 0.8, 0]])
    (only,) = to_detections(rows, view, (40, 60))
    assert (only.box.column0, only.box.row0, only.box.column1, only.box.row1) == (0, 0, 60, 40)


def test_views_map_there_and_back() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]]) @ np.diag([1.1, -0.9])
    view = DetectorCrop.around((33.3, 51.7), SPACING, 1.3, turn=turn)
    points = np.random.default_rng(0).uniform(0, 128, (20, 2))
    np.testing.assert_allclose(view.to_crop(view.to_source(points)), points, atol=1e-9)
    np.testing.assert_allclose(view.to_source(np.array([[64.0, 64.0]])), [[33.3, 51.7]])


@pytest.mark.parametrize("mm", [0.5, 1.0, 2.5])
def test_pixels_and_points_agree(mm: float) -> None:
    mask = np.zeros((90, 120), dtype=np.uint8)
    mask[30:48, 50:74] = 1
    view = DetectorCrop.around((60.0, 40.0), SPACING, mm)
    seen_rows, seen_columns = np.nonzero(resample(mask, view, order=0))
    (column0, row0), (column1, row1) = view.to_crop(np.array([[50.0, 30.0], [74.0, 48.0]]))
    assert abs(seen_columns.min() - column0) <= 0.5
    assert abs(seen_columns.max() + 1 - column1) <= 0.5
    assert abs(seen_rows.min() - row0) <= 0.5
    assert abs(seen_rows.max() + 1 - row1) <= 0.5


@pytest.mark.parametrize("shape", [(252, 149), (60, 72), (512, 512), (1, 1), (900, 40)])
def test_the_whole_slice_is_in_the_first_look(shape: tuple[int, int]) -> None:
    view = DetectorCrop.whole(shape, (1.43, 1.43))
    assert view.shape[0] % 32 == 0 and view.shape[1] % 32 == 0
    assert max(view.shape) <= 256
    corners = view.to_crop(np.array([[0.0, 0.0], [shape[1], shape[0]]]))
    assert (corners >= -1e-6).all()
    assert (corners <= np.array([view.shape[1], view.shape[0]]) + 1e-6).all()


def test_the_first_look_has_the_trained_scale() -> None:
    view = DetectorCrop.whole((200, 200), SPACING)
    assert view.matrix[0, 0] == pytest.approx(FAR_MM_PER_PIXEL / SPACING[1])
    assert view.matrix[1, 1] == pytest.approx(FAR_MM_PER_PIXEL / SPACING[0])


# --- what it sees -------------------------------------------------------------------------------


def test_looks_do_not_change_with_gain_and_offset() -> None:
    pixels = np.random.default_rng(1).gamma(2, 50, (80, 90)).astype(np.float32)
    view = DetectorCrop.around((40, 40), SPACING, 1.0)
    np.testing.assert_allclose(
        crop_image(pixels, view), crop_image(pixels * 7 - 300, view), atol=1e-4
    )


def test_looks_are_dark_outside_the_slice_and_survive_values_that_are_no_numbers() -> None:
    pixels = np.full((50, 50), 80, dtype=np.float32)
    pixels[20:30, 20:30] = np.nan
    pixels[10, 10] = np.inf
    view = DetectorCrop.whole((50, 50), SPACING)
    seen = crop_image(pixels, view)
    assert np.isfinite(seen).all()
    assert (seen[~inside_slice(view, (50, 50))] == 0).all()
    assert seen.min() >= 0 and seen.max() <= 1
    assert (crop_image(pixels, DetectorCrop.around((9e3, 9e3), SPACING, 1.0)) == 0).all()


def test_training_and_use_see_the_same_picture(
    monkeypatch: pytest.MonkeyPatch, phantom_stack: Stack, phantom_truth: np.ndarray
) -> None:
    from scarseg.training.detector import sampling
    from scarseg.training.detector.data import LabelledSlice

    heart = [[40.0, 40, 80, 80, 0.9, 1]]
    fed = scripted(monkeypatch, heart, [])
    image = phantom_stack.image(2)
    detector().detect(image)
    far = DetectorCrop.whole(image.pixels.shape, image.pixel_spacing_mm)
    (found,) = to_detections(torch.tensor(heart), far, image.pixels.shape)
    near = models_detector.near_crop(found.box, image.pixel_spacing_mm)

    monkeypatch.setattr(sampling, "vary_slice_appearance", lambda seen, _rng: seen)
    monkeypatch.setattr(sampling, "cut_margins", lambda piece, _rng: piece)
    monkeypatch.setattr(sampling, "whole_slice_crop", lambda *_: far)
    monkeypatch.setattr(sampling, "heart_crop", lambda *_: near)
    piece = LabelledSlice("x", 2, image.pixels, phantom_truth[2], image.pixel_spacing_mm)
    rng = np.random.default_rng(0)
    for seen, is_far in zip(fed, (True, False), strict=True):
        trained = sampling.make_sample(piece, rng, is_far)
        np.testing.assert_allclose(seen[0, 0].numpy(), trained.image, atol=1e-5)


# --- what it proposes ---------------------------------------------------------------------------


def test_all_scars_are_kept_but_one_left_ventricle(
    monkeypatch: pytest.MonkeyPatch, phantom_stack: Stack
) -> None:
    fed = scripted(
        monkeypatch,
        [[50, 50, 74, 76, 0.8, 1], [50, 50, 60, 60, 0.7, 0]],
        [
            [30, 30, 90, 90, 0.95, 1],
            [32, 32, 92, 92, 0.90, 1],
            [40, 40, 52, 52, 0.60, 0],
            [70, 70, 84, 84, 0.50, 0],
            [40, 70, 50, 84, 0.40, 0],
            [60, 60, 70, 70, 0.05, 0],
        ],
    )
    found = detector(DetectorSettings(0.3, 0.3)).detect(phantom_stack.image(0))
    assert [f.structure.value for f in found] == ["left_ventricle", "scar", "scar", "scar"]
    assert [f.score for f in found] == pytest.approx([0.95, 0.6, 0.5, 0.4])
    assert [f.shape[1:] for f in fed] == [(1, 128, 128), (1, 128, 128)]


def test_a_second_place_is_looked_at_when_the_first_is_no_heart(
    monkeypatch: pytest.MonkeyPatch, phantom_stack: Stack
) -> None:
    places = [[50, 50, 60, 60, 0.8, 1], [70, 60, 80, 75, 0.7, 1], [20, 20, 30, 30, 0.1, 1]]
    nothing = [[40, 40, 60, 60, 0.2, 0], [30, 30, 90, 90, 0.1, 1]]
    fed = scripted(monkeypatch, places, nothing, [[30, 30, 90, 90, 0.45, 1]])
    (heart,) = detector().detect(phantom_stack.image(0))
    assert heart.score == pytest.approx(0.45)
    assert len(fed) == 3


def test_nothing_is_proposed_where_no_heart_is_seen(
    monkeypatch: pytest.MonkeyPatch, phantom_stack: Stack
) -> None:
    scripted(monkeypatch, [])
    assert detector().detect(phantom_stack.image(0)) == []


def test_an_answer_that_is_no_number_is_an_error(
    monkeypatch: pytest.MonkeyPatch, phantom_stack: Stack
) -> None:
    scripted(monkeypatch, [[1, 1, float("nan"), 4, 0.9, 1]])
    with pytest.raises(ModelError, match="E_MODEL_OUTPUT"):
        detector().detect(phantom_stack.image(0))


@pytest.mark.parametrize("axis", [-1, -2])
def test_a_mirrored_slice_gives_mirrored_boxes(network: Any, axis: int) -> None:
    images = torch.rand(1, 1, 128, 160)
    with torch.no_grad():
        plain = mirrored_mean(network, images)[0]
        mirrored = mirrored_mean(network, images.flip(axis))[0].clone()
    place = 0 if axis == -1 else 1
    mirrored[place] = images.shape[axis] - mirrored[place]
    start = 0
    for stride in (8, 16, 32):
        grid = (128 // stride, 160 // stride)
        cells = slice(start, start + grid[0] * grid[1])
        back = mirrored[:, cells].unflatten(1, grid).flip(axis).flatten(1)
        torch.testing.assert_close(plain[:, cells], back, atol=1e-2, rtol=1e-3)
        start = cells.stop


def test_a_large_heart_fits_the_second_look() -> None:
    from scarseg.case.prompts import Box

    view = models_detector.near_crop(Box(10, 20, 130, 95), SPACING)  # 150 mm both ways
    corners = view.to_crop(np.array([[10.0, 20.0], [130.0, 95.0]]))
    assert corners.min() > 8 and corners.max() < 120


# --- its weights --------------------------------------------------------------------------------


def test_weights_come_back_as_they_were_saved(
    network: Any, weights: Path, phantom_stack: Stack
) -> None:
    assert weights.stat().st_size < 8e6
    opened = open_detector(weights, NOBODY)
    assert opened.settings == DetectorSettings(0.1, 0.2)
    images = torch.rand(1, 1, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(
            opened._network(images)[0], network(images)[0], atol=0.05, rtol=0.01
        )
    opened.detect(phantom_stack.image(0))


def test_the_same_slice_gives_the_same_boxes(weights: Path, phantom_stack: Stack) -> None:
    opened = open_detector(weights, NOBODY)
    image = phantom_stack.image(1)
    assert opened.candidates(image, 1e-6) == opened.candidates(image, 1e-6)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _rewrite(path: Path, change: Any, metadata: dict[str, str] | None = None) -> None:
    state = load_file(path)
    change(state)
    fitting = {"format": models_detector.FORMAT, "settings": json.dumps({"scar_score": 0.3})}
    save_file(state, path, fitting if metadata is None else metadata)


def _poison(state: dict[str, torch.Tensor]) -> None:
    key = next(iter(state))
    state[key] = torch.full_like(state[key], float("nan"))


def _reshape(state: dict[str, torch.Tensor]) -> None:
    key = next(k for k in state if k.endswith("conv.weight"))
    state[key] = torch.zeros(3, 3)


def _keep(_state: dict[str, torch.Tensor]) -> None:
    pass


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_cut, "E_WEIGHTS_DAMAGED"),
        (lambda p: p.write_bytes(b""), "E_WEIGHTS_DAMAGED"),
        (lambda p: p.write_bytes(b"\xff" * 4096), "E_WEIGHTS_DAMAGED"),
        (lambda p: p.unlink(), "E_WEIGHTS_MISSING"),
        (lambda p: _rewrite(p, _poison), "E_WEIGHTS_DAMAGED"),
        (lambda p: _rewrite(p, _reshape), "E_WEIGHTS_DAMAGED"),
        (lambda p: _rewrite(p, lambda s: s.pop(next(iter(s)))), "E_WEIGHTS_DAMAGED"),
        (lambda p: _rewrite(p, lambda s: s.update(more=torch.ones(2))), "E_WEIGHTS_DAMAGED"),
        (lambda p: _rewrite(p, _keep, {}), "E_WEIGHTS_UNKNOWN"),
        (
            lambda p: _rewrite(p, _keep, {"format": models_detector.FORMAT}),
            "E_WEIGHTS_DAMAGED",
        ),
        (
            lambda p: _rewrite(
                p,
                _keep,
                {"format": models_detector.FORMAT, "settings": '{"far_mm_per_pixel": 9}'},
            ),
            "E_WEIGHTS_UNKNOWN",
        ),
        (
            lambda p: _rewrite(
                p, _keep, {"format": models_detector.FORMAT, "settings": '{"run": "x"}'}
            ),
            "E_WEIGHTS_DAMAGED",
        ),
    ],
)
def test_damaged_weights_are_refused(weights: Path, damage: Any, code: str) -> None:
    damage(weights)
    with pytest.raises(WeightsError) as caught:
        open_detector(weights, NOBODY)
    assert caught.value.code == code


def test_the_shipped_weights_find_a_simulated_heart_and_its_scar() -> None:
    from scarseg.models.weights import weights_folder
    from scarseg.training.cases import TrainingCase
    from scarseg.training.detector.data import labelled_slices
    from scarseg.training.detector.evaluate import detect_all, summarise

    path = weights_folder() / "scarseg-detector-1.safetensors"
    opened = load_detector(path)
    assert isinstance(opened, YoloDetector)
    cases = []
    for seed in (900_001, 900_002, 900_003):
        made = simulate_stack(seed)
        stack = made.stack
        spacing = stack.pixel_spacing_mm
        cases.append(TrainingCase(str(seed), "simulated", stack.pixels, made.truth, spacing, 10.0))
    figures = summarise(detect_all(opened.detect, labelled_slices(cases)), 0.0, 0.0)
    assert figures["lv_iou_mean"] > 0.7
    assert figures["scar_recall_iou_over_0.3"] > 0.2


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_weights_cannot_run_code(tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps({"model": _Canary(canary)}))
    with pytest.raises(WeightsError):
        load_detector(path)
    torch.save({"model": _Canary(canary)}, path)
    with pytest.raises(WeightsError):
        load_detector(path)
    assert not canary.exists()


def test_weights_of_pytorch_are_unknown_and_not_damaged(tmp_path: Path) -> None:
    for name, data in (("zip.pt", None), ("pickle.pt", pickle.dumps({"model": 1}, protocol=2))):
        path = tmp_path / name
        if data is None:
            torch.save({"model": torch.zeros(2)}, path)
        else:
            path.write_bytes(data)
        with pytest.raises(WeightsError, match=f"{name} is a PyTorch file") as caught:
            load_detector(path)
        assert caught.value.code == "E_WEIGHTS_UNKNOWN"


def test_a_header_that_begins_like_a_pickle_is_read_as_safetensors(tmp_path: Path) -> None:
    """The length of a header, little endian, comes first: 0x480 begins like a pickle."""
    path = tmp_path / "detector.safetensors"
    lengths = set()
    for n in range(0, 2048, 8):
        save_file({"a": torch.zeros(1)}, path, {"format": "other", "filled": "x" * n})
        start = path.read_bytes()[:8]
        lengths.add(start[0])
        if start[0] == 0x80:
            break
    assert 0x80 in lengths
    with pytest.raises(WeightsError, match="not a scarseg detector") as caught:
        load_detector(path)
    assert caught.value.code == "E_WEIGHTS_UNKNOWN"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(WeightsError) as caught:
        load_detector(path)
    assert caught.value.code == "E_WEIGHTS_DAMAGED"


def test_no_detector_can_be_asked_for() -> None:
    assert load_detector("none") is None


CHILD = """
import json, os, sys
touched = []
def watch(event, args):
    if event.startswith("socket.") and event not in ("socket.__new__",):
        touched.append(event)
    if event in ("subprocess.Popen", "os.system") and "pip" in str(args):
        touched.append(event)
sys.addaudithook(watch)
import torch
torch.set_num_threads(2)
from scarseg.models.detector import build_network, run_network
network = build_network().eval()
run_network(network, torch.zeros(1, 1, 128, 128), 0.1, 0.5, True)
from ultralytics import settings, utils
print(json.dumps({
    "touched": touched, "sync": settings["sync"], "threads": torch.get_num_threads(),
    "autoinstall": utils.AUTOINSTALL, "safe": utils.SAFE_LOAD,
    "settings_file": str(settings.file), "environment": dict(os.environ),
}))
"""


def test_ultralytics_is_guarded(tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["touched"] == []
    assert said["sync"] is False
    assert said["threads"] == 2
    assert said["autoinstall"] is False and said["safe"] is True
    assert said["environment"]["YOLO_OFFLINE"] == "1"
    assert said["environment"]["ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS"] == "1"
    assert said["settings_file"].startswith(str(tmp_path / "cache" / "scarseg"))
    assert not (tmp_path / "home" / ".config").exists()
