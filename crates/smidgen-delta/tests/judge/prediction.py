"""New values of references (models.md, "References")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Optional, TypeVar

from coder import U64, Coder
from correspondence import Correspondence
from field import Reference
from layout import Layout
from models import Bit, Models, Number
from plan import U32, Match


Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Surroundings:
    """Of a match: its place, the old address of its first byte, and how long both sides stay in their segments."""

    new_offset: int
    address: int
    len: int

    @staticmethod
    def of(match: Match, old: Layout, new: Layout) -> Surroundings:
        was = old.address(match.old)
        if was is None or new.address(match.new) is None:
            return Surroundings(match.new, 0, 0)
        return Surroundings(match.new, was, min(match.len, old.room(match.old), new.room(match.new)))

    def moves_along(self, reference: Reference) -> bool:
        counts_from_itself = reference.anchor.kind == "+n" and reference.form.name != "adrp"
        return counts_from_itself and 0 <= reference.referent - self.address < self.len

    def may_rest(self, reference: Reference) -> bool:
        return reference.is_number or self.moves_along(reference)


class Table(Generic[Kept]):
    """What was kept last for each key; keys that have the same place take it from each other."""

    def __init__(self, log: int, nothing: Kept) -> None:
        self.shift = 64 - log
        self.nothing = (U64, nothing)
        self.places: dict[int, tuple[int, Kept]] = {}

    def _place(self, key: int) -> int:
        return (key * 0x9E3779B97F4A7C15 & U64) >> self.shift

    def get(self, key: int) -> Optional[Kept]:
        held, kept = self.places.get(self._place(key), self.nothing)
        return kept if held == key else None

    def keep(self, key: int, value: Kept) -> None:
        self.places[self._place(key)] = (key, value)


@dataclass
class Guesses:
    values: list[int]
    trust: int
    # Of an address, what it is moved to.
    moved: int = 0


class Predictor:
    def __init__(self, coder: Coder, old_size: int, map_: Correspondence) -> None:
        self.coder = coder
        self.map = map_
        self.first = Models(lambda: Bit(63000, 3))
        self.further = Models(Bit)
        self.difference = Models(Number)
        self.history: dict[int, int] = Models(int)
        self.step: dict[int, int] = Models(int)
        self.pages = [(U64, 0)] * 8
        self.next_page = 0
        self.count = 0
        ceil_log2 = max(old_size - 1, 0).bit_length()
        self.referents = Table(min(max(ceil_log2 - 6, 8), 18), 0)
        self.numbers = Table(10, (0, 0))

    def predict(
        self, stretch: bytearray, start: int, address: int, match: Surroundings, found: list[Reference]
    ) -> None:
        """Gives the references of a stretch that begins at old offset `start` and new `address` their values."""
        misses = 0
        self.count += len(found)
        for reference in found:
            place = reference.offset - start
            field = slice(place, place + reference.form.len)
            raw = int.from_bytes(stretch[field], "little")
            was = reference.form.read(raw)
            anchor = self._anchor(reference, address + place)
            value, is_miss = self._value(reference, match, was, anchor, min(misses, 3))
            misses += is_miss
            stretch[field] = reference.form.write(raw, value).to_bytes(reference.form.len, "little")

    def _anchor(self, reference: Reference, here: int) -> int:
        kind, n = reference.anchor.kind, reference.anchor.n
        if kind == "+n":
            return (here + n) & U64
        if kind == "base":
            return self.map.moved(n)[0]
        if kind == "page":
            return next((page for referent, page in self.pages if referent == reference.referent), 0)
        return 0

    def _address(self, reference: Reference, was: int, anchor: int) -> Guesses:
        form = reference.form
        moved, outside = self.map.moved(reference.referent)
        m = form.value(moved, anchor)
        known = self.referents.get(reference.referent) if reference.cls != 14 else None
        best = m if known is None else form.value(known, anchor)
        other = was
        if reference.other is not None:
            to = self.map.moved((reference.other + was) & U64)[0]
            other = form.value(to, self.map.moved(reference.other)[0])
        if known is not None:
            trust = 3 if best == m else 4
        elif outside == 0:
            trust = 0 if m == was else 5
        else:
            trust = 1 if outside < 256 else 2
        return Guesses([best, m, other, was], trust, moved)

    def _number(self, reference: Reference, match: Surroundings, was: int) -> Guesses:
        stepped = (was + self.step[reference.cls]) & reference.form.mask
        if reference.is_step:
            return Guesses([stepped, was, was, was], 1 if self.step[reference.cls] == 0 else 0)
        known: Optional[tuple[int, int]] = self.numbers.get(self._key(reference))
        if known is None:
            return Guesses([was, stepped, was, was], 0)
        value, seen = known
        trust = (1 if value != was else 3) + (0 if seen == match.new_offset else 1)
        return Guesses([value, stepped, was, was], trust)

    @staticmethod
    def _key(reference: Reference) -> int:
        return reference.cls << 32 | reference.referent & U32

    def _value(
        self, reference: Reference, match: Surroundings, was: int, anchor: int, misses: int
    ) -> tuple[int, bool]:
        cls, coder = reference.cls, self.coder
        is_along = match.moves_along(reference)
        if is_along:
            guesses = Guesses([was] * 4, 6)
        elif reference.is_number or reference.is_step:
            guesses = self._number(reference, match, was)
        else:
            guesses = self._address(reference, was, anchor)
        right = self.first[cls, guesses.trust, self.history[cls] & 3, misses].read(coder)
        last = self.history[cls] & 1
        self.history[cls] = self.history[cls] << 1 & 3 | 1 - right
        if right:
            value = guesses.values[0]
            if is_along:
                return value, False
        else:
            if is_along:
                guesses = self._address(reference, was, anchor)
                guesses.values = [was] + guesses.values[:3]
            value = self._further(reference, guesses.values, last)
        if reference.is_number or reference.is_step:
            if value != was or reference.is_step:
                self.step[cls] = (value - was) & reference.form.mask
            if reference.is_number:
                self.numbers.keep(self._key(reference), (value, match.new_offset))
        else:
            self._learn_address(reference, value, anchor, guesses.moved)
        return value, not right

    def _further(self, reference: Reference, values: list[int], last: int) -> int:
        for ordinal in range(3):
            guess = values[ordinal + 1]
            if guess not in values[: ordinal + 1]:
                if self.further[reference.cls, ordinal, last].read(self.coder):
                    return guess
        difference = self.difference[reference.cls].read_signed(self.coder)
        return (values[1] + difference) & reference.form.mask

    def _learn_address(self, reference: Reference, value: int, anchor: int, moved: int) -> None:
        form, key = reference.form, reference.referent
        new = form.referent(value, anchor)
        if form.name == "adrp":
            self.pages[self.next_page] = (key, new)
            self.next_page = (self.next_page + 1) % 8
            return
        is_page = reference.anchor.kind == "page"
        if form.name == "byte" or reference.cls == 14 or (is_page and anchor == 0):
            return
        surprising = new != moved if is_page else value != form.value(moved, anchor)
        if surprising or self.referents.get(key) is not None:
            self.referents.keep(key, new)
