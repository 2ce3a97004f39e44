"""The walk: extra bytes and matches in turn make the new file (format.md, "The walk")."""

from __future__ import annotations

from hashlib import sha256
from typing import Optional

import content
import line_numbers
import sweep
from add import Add
from coder import Coder
from correspondence import Correspondence
from extra import Extra, Run
from field import Reference
from models import Bit
from packed_lists import Lists
from parts import Parts
from plan import Match, Pages, Plan
from prediction import Predictor, Surroundings
from sorted_tables import Tables

STRETCH = 16384
DIGEST = 32


class Digests:
    """SHA-256 of the pages that are complete."""

    def __init__(self, pages: Optional[Pages], new: bytearray) -> None:
        self.pages = pages
        self.new = new
        self.made: list[bytes] = []
        self.len = DIGEST * pages.count if pages is not None else 0

    def bytes(self) -> bytes:
        while self.pages is not None and len(self.made) < self.pages.count:
            start = len(self.made) << self.pages.log
            end = min(start + (1 << self.pages.log), self.pages.end)
            if end > len(self.new):
                break
            self.made.append(sha256(self.new[start:end]).digest())
        return b"".join(self.made).ljust(self.len, b"\0")


class Walk:
    """Makes a new file of coded `sections` and unpacked `parts`; `extra_size` is the raw size of section 19."""

    def __init__(
        self, plan: Plan, sections: dict[int, bytes], extra_size: int, parts: dict[int, bytes], old: bytes
    ) -> None:
        self.plan = plan
        self.old = line_numbers.put_right(old, plan.lines) if plan.lines is not None else old
        self.new = bytearray()
        self.map = Correspondence(plan.matches, plan.old, plan.new)
        self.references, self.add_coder, self.extra_coder = (Coder(sections.get(kind, b"")) for kind in (17, 18, 19))

        self.digests = Digests(plan.pages, self.new)
        self.tables_start = len(old) + self.digests.len
        self.tables = Tables(self.old, self.tables_start, plan.regions, plan.old, self.map)
        self.lists_start = self.tables_start + len(self.tables.bytes)
        room = (1 << 20) + 6 * self.tables.room
        self.lists = Lists(self.old, plan.regions, self.map, room, self.references)

        self.rests = [Bit(), Bit()]
        self.rested = 1
        self.predictor = Predictor(self.references, len(old), self.map)
        self.add = Add(self.add_coder, plan.regions)
        has_words = any(region.rule.number == 1 for region in plan.regions)
        self.parts = Parts(parts, self.new)
        self.extra = Extra(self.extra_coder, self.new, extra_size, has_words)
        self.is_coded = 19 in sections

    @property
    def references_made(self) -> int:
        """What the raw size of section 17 promises."""
        return self.lists.entries + self.predictor.count

    def make(self, new_size: int) -> bytes:
        before = Match(0, 0, 0)
        for match in [*self.plan.matches, Match(0, new_size, 0)]:
            what = content.at(self.plan.regions, max(before.old + before.len - 1, 0))
            while len(self.new) < match.new:
                self._make_extra(min(len(self.new) + STRETCH, match.new), what)
            surroundings = Surroundings.of(match, self.plan.old, self.plan.new)
            for done in range(0, match.len, STRETCH):
                self._make_stretch(match.old + done, min(STRETCH, match.len - done), surroundings)
            before = match
        coders = (self.references, self.add_coder, self.extra_coder)
        assert all(coder.is_used_up() for coder in coders) and self.parts.is_used_up(), "a section goes on"
        return bytes(self.new)

    def _make_extra(self, end: int, what: content.Content) -> None:
        address = self.plan.new.address(len(self.new))
        run = Run(self.new, len(self.new) if address is None else address, end)
        is_code = what in (content.X86_64, content.AARCH64)
        # Beside section 19, only data is in a part.
        if self.parts.sections and not (self.is_coded and is_code):
            self.parts.make(run, what)
        else:
            self.extra.make(run, what)

    def _make_stretch(self, offset: int, len_: int, match: Surroundings) -> None:
        end = offset + len_
        found: list[Reference] = []
        if offset < len(self.old):
            stretch = self.old[offset:end]
            self.rested = self.rests[self.rested].read(self.references)
            found = sweep.of_old(self.old, self.plan.old, self.plan.regions, offset, end)
            if self.rested:
                found = [reference for reference in found if not match.may_rest(reference)]
        elif offset < self.tables_start:
            stretch = self.digests.bytes()[offset - len(self.old) : end - len(self.old)]
        elif offset < self.lists_start:
            tables = self.tables
            stretch = tables.bytes[offset - self.tables_start : end - self.tables_start]
            found = sweep.of_tables(tables.bytes, self.tables_start, self.plan.old, tables.regions, offset, end)
        else:
            stretch = self.lists.bytes[offset - self.lists_start : end - self.lists_start]
        assert len(stretch) == len_, "a match leaves what it takes from"
        made = bytearray(stretch)
        address = self.plan.new.address(len(self.new)) or 0
        self.predictor.predict(made, offset, address, match, found)
        self.add.correct(made, offset)
        self.new += made
