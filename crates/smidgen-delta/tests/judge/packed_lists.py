"""Packed lists: unpacked, moved, corrected and packed again (format.md, "Packed lists"; models.md, "Corrections")."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

import packing
import unwind_info
from coder import Coder
from correspondence import Correspondence
from models import Bit, Models, Number, Symbol
from packing import BITMAPS, BLOCKS, STARTS, UNWINDING
from plan import U32, Region, Rule, Unwound
from unwind_info import Entry


def most(kind: int, len_: int) -> int:
    """As many addresses as a table holds."""
    return {STARTS: len_, BLOCKS: len_ // 2, BITMAPS: len_ // 8 * 63, UNWINDING: len_ // 4}[kind]


def groups(regions: list[Region]) -> list[list[Region]]:
    """The regions of rule 10, those of starts with the one of unwinding that they share their list with."""
    found: list[list[Region]] = []
    for region in (region for region in regions if region.rule.number == 10):
        before = found[-1] if found else []
        if region.rule.packing == STARTS and len(before) == 1 and before[0].rule.packing == UNWINDING:
            before.append(region)
        else:
            found.append([region])
    return found


def room_of(group: list[Region]) -> int:
    of_old, of_new = (28, 36) if group[0].rule.packing == UNWINDING else (24, 12)
    return sum(
        of_old * most(region.rule.packing, region.len)
        + of_new * most(region.rule.packing, region.rule.len)
        + 2 * (region.len + region.rule.len)
        for region in group
    )


class Lists:
    """The tables of all lists that find room, one behind the other."""

    def __init__(self, old: bytes, regions: list[Region], map_: Correspondence, room: int, coder: Coder) -> None:
        self.bytes = b""
        self.entries = 0
        for group in groups(regions):
            if room_of(group) > room:
                continue
            room -= room_of(group)
            entries, tables = List(old, group, map_).corrected(coder)
            self.entries += entries
            self.bytes += tables


@dataclass
class Foreseen:
    entry: Entry
    # Whether it was next behind the one before, and moved as that did.
    follows: bool


class List:
    def __init__(self, old: bytes, group: list[Region], map_: Correspondence) -> None:
        self.group = group
        self.map = map_
        self.rule: Rule = group[0].rule
        self.unwound: Optional[Unwound] = self.rule.unwound
        tables_ = [old[region.start : region.end] for region in group]
        others: list[int] = []
        if self.unwound is None:
            addresses = packing.unpack(self.rule.packing, tables_[0], self.rule.old_base)
            self.entries = [Entry(address) for address in addresses]
        else:
            self.entries, others = unwind_info.unpack(tables_[0])
            if len(group) > 1:
                self.entries = with_starts(self.entries, packing.unpack_starts(tables_[1]))
        self.others = [self.moved(other)[0] & U32 for other in others]

    def moved(self, address: int) -> tuple[int, int]:
        """An address that counts from the base, and how far it is outside."""
        moved, outside = self.map.moved((self.rule.old_base + address) % 2**64)
        return (moved - self.rule.new_base) % 2**64, outside

    def foreseen(self) -> list[Foreseen]:
        moved = []
        for index, entry in enumerate(self.entries):
            address, outside = self.moved(entry.address)
            if outside == 0 and address <= U32:
                moved.append((address, index))
        foreseen = []
        before = None
        for address, index in sorted(moved):
            entry = self.entries[index]
            distance = address - entry.address
            foreseen.append(Foreseen(self._moved_entry(entry, address), before == (index - 1, distance)))
            before = (index, distance)
        return foreseen

    def _moved_entry(self, entry: Entry, address: int) -> Entry:
        way = entry.way
        if self.unwound is not None and self.unwound.leads_to_record(way):
            record = self.map.moved((self.unwound.old_records + (way & 0xFFFFFF)) % 2**64)[0]
            way = way & ~0xFFFFFF | record - self.unwound.new_records & 0xFFFFFF
        return Entry(address, way, self.moved(entry.data)[0] & U32 if entry.data != 0 else 0)

    def corrected(self, coder: Coder) -> tuple[int, bytes]:
        """The number of entries, and the tables that have them."""
        room = sum(most(region.rule.packing, region.rule.len) for region in self.group)
        entries = Corrections(coder, self.unwound).read(self.foreseen(), room)
        made = b""
        for region in self.group:
            rule = region.rule
            if rule.unwound is not None:
                table = unwind_info.pack(rule.unwound, entries, self.others)
            else:
                table = packing.pack(rule.packing, [entry.address for entry in entries], rule.new_base)
            made += table[: rule.len].ljust(rule.len, b"\0")
        return len(entries), made


def with_starts(entries: list[Entry], starts: list[int]) -> list[Entry]:
    """The entries, and one for each of the starts that they do not have."""
    merged: list[Entry] = []
    at = 0
    for start in starts:
        while at < len(entries) and entries[at].address <= start:
            merged.append(entries[at])
            at += 1
        last = entries[at - 1] if at > 0 else Entry(-1)
        if last.address != start:
            merged.append(Entry(start, last.way))
    return merged + entries[at:]


class Corrections:
    """What is said of a list, with models of its own."""

    def __init__(self, coder: Coder, unwound: Optional[Unwound]) -> None:
        self.coder = coder
        self.unwound = unwound
        self.right, self.gone, self.more = Models(Bit), Models(Bit), Bit()
        self.way_right, self.data_right, self.has_data = Models(Bit), Models(Bit), Models(Bit)
        self.way = Models(lambda: Symbol(8))
        self.distance, self.record, self.data = Models(Number), Number(), Number()
        self.last_way = self.last_record = self.last_data = 0
        self.way_missed = self.data_missed = 0

    def read(self, foreseen: list[Foreseen], room: int) -> list[Entry]:
        found: list[Entry] = []
        history, kept = 0, False
        for next_ in [*foreseen, None]:
            follows = kept and next_ is not None and next_.follows
            kept = False
            while True:
                least = found[-1].address + 1 if found else 0
                if len(found) == room or (next_ is not None and next_.entry.address < least):
                    break
                if next_ is not None:
                    yes = self.right[4 * follows + (history & 3)].read(self.coder)
                    history = history << 1 | 1 - yes
                    if yes:
                        kept = True
                        found.append(self._beside(next_.entry, True))
                        break
                    if self.gone[history >> 1 & 3].read(self.coder):
                        break
                elif not self.more.read(self.coder):
                    return found
                address = least + self.distance[history >> 1 & 1].read(self.coder)
                if address > U32:
                    return found
                found.append(self._beside(Entry(address), False))
                follows = False
        return found

    def _beside(self, entry: Entry, is_foreseen: bool) -> Entry:
        if self.unwound is None:
            return entry
        is_record = self.unwound.leads_to_record(entry.way)
        right = is_foreseen and self.way_right[2 * is_record + self.way_missed].read(self.coder)
        way = entry.way if right else self._way(self.unwound)
        self.way_missed, self.last_way = int(not right), way
        if self.unwound.leads_to_record(way):
            self.last_record = way & 0xFFFFFF
        right = is_foreseen and self.data_right[2 * (entry.data != 0) + self.data_missed].read(self.coder)
        data = entry.data
        if not right:
            has_data = self.has_data[way >> 30 & 1].read(self.coder)
            data = self.last_data + self.data.read_signed(self.coder) & U32 if has_data else 0
        if data != 0:
            self.data_missed, self.last_data = int(not right), data
        return replace(entry, way=way, data=data)

    def _way(self, unwound: Unwound) -> int:
        way = self.way[self.last_way >> 24 & 15].read(self.coder) << 24
        if unwound.leads_to_record(way):
            return way | self.last_record + self.record.read_signed(self.coder) & 0xFFFFFF
        mode = way >> 24 & 15
        for model, shift in ((16, 16), (32, 8), (48, 0)):
            way |= self.way[mode + model].read(self.coder) << shift
        return way
