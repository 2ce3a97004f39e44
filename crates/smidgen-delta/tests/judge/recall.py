"""Hashes, and what came last in a context (models.md, "Hashes", "Recall")."""

from __future__ import annotations

from typing import Any, Generic, Optional, TypeVar

from coder import Coder
from models import Bit, Models

Value = TypeVar("Value")
U32 = 2**32 - 1


def fold(a: int, b: int) -> int:
    mixed = ((a ^ b * 0x9E3779B1) * 0x85EBCA6B) & U32
    return ((mixed << 13 | mixed >> 19) + b) & U32


def spread_recall(context: int) -> int:
    h = context * 0x85EBCA6B & U32
    return h ^ h >> 15


def spread_halves(context: int) -> int:
    h = context * 0x85EBCA6B & U32
    h = (h ^ h >> 15) * 0x9E3779B1 & U32
    return h ^ h >> 15


def below(h: int, upper: int) -> int:
    return h ^ ((upper + 1) * 0x9E3779B1 & 0xFF00007F)


class Recall(Generic[Value]):
    def __init__(self, log: int, trust: int, zero: Value) -> None:
        self.mask = (1 << log) - 1
        self.trust = trust
        self.nothing = (zero, 0, 0)
        # Value, count and check of each place.
        self.places: dict[int, tuple[Value, int, int]] = {}
        self.bits = Models(lambda: Bit(58000, 2))

    def _known(self, context: int) -> tuple[Value, int]:
        h = spread_recall(context)
        value, count, check = self.places.get(h & self.mask, self.nothing)
        return value, count if check == h >> 16 else 0

    def guess(self, first: int, second: int, set_: int) -> Optional[tuple[Value, Any]]:
        """A value, and the context of the bit that says whether it is right."""
        (value, f), (other_value, s) = self._known(first), self._known(second)
        if f >= self.trust:
            who, count = 0, f
            other = 0 if s == 0 else 2 if value == other_value else 1
        elif s >= self.trust:
            value, who, count = other_value, 1, s
            other = 3 if f > 0 else 0
        else:
            return None
        return value, (set_, who, other, min(count.bit_length(), 7))

    def read(self, coder: Coder, first: int, second: int, set_: int) -> Optional[Value]:
        """The value that is guessed, if there is a guess and it is right."""
        guess = self.guess(first, second, set_)
        if guess is not None and self.bits[guess[1]].read(coder):
            return guess[0]
        return None

    def learn(self, first: int, second: int, value: Value) -> None:
        hashes = [spread_recall(context) for context in (first, second)]
        before = [self.places.get(h & self.mask, self.nothing) for h in hashes]
        for h, (held, count, check) in zip(hashes, before):
            own = check == h >> 16 and count > 0
            if own and held == value:
                count = min(count + 1, 255)
            elif count > 3:
                count -= count >> 1 if own else 2
            else:
                held, count, check = value, 1, h >> 16
            self.places[h & self.mask] = (held, count, check)
