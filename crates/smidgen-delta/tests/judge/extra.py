"""Extra bytes, coded (models.md, "Extra, coded")."""

from __future__ import annotations

from typing import NamedTuple, Optional

import content
import x86_64
from aarch64 import relative
from byte_model import ByteModel
from coder import U64, Coder
from content import Content
from recall import U32, Recall, fold

GOLDEN = 0x9E3779B97F4A7C15


class Known(NamedTuple):
    """An instruction that was read or made."""

    code: int = 0
    opcode: int = 0
    len: int = 0
    field: int = 0

    @property
    def name(self) -> int:
        return self.opcode | (self.code & 0xFF) << 16

    @property
    def mark(self) -> int:
        return (self.code * GOLDEN & U64) >> 32


def with_field(data: bytes, field: int, by: int) -> bytes:
    """Adds a number to the word at `field`, if there is one and it is whole."""
    if field == 0 or field + 4 > len(data):
        return data
    word = int.from_bytes(data[field : field + 4], "little") + by & U32
    return data[:field] + word.to_bytes(4, "little") + data[field + 4 :]


class Run:
    """Extra bytes from the end of `new` on to offset `end`."""

    def __init__(self, new: bytearray, address: int, end: int) -> None:
        self.new = new
        self.start = len(new)
        self.first_address = address
        self.end = end

    @property
    def left(self) -> int:
        return self.end - len(self.new)

    def address(self, offset: int) -> int:
        return (self.first_address + offset - self.start) & U64

    @property
    def takes_word(self) -> bool:
        """Whether the next bytes are a word of aarch64."""
        return self.address(len(self.new)) % 4 == 0 and self.left >= 4

    def read_along(self) -> list[tuple[int, x86_64.Instruction]]:
        """The instructions in front of the run, with their places."""
        at = max(0, self.start - 32)
        instructions: list[tuple[int, x86_64.Instruction]] = []
        while True:
            instruction = x86_64.whole(bytes(self.new[at:]))
            if instruction is None:
                return instructions
            instructions.append((at, instruction))
            at += instruction.len


class Extra:
    def __init__(self, coder: Coder, new: bytearray, size: int, has_words: bool) -> None:
        log = min(max(max(size - 1, 0).bit_length(), 9), 15)
        self.coder = coder
        self.new = new
        self.instructions: Recall[Known] = Recall(4 if has_words else log + 1, 1, Known())
        self.words: Recall[int] = Recall(log + 1 if has_words else 4, 1, 0)
        self.code = ByteModel(log, 1)
        self.data = ByteModel(log - 1, 2)
        self.far = ByteModel(log - 1, 2)
        self.near = ByteModel(log - 1, 2)

    def back(self, distance: int) -> int:
        return self.new[-distance] if distance <= len(self.new) else 0

    def last(self, count: int) -> int:
        folded = count
        for distance in range(1, count + 1):
            folded = fold(folded, self.back(distance))
        return folded

    def make(self, run: Run, what: Content) -> None:
        if what == content.X86_64:
            self._instructions(run)
        elif what == content.AARCH64:
            while run.left > 0:
                self._word(run) if run.takes_word else self._byte_of_word()
        else:
            while run.left > 0:
                self._byte_of_data(run.address(len(self.new)), int(what))

    def _byte_of_data(self, address: int, rule: int) -> None:
        table = fold(fold(self.back(4), self.back(8)), fold(rule, 100 | address & 3))
        recall, halves = (fold(self.last(4), 4), table), (fold(self.last(1), rule), fold(table, 5))
        self.new.append(self.data.read(self.coder, recall, halves, address & 7))

    def _byte_of_word(self) -> None:
        x1, x2, x3 = (fold(self.last(k), 900 | k) for k in (1, 2, 3))
        self.new.append(self.code.read(self.coder, (x3, x2), (x1, x2), 15))

    def _word(self, run: Run) -> None:
        one, two = (
            int.from_bytes(self.new[len(self.new) - back :][:4], "little") if len(self.new) >= back else 0
            for back in (4, 8)
        )
        contexts = fold(fold(one, two), 1), fold(one, 2)
        word = self.words.read(self.coder, *contexts, 0)
        if word is None:
            word = 1
            for level in range(4):
                own, pair = fold(word, level), fold(one >> 21, two >> 21)
                recall, halves = (fold(own, fold(one, 1)), fold(own, pair)), (own, fold(own, pair))
                word = (word << 8 | self.code.read(self.coder, recall, halves, level)) & U32
        self.words.learn(*contexts, word)
        self.new += relative(word, run.address(len(self.new))).to_bytes(4, "little")

    def _known(self, run: Run, at: int, instruction: x86_64.Instruction) -> Known:
        data = bytes(self.new[at : at + min(instruction.len, 16)]).ljust(16, b"\0")
        data = with_field(data, instruction.field, run.address(at + instruction.len))
        low, high = (int.from_bytes(half, "little") for half in (data[:8], data[8:]))
        code = low ^ (high * GOLDEN << 8) & U64
        return Known(code, instruction.opcode, instruction.len, instruction.field)

    def _instructions(self, run: Run) -> None:
        at, last = max(0, run.start - 32), [Known()] * 3
        for at, instruction in run.read_along():
            last = [self._known(run, at, instruction)] + last[:2]
            at += instruction.len
        while run.left > 0:
            one, two, _ = last
            contexts = fold(fold(one.mark, two.mark), 1), fold(one.mark, 2)
            known = self._guessed(run, contexts) if at == len(self.new) else None
            if known is None:
                known = self._spelled(run, at, last)
                if known is None:
                    return
            if known.len <= 8:
                self.instructions.learn(*contexts, known)
            last = [known] + last[:2]
            at += known.len

    def _guessed(self, run: Run, contexts: tuple[int, int]) -> Optional[Known]:
        guess = self.instructions.guess(*contexts, 0)
        if guess is None or guess[0].len > run.left:
            return None
        known, bit = guess
        if not self.instructions.bits[bit].read(self.coder):
            return None
        data = known.code.to_bytes(8, "little")
        behind = run.address(len(self.new) + known.len)
        self.new += with_field(data, known.field, -behind)[: known.len]
        return known

    def _spelled(self, run: Run, at: int, last: list[Known]) -> Optional[Known]:
        """The instruction at `at`; nothing if the run ends in it."""
        one, two, three = (known.name for known in last)
        names = fold(fold(fold(one, two), three), 3)
        inside, place = 0, at

        def read(next_: x86_64.Next) -> Optional[int]:
            """The next byte, which may be there."""
            nonlocal inside, place
            part, opcode = next_
            if place == len(self.new):
                if run.left == 0:
                    return None
                o = inside + fold(one, 1) & U32
                recall, halves = (inside + names & U32, o), (fold(opcode, 100 | part << 8), fold(o, 2))
                self.new.append(self.code.read(self.coder, recall, halves, part))
            byte = self.new[place]
            place += 1
            inside = fold(inside, byte + 1)
            return byte

        reading = x86_64.head()
        next_ = next(reading)
        try:
            while True:
                byte = read(next_)
                if byte is None:
                    return None
                next_ = reading.send(byte)
        except StopIteration as end:
            instruction: x86_64.Instruction = end.value
        # Of a stray byte more may have been read; the others begin the next instruction.
        place = at + instruction.head
        if instruction.field != 0 and place == len(self.new) and run.left >= 4:
            word = self._displacement(run, at, instruction, one)
            self.new += word.to_bytes(4, "little")
            inside = fold(inside, word)
            place += 4
        else:
            for index in range(instruction.displacement):
                if read((4 + min(index, 3), instruction.opcode)) is None:
                    return None
        for index in range(instruction.immediate):
            if read((8 + min(index, 7), instruction.opcode)) is None:
                return None
        return self._known(run, at, instruction)

    def _displacement(self, run: Run, at: int, instruction: x86_64.Instruction, name: int) -> int:
        which = {x86_64.CALL: 0, x86_64.OPERAND: 1, x86_64.JUMP: 2, x86_64.CONDITIONAL: 3}[instruction.cls or 0]
        model = self.far if which < 2 else self.near
        c = fold(instruction.opcode | self.back(1) << 16, 77)
        d = 0
        for level in range(4):
            own = fold(d, which | level << 8)
            recall, halves = (fold(own, c), fold(own, name)), (own, fold(own, c))
            d = (d << 8 | model.read(self.coder, recall, halves, which)) & U32
        return d - run.address(at + instruction.len) & U32 if which < 2 else d
