"""No file is a program: what comes in is read, never run; and one bit is enough to be noticed."""

from __future__ import annotations

import ast
import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scarseg.case.stack import Stack
from scarseg.cli import main
from scarseg.errors import StoreError, WeightsError
from scarseg.io.casefile import store
from scarseg.models import weights
from scarseg.simulate.write_dicom import write_series
from tests.conftest import make_phantom_stack
from tests.reliability.children import ROOT, need_weights


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.canary,)


def pickled(canary: Path) -> bytes:
    return pickle.dumps(Payload(canary))


def torch_zip(canary: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"model": Payload(canary), "weight": torch.zeros(2)}, buffer)
    return buffer.getvalue()


def torch_legacy(canary: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save([Payload(canary)], buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def torch_script_like(canary: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("evil/data.pkl", pickled(canary))
        archive.writestr("evil/constants.pkl", pickled(canary))
        archive.writestr("evil/version", "3\n")
        archive.writestr("evil/code/__torch__.py", f"open({str(canary)!r}, 'w')")
    return buffer.getvalue()


MAKERS = (pickled, torch_zip, torch_legacy, torch_script_like)


@pytest.mark.parametrize("make", [pickled, torch_zip, torch_legacy])
def test_the_payload_is_live(tmp_path: Path, make: Callable[[Path], bytes]):
    canary = tmp_path / "canary"
    file = io.BytesIO(make(canary))
    if make is pickled:
        pickle.load(file)  # noqa: S301 - our own payload
    else:
        torch.load(file, weights_only=False)
    assert canary.exists()


def load_segmenter(path: Path) -> object:
    from scarseg.models.segmenter import load_segmenter

    return load_segmenter(path, "cpu")


def load_detector(path: Path) -> object:
    from scarseg.models.detector import load_detector

    return load_detector(path, "cpu")


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch grumbles before it refuses
@pytest.mark.parametrize("load", [load_segmenter, load_detector])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors", ".PTH", ".bin", ""])
@pytest.mark.parametrize("make", MAKERS)
def test_hostile_checkpoints_are_refused_and_not_run(
    tmp_path: Path, make: Callable[[Path], bytes], suffix: str, load: Callable[[Path], object]
):
    canary, path = tmp_path / "canary", tmp_path / f"evil{suffix}"
    path.write_bytes(make(canary))
    with pytest.raises(WeightsError) as refusal:
        load(path)
    assert refusal.value.code in ("E_WEIGHTS_DAMAGED", "E_WEIGHTS_UNKNOWN")
    assert not canary.exists()


@pytest.mark.parametrize("load", [load_segmenter, load_detector])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b"\xff" * 8 + b"{}",
        b"PK\x03\x04 no zip",
        (2).to_bytes(8, "little") + b"{}",
    ],
    ids=["empty", "zeros", "huge header", "not a zip", "no tensors"],
)
def test_broken_checkpoints_are_refused(
    tmp_path: Path, content: bytes, suffix: str, load: Callable[[Path], object]
):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as refusal:
        load(path)
    assert refusal.value.code in ("E_WEIGHTS_DAMAGED", "E_WEIGHTS_UNKNOWN")


@pytest.mark.parametrize(
    "state",
    [
        [],
        {},
        {"image_encoder.pos_embed": torch.tensor(1.0)},
        {"image_encoder.pos_embed": torch.zeros(1, 2, 2, 768)},
        {"image_encoder.pos_embed": "large"},
        {1: torch.zeros(2)},
        torch.zeros(3),
    ],
    ids=["list", "empty", "scalar", "one tensor", "text", "number as name", "tensor"],
)
def test_checkpoints_of_something_else_are_refused(tmp_path: Path, state: object):
    path = tmp_path / "other.pth"
    torch.save(state, path)
    with pytest.raises(WeightsError, match="E_WEIGHTS_UNKNOWN"):
        load_segmenter(path)


@pytest.mark.parametrize("make", MAKERS)
def test_hostile_case_files_are_refused_and_not_run(tmp_path: Path, make: Callable[[Path], bytes]):
    canary, path = tmp_path / "canary", tmp_path / "case.scarseg"
    path.write_bytes(make(canary))
    with pytest.raises(StoreError) as refusal:
        store.load_case(path, make_phantom_stack())
    assert refusal.value.code == "E_CASE_DAMAGED"
    assert not canary.exists()


def calls_in(path: Path) -> list[tuple[str, ast.Call]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [(ast.unparse(n.func), n) for n in ast.walk(tree) if isinstance(n, ast.Call)]


def says(call: ast.Call, keyword: str, value: object) -> bool:
    return any(
        k.arg == keyword and isinstance(k.value, ast.Constant) and k.value.value is value
        for k in call.keywords
    )


FORBIDDEN = {
    "eval", "exec", "compile", "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads",
    "marshal.load", "shelve.open", "joblib.load", "dill.load", "yaml.load", "os.system", "YOLO",
    "torch.hub.load", "torch.jit.load", "hub.load", "torch.package.PackageImporter",
}  # fmt: skip


def test_the_program_has_no_way_to_run_what_it_reads():
    for path in sorted((ROOT / "scarseg").rglob("*.py")):
        where = str(path.relative_to(ROOT))
        for name, call in calls_in(path):
            assert name not in FORBIDDEN, (where, call.lineno, name)
            assert not says(call, "allow_pickle", True), (where, call.lineno)
            assert not says(call, "shell", True), (where, call.lineno)
            if name == "torch.load":
                assert says(call, "weights_only", True), (where, call.lineno)
            if name in ("np.load", "numpy.load"):
                assert says(call, "allow_pickle", False), (where, call.lineno)


def flip_last_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_one_flipped_bit_in_shipped_weights_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    need_weights()
    folder = tmp_path / "weights"
    shutil.copytree(weights.weights_folder(), folder)
    assert {verdict for _, verdict in weights.verify_weights(folder)} == {"ok"}
    for entry in weights.list_weights(folder):
        flip_last_bit(folder / entry.file)
    assert {verdict for _, verdict in weights.verify_weights(folder)} == {"damaged"}
    for entry in weights.list_weights(folder):
        own = weights.resolve_weights(folder / entry.file, entry.kind)
        assert not own.identity.verified
        assert own.identity.sha256 != entry.sha256
    monkeypatch.setattr(weights, "weights_folder", lambda: folder)
    for load in (load_segmenter, load_detector):
        with pytest.raises(WeightsError) as refusal:
            load(None)  # type: ignore[arg-type]
        assert refusal.value.code == "E_WEIGHTS_DAMAGED"


def test_results_of_changed_weights_are_marked_unverified(tmp_path: Path, phantom_stack: Stack):
    need_weights()
    write_series(tmp_path / "study", phantom_stack)
    own = []
    for entry in weights.list_weights():
        if entry.default:
            copy = tmp_path / entry.file
            shutil.copy(weights.weights_folder() / entry.file, copy)
            flip_last_bit(copy)
            own += [f"--{entry.kind}", str(copy)]
    for name, choice in (("own", own), ("shipped", [])):
        table = str(tmp_path / f"{name}.csv")
        assert (
            main(["batch", str(tmp_path / "study"), "-o", table, "--device", "cpu", *choice]) == 0
        )
    assert "W_UNVERIFIED_WEIGHTS" in (tmp_path / "own.csv").read_text()
    assert "W_UNVERIFIED_WEIGHTS" not in (tmp_path / "shipped.csv").read_text()
