"""What a rule sees of a file, and what it found there (sweeps.md, "What both have in common")."""

from __future__ import annotations

from typing import Optional

from field import Anchor, Form, Reference
from layout import Layout


class Window:
    """Bytes from `start` on of a file; references count if their fields lie in the stretch from `from_` to `to`."""

    def __init__(self, layout: Layout, data: bytes, start: int, from_: int, to: int, region_start: int) -> None:
        self.layout = layout
        self.data = data
        self.start = start
        self.from_ = from_
        self.to = to
        self.region_start = region_start
        self.first_address = layout.address(start) or 0
        self.found: list[Reference] = []

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def address(self, offset: int) -> int:
        return self.first_address + offset - self.start

    def bytes(self, offset: int, len_: int) -> bytes:
        """So many bytes, or those that there are."""
        at = offset - self.start
        return self.data[at : at + len_]

    def word(self, offset: int, len_: int = 4) -> Optional[int]:
        """A number that the window has as a whole."""
        data = self.bytes(offset, len_)
        return int.from_bytes(data, "little") if len(data) == len_ else None

    def holds(self, offset: int, form: Form) -> bool:
        return self.from_ <= offset and offset + form.len <= self.to

    def find(self, offset: int, form: Form, anchor: Anchor, cls: int, other: Optional[int] = None) -> bool:
        """Notes a reference if its field lies in the stretch and what it refers to in the image."""
        if not self.holds(offset, form):
            return False
        counts_from = self.address(offset) + anchor.n if anchor.kind == "+n" else anchor.n
        referent = form.referent(form.read(int.from_bytes(self.bytes(offset, form.len), "little")), counts_from)
        if self.layout.holding(referent) is None:
            return False
        self.found.append(Reference(offset, form, anchor, cls, referent, other))
        return True

    def find_number(self, offset: int, form: Form, anchor: Anchor, cls: int) -> None:
        if self.holds(offset, form):
            number = form.read(int.from_bytes(self.bytes(offset, form.len), "little"))
            self.found.append(Reference(offset, form, anchor, cls, number))
