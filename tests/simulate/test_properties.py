"""Whatever the geometry, DICOM gives back the stack that was written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scarseg.case.stack import SliceSource, Stack
from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.uids import decimal_string, derived_uid
from scarseg.simulate.write_dicom import write_series
from scarseg.simulate.write_enhanced import Storage, store_slices

lengths = st.floats(0.5, 3.0)
SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    n, rows, columns = draw(st.integers(4, 7)), draw(st.integers(8, 20)), draw(st.integers(8, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    frame = np.linalg.qr(rng.normal(size=(3, 3)))[0].T[:2].round(12)
    normal = np.cross(frame[0], frame[1])
    step = draw(st.floats(5, 14))
    corner = rng.uniform(-200, 200, 3)
    low = draw(st.sampled_from([-2000, 0]))
    series = derived_uid("property", n, rows, columns, step)
    return Stack(
        pixels=rng.integers(low, 3000, (n, rows, columns)).astype(np.float32),
        pixel_spacing_mm=(round(draw(lengths), 6), round(draw(lengths), 6)),
        slice_thickness_mm=round(draw(st.floats(4, 12)), 4),
        orientation=tuple(float(v) for v in frame.ravel()),
        origins_mm=tuple(
            tuple(float(v) for v in np.round(corner + k * step * normal, 6)) for k in range(n)
        ),
        sources=tuple(SliceSource(derived_uid(series, k), instance_number=k + 1) for k in range(n)),
        series_uid=series,
        study_uid=derived_uid(series, "study"),
        description="LGE SAX",
        patient_id="PROPERTY",
        patient_name="PROPERTY",
        study_date="20240102",
    )


@SETTINGS
@given(stack=stacks(), enhanced=st.booleans(), storage=st.sampled_from(Storage))
def test_a_stack_written_and_read_is_the_stack(
    stack: Stack, enhanced: bool, storage: Storage
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), stack, enhanced=enhanced, storage=storage)
        report = scan([Path(folder)])
        assert report.refused == ()
        (summary,) = report.stacks
        read = read_stack(summary)
    backwards = read.origins_mm[0] != stack.origins_mm[0]
    origins = stack.origins_mm[::-1] if backwards else stack.origins_mm
    pixels = stack.pixels[::-1] if backwards else stack.pixels
    assert np.allclose(read.origins_mm, origins, atol=1e-9)
    assert np.abs(read.pixels - pixels).max() <= (0.05 if storage is Storage.SCALED else 0)
    assert read.pixel_spacing_mm == stack.pixel_spacing_mm
    assert read.slice_thickness_mm == stack.slice_thickness_mm
    assert np.allclose(read.slice_positions_mm, stack.slice_positions_mm, atol=1e-5)


@SETTINGS
@given(st.floats(-1e9, 1e9))
def test_decimal_strings_fit_and_keep_nine_digits(value: float) -> None:
    text = decimal_string(value)
    assert len(text) <= 16
    assert abs(float(text) - value) <= abs(value) * 1e-8 + 1e-99


@SETTINGS
@given(
    st.lists(
        st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=4, max_size=4, unique=True
    )
)
def test_scaled_storage_is_exact_to_half_a_step(values: list[float]) -> None:
    pixels = np.array(values, dtype=np.float32).reshape(1, 2, 2)
    (part,) = store_slices(pixels, Storage.SCALED)
    assert part.slope is not None and part.intercept is not None
    back = part.pixels.astype(np.float64) * float(part.slope) + float(part.intercept)
    assert np.abs(back - pixels).max() <= 0.51 * float(part.slope) + 1e-7 * np.abs(pixels).max()
