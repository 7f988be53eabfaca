"""Colours that every reader tells apart, and texts that every reader can read."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label
from scarseg.gui import theme

VISION = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
"""Linear RGB as seen at full severity: Machado, Oliveira, Fernandes 2009, severity 1."""
APART = 12.0
"""CIEDE2000 between any two colours that mean different things; 1 is just seen side by side."""
LABELS_APART = 15.0
"""Between outlines, which touch each other."""
READABLE, LARGE = 4.5, 3.0
"""WCAG 2.1 AA: contrast of texts, and of large ones, marks and what is switched off."""

OVERLAYS = {
    "blood pool": theme.LABEL_COLOURS[Label.BLOOD_POOL],
    "wall": theme.LABEL_COLOURS[Label.MYOCARDIUM],
    "scar": theme.LABEL_COLOURS[Label.SCAR],
    "MVO": theme.LABEL_COLOURS[Label.MVO],
    "box": theme.YELLOW,
    "positive point": theme.GREEN,
    "negative point": theme.RED,
}
LABELS = ("blood pool", "wall", "scar", "MVO")
STATUSES = {
    "unseen": theme.STATUS_COLOURS[SliceStatus.UNSEEN],
    "proposed": theme.STATUS_COLOURS[SliceStatus.PROPOSED],
    "read": theme.STATUS_COLOURS[SliceStatus.ACCEPTED],
    "not assessable": theme.STATUS_COLOURS[SliceStatus.NOT_ASSESSABLE],
}


def _rgb(name: str) -> np.ndarray:
    return np.array([int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def _linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _encoded(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _distance(one: str, other: str, vision: str) -> float:
    labs = [rgb2lab(_encoded(VISION[vision] @ _linear(_rgb(name)))) for name in (one, other)]
    return float(deltaE_ciede2000(*labs))


def _luminance(name: str) -> float:
    return float(_linear(_rgb(name)) @ (0.2126, 0.7152, 0.0722))


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_simulation_is_the_published_one():
    # Each matrix leaves white as it is, and each blindness confuses its own pair of colours.
    for matrix in VISION.values():
        np.testing.assert_allclose(matrix @ np.ones(3), 1.0, atol=1e-5)
    assert _distance("#b04f4f", "#6e6e4f", "all cones") > 15
    assert _distance("#b04f4f", "#6e6e4f", "deuteranopia") < 7
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("vision", VISION)
def test_overlays_are_told_apart(vision):
    for (one, a), (other, b) in combinations(OVERLAYS.items(), 2):
        least = LABELS_APART if one in LABELS and other in LABELS else APART
        assert _distance(a, b, vision) >= least, (one, other)


@pytest.mark.parametrize("vision", VISION)
def test_statuses_are_told_apart(vision):
    for (one, a), (other, b) in combinations(STATUSES.items(), 2):
        assert _distance(a, b, vision) >= APART, (one, other)


def test_no_two_statuses_share_a_word():
    assert len(set(theme.STATUS_WORDS.values())) == len(SliceStatus)


@pytest.mark.parametrize("ground", [theme.BACKGROUND, theme.PANEL, theme.RAISED])
def test_texts_are_read_on_every_ground(ground):
    for name in (theme.TEXT, theme.QUIET, theme.ACCENT, *OVERLAYS.values(), *STATUSES.values()):
        least = READABLE
        if name == theme.LABEL_COLOURS[Label.BLOOD_POOL]:
            least = LARGE  # an outline and a dot, never a text
        assert _contrast(name, ground) >= least, (name, ground)


def test_marks_are_seen_on_the_panel():
    assert _contrast(theme.MUTED, theme.PANEL) >= LARGE


def _rules() -> list[tuple[str, dict[str, str]]]:
    found = []
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", theme.STYLE):
        parts = (line.split(":", 1) for line in body.split(";") if ":" in line)
        found.append((selector.strip(), {key.strip(): value.strip() for key, value in parts}))
    return found


def test_every_text_of_the_style_is_read():
    grounds = (theme.BACKGROUND, theme.PANEL, theme.RAISED)
    examined = 0
    for selector, body in _rules():
        if "::" in selector and "::item" not in selector:
            continue  # handles and grooves hold no text
        colour = body.get("color", theme.TEXT if "background" in body else "")
        if not re.fullmatch("#[0-9a-f]{6}", colour):
            continue
        own = re.match("#[0-9a-f]{6}", body.get("background", ""))
        off = ":disabled" in selector or "partial" in selector
        for ground in (own[0],) if own else grounds:
            examined += 1
            assert _contrast(colour, ground) >= (LARGE if off else READABLE), (selector, ground)
    assert examined > 30


def test_letters_over_a_white_image_are_read():
    alpha, ground = re.search(r"QLabel#over \{[^}]*rgba\(10, 13, 16, (\d+)\)", theme.STYLE), 16
    assert alpha is not None
    share = int(alpha[1]) / 255
    over_white = "#" + 3 * f"{round(share * ground + (1 - share) * 255):02x}"
    assert _contrast("#e6edf3", over_white) >= READABLE


def test_letters_grow_where_a_window_has_room(reading):
    window, bar = reading.window, reading.window.tool_bar
    before = bar.fontMetrics().height()
    small, width = theme.px(12), window.studies.width()
    window.resize(2560, 1440)
    reading.wait(lambda: theme.px(12) > small)
    assert bar.menu.fontMetrics().height() >= before
    reading.wait(lambda: window.studies.width() > width)
    window.resize(1280, 800)
    reading.wait(lambda: theme.px(12) == small)
    reading.wait(lambda: abs(window.studies.width() - width) <= 2)
    assert window.minimumSizeHint().width() <= 1280
