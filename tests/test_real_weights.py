"""The shipped weights through the whole chain, once."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from scarseg import cli, models
from scarseg.case.labels import Label, LabelArray, wall_mask
from scarseg.case.prompts import Point
from scarseg.errors import WeightsError
from scarseg.models.weights import verify_weights
from scarseg.quant.doubt import DoubtKind, slice_doubts
from scarseg.quant.overlap import dice
from scarseg.segmentation import pipeline, predict
from scarseg.segmentation.wall_correction import HeartMasks
from scarseg.simulate import series, studies
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.studies import StudyOptions
from tests import emidec


def shipped() -> bool:
    try:
        return all(verdict == "ok" for _, verdict in verify_weights())
    except WeightsError:
        return False


@pytest.mark.skipif(not shipped(), reason="no weights are shipped yet")
def test_shipped_weights_find_heart_and_scar_of_a_simulated_study(tmp_path: Path) -> None:
    options = StudyOptions(pair=False, enhanced=False, localizer=False)
    study = studies.write_study(tmp_path / "study", 19, options)
    out = tmp_path / "out"
    words = [str(study.dicom_folder), "-o", str(out / "scar.csv"), "--masks", str(out / "masks")]
    assert cli.main(["batch", *words, "--device", "cpu"]) == 0
    with (out / "scar.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert "W_UNVERIFIED_WEIGHTS" not in row["warnings"]
    assert len(row["segmenter_sha256"]) == len(row["detector_sha256"]) == 64
    truth = study.series[0].row
    heart = float(row["lv_mass_g"]) / float(truth["lv_mass_thickness_g"])
    scar = float(row["scar_mass_g"]) / float(truth["scar_mass_thickness_g"])
    assert 0.6 < heart < 1.6
    assert 0.3 < scar < 3
    found = np.asarray(nib.load(out / "masks" / row["mask_file"]).dataobj)
    true = np.asarray(nib.load(study.series[0].mask_file).dataobj)
    assert found.shape == true.shape
    both = np.count_nonzero((found > 0) & (true > 0))
    assert 2 * both / (np.count_nonzero(found) + np.count_nonzero(true)) > 0.75


def deepest_error(found: LabelArray, true: LabelArray) -> Point:
    """Click where pool, wall or background are taken for another over the widest place."""
    depths = {
        (wrong, right): ndimage.distance_transform_edt((found == wrong) & (true == right))
        for wrong in range(3)
        for right in {0, 1, 2} - {wrong}
    }
    (wrong, right), depth = max(depths.items(), key=lambda item: item[1].max())
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return Point(column + 0.5, row + 0.5, bool(right), Label(right or wrong))


@pytest.mark.skipif(not shipped(), reason="no weights are shipped yet")
def test_clicks_on_wall_and_pool_are_obeyed_and_bring_both_nearer_to_the_truth() -> None:
    made = series.simulate_stack(5, SimulationOptions(n_slices=4, beyond_heart=False))
    truth = np.where(wall_mask(made.truth), np.uint8(Label.MYOCARDIUM), made.truth)
    loaded = models.load(device="cpu")
    gains = []
    for k, proposal in pipeline.propose_stack(made.stack, loaded):
        labels, logits, prompts = proposal.labels, proposal.logits, proposal.prompts
        ground = HeartMasks.of_labels(labels).labels
        scores = [dice(ground == label, truth[k] == label) for label in (1, 2)]
        for _ in range(2):
            point = deepest_error(ground, truth[k])
            prompts = prompts.with_point(point)
            answer = predict.correct_heart(
                loaded, proposal.embedding, prompts, labels, ground, logits
            )
            column, row = point.pixel
            assert (answer.labels_under_scar[row, column] == point.structure) is np.bool_(
                point.positive
            )
            assert np.array_equal(answer.labels == Label.SCAR, labels == Label.SCAR)
            assert answer.logits is not None
            labels, ground, logits = answer.labels, answer.labels_under_scar, answer.logits
        after = [dice(ground == label, truth[k] == label) for label in (1, 2)]
        gains.append(np.subtract(after, scores))
    assert (np.mean(gains, axis=0) > 0).all()


@pytest.mark.skipif(not (shipped() and emidec.EMIDEC.is_dir()), reason="needs weights and EMIDEC")
def test_fat_taken_for_scar_at_the_apex_is_doubted() -> None:
    """Of P086 the proposal takes 9 g of fat for scar on slice 8, the last one."""
    stack, _ = emidec.load_emidec("P086")
    case = pipeline.propose_case(stack, models.load(device="cpu"))
    assert DoubtKind.APEX in [one.kind for one in slice_doubts(case, 7)]
    assert DoubtKind.OUTSIDE in [one.kind for one in slice_doubts(case, 7)]


@pytest.mark.skipif(not shipped(), reason="no weights are shipped yet")
def test_slices_that_pass_the_networks_together_are_proposed_as_one_by_one() -> None:
    """A batch proposes several slices at once, the window each by itself: the same masks."""
    loaded = models.load(device="cpu")
    stack = series.simulate_stack(3, SimulationOptions(n_slices=4, scar=True)).stack
    together = dict(pipeline.propose_stack(stack, loaded))
    assert loaded.detector is not None
    alone = [loaded.detector.detect(stack.image(k)) for k in range(stack.n_slices)]
    for k, heart in enumerate(pipeline.locate_hearts(stack, loaded)):
        assert len(heart.detections) == len(alone[k])
        for found, expected in zip(heart.detections, alone[k], strict=True):
            assert found.box.intersection_over_union(expected.box) > 0.9999
        proposal = pipeline.propose_slice(stack.image(k), loaded, located=heart)
        np.testing.assert_array_equal(proposal.labels, together[k].labels)
        assert np.allclose(proposal.logits.scar, together[k].logits.scar, atol=1e-3)
