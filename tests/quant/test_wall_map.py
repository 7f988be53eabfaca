"""One call from labels to segments, with a given and with a proposed insertion."""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.case.measurements import MassConvention
from scarseg.case.prompts import InsertionPoint
from scarseg.quant.insertion_point import InsertionSource
from scarseg.quant.segment_tables import SEGMENT_COLUMNS, segment_rows
from scarseg.quant.segments import Level
from scarseg.quant.wall_map import map_wall, reader_insertion
from tests.quant.heart_views import polar
from tests.quant.test_insertion import SHAPE, heart


def test_a_proposed_and_a_given_insertion_agree() -> None:
    view = heart(120.0)
    _, angle = polar(SHAPE)
    septal = (view.labels == Label.MYOCARDIUM) & (angle >= 130) & (angle < 170)
    view.labels[septal] = Label.SCAR
    proposed = map_wall(view.labels, view.stack)
    point = InsertionPoint(2, 60 + 28 * cos(radians(120)), 60 - 28 * sin(radians(120)))
    given = map_wall(view.labels, view.stack, [point])
    assert proposed is not None
    assert given is not None
    assert proposed.source is InsertionSource.IMAGE
    assert given.source is None
    assert given.area_percents[2] == pytest.approx(100 * 40 / 60, abs=1)
    assert given.area_percents[8] == pytest.approx(proposed.area_percents[8], abs=10)
    assert given.ray_percents[2] == pytest.approx(100, abs=7)  # border rays are cut by pixels
    assert given.area_percents[5] == given.ray_percents[5] == 0
    assert given.measured.total.n_infarct_voxels == int(septal.sum())


def test_the_readers_base_and_apex_are_kept() -> None:
    view = heart(120.0)
    levels = (None, Level.BASAL, Level.MID, Level.MID, Level.APICAL, Level.APEX)
    found = map_wall(view.labels, view.stack, levels=levels)
    assert found is not None
    assert found.levels == levels
    assert sorted(np.unique(found.segments[5])) == [0, 17]
    assert len(found.transmurality) == 17
    assert found.transmurality[16].n_rays == 0
    assert found.transmurality[16].ray_mean_percent is None


def test_without_a_ring_there_is_no_map() -> None:
    view = heart(120.0)
    view.labels[:] = 0
    assert map_wall(view.labels, view.stack) is None


def test_rows_hold_segments_territories_and_the_whole() -> None:
    view = heart(120.0)
    view.labels[2][(view.labels[2] == Label.MYOCARDIUM)] = Label.SCAR
    found = map_wall(view.labels, view.stack)
    assert found is not None
    rows = segment_rows(found, MassConvention.SPACING)
    names = [*(str(n) for n in range(1, 17)), "LAD", "RCA", "LCX", "outside", "total"]
    assert [row["region"] for row in rows] == names
    assert all(set(row) <= set(SEGMENT_COLUMNS) for row in rows)
    assert set().union(*rows) == set(SEGMENT_COLUMNS)
    parts, total = rows[:16], rows[-1]
    for name in ("n_infarct_voxels", "scar_mass_spacing_g"):
        assert sum(float(str(row[name])) for row in parts) == pytest.approx(float(str(total[name])))
    assert rows[7]["transmurality_ray_class"] == "76 to 100"
    assert rows[0]["transmurality_area_class"] == "0"
    assert rows[-2]["scar_percent"] is None  # no wall outside
    assert {row["insertion_source"] for row in rows} == {"image"}
    point = InsertionPoint(1, 30.0, 30.0)
    given = map_wall(view.labels, view.stack, [point])
    assert given is not None
    assert {row["insertion_source"] for row in segment_rows(given)} == {"reader"}


def test_a_readers_point_counts_while_its_slice_has_wall() -> None:
    view = heart(120.0)
    case = Case(view.stack, view.labels, list(Case.new(view.stack).readings))
    assert reader_insertion(case) == ()
    case.insertion = InsertionPoint(1, 30.0, 30.0)
    assert reader_insertion(case) == (case.insertion,)
    view.labels[1] = 0
    assert reader_insertion(case) == ()
