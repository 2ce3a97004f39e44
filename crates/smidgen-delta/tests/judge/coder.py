"""The range coder (models.md, "The range coder")."""

from __future__ import annotations

from typing import Sequence

U64 = 2**64 - 1


class Coder:
    """Reads bits and symbols of one section; bytes behind its end are zeros."""

    def __init__(self, section: bytes) -> None:
        self.section = section
        self.at = 8
        self.range = U64
        self.code = int.from_bytes(section[:8].ljust(8, b"\0"), "big")

    def bit(self, chance: int) -> int:
        bound = (self.range >> 16) * chance
        bit = int(self.code < bound)
        if bit:
            self.range = bound
        else:
            self.range -= bound
            self.code = (self.code - bound) & U64
        self._refill()
        return bit

    def symbol(self, bounds: Sequence[int]) -> int:
        unit = self.range >> 15
        place = min(self.code // unit, 32767)
        symbol = 15
        while bounds[symbol] > place:
            symbol -= 1
        self.code = (self.code - unit * bounds[symbol]) & U64
        self.range = unit * ((bounds[symbol + 1] if symbol < 15 else 32768) - bounds[symbol])
        self._refill()
        return symbol

    def _refill(self) -> None:
        if self.range < 1 << 48:
            two = self.section[self.at : self.at + 2].ljust(2, b"\0")
            self.range <<= 16
            self.code = (self.code << 16 | int.from_bytes(two, "big")) & U64
            self.at += 2

    def is_used_up(self) -> bool:
        return self.at >= len(self.section)
