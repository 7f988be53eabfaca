"""Read what the name of a series says: late enhancement, another acquisition, which view.

Words are matched without accents and case, in the languages scanners are used in. A vocabulary
entry with a blank matches words in order, one with ``*`` the beginning of a word, any other a
whole word; entries in scripts without blanks match anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

_LETTERS = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "ß": "ss"}
    | {"æ": "ae", "œ": "oe", "ı": "i", "İ": "I"}
)
"""Letters that Unicode does not decompose."""
_UNSPACED = 0x2E80
"""Scripts from this code point on (Chinese, Japanese, Korean) put no blanks between words."""


def plain(text: str) -> str:
    """Return text without accents."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def split_words(text: str) -> list[str]:
    """Split a name into words and numbers without accents, CamelCase and ``2CH`` into theirs."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", plain(text))
    return re.findall(r"[^\W\d_]+|\d+", apart)


def _vocabulary(*texts: str) -> tuple[str, ...]:
    entries = (entry.strip() for text in texts for entry in text.split(","))
    return tuple(plain(entry).casefold() for entry in entries if entry)


_LGE = _vocabulary(
    "lge, psir, psmde, mde, dhe, psde, scar, hyperenhancement, delenh, viab, viability",
    "delayed, late enhancement, late gadolinium, late gad, late sax, sax late, late sa, sa late",
    "viabilit*, viabilid*, vitalit*, zywotnosc, rtg",
    "spataufnahme*, spaetaufnahme*, spatenhancement, spaetenhancement, spate anreicherung, narbe",
    "tardif, tardive, tardio, tardia, tardivo, tardiva, retardado, ritardato",
    "late aankleuring, late opname, laat aankleuring",
    "pozne wzmocnienie, sen uppladdning, sen opladning, sen kontrast",
    "gec kontrastlanma, gec tutulum, pozdni syceni, pozdni enhancement",
    "позднее контрастирование, отсроченное контрастирование",
    "遅延造影, 延迟强化, 延遲強化, 延迟增强",
)
_NEVER = _vocabulary(
    # Another acquisition even beside a word of late enhancement: "T1 map late post contrast".
    "cine, kine, sine, シネ, 电影, кино, tagging, function, funktion, flow, qflow, venc, velocity",
    "scout*, locali*, lokali*, reperage, survey, loc, ubersicht*, uebersicht*, overzicht*",
    "oversikt*, perf, perfusi*, perfus*, perfuz*, パーフュージョン, time course, first pass",
    "map, maps, mapa, mapas, mappa, mapping, carte, cartographie, karta, карта, molli, shmolli",
    "sasha, ecv, fluss*, flux, flujo, fluxo, flusso, look locker, looklocker, ti suche",
    "ti search, busqueda, early, fruh*, frueh*, precoce, precoz, ege, adc, dwi, flair, mra, angio",
    "tof, swi, native, nativ, nativo, nativa, natif, precontrast, pre contrast",
)
_OTHER = _vocabulary(
    # Another acquisition unless a word of late enhancement stands beside it: "LGE trufi psir".
    "stress, stres, estres, estresse, rest, repos, reposo, repouso, riposo, ruhe, 負荷, dynamic",
    "stir, tirm, haste, ssfse, tse, fse, ssfp, fiesta, trufi, btfe, triple ir, dbl ir",
    "black blood, sangre negra, dark blood, mprage, bravo, fspgr, spgr, vibe, calibration, timing",
    "t 2",
)
_SHORT_AXIS = _vocabulary(
    "sax, sa, shax, short, ka, kurz*, kax, kortaxel*, kortakse, petit axe, pa, eje corto, ec",
    "eixo curto, asse corto, ac, korte as, os krotka, krotka os, kisa aks, kisa eksen",
    "kratka osa, 短軸, 短轴, короткая ось",
)
_LONG_AXIS = _vocabulary(
    "lax, long, ch, cham, chamber*, kammer*, kamer*, kammare, cavites, camaras, camere, bosluk",
    "vla, hla, lvot, rvot, aorta, lange achse, lange as, grand axe, ga, eje largo, eixo longo, el",
    "asse lungo, os dluga, dlouha osa, langaxel, uzun aks, 長軸, 长轴, длинная ось, axial, ax, tra",
    "radial, whole heart",
)
_ELSEWHERE = _vocabulary(
    "head, brain, neuro, skull, spine, knee, liver, abdomen, pelvis, shoulder, breast, prostate",
    "ankle, hip, neck, cerebrum, orbit",
)
_WITHIN_WORDS = (
    "lge",
    "psir",
    "psmde",
    "viab",
    "sax",
    "cine",
    "scout",
    "localizer",
    "molli",
    "perf",
)
"""These are found inside longer words as well: ``CINESAX``."""
_ROMANCE = frozenset(
    _vocabulary(
        "del, las, los, el, una, con, para, por, corto, largo, corte, mapa, flujo, realce, du, des",
        "les, une, et, petit, grand, axe, carte, sequence, coupe, repos, do, da, dos, das, com",
        "eixo, curto, longo, fluxo, repouso, estresse, estudo, estudio, estres, reposo, sangre",
        "negra, aorta, corazon, coracao, coeur, cuore",
    )
)
"""Beside these ``de`` is "of", not delayed enhancement."""
_AXIS = frozenset(("eje", "corto", "eixo", "curto"))


@dataclass(frozen=True)
class SeriesWords:
    """Evidence in the words of a name; each field is the vocabulary entry found, or empty.

    ``never`` rules a series out whatever else is said, ``other`` only where ``lge`` is empty.
    """

    lge: str = ""
    never: str = ""
    other: str = ""
    short_axis: str = ""
    long_axis: str = ""
    elsewhere: str = ""

    @property
    def decides(self) -> bool:
        """Return whether the name says what was acquired."""
        return bool(self.lge or self.never or self.other)


@lru_cache(maxsize=4096)
def read_name(name: str) -> SeriesWords:
    """Read a name, as :func:`read_words` does its words."""
    return read_words(split_words(name))


def read_words(words: Sequence[str]) -> SeriesWords:
    """Read the words of a name, from :func:`split_words`: as written but for accents."""
    lower = [word.casefold() for word in words]
    known = set(lower)
    known |= {part for part in _WITHIN_WORDS for word in lower if part in word}
    long_axis = _find(_LONG_AXIS, known, lower)
    if not long_axis and any(map(_counts_chambers, lower, lower[1:])):
        long_axis = "chamber"
    romance = known & _ROMANCE
    if not long_axis and "LA" in words and not romance:
        long_axis = "la"
    short_axis = _find(_SHORT_AXIS, known, lower)
    lge = _find(_LGE, known, lower)
    if not lge:
        lge = _abbreviation(words, bool(romance - _AXIS), bool(romance), short_axis or long_axis)
    return SeriesWords(
        lge,
        _find(_NEVER, known, lower),
        _find(_OTHER, known, lower),
        short_axis,
        long_axis,
        _find(_ELSEWHERE, known, lower),
    )


def _counts_chambers(number: str, word: str) -> bool:
    return number in ("2", "3", "4") and (
        word == "c" or word.startswith(("cav", "cam", "kam", "bos"))
    )


def _abbreviation(words: Sequence[str], prose: bool, romance: bool, view: str) -> str:
    """Return DE, LE or RT where it means late enhancement, never as a preposition or article.

    In capitals and at the beginning, or, for DE, in capitals among words of no Romance language.
    """
    first = words[0] if words else ""
    if "DE" in words and ((first == "DE" and not prose) or not romance):
        return "de"
    return first.casefold() if first in ("LE", "RT") and view else ""


def _find(vocabulary: Sequence[str], known: Collection[str], words: Sequence[str]) -> str:
    joined = f" {' '.join(words)} "
    unspaced = "".join(words)
    for entry in vocabulary:
        if ord(entry[0]) >= _UNSPACED:
            found = entry in unspaced
        elif " " in entry:
            found = f" {entry} " in joined
        elif entry.endswith("*"):
            found = any(word.startswith(entry[:-1]) for word in known)
        else:
            found = entry in known
        if found:
            return entry.rstrip("*")
    return ""
