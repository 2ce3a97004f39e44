"""Go's line numbers put right in the old file (format.md, "Line numbers")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional

from go import HEAD
from plan import U32, LineNumbers


def signed(value: int) -> int:
    """A number in 32 bits, with its sign."""
    return (value + (1 << 31) & U32) - (1 << 31)


@dataclass(frozen=True)
class Entry:
    value: int
    # The run of code that has it.
    start: int
    end: int
    # Where the step to the value stands, and in how many bytes.
    at: int
    len: int


def folded(step: int) -> bytes:
    """A step as it is written."""
    number = (step << 1 ^ step >> 31) & U32
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


class Reading:
    def __init__(self, old: bytes, lines: LineNumbers) -> None:
        self.old = old
        self.lines = lines
        self.left = lines.tables_len
        self.changes: dict[int, int] = {}

    def word(self, at: int) -> Optional[int]:
        data = self.old[at : at + 4]
        return int.from_bytes(data, "little") if len(data) == 4 else None

    def number(self, at: int) -> Optional[tuple[int, int]]:
        """A number of at most five bytes and 32 bits, and where it ends."""
        value, end = 0, self.lines.tables + self.lines.tables_len
        for index, byte in enumerate(self.old[at : min(at + 5, end)]):
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                return (value, at + index + 1) if value <= U32 else None
        return None

    def entries(self, table: int) -> Iterator[Entry]:
        at, value, start = self.lines.tables + table, -1, 0
        is_first = True
        while self.left > 0:
            step = self.number(at)
            if step is None or (step[0] == 0 and not is_first):
                return
            len_ = self.number(step[1])
            if len_ is None or start + len_[0] > U32:
                return
            self.left -= 1
            value = signed(value + (step[0] >> 1 ^ -(step[0] & 1)))
            yield Entry(value, start, start + len_[0], at, step[1] - at)
            at, start, is_first = len_[1], start + len_[0], False

    def file(self, first: int, value: int) -> Optional[int]:
        """The word by which shifts know a file."""
        return self.word(self.lines.files + 4 * (first + value)) if first + value >= 0 else None

    def has_shifts(self, file: Optional[int]) -> bool:
        return any(shift.file == file for shift in self.lines.shifts)

    def moved(self, file: Optional[int], line: int) -> int:
        """A line of 32 bits, by the last shift from it or one before it on."""
        shifts = [shift for shift in self.lines.shifts if shift.file == file and shift.line <= line]
        return signed(line + (shifts[-1].by if shifts else 0))

    def change(self, at: int, written: bytes) -> None:
        for place, byte in enumerate(written, at):
            if place < 1 << 32 and self.old[place] != byte:
                self.changes.setdefault(place, byte)

    def change_word(self, at: int, word: int) -> None:
        self.change(at, (word & U32).to_bytes(4, "little"))

    def function(self, record: int) -> None:
        file_table, line_table, tables, first, line = (self.word(record + at) or 0 for at in (20, 24, 28, 32, 36))
        runs = [(entry.end, self.file(first, entry.value)) for entry in self.entries(file_table)]
        if not any(self.has_shifts(file) for _, file in runs):
            return

        def file_at(code: int) -> Optional[int]:
            return next((file for end, file in runs if code < end), runs[-1][1])

        self.change_word(record + 36, self.moved(runs[0][1], signed(line)))

        steps, last = [], -1
        for entry in self.entries(line_table):
            moved = self.moved(file_at(entry.start), entry.value)
            steps.append((entry, folded(signed(moved - last))))
            last = moved
        if all(entry.len == len(step) for entry, step in steps):
            for entry, step in steps:
                self.change(entry.at, step)

        if tables > 2 and self.old[record + 43] > 3:
            third, calls = self.word(record + HEAD + 8), self.word(record + HEAD + 4 * (tables + 3))
            if third in (None, 0) or calls in (None, U32):
                return
            for entry in self.entries(third):
                at, file = self.lines.data + calls + 16 * entry.value + 12, file_at(entry.start)
                called = self.word(at) if entry.value >= 0 else None
                if called is not None and self.has_shifts(file):
                    self.change_word(at, self.moved(file, signed(called)))


def put_right(old: bytes, lines: LineNumbers) -> bytes:
    reading = Reading(old, lines)
    for pair in range(lines.list, lines.list + 8 * lines.functions, 8):
        record = lines.list + int.from_bytes(old[pair + 4 : pair + 8], "little")
        if record + HEAD <= len(old) and reading.left > 0:
            reading.function(record)
    made = bytearray(old)
    for place, byte in reading.changes.items():
        made[place] = byte
    return bytes(made)
