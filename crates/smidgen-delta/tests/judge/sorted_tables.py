"""Sorted tables and indexes of functions, made of what the matches say (format.md, "Sorted tables")."""

from __future__ import annotations

from bisect import bisect_right

from coder import U64
from correspondence import Correspondence
from field import FORMS
from layout import Layout
from plan import U32, Region, Rule

PART = 256


class Tables:
    """They stand behind the old file and its digests, at `start`."""

    def __init__(self, old: bytes, start: int, regions: list[Region], layout: Layout, map_: Correspondence) -> None:
        self.room = min(len(old) // 16, 8 << 20)
        self.bytes = b""
        self.regions: list[Region] = []
        for region in regions:
            rule = region.rule
            if rule.number == 7:
                takes = region.len // rule.stride * rule.stride
                if takes > self.room:
                    continue
                table = records(old[region.start : region.start + takes], rule, layout, map_)
            elif rule.number == 9:
                takes = max(4 * (-(-rule.parts // 16)) + rule.parts, 8 * rule.functions + 12)
                if takes > self.room:
                    continue
                table = index(old, rule, map_)
            else:
                continue
            self.room -= takes
            at = start + len(self.bytes)
            self.regions.append(Region(at, at + len(table), rule))
            self.bytes += table


def records(old: bytes, rule: Rule, layout: Layout, map_: Correspondence) -> bytes:
    """Records in the order of where their first fields went."""
    kept = []
    for at in range(0, len(old), rule.stride):
        record = old[at : at + rule.stride]
        # One that counts from itself leads elsewhere from any other place.
        if not rule.fields or rule.fields[0].holds == 2:
            continue
        first = rule.fields[0]
        form = FORMS[{0: "long", 1: "unsigned", 3: "word"}[first.holds]]
        field = record[first.place : first.place + form.len]
        if len(field) < form.len:
            continue
        address = form.referent(form.read(int.from_bytes(field, "little")), first.base)
        moved, outside = map_.moved(address)
        if layout.holding(address) is not None and outside == 0:
            kept.append((moved, at, record))
    return b"".join(record for _, _, record in sorted(kept)).ljust(len(old), b"\0")


def index(old: bytes, rule: Rule, map_: Correspondence) -> bytes:
    """For each part of the code the function that it begins in."""
    text = map_.moved(rule.text)[0]
    starts = []
    for place in range(rule.list, rule.list + 8 * rule.functions, 8):
        address = (rule.text + int.from_bytes(old[place : place + 4], "little")) & U64
        starts.append((map_.moved(address)[0] - text) & U64)
    starts.sort()
    table = bytearray()
    first = 0
    for part in range(rule.parts):
        number = max(bisect_right(starts, PART * part) - 1, 0)
        if part % 16 == 0:
            first = number
            table += (first & U32).to_bytes(4, "little")
        table.append(number - first & 0xFF)
    return bytes(table)
