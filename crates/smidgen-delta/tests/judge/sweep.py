"""References of a stretch, by the rules of the regions that it touches (format.md, "Rules"; sweeps.md, "Window")."""

from __future__ import annotations

import aarch64
import data_rules
import go
import x86_64
from field import Reference
from layout import Layout
from plan import Region
from window import Window

DATA_RULES = {
    2: data_rules.words,
    3: data_rules.records,
    4: data_rules.unwinding,
    5: go.sweep,
    6: data_rules.rebases,
    7: data_rules.records,
    8: data_rules.chained,
    9: data_rules.index,
}


def by_rule(window: Window, region: Region) -> list[Reference]:
    rule = region.rule
    if rule.number == 0:
        x86_64.sweep(window, rule.absolute)
    elif rule.number == 1:
        aarch64.sweep(window)
    elif rule.number in DATA_RULES:
        DATA_RULES[rule.number](window, rule)
    return window.found


def of_old(old: bytes, layout: Layout, regions: list[Region], from_: int, to: int) -> list[Reference]:
    """References of a stretch of the old file."""
    found = []
    for region in regions:
        part_from, part_to = max(from_, region.start), min(to, region.end)
        if part_from >= part_to:
            continue
        start = max(part_from - 64, region.start)
        if region.rule.number == 5:
            record = go.record_at(old, region, part_from)
            if record is None:
                continue
            start = record
        data = old[start : min(part_to + 16, region.end)]
        found += by_rule(Window(layout, data, start, part_from, part_to, region.start), region)
    return found


def of_tables(data: bytes, start: int, layout: Layout, tables: list[Region], from_: int, to: int) -> list[Reference]:
    """References of a stretch of the tables behind the old file: nothing is read around it."""
    found = []
    for table in tables:
        part_from, part_to = max(from_, table.start), min(to, table.end)
        if part_from < part_to:
            part = data[part_from - start : part_to - start]
            found += by_rule(Window(layout, part, part_from, part_from, part_to, table.start), table)
    return found
