"""The rules for data: words, records, unwinding, rebases, chained pointers, indexes (models.md, "Fields")."""

from __future__ import annotations

from field import FORMS, NUMBER, STEP, ZERO, base, here, sign_extended
from plan import U32, Rule
from window import Window


def words(window: Window, rule: Rule) -> None:
    """Rule 2."""
    at = (window.from_ + 3) // 4 * 4
    while at < window.to:
        if at % 8 == 0 and rule.pointers and window.find(at, FORMS["long"], ZERO, 13):
            at += 8
            continue
        word = window.word(at)
        if word is not None and rule.base is not None and 256 <= word < rule.limit:
            window.find(at, FORMS["unsigned"], base(rule.base), 15, rule.other)
        elif word is not None:
            referent = (window.address(at) + sign_extended(word, 32)) % 2**64
            segment = window.layout.holding(referent)
            if segment is not None and segment.code:
                window.find(at, FORMS["word"], here(0), 14)
        at += 4


def records(window: Window, rule: Rule) -> None:
    """Rules 3 and 7. Fields come in the order of the plan."""
    into = (window.from_ - window.region_start) % rule.stride
    for record in range(window.from_ - into, window.to, rule.stride):
        for index, field in enumerate(rule.fields):
            form, anchor = [
                ("long", ZERO),
                ("unsigned", base(field.base)),
                ("word", here(0)),
                ("word", base(field.base)),
            ][field.holds]
            window.find(record + field.place, FORMS[form], anchor, 48 + index)


def unwinding(window: Window, rule: Rule) -> None:
    """Rule 4."""
    at = (window.start + 3) // 4 * 4
    while at < window.to:
        len_, back = window.word(at) or 0, window.word(at + 4) or 0
        is_record = len_ % 4 == 0 and 12 <= len_ <= 4095
        if not (is_record and back % 4 == 0 and 8 < back <= at + 4 - window.region_start):
            at += 4
            continue
        window.find(at + 4, FORMS["back"], here(0), 16)
        window.find(at + 8, FORMS["word"], here(0), 17)
        size = 8 if (window.word(at + 12) or 0) in (0, U32) else 4
        place = at + 24 if size == 8 else at + 16
        if window.word(place, 1) == size:
            window.find(place + 1, FORMS["word"], here(0), 18)
        at += len_ + 4


def rebases(window: Window, rule: Rule) -> None:
    """Rule 6."""
    at = window.start
    while at < window.to:
        data = window.bytes(at, 5)
        is_one = len(data) == 5 and data[0] >> 4 == 2 and data[4] == 0x51
        if not (is_one and data[1] >= 0x80 and data[2] >= 0x80 and data[3] < 0x80):
            at += 1
            continue
        segment = data[0] & 15
        if segment < len(rule.bases):
            window.find(at + 1, FORMS["leb"], base(rule.bases[segment]), 29)
        at += 5


def chained(window: Window, rule: Rule) -> None:
    """Rule 8."""
    for at in range((window.from_ + 7) // 8 * 8, window.to, 8):
        word = window.word(at, 8) or 0
        if word >> 63:
            window.find_number(at, FORMS["ordinal"], NUMBER, 31)
        elif word >> 44 & 0x7F == 0 and (word >> 51 & 0xFFF != 0 or word >= 1 << 32):
            window.find(at, FORMS["link"], ZERO if rule.base is None else base(rule.base), 30)


def index(window: Window, rule: Rule) -> None:
    """Rule 9."""
    into = (window.from_ - window.region_start) % 20
    for at in range(window.from_ - into, window.to, 20):
        window.find_number(at, FORMS["word"], STEP, 19)
