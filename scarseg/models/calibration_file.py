"""The file of a calibration: what was learned, from how many cases, with which weights.

JSON, without anything that identifies a patient. ``sha256`` is of everything else in it, so that
a file that was edited or damaged is noticed; outputs name the calibration by it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

import scarseg
from scarseg.case.calibration import Calibration
from scarseg.errors import InputError, WeightsError

KIND, VERSION = "scarseg calibration", 1
LARGEST_LOGIT, LARGEST_OFFSET_MM, LARGEST_EVIDENCE_MM2 = 20.0, 20.0, 1e5
"""No rule of a file lies beyond these."""


class CalibratedRules(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What was learned; see :class:`scarseg.case.calibration.Calibration`."""

    automatic_logit: float
    prompted_logit: float
    given_wall_logit: float
    endocardium_offset_mm: float
    gate_evidence_mm2: float


class CalibrationFigures(msgspec.Struct, kw_only=True, frozen=True):
    """How the cases came out, by one way of prompting; each case judged without itself.

    ``before`` is without calibration. Bias and mean absolute error of the mass are over all cases,
    Dice over those with scar.
    """

    prompts: str
    calibrated: bool
    bias_g: float
    bias_percent: float
    mean_absolute_error_g: float
    dice: float


class CalibrationFile(msgspec.Struct, kw_only=True, frozen=True):
    """Content of a calibration file."""

    kind: str = KIND
    version: int = VERSION
    software_version: str = scarseg.__version__
    segmenter_sha256: str
    detector_sha256: str
    n_cases: int
    n_cases_with_scar: int
    rules: CalibratedRules
    figures: list[CalibrationFigures]

    @property
    def sha256(self) -> str:
        """Digest of the content, by which outputs name the calibration."""
        text = json.dumps(msgspec.to_builtins(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def calibration(self) -> Calibration:
        """What was learned, with the name of this file."""
        rules = self.rules
        return Calibration(
            self.sha256,
            rules.automatic_logit,
            rules.prompted_logit,
            rules.given_wall_logit,
            rules.endocardium_offset_mm,
            rules.gate_evidence_mm2,
        )

    def of_weights(self, segmenter_sha256: str, detector_sha256: str) -> Calibration:
        """Return the calibration for weights in use; ``detector_sha256`` is empty without one.

        Raises:
            WeightsError: E_CALIBRATION_WEIGHTS, it was learned with others.
        """
        pairs = (
            ("segmenter", self.segmenter_sha256, segmenter_sha256),
            ("detector", self.detector_sha256, detector_sha256),
        )
        for kind, learned, used in pairs:
            if learned != used:
                message = (
                    f"The calibration was learned with the {kind} {learned[:12] or 'none'}, not"
                    f" with {used[:12] or 'none'} (sha256): calibrate again with these weights."
                )
                raise WeightsError("E_CALIBRATION_WEIGHTS", message)
        return self.calibration

    def encode(self) -> bytes:
        """Return the file as JSON."""
        content = {**msgspec.to_builtins(self), "sha256": self.sha256}
        return (json.dumps(content, indent=1) + "\n").encode()


def read_calibration(path: Path) -> CalibrationFile:
    """Read a calibration.

    Raises:
        InputError: E_INPUT_MISSING, E_INPUT_UNREADABLE; E_CALIBRATION, it is none, damaged, or of
            another version.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError("E_INPUT_MISSING", f"There is no file {path}.", str(path)) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}."
        raise InputError("E_INPUT_UNREADABLE", message, str(path)) from error
    try:
        content: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _refused(path, "is no JSON") from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise _refused(path, "is no calibration")
    if content.get("version") != VERSION:
        why = f"is a calibration of version {content.get('version')!r}, not {VERSION}"
        raise _refused(path, f"{why}: calibrate again with this program")
    digest = content.pop("sha256", None)
    try:
        found = msgspec.convert(content, CalibrationFile)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _refused(path, f"is damaged ({error})") from error
    if digest != found.sha256:
        raise _refused(path, "was changed after it was written: its sha256 is another")
    rules = found.rules
    logits = (rules.automatic_logit, rules.prompted_logit, rules.given_wall_logit)
    beyond = any(not abs(one) <= LARGEST_LOGIT for one in logits)
    beyond |= not abs(rules.endocardium_offset_mm) <= LARGEST_OFFSET_MM
    if beyond or not 0 <= rules.gate_evidence_mm2 <= LARGEST_EVIDENCE_MM2:
        raise _refused(path, "holds a rule that makes no sense")
    return found


def _refused(path: Path, why: str) -> InputError:
    return InputError("E_CALIBRATION", f"{path} {why}.", str(path))
