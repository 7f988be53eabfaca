"""Rows of two tables are paired by their keys."""

from __future__ import annotations

from pathlib import Path

from scarseg.agreement.pairing import pair_tables
from scarseg.io.tables.csv_reader import read_csv
from tests.agreement.tables import row, write


def test_rows_pair_by_series_and_part_in_any_order(tmp_path: Path) -> None:
    first = [row(1, 5.0, part="1"), row(1, 7.0, part="2"), row(2, 9.0), row(4, 3.0), row(5, None)]
    second = [row(5, 2.0), row(2, 8.0), row(1, 6.5, part="2"), row(3, 4.0), row(1, 5.5, part="1")]
    a, b = write(tmp_path / "a.csv", first), write(tmp_path / "b.csv", second)
    paired = pair_tables(read_csv(a), read_csv(b), "scar_mass_g")
    assert {one.key: (one.a, one.b) for one in paired.pairs} == {
        ("1.2.1", "1"): (5.0, 5.5),
        ("1.2.1", "2"): (7.0, 6.5),
        ("1.2.2", ""): (9.0, 8.0),
    }
    assert paired.only_a == (("1.2.4", ""),)
    assert paired.only_b == (("1.2.3", ""),)
    assert paired.blank == (("1.2.5", ""),)
