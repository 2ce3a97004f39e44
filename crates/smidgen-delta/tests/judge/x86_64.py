"""x86-64 instructions and the references in them (sweeps.md, "Rule 0"; models.md, "Parts of x86-64 instructions")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generator, Optional, Union

import document
from field import FORMS, NUMBER, ZERO, here
from window import Window

ONE = [letters for row in document.rows("map one") for letters in row[1:]]
TWO = [letters for row in document.rows("map two") for letters in row[1:]]
# Mod, rm and base, "*" being any; bytes of ModRM and SIB, of the displacement, its class.
OPERANDS = document.rows("operands")
PREFIXES = (0x66, 0x67, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0xF0, 0xF2, 0xF3)
PAYLOAD = {0xC5: 1, 0xC4: 2, 0x62: 3}

CALL, JUMP, CONDITIONAL, OPERAND, SHORT = range(5)
# Of classes 0 to 3, the displacement counts from the instruction's end.
RELATIVE = (CALL, JUMP, CONDITIONAL, OPERAND)


@dataclass(frozen=True)
class Instruction:
    # Bytes in front of displacement and immediate, of each of these, and the class of the field.
    head: int
    displacement: int
    immediate: int
    opcode: int
    cls: Optional[int] = None

    @property
    def len(self) -> int:
        return self.head + self.displacement + self.immediate

    @property
    def field(self) -> int:
        """Where a displacement of classes 0 to 3 begins; 0 if there is none."""
        return self.head if self.cls in RELATIVE else 0


STRAY = Instruction(1, 0, 0, 0xFFFF)

# A part of an instruction and its opcode as far as it is known: what the next byte is.
Next = tuple[int, int]


def head() -> Generator[Next, int, Instruction]:
    """Reads an instruction up to its displacement: it yields what the next byte is and wants that byte."""
    narrow = wide = short = False
    taken = 1
    opcode = yield 0, 0
    while opcode in PREFIXES:
        narrow |= opcode == 0x66
        short |= opcode == 0x67
        if taken == 15:
            return STRAY
        opcode = yield 1, 0
        taken += 1
    if 0x40 <= opcode <= 0x4F:
        wide = opcode & 8 != 0
        opcode = yield 1, 1
        taken += 1
    letters = ONE[opcode]
    if letters in ("P", "R"):
        return STRAY
    map_ = 0
    if opcode == 0x0F:
        map_ = 1
        opcode = yield 1, 2
        taken += 1
        if opcode in (0x38, 0x3A):
            map_ = 2 if opcode == 0x38 else 3
            opcode = yield 1, 3
            taken += 1
        letters = of_map(map_, opcode)
    elif opcode in PAYLOAD:
        bytes_ = PAYLOAD[opcode]
        payload = []
        for _ in range(bytes_):
            payload.append((yield 1, 4))
        map_ = {1: 1, 2: payload[0] & 31, 3: payload[0] & 7}[bytes_]
        opcode = yield 1, 5
        taken += bytes_ + 1
        letters = of_map(map_, opcode)
    name = map_ << 8 | opcode
    four = 2 if narrow and not wide else 4
    if letters == "X":
        return STRAY
    if letters == "-":
        return Instruction(taken, 0, 0, name)
    if letters == "A":
        return Instruction(taken, 0, 4 if short else 8, name)
    if letters == "S":
        return Instruction(taken, 1, 0, name, SHORT)
    if letters == "L":
        return Instruction(taken, 4, 0, name, CONDITIONAL if map_ else CALL if opcode == 0xE8 else JUMP)
    if letters in ("I", "Q"):
        bytes_ = 8 if letters == "Q" and wide else four
        return Instruction(taken, 0, bytes_, name, 5 if bytes_ == 4 else None)
    sizes = {"B": 1, "W": 2, "Z": four, "I": four}
    if letters[0] not in "MT":
        return Instruction(taken, 0, sum(sizes[letter] for letter in letters), name)
    modrm = yield 2, name
    taken += 1
    mod, rm = modrm >> 6, modrm & 7
    base = None
    if rm == 4 and mod != 3:
        base = (yield 3, name) & 7
        taken += 1
    displacement, cls = operand(mod, rm, base)
    has_immediate = letters[0] == "M" or modrm >> 3 & 7 < 2
    immediate = sum(sizes[letter] for letter in letters[1:]) if has_immediate else 0
    if letters == "MI" and displacement == 0 and immediate == 4:
        cls = 5
    return Instruction(taken, displacement, immediate, name, cls)


def of_map(map_: int, opcode: int) -> str:
    """The letters of an opcode behind an escape."""
    if map_ == 1:
        return TWO[opcode] if TWO[opcode] != "E" else "X"
    if map_ in (2, 5, 6):
        return "M"
    if map_ == 3:
        return "MB"
    return "A" if map_ == 0 and 0xA0 <= opcode <= 0xA3 else "X"


def operand(mod: int, rm: int, base: Optional[int]) -> tuple[int, Optional[int]]:
    """Bytes of the displacement, and its class: the first row that fits."""
    for *wanted, _, displacement, cls in OPERANDS:
        if all(word in ("*", "-", str(is_)) for word, is_ in zip(wanted, (mod, rm, base))):
            return int(displacement), None if cls == "-" else int(cls)
    raise AssertionError("no operand")


def read(data: bytes) -> Union[Instruction, Next]:
    """The instruction at the start of some bytes if it is whole, else what the next byte behind them is."""
    reading = head()
    next_ = next(reading)
    try:
        for byte in data:
            next_ = reading.send(byte)
        return next_
    except StopIteration as end:
        instruction: Instruction = end.value
    if len(data) >= instruction.len:
        return instruction
    displacement = len(data) - instruction.head
    if displacement < instruction.displacement:
        return 4 + min(displacement, 3), instruction.opcode
    return 8 + min(displacement - instruction.displacement, 7), instruction.opcode


def whole(data: bytes) -> Optional[Instruction]:
    """The instruction at the start of some bytes if it is whole within 15 of them."""
    found = read(data[:15])
    return found if isinstance(found, Instruction) else None


def sweep(window: Window, absolute: bool) -> None:
    at = window.start
    while at < window.to:
        instruction = whole(window.bytes(at, 15))
        if instruction is None:
            return
        place, cls = at + instruction.head, instruction.cls
        if cls in RELATIVE:
            window.find(place, FORMS["word"], here(instruction.len - instruction.head), cls)
        elif cls == SHORT:
            window.find(place, FORMS["byte"], here(1), cls)
        elif cls == 5:
            if absolute:
                window.find(place, FORMS["unsigned"], ZERO, cls)
        elif cls in (7, 8, 9):
            window.find_number(place, FORMS["byte"], NUMBER, cls)
        elif cls is not None and not (absolute and window.find(place, FORMS["unsigned"], ZERO, 6)):
            window.find_number(place, FORMS["word"], NUMBER, cls)
        at += instruction.len
