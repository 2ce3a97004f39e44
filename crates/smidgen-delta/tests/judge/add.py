"""Bytes of a stretch that differ all the same (models.md, "Add")."""

from __future__ import annotations

import content
import x86_64
from byte_model import ByteModel
from coder import Coder
from models import Models, Number
from plan import Region
from recall import U32, fold


class Add:
    def __init__(self, coder: Coder, regions: list[Region]) -> None:
        self.coder = coder
        self.regions = regions
        self.gaps = Models(Number)
        self.bytes = ByteModel(14, 2)
        # What the byte that differed last was predicted to be, and was.
        self.last = (0, 0)

    def correct(self, stretch: bytearray, old_offset: int) -> None:
        at = x = read = 0
        while at < len(stretch):
            gap = self.gaps[x].read(self.coder)
            x = 2 if 1 <= gap <= 8 else 1
            if gap == 0:
                return
            at += gap - 1
            if at >= len(stretch):
                return
            offset = old_offset + at
            what = content.at(self.regions, offset)
            if what == content.X86_64:
                read, (part, opcode) = self._instruction(stretch, read, at)
            elif what == content.AARCH64:
                part, top = offset & 3, at - (offset & 3) + 3
                opcode = stretch[top] if top < len(stretch) else 0
            else:
                part, opcode = 16 + (offset & 7), int(what)
            predicted, (was, is_) = stretch[at], self.last
            role, moved = fold(part, opcode), is_ - was & 0xFF
            recall = fold(fold(role, moved), fold(predicted, 2)), fold(predicted << 16 | was << 8 | is_, 3)
            halves = predicted, fold(fold(role, predicted), 1)
            stretch[at] = self.bytes.read(self.coder, recall, halves, part)
            self.last = (predicted, stretch[at])
            at += 1

    @staticmethod
    def _instruction(stretch: bytearray, read: int, at: int) -> tuple[int, tuple[int, int]]:
        """Where reading stopped in front of a byte of code, and part and opcode of the byte."""
        read = max(read, at - 48, 0)
        while True:
            instruction = x86_64.whole(bytes(stretch[read : read + 15]))
            if instruction is None or read + instruction.len > at:
                break
            read += instruction.len
        next_ = x86_64.read(bytes(stretch[read:at]))
        return read, (0, 0) if isinstance(next_, x86_64.Instruction) else next_
