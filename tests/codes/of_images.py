"""Codes of images: what their headers, pixels and folders can be refused or warned for."""

from __future__ import annotations

import copy
import zipfile

import numpy as np
from pydicom.uid import JPEG2000Lossless, RLELossless

from scarseg.io.dicom import read_stack, scan
from tests.codes.makers import Bench, Said, changed, loaded, provokes, raised
from tests.io.dicom_files import (
    NORMAL,
    ORIENTATION,
    SERIES,
    STUDY,
    compressed,
    decimals,
    enhanced,
    put_pixels,
    put_raw,
    save,
    save_series,
    series,
    slice_dataset,
    stored_pixels,
)


@provokes("E_SPACING", r"PixelSpacing is '0\\+1\.5'; two positive numbers")
def spacing_zero(bench: Bench) -> Said:
    return bench.loaded(changed(series(), PixelSpacing=["0", "1.5"]))


@provokes("E_SPACING", r"'120\\+120'; 0\.1 to 10 mm")
def spacing_beyond_belief(bench: Bench) -> Said:
    return bench.loaded(changed(series(), PixelSpacing=["120", "120"]))


@provokes("E_THICKNESS", r"SliceThickness is '120'; 0\.1 to 30 mm")
def thickness_beyond_belief(bench: Bench) -> Said:
    return bench.loaded(changed(series(), SliceThickness="120"))


@provokes("E_THICKNESS", r"SliceThickness is missing; give it")
@provokes("W_THICKNESS", r"SliceThickness is missing")
def no_thickness(bench: Bench) -> Said:
    return bench.loaded(changed(series(), SliceThickness=None))


@provokes("E_GEOMETRY", r"ImagePositionPatient is 'nan")
def no_position(bench: Bench) -> Said:
    datasets = series()
    put_raw(datasets[2], "ImagePositionPatient", b"nan\\0\\0")
    return bench.loaded(datasets)


@provokes("E_GEOMETRY", r"shared .*1\.25.* per-frame groups of frame 2|2\.5")
def groups_that_contradict(bench: Bench) -> Said:
    ds = enhanced(series())
    own = copy.deepcopy(ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence)
    own[0].PixelSpacing = ["2.5", "2.5"]
    ds.PerFrameFunctionalGroupsSequence[1].PixelMeasuresSequence = own
    return bench.loaded([ds])


@provokes("E_RESCALE", r"'x'")
def slope_of_letters(bench: Bench) -> Said:
    datasets = changed(series(), RescaleIntercept="0")
    for ds in datasets:
        put_raw(ds, "RescaleSlope", b"x")
    return bench.loaded(datasets)


@provokes("E_HEADER", "StudyInstanceUID is missing")
def no_uid(bench: Bench) -> Said:
    return bench.loaded(changed(series(), 2, StudyInstanceUID=None))


@provokes("E_TRUNCATED", "damaged|ends")
@provokes("W_UNREAD", r"IM0002\.dcm of the same folder is DICOM that cannot be read")
def header_cut_short(bench: Bench) -> Said:
    path = save_series(bench.folder / "in", series())[2]
    path.write_bytes(path.read_bytes()[:330])
    return loaded(bench.folder / "in")


@provokes("E_DECODE", r"1\.2\.840\.10008\.1\.2\.4\.94 is not supported")
def strange_transfer_syntax(bench: Bench) -> Said:
    ds = compressed(slice_dataset(0), JPEG2000Lossless)
    path = save(ds, bench.folder / "in" / "a.dcm", JPEG2000Lossless)
    data = path.read_bytes()
    assert data.count(b"1.2.840.10008.1.2.4.90") == 1
    path.write_bytes(data.replace(b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.94"))
    return loaded(path)


@provokes("W_SLICE_DAMAGED", r"Left out IM0002\.dcm")
def one_slice_damaged(bench: Bench) -> Said:
    datasets = [compressed(ds, RLELossless) for ds in series()]
    path = save_series(bench.folder / "in", datasets, RLELossless)[2]
    data = path.read_bytes()
    path.write_bytes(data[:-400] + bytes(400))
    return loaded(bench.folder / "in")


@provokes("E_LIMIT", r"Rows is 5000; at most 4096")
def too_many_rows(bench: Bench) -> Said:
    return bench.loaded(changed(series(), Rows=5000))


@provokes("E_DUPLICATE", r"2 files carry one SOPInstanceUID with different contents")
def one_uid_twice(bench: Bench) -> Said:
    return bench.loaded([*series(), slice_dataset(2, pixels=stored_pixels(9))])


@provokes("E_IMAGE_KINDS", "5 slices hold values below zero, 1 do not")
def real_and_magnitude(bench: Bench) -> Said:
    datasets = changed(series(), ImageType=["ORIGINAL", "PRIMARY", "OTHER"])
    for k, ds in enumerate(datasets):
        put_pixels(ds, stored_pixels(k).astype(np.int16) - (2048 if k else 0))
    return bench.loaded(datasets)


@provokes("E_ARCHIVE", r"'\.\./evil'")
def zip_that_climbs(bench: Bench) -> Said:
    path = bench.folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil", b"x" * 200)
    return loaded(path)


@provokes("E_INPUT_MISSING", "nothing_here does not exist")
def no_such_input(bench: Bench) -> Said:
    return loaded(bench.folder / "nothing_here")


@provokes("E_INPUT_EMPTY", "There are no files in .*in$|There are no files in .*in")
def empty_folder(bench: Bench) -> Said:
    (bench.folder / "in").mkdir()
    return loaded(bench.folder / "in")


@provokes("E_INPUT_UNREADABLE", "pipe is no file or folder")
def a_pipe(bench: Bench) -> Said:
    import os

    os.mkfifo(bench.folder / "pipe")
    return loaded(bench.folder / "pipe")


@provokes("E_SOURCE_CHANGED", r"IM0003\.dcm is not the file that was listed")
def replaced_after_the_scan(bench: Bench) -> Said:
    path = save_series(bench.folder / "in", series())[3]
    [summary] = scan([bench.folder / "in"]).stacks
    save(changed([slice_dataset(4)], SOPInstanceUID=f"{SERIES}.4")[0], path)
    return raised(lambda: read_stack(summary))


@provokes("E_NO_MR", "There is no MR image here .1 other file was skipped")
def no_image(bench: Bench) -> Said:
    (bench.folder / "in").mkdir()
    (bench.folder / "in" / "notes.txt").write_text("nothing")
    return bench.batch(bench.folder / "in")


@provokes("E_NO_LGE", "description says cine")
def a_cine(bench: Bench) -> Said:
    save_series(bench.folder / "in", changed(series(), SeriesDescription="cine sax"))
    return bench.batch(bench.folder / "in", "--identify")


@provokes("E_SERIES", r"There is no series 9\.9 here")
def another_series(bench: Bench) -> Said:
    save_series(bench.folder / "in", series())
    return bench.batch(bench.folder / "in", "--series", "9.9")


@provokes("W_GAP", r"8 mm thick .*9 mm|9 mm .*8 mm")
def gaps(bench: Bench) -> Said:
    return bench.loaded(series())


@provokes("W_OVERLAP", r"8 mm thick and lie 5 mm apart: they overlap by 3 mm")
def overlap(bench: Bench) -> Said:
    return bench.loaded(series(spacing=5.0))


@provokes("W_GAP_IRREGULAR", r"lie 18 mm apart, others 9 mm: 1 slice may be missing")
def a_hole(bench: Bench) -> Said:
    return bench.loaded(series(skip=[2]))


@provokes("W_INCOMPLETE", r"[Pp]art 1 of 2")
def half_a_concatenation(bench: Bench) -> Said:
    ds = enhanced(series())
    ds.ConcatenationUID = f"{SERIES}.77"
    ds.InConcatenationNumber, ds.InConcatenationTotalNumber = 1, 2
    return bench.loaded([ds])


@provokes("W_ONE_FILE", "5 more images of its series")
def one_file_of_a_series(bench: Bench) -> Said:
    return loaded(save_series(bench.folder / "in", series())[2])


@provokes("W_FEW_SLICES", "2 slices")
def two_slices(bench: Bench) -> Said:
    return bench.loaded(series(2))


@provokes("W_SPACING_HEADER", r"5(\.0)? mm|'5'")
def spacing_of_the_header(bench: Bench) -> Said:
    return bench.loaded(changed(series(), SpacingBetweenSlices="5"))


@provokes("W_TILT", "shift by up to 15 mm within their plane")
def sheared_stack(bench: Bench) -> Said:
    datasets = series()
    row = ORIENTATION[:3]
    for k, ds in enumerate(datasets):
        shifted = [float(value) for value in ds.ImagePositionPatient] + row * 3.0 * k
        ds.ImagePositionPatient = decimals(shifted)
    return bench.loaded(datasets)


@provokes("W_SPLIT", "The series holds 2 stacks")
def two_kinds(bench: Bench) -> Said:
    others = changed(series(), ImageType=["ORIGINAL", "PRIMARY", "PSIR"])
    for k, ds in enumerate(others):
        ds.SOPInstanceUID = f"{SERIES}.{50 + k}"
    return bench.loaded([*series(), *others])


@provokes("W_REPEAT", "acquired up to 2 times, up to 1 mm apart")
def a_slice_repeated(bench: Bench) -> Said:
    again = changed([slice_dataset(2)], SOPInstanceUID=f"{SERIES}.50", AcquisitionTime="120000")[0]
    again.ImagePositionPatient = decimals(
        np.array([float(value) for value in again.ImagePositionPatient]) + NORMAL
    )
    put_pixels(again, stored_pixels(8))
    return bench.loaded([*changed(series(), AcquisitionTime="110000"), again])


@provokes("W_PATIENT", "2 patient IDs share this series UID")
def two_patients(bench: Bench) -> Said:
    return bench.loaded(changed(series(), 2, PatientID="ID-8", PatientName="Other^Case"))


@provokes("W_MERGED", "6 series of one slice each make this stack")
def one_series_a_slice(bench: Bench) -> Said:
    datasets = series()
    for k, ds in enumerate(datasets):
        ds.SeriesInstanceUID = f"{SERIES}.{70 + k}"
    return bench.loaded(datasets)


@provokes("W_UIDS", "a study UID of its own")
def one_study_a_slice(bench: Bench) -> Said:
    datasets = series()
    for k, ds in enumerate(datasets):
        ds.SeriesInstanceUID, ds.StudyInstanceUID = f"{SERIES}.{70 + k}", f"{STUDY}.8{k}"
    return bench.loaded(datasets)


@provokes("W_SPLIT_OFF", r"IM0005\.dcm .*orientation")
def end_slice_turned(bench: Bench) -> Said:
    datasets = series()
    angle = np.radians(0.5)
    row, column = ORIENTATION[:3], ORIENTATION[3:]
    turned = np.cos(angle) * row + np.sin(angle) * column
    datasets[5].ImageOrientationPatient = decimals([*turned, *np.cross(NORMAL, turned)])
    return bench.loaded(datasets)


@provokes("W_NOT_LGE", "Only an inversion time speaks|Nothing in the headers")
def nothing_says_lge(bench: Bench) -> Said:
    return bench.loaded(changed(series(), SeriesDescription="sax"))


@provokes("W_NOT_MR", "The modality is OT, not MR")
def not_mr(bench: Bench) -> Said:
    return bench.loaded(changed(series(), Modality="OT"))


@provokes("W_SIGNED", r"\d+ % of the pixels are negative")
def negative_pixels(bench: Bench) -> Said:
    datasets = changed(series(), ImageType=["ORIGINAL", "PRIMARY", "OTHER"])
    return bench.loaded(changed(datasets, RescaleSlope="1", RescaleIntercept="-2048"))


@provokes("W_INTENSITY", r"IM0002.dcm holds the value 7 alone: scar there is in doubt")
def a_blank_slice(bench: Bench) -> Said:
    datasets = series()
    put_pixels(datasets[2], np.full_like(stored_pixels(2), 7))
    return bench.loaded(datasets)


@provokes("W_LOSSY", "LossyImageCompression is 01")
def lossy_by_the_header(bench: Bench) -> Said:
    return bench.loaded(changed(series(), LossyImageCompression="01"))
