"""The list of studies: filters, counts, and series that are not likely to be read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PyQt6.QtCore import QPoint, Qt

from scarseg.gui import theme
from scarseg.gui.panels.studies import COLOUR_ROLE, SECOND_LINE_ROLE
from scarseg.io.dicom.types import LoadReport, Refusal
from tests.conftest import make_phantom_stack


def numbered(k: int, series: str = "1", description: str = "LGE SAX phantom"):
    return replace(
        make_phantom_stack(),
        patient_id=f"P{k}",
        study_uid=f"1.2.{k}",
        series_uid=f"1.2.{k}.{series}",
        description=description,
    )


@pytest.fixture
def panel(reader):
    """A list with studies to read, in progress and read, and a refused file; P0 is open."""
    library = reader.session.study_list
    for k in range(4):
        library.add_stack(numbered(k))
    library.refused.append(Refusal("/data/broken.dcm", "E_DICOM", "Not DICOM.", ""))
    library.studies[1].entries[0].reading_summary = "3 of 5 read"
    library.studies[2].entries[0].read = True
    library.studies[2].entries[0].reading_summary = "read · 7.7 g"
    library.studies[3].entries[0].code = "E_SPACING"
    reader.open(numbered(0))
    reader.wait_ready()
    return reader.window.studies


def shown(panel) -> list[str]:
    return [panel.studies.item(k).text().split()[0] for k in range(panel.studies.count())]


def test_every_state_has_its_words_colour_and_count(panel):
    seconds = [panel.studies.item(k).data(SECOND_LINE_ROLE) for k in range(5)]
    assert seconds[0].startswith("proposed")
    assert seconds[1:] == [
        "3 of 5 read",
        "read · 7.7 g",
        "failed · E_SPACING",
        "failed · E_DICOM",
    ]
    colours = [panel.studies.item(k).data(COLOUR_ROLE) for k in range(5)]
    assert colours == [theme.YELLOW, theme.ACCENT, theme.GREEN, theme.RED, theme.RED]
    words = [panel.state.itemText(row) for row in range(panel.state.count())]
    assert words == ["All 5", "To read 1", "In progress 1", "Read 1", "Failed 2"]


@pytest.mark.parametrize(
    ("row", "expected"), [(1, ["P0"]), (2, ["P1"]), (3, ["P2"]), (4, ["P3", "broken.dcm"])]
)
def test_the_list_is_filtered_by_state(panel, row, expected):
    panel.state.setCurrentIndex(row)
    assert shown(panel) == expected
    panel.state.setCurrentIndex(0)
    assert len(shown(panel)) == 5


def test_the_list_is_filtered_by_what_is_typed_and_esc_shows_all(panel, reader):
    reader.press_key(Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert panel.line.hasFocus()
    reader.qtbot.keyClicks(panel.line, "p1 lge")
    assert shown(panel) == ["P1"]
    assert reader.document.current == 2 and not reader.document.undo_stack.count()
    panel.line.setText("nobody")
    assert panel.studies.item(0).text() == "No study passes the filter"
    reader.qtbot.keyClick(panel.line, Qt.Key.Key_Escape)
    assert len(shown(panel)) == 5 and panel.line.text() == ""
    assert reader.window.views.active.hasFocus()


def test_a_study_that_is_read_stays_in_the_list_of_those_to_read_until_another_is_opened(
    panel, reader
):
    panel.state.setCurrentIndex(1)
    for k in range(5):
        reader.go_to(k)
        reader.act("no_scar")
    assert shown(panel) == ["P0"]
    assert panel.state.itemText(3) == "Read 2"
    assert reader.session.current.entry.read
    reader.act("undo")
    reader.act("redo")
    reader.open(numbered(5))
    assert shown(panel) == ["P5"]


def test_the_filter_set_anew_judges_the_open_study_by_its_state(panel, reader):
    reader.act("no_scar")
    panel.state.setCurrentIndex(1)
    assert shown(panel) == ["No"] and panel.hides_open
    panel.state.setCurrentIndex(2)
    assert shown(panel) == ["P0", "P1"] and not panel.hides_open


def click(reader, view, row: int) -> None:
    at = QPoint(view.visualItemRect(view.item(row)).center())
    reader.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)


def test_unlikely_series_are_folded_and_the_choice_is_remembered(reader, tmp_path):
    from scarseg.io import dicom
    from scarseg.simulate.write_dicom import write_series

    write_series(tmp_path / "lge", numbered(0))
    for n in (7, 8):
        short = replace(numbered(0, str(n), "localizer"))
        one = replace(
            short,
            pixels=short.pixels[:1],
            origins_mm=short.origins_mm[:1],
            sources=(replace(short.sources[0], sop_instance_uid=f"1.2.0.{n}.1"),),
        )
        write_series(tmp_path / str(n), one)
    report = dicom.scan([tmp_path])
    assert isinstance(report, LoadReport) and len(report.stacks) == 3
    reader.session.scan([tmp_path])
    reader.wait(lambda: reader.session.current is not None)
    reader.wait_ready()
    series = reader.window.studies.series
    words = [series.item(k).text() for k in range(series.count())]
    assert words == ["LGE SAX phantom", "▸ 2 other series"]
    click(reader, series, 1)
    words = [series.item(k).text() for k in range(series.count())]
    assert words == ["LGE SAX phantom", "▾ 2 other series", "localizer", "localizer"]
    click(reader, series, 2)
    reader.wait(lambda: reader.session.current.entry.title == "localizer")
    reader.settle()
    chosen = reader.session.current.entry
    reader.open(numbered(5))
    click(reader, reader.window.studies.studies, 0)
    reader.wait(lambda: reader.session.current.entry is chosen)
    reader.settle()
