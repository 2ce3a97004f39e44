"""Go's function records (models.md, "Fields", rule 5)."""

from __future__ import annotations

from typing import Optional

from field import FORMS, STEP, base
from plan import Region, Rule
from window import Window

HEAD = 44
MOST_TABLES = 64


def record_len(tables: int, data: int) -> int:
    return (HEAD + 4 * (min(tables, MOST_TABLES) + data) + 7) // 8 * 8


def record_at(old: bytes, region: Region, offset: int) -> Optional[int]:
    """The last record that begins at or before a place. They follow each other from the region's start."""
    last, at = None, region.start
    while at <= offset and at + HEAD <= region.end:
        last = at
        at += record_len(int.from_bytes(old[at + 28 : at + 32], "little"), old[at + 43])
    return last


def sweep(window: Window, rule: Rule) -> None:
    text, names, tables, units, data = rule.bases
    places = [
        (0, "unsigned", text, 20),
        (4, "unsigned", names, 21),
        (16, "unsigned", tables, 22),
        (20, "unsigned", tables, 23),
        (24, "unsigned", tables, 24),
        (32, "quad", units, 25),
    ]
    at = window.start

    def find(place: int, form: str, counts_from: int, cls: int) -> None:
        if window.word(place) != 0:
            window.find(place, FORMS[form], base(counts_from), cls)

    while at < window.to and at + HEAD <= window.end:
        for place, form, counts_from, cls in places:
            find(at + place, form, counts_from, cls)
        window.find_number(at + 36, FORMS["word"], STEP, 26)
        count = min(window.word(at + 28) or 0, MOST_TABLES)
        pieces = window.word(at + 43, 1) or 0
        behind = at + HEAD
        for index in range(count):
            find(behind + 4 * index, "unsigned", tables, 27)
        for index in range(count, count + pieces):
            find(behind + 4 * index, "unsigned", data, 28)
        at += record_len(count, pieces)
