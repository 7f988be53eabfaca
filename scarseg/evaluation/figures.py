"""The figures of one patient, and of each of its slices: the columns of the tables."""

from __future__ import annotations

from dataclasses import dataclass

LOOSE, FAIR, GOOD, TIGHT = 0.1, 0.3, 0.5, 0.75
"""Overlaps (IoU) from which a proposed box counts as found."""
GOAL, HIGH_GOAL = 0.75, 0.80
"""Dice that clicks are counted up to."""


@dataclass(frozen=True, kw_only=True)
class SliceFigures:
    """One slice, one segmenter, one way of asking; only slices with a reference.

    What is not known or not defined is None. ``scar_score_mm2`` ranks slices by how much scar
    they may hold; boxes are the program's own; ``n_boxes_iou30`` counts true components whose
    box was met with at least that overlap. ``clicks_to_dice_075`` counts clicks after the box.
    """

    patient: str
    segmenter: str
    prompts: str
    slice_index: int
    true_scar_area_mm2: float | None = None
    scar_area_mm2: float | None = None
    true_scar_mass_g: float | None = None
    scar_mass_g: float | None = None
    dice: float | None = None
    hd_mm: float | None = None
    hd95_mm: float | None = None
    wall_dice: float | None = None
    pool_dice: float | None = None
    lv_iou: float | None = None
    scar_score_mm2: float | None = None
    n_true_boxes: int | None = None
    n_boxes: int | None = None
    n_boxes_iou10: int | None = None
    n_boxes_iou30: int | None = None
    n_boxes_iou50: int | None = None
    n_boxes_iou75: int | None = None
    n_interactions: int | None = None
    clicks_to_dice_075: int | None = None
    clicks_to_dice_080: int | None = None
    image_quality: str = ""


@dataclass(frozen=True, kw_only=True)
class PatientFigures:
    """One patient, one segmenter, one way of asking; summed over slices with a reference.

    What is not known or not defined is None: Dice where neither has scar, distances where either
    has none, everything of the wall for a model that knows none. Errors are found minus true;
    ``scar_error_percent_lv`` is in percent of the true LV mass. ``false_scar_mass_g`` is what
    lies on slices without scar. ``hd_mm`` and ``hd95_mm`` are in-plane, the mean over slices.
    ``redrawn_...`` is of a second reading with prompts drawn anew.
    """

    patient: str
    kind: str
    segmenter: str
    prompts: str
    n_slices: int = 0
    n_scar_slices: int | None = None
    true_scar_mass_g: float | None = None
    scar_mass_g: float | None = None
    scar_error_g: float | None = None
    scar_absolute_error_g: float | None = None
    true_lv_mass_g: float | None = None
    lv_mass_g: float | None = None
    lv_mass_error_g: float | None = None
    true_scar_percent_lv: float | None = None
    scar_percent_lv: float | None = None
    scar_error_percent_lv: float | None = None
    dice: float | None = None
    slice_dice: float | None = None
    precision: float | None = None
    recall: float | None = None
    hd_mm: float | None = None
    hd95_mm: float | None = None
    hd_3d_mm: float | None = None
    hd95_3d_mm: float | None = None
    false_scar_mass_g: float | None = None
    wall_dice: float | None = None
    pool_dice: float | None = None
    lv_iou: float | None = None
    lv_found_percent: float | None = None
    n_interactions: int | None = None
    clicks_to_dice_075: int | None = None
    clicks_to_dice_080: int | None = None
    redrawn_scar_mass_g: float | None = None
    redrawn_dice: float | None = None
    image_quality: str = ""
    error_code: str = ""
    proposal_seconds: float | None = None
    answer_seconds: float | None = None

    @property
    def column(self) -> tuple[str, str]:
        """Name what was evaluated: segmenter and way of asking."""
        return self.segmenter, self.prompts
