"""Extra bytes in parts (models.md, "Extra, in parts")."""

from __future__ import annotations

import content
import x86_64
from aarch64 import relative
from content import Content
from extra import Run
from recall import U32

EXTRA, HEADS, SHORT_JUMPS, NEAR, FAR, BYTE_IMMEDIATES, IMMEDIATES, CALLS, OPERANDS, JUMPS, WORDS = 10, *range(20, 30)
KINDS = (EXTRA, HEADS, SHORT_JUMPS, NEAR, FAR, BYTE_IMMEDIATES, IMMEDIATES, CALLS, OPERANDS, JUMPS, WORDS)


class Parts:
    def __init__(self, sections: dict[int, bytes], new: bytearray) -> None:
        self.sections = sections
        self.used = dict.fromkeys(sections, 0)
        self.new = new

    def is_used_up(self) -> bool:
        return all(self.used[kind] == len(section) for kind, section in self.sections.items())

    def take(self, kind: int, len_: int) -> bytes:
        at = self.used[kind]
        taken = self.sections[kind][at : at + len_]
        assert len(taken) == len_, f"section {kind} is short"
        self.used[kind] = at + len_
        return taken

    def make(self, run: Run, what: Content) -> None:
        if what == content.X86_64:
            self._instructions(run)
        elif what == content.AARCH64:
            while run.left > 0:
                if run.takes_word:
                    word = int.from_bytes(self.take(WORDS, 4), "little")
                    self.new += relative(word, run.address(len(self.new))).to_bytes(4, "little")
                else:
                    self.new += self.take(EXTRA, 1)
        else:
            self.new += self.take(EXTRA, run.left)

    def _instructions(self, run: Run) -> None:
        at = max(0, run.start - 32)
        for at, instruction in run.read_along():
            at += instruction.len
        while run.left > 0:
            reading, place = x86_64.head(), at
            next(reading)
            try:
                while True:
                    if place == len(self.new):
                        if run.left == 0:
                            return
                        self.new += self.take(HEADS, 1)
                    place += 1
                    reading.send(self.new[place - 1])
            except StopIteration as end:
                instruction = end.value
            self._displacement(run, at, instruction)
            kind = BYTE_IMMEDIATES if instruction.immediate == 1 else IMMEDIATES
            self._fill(run, kind, at + instruction.len)
            at += instruction.len

    def _fill(self, run: Run, kind: int, to: int) -> None:
        """Takes bytes up to a place, as far as they are not there and the run goes."""
        missing = min(to, run.end) - len(self.new)
        if missing > 0:
            self.new += self.take(kind, missing)

    def _displacement(self, run: Run, at: int, instruction: x86_64.Instruction) -> None:
        start = at + instruction.head
        if instruction.field == 0 or start != len(self.new) or run.left < 4:
            kind = SHORT_JUMPS if instruction.cls == x86_64.SHORT else NEAR if instruction.displacement == 1 else FAR
            self._fill(run, kind, start + instruction.displacement)
            return
        kind = {x86_64.CALL: CALLS, x86_64.OPERAND: OPERANDS}.get(instruction.cls or 0, JUMPS)
        value = int.from_bytes(self.take(kind, 4), "big")
        if kind != JUMPS:
            value = value - run.address(at + instruction.len) & U32
        self.new += value.to_bytes(4, "little")
