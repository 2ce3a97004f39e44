"""The model of bytes (models.md, "Bytes")."""

from __future__ import annotations

from coder import Coder
from models import FRESH, learn
from recall import U32, Recall, below, spread_halves


def level(n: int) -> int:
    return n if n < 2 else 2 if n <= 3 else 3


def share(bounds: list[int], value: int) -> int:
    return (bounds[value + 1] if value < 15 else 32768) - bounds[value]


class ByteModel:
    def __init__(self, log: int, trust: int) -> None:
        self.recall: Recall[int] = Recall(log + 2, trust, 0)
        self.mask = (1 << log) - 1
        # Bounds, n and check of each slot.
        self.slots: dict[int, tuple[list[int], int, int]] = {}
        self.weights: dict[tuple[int, int, int, int], int] = {}

    def read(self, coder: Coder, recall: tuple[int, int], halves: tuple[int, int], set_: int) -> int:
        value = self.recall.read(coder, *recall, set_)
        if value is None:
            h1 = spread_halves(halves[0])
            h2 = spread_halves((halves[1] + 0x12345677) & U32)
            upper = self._half(coder, h1, h2, set_, 0)
            lower = self._half(coder, below(h1, upper), below(h2, upper), set_, 1)
            value = upper << 4 | lower
        self.recall.learn(*recall, value)
        return value

    def _half(self, coder: Coder, h1: int, h2: int, set_: int, which: int) -> int:
        (b1, n1), (b2, n2) = self._slot(h1), self._slot(h2)
        key = (set_, which, level(n2), level(n1))
        w = self.weights.get(key, 32768)
        value = coder.symbol([(x * (65535 - w) >> 16) + (y * w >> 16) for x, y in zip(b1, b2)])
        g1 = share(b1, value) * (65535 - w >> 1)
        g2 = share(b2, value) * (w >> 1)
        part = g2 // ((g1 >> 16) + (g2 >> 16) + 1)
        self.weights[key] = min(max(w + (part - w >> 5), 64), 65000)
        for h, bounds, n in ((h1, b1, n1), (h2, b2, n2)):
            self.slots[h & self.mask] = (learn(bounds, n, value), min(n + 1, 250), h >> 24)
        return value

    def _slot(self, h: int) -> tuple[list[int], int]:
        bounds, n, check = self.slots.get(h & self.mask, (FRESH, 0, 0))
        return (bounds, n) if check == h >> 24 and n > 0 else (FRESH, 0)
