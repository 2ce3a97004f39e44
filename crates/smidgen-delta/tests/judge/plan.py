"""The plan (format.md, "Plan"; models.md, "The plan")."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from coder import U64, Coder
from layout import Layout, Segment
from models import Models, Number, Symbol

U32 = 2**32 - 1


@dataclass(frozen=True)
class Match:
    old: int
    new: int
    len: int


@dataclass(frozen=True)
class Region:
    start: int
    end: int
    rule: "Rule"

    @property
    def len(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class RecordField:
    place: int
    # 0 an address, 1 32 bits from a base, 2 signed 32 bits from the field, 3 signed 32 bits from a base
    holds: int
    base: int


@dataclass(frozen=True)
class Unwound:
    """What is said of `__unwind_info` besides."""

    mode: int
    tight: bool
    old_records: int
    new_records: int
    end: int

    def leads_to_record(self, way: int) -> bool:
        return way >> 24 & 15 == self.mode


@dataclass(frozen=True)
class Rule:
    """A rule by its number, and those parameters that it has."""

    number: int
    absolute: bool = False
    pointers: bool = False
    base: Optional[int] = None
    limit: int = 0
    other: Optional[int] = None
    stride: int = 0
    fields: tuple[RecordField, ...] = ()
    bases: tuple[int, ...] = ()
    list: int = 0
    functions: int = 0
    text: int = 0
    parts: int = 0
    packing: int = 0
    unwound: Optional[Unwound] = None
    old_base: int = 0
    new_base: int = 0
    len: int = 0


@dataclass(frozen=True)
class Shift:
    file: int
    line: int
    by: int


@dataclass(frozen=True)
class LineNumbers:
    tables: int
    tables_len: int
    list: int
    functions: int
    files: int
    data: int
    shifts: tuple[Shift, ...]


@dataclass(frozen=True)
class Pages:
    log: int
    end: int

    @property
    def count(self) -> int:
        return (self.end + (1 << self.log) - 1) >> self.log


@dataclass
class Plan:
    old: Layout
    new: Layout
    regions: list[Region] = field(default_factory=list)
    pages: Optional[Pages] = None
    lines: Optional[LineNumbers] = None
    matches: list[Match] = field(default_factory=list)


class Reader:
    def __init__(self, section: bytes) -> None:
        self.coder = Coder(section)
        self.models = Models(Number)
        self.rule = Symbol(4)
        self.last_base = 0

    def number(self, *name: object) -> int:
        return self.models[name].read(self.coder)

    def signed(self, *name: object) -> int:
        return self.models[name].read_signed(self.coder)

    def flag(self) -> bool:
        return self.number("flag") == 1

    def base(self) -> int:
        self.last_base = (self.last_base + self.signed("base")) & U64
        return self.last_base

    def layout(self, count: int) -> Layout:
        segments = []
        for _ in range(count):
            offset, len_, address, more, code = (
                self.number(name) for name in ("offset", "len", "address", "more", "code")
            )
            segments.append(Segment(offset, len_, address, len_ + more, code == 1))
        return Layout(segments)

    def read_rule(self) -> Rule:
        number = self.rule.read(self.coder)
        if number == 0:
            return Rule(0, absolute=self.flag())
        if number == 2:
            pointers = self.flag()
            if not self.flag():
                return Rule(2, pointers=pointers)
            base, limit = self.base(), self.number("limit") & U32
            return Rule(2, pointers=pointers, base=base, limit=limit, other=self.base() if self.flag() else None)
        if number in (3, 7):
            stride = self.number("count") & U32
            fields = tuple(self.record_field() for _ in range(self.number("count")))
            assert 0 < stride and len(fields) <= 8 and 4 * len(fields) <= stride, "records"
            return Rule(number, stride=stride, fields=fields)
        if number == 5:
            return Rule(5, bases=tuple(self.base() for _ in range(5)))
        if number == 6:
            return Rule(6, bases=tuple(self.base() for _ in range(self.number("count"))))
        if number == 8:
            return Rule(8, base=self.base() if self.flag() else None)
        if number == 9:
            list_, functions = self.number("list"), self.number("count") & U32
            return Rule(9, list=list_, functions=functions, text=self.base(), parts=self.number("count") & U32)
        if number == 10:
            packing = self.number("count")
            assert packing <= 3, f"packing {packing}"
            unwound = self.unwound() if packing == 3 else None
            old_base, new_base, len_ = self.base(), self.base(), self.number("length")
            return Rule(10, packing=packing, unwound=unwound, old_base=old_base, new_base=new_base, len=len_)
        assert number in (1, 4), f"rule {number}"
        return Rule(number)

    def record_field(self) -> RecordField:
        place, holds = self.number("place") & U32, self.number("holds")
        holds = 2 if holds >= 4 else holds
        return RecordField(place, holds, self.base() if holds in (1, 3) else 0)

    def unwound(self) -> Unwound:
        mode, tight = self.number("count") & 15, self.flag()
        return Unwound(mode, tight, self.base(), self.base(), self.number("limit") & U32)

    def line_numbers(self, count: int) -> Optional[LineNumbers]:
        if count == 0:
            return None
        tables, tables_len, list_, functions, files, data = (self.number("lines") for _ in range(6))
        shifts, file, line, by = [], 0, 0, 0
        for _ in range(count):
            distance = self.number("file")
            if distance != 0:
                file, line, by = (file + distance) & U32, 0, 0
            line = (line + self.number("line")) & U32
            by = (by + self.signed("by")) & U32
            shifts.append(Shift(file, line, by))
        return LineNumbers(tables, tables_len, list_, functions & U32, files, data, tuple(shifts))

    def matches(self, count: int) -> list[Match]:
        ways = Models(lambda: Symbol(3))
        before, diagonals, last = Match(0, 0, 0), [0] * 5, 0
        matches = []
        for _ in range(count):
            extra = self.number("extra", last)
            new = before.new + before.len + extra
            way = ways[2 * last + (extra == 0)].read(self.coder)
            diagonal_before = (before.new - before.old) & U64
            if way == 0:
                diagonal = diagonal_before
            elif way < 3:
                near = 0 if extra == 0 else 1 if extra < 16 else 2
                seek = self.signed("near", near) if way == 1 else self.signed("far")
                diagonal = (new - (before.old + before.len + seek)) & U64
            else:
                diagonal = diagonals[way - 3]
            last = min(way, 3)
            len_ = self.number("match len", last)
            if diagonal != diagonal_before:
                diagonals.pop(diagonals.index(diagonal) if diagonal in diagonals else 4)
                diagonals.insert(0, diagonal_before)
            before = Match((new - diagonal) & U64, new, len_)
            matches.append(before)
        return matches


def read(section: bytes, raw_size: int) -> Plan:
    reader = Reader(section)
    old, new, regions, matches, shifts, changes = (reader.number("plan") for _ in range(6))
    assert raw_size == 1 + 64 * regions + 24 * matches + 16 * shifts + 16 * changes, "counts"
    assert old <= 32 and new <= 32 and regions <= 4096, "counts"
    plan = Plan(reader.layout(old), reader.layout(new))
    end = 0
    for _ in range(regions):
        start = end + reader.number("gap")
        end = start + reader.number("length")
        plan.regions.append(Region(start, end, reader.read_rule()))
    log = reader.number("plan")
    if log != 0:
        plan.pages = Pages(log, reader.number("plan"))
    plan.lines = reader.line_numbers(shifts)
    plan.matches = reader.matches(matches)
    assert reader.coder.is_used_up(), "the plan goes on"
    return plan
