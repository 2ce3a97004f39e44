"""aarch64 words and the references in them (sweeps.md, "Rule 1")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import document
from field import FORMS, NUMBER, PAGE, Form, Reference, here
from window import Window


@dataclass(frozen=True)
class Row:
    mask: int
    value: int
    behind_adrp: bool
    cls: int
    # The class if `Rn` is 31.
    cls_31: int
    form: Form
    is_number: bool


def _rows() -> list[Row]:
    rows = []
    for mask, value, behind, cls, *more in document.rows("rows aarch64"):
        # There may be a second class.
        cls_31 = more.pop(0) if more[0].isdigit() else cls
        form, counts = more[0], more[1]
        fits = int(mask, 16), int(value, 16), behind == "yes"
        rows.append(Row(*fits, int(cls), int(cls_31), FORMS[form], counts == "number"))
    return rows


ROWS = _rows()
ADRP = 38


@dataclass
class Remembered:
    """The last ADRP of a register."""

    place: int
    page: int
    # Until a low part says where it leads.
    reference: Optional[Reference]


def sweep(window: Window) -> None:
    adrp: dict[int, Remembered] = {}
    for at in range((window.start + 3) // 4 * 4, window.to, 4):
        word = window.word(at)
        if word is None:
            return
        rn = word >> 5 & 31
        remembered = adrp.get(rn)
        if remembered is not None and at - remembered.place > 64:
            remembered = None
        fits = (row for row in ROWS if word & row.mask == row.value and (remembered or not row.behind_adrp))
        row = next(fits, None)
        if row is None:
            continue
        cls = row.cls_31 if rn == 31 else row.cls
        if cls == ADRP:
            page = row.form.referent(row.form.read(word), window.address(at))
            reference = Reference(at, row.form, here(0), cls, page)
            is_found = window.holds(at, row.form)
            if is_found:
                window.found.append(reference)
            adrp[word & 31] = Remembered(at, page, reference if is_found else None)
        elif row.behind_adrp and remembered is not None:
            referent = row.form.referent(row.form.read(word), remembered.page)
            if remembered.reference is not None:
                remembered.reference.referent = referent
                remembered.reference = None
            if window.holds(at, row.form):
                window.found.append(Reference(at, row.form, PAGE, cls, referent))
        elif row.is_number:
            window.find_number(at, row.form, NUMBER, cls)
        else:
            window.find(at, row.form, here(0), cls)


def relative(word: int, address: int) -> int:
    """A word of extra bytes as it is written: BL and ADRP come with what they lead to (models.md, "Extra, coded")."""
    if word & 0xFC000000 == 0x94000000:
        form, unit = FORMS["branch26"], 4
    elif word & 0x9F000000 == 0x90000000:
        form, unit = FORMS["adrp"], 4096
    else:
        return word
    return form.write(word, form.read(word) - address // unit & form.mask)
