"""Interfaces of detector and segmenter, and their loading; only :func:`load` imports torch."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from scarseg.case.calibration import Calibration
from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import FloatArray, SliceImage

_GUARDS = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",
    "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
}

_DEFAULTS = {
    # Threads that spin while they wait make torch twenty times slower on a busy machine. OpenMP
    # reads this once, when torch is loaded.
    "OMP_WAIT_POLICY": "PASSIVE",
    # What ultralytics sets by itself when it is imported.
    "NUMEXPR_MAX_THREADS": str(min(8, max(1, (os.cpu_count() or 2) - 1))),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "KINETO_LOG_LEVEL": "5",
}

_LIBRARIES = (
    *(("torch", f"lib/lib{name}.[ds]*") for name in
      ("torch_global_deps", "torch_cpu", "torch_cuda", "torch", "shm", "torch_python")),
    ("triton", "_C/libtriton*.so"),
    ("cv2", "cv2*.so"),
)  # fmt: skip
"""Packages and patterns of their libraries that take longest to map, in the order of dependence."""


def prepare_environment() -> None:
    """Set the environment that keeps ultralytics offline, with settings in a folder of our own.

    Call it before torch and ultralytics are imported, and before any thread is started: changing
    the environment while a library of another thread reads it can crash the process. Calling it
    again is harmless.
    """
    os.environ.update(_GUARDS)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if "SCARSEG_YOLO_CONFIG_DIR" not in os.environ:
        folder = user_cache_path("scarseg", appauthor=False) / "ultralytics"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(folder)
        except OSError:
            folder = Path(tempfile.mkdtemp(prefix="scarseg-ultralytics-"))
        os.environ["SCARSEG_YOLO_CONFIG_DIR"] = str(folder)
    os.environ["YOLO_CONFIG_DIR"] = os.environ["SCARSEG_YOLO_CONFIG_DIR"]


class Structure(StrEnum):
    """Structures a detector finds."""

    SCAR = "scar"
    LEFT_VENTRICLE = "left_ventricle"


@dataclass(frozen=True)
class Detection:
    """One proposed box in source pixels with its score, 0 to 1."""

    box: Box
    structure: Structure
    score: float


@dataclass(frozen=True, eq=False)
class Embedding:
    """Features a segmenter computed once for one slice, opaque to the caller.

    ``shape`` (row, column) of the source grid, ``pixel_spacing_mm`` likewise; ``lv_box`` the box
    that the crop was centred on, if any.
    """

    shape: tuple[int, int]
    lv_box: Box | None
    features: Any
    pixel_spacing_mm: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Logits:
    """Logits on the source grid, float32 (row, column); above 0 means inside.

    ``blood_pool`` and ``wall`` are None for a segmenter that knows scar only. ``wall`` is the
    whole wall including scar; ``scar`` includes MVO. ``prompts`` are those of the
    prediction; ``uncorrected`` is the prediction before a reader's clicks on wall and pool;
    ``exact``: wall and pool are a reader's contours, where nothing is tidied.
    """

    scar: FloatArray
    blood_pool: FloatArray | None = None
    wall: FloatArray | None = None
    prompts: SlicePrompts | None = None
    uncorrected: Logits | None = None
    exact: bool = False


class Detector(Protocol):
    """Model that proposes boxes on one slice."""

    identity: ModelIdentity

    def detect(self, image: SliceImage) -> list[Detection]:
        """Return boxes of both structures, best score first."""
        ...


class Segmenter(Protocol):
    """Model that embeds a slice once, then predicts once per prompt."""

    identity: ModelIdentity

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        """Compute the costly part once for a slice.

        Args:
            image: the slice.
            lv_box: box round the left ventricle, or None to use the centre of the slice.
        """
        ...

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        """Predict an embedded slice from prompts; without any, the prediction is automatic.

        All points are for scar: :func:`scarseg.segmentation.predict.predict` holds others back.
        ``previous`` is the prediction that corrective clicks refer to. ``quick`` leaves out the
        averaging that only improves an automatic prediction.
        """
        ...


class FeatureStore(Protocol):
    """Where a slow segmenter keeps embeddings, float16 arrays by the hash of their slice."""

    def get(self, key: str) -> npt.NDArray[np.float16] | None:
        """Return what is kept; None where there is nothing, or it is damaged."""
        ...

    def put(self, key: str, features: npt.NDArray[np.float16]) -> None:
        """Keep an array; where the disk refuses, nothing is kept."""
        ...


def keep_embeddings(segmenter: Segmenter, store: FeatureStore) -> None:
    """Set where a segmenter whose embeddings take long keeps them; others keep none."""
    if hasattr(segmenter, "store"):
        segmenter.store = store


def embed_step(segmenter: Segmenter, image: SliceImage) -> float:
    """Compute the next part of a slice's embedding; return the part done, 1 when all is.

    A segmenter that embeds at once has nothing to compute beforehand.
    """
    step = getattr(segmenter, "embed_step", None)
    return 1.0 if step is None else float(step(image))


def embeds_in_steps(segmenter: Segmenter) -> bool:
    """Return whether embeddings of a segmenter take so long that they are computed in steps."""
    return hasattr(segmenter, "embed_step")


def asks_boxes(segmenter: Segmenter) -> bool:
    """Return whether scar of a proposal is asked for by box, even where some is found without."""
    return bool(getattr(segmenter, "asks_boxes", False))


def takes_walls(segmenter: Segmenter) -> bool:
    """Return whether a segmenter was trained with walls that a reader set.

    It then takes as ``previous`` their wall and pool, and never its own.
    """
    return bool(getattr(segmenter, "takes_walls", False))


@dataclass(frozen=True)
class Models:
    """The two models of a session; ``detector`` may be None (then the segmenter proposes).

    ``calibration`` changes the rules by which their predictions become a proposal.
    """

    segmenter: Segmenter
    detector: Detector | None
    calibration: Calibration | None = None


def load(
    segmenter: Path | str | None = None,
    detector: Path | str | None = None,
    device: str = "auto",
) -> Models:
    """Load both models; None means the default weights.

    Args:
        segmenter: name in the manifest, a scarseg safetensors file, or a SAM or MedSAM
            ViT-B/L/H checkpoint (.pth), whose scar is kept to boxes and to the wall of the
            default segmenter.
        detector: name in the manifest or a scarseg detector file.
        device: auto, cpu, cuda or mps.

    Raises:
        WeightsError: E_WEIGHTS_MISSING, E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN, E_MEMORY.
    """
    prepare_environment()
    _map_libraries()
    from scarseg.models import detector as models_detector
    from scarseg.models import segmenter as models_segmenter

    return Models(
        models_segmenter.load_segmenter(segmenter, device),
        models_detector.load_detector(detector, device),
    )


def load_calibrated(load: Callable[[], Models], calibration: Calibration | None) -> Models:
    """Load models, and set what was learned of a site with their weights; None: nothing."""
    return replace(load(), calibration=calibration)


def _map_libraries() -> None:
    """Map large libraries before the imports that need them, which would block all other threads.

    A call through ctypes releases the interpreter lock. Libraries that cannot be mapped are left
    to the import, which reports the error.
    """
    if "torch" in sys.modules or sys.platform == "win32":
        return
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    for package, pattern in _LIBRARIES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        for path in sorted(Path(spec.origin).parent.glob(pattern)):
            shared = os.RTLD_GLOBAL if "global_deps" in path.name else os.RTLD_LOCAL
            dlopen(os.fsencode(path), os.RTLD_NOW | shared)


def limit_threads(n: int) -> int:
    """Set the number of torch threads of this process; return the number before.

    Does nothing, and returns ``n``, where no model has been loaded.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return n
    before = int(torch.get_num_threads())
    torch.set_num_threads(n)
    return before
