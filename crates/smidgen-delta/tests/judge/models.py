"""Models of bits, symbols, halves and numbers (models.md, "Bits", "Halves", "Numbers")."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

from coder import Coder

Model = TypeVar("Model")


class Models(dict[Any, Model]):
    """Models by context, each made when it is first asked for."""

    def __init__(self, make: Callable[[], Model]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, context: Any) -> Model:
        model = self[context] = self.make()
        return model


class Bit:
    def __init__(self, p: int = 32768, n: int = 0) -> None:
        self.p = p
        self.n = n

    def read(self, coder: Coder) -> int:
        bit = coder.bit(min(max(self.p, 24), 65511))
        rate = 131072 // (2 * self.n + 3)
        if bit:
            self.p += (65535 - self.p) * rate >> 16
        else:
            self.p -= self.p * rate >> 16
        self.n = min(self.n + 1, 90)
        return bit


class Symbol:
    """Symbols of so many bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.models = Models(Bit)

    def read(self, coder: Coder) -> int:
        node = 1
        for _ in range(self.bits):
            node = node << 1 | self.models[node].read(coder)
        return node - (1 << self.bits)


# The bounds of halves of which nothing is known.
FRESH = [2048 * value for value in range(16)]


def learn(bounds: list[int], n: int, value: int) -> list[int]:
    """The bounds once `value` came, which are learnt `n` times already."""
    learnt = [0]
    for i in range(1, 16):
        aim = 32768 - 4 * (16 - i) if i > value else 4 * i
        distance = aim - bounds[i]
        if n == 0:
            # Rounded towards zero, as `//` does not.
            step = distance * 5 // 7 if distance >= 0 else -(-distance * 5 // 7)
        else:
            step = distance * (655360 // (10 * n + 14)) >> 16
        learnt.append(bounds[i] + step)
    return learnt


class Half:
    """A half in no context."""

    def __init__(self) -> None:
        self.bounds = FRESH
        self.n = 3

    def read(self, coder: Coder) -> int:
        value = coder.symbol(self.bounds)
        self.bounds = learn(self.bounds, self.n, value)
        self.n = min(self.n + 1, 250)
        return value


class Number:
    def __init__(self) -> None:
        self.short = Half()
        self.long = Models(Half)
        self.top = Models(Half)
        self.rest = Models(Half)

    def read(self, coder: Coder) -> int:
        bits = self.short.read(coder)
        if bits == 15:
            upper = self.long[0].read(coder)
            lower = self.long[1 + (upper & 3)].read(coder)
            bits = min(15 + (upper << 4 | lower), 64)
        if bits == 0:
            return 0
        value, left, model = 1, bits - 1, self.top[bits]
        while left > 0:
            k = min(left, 4)
            left -= k
            value = value << k | model.read(coder) & ((1 << k) - 1)
            model = self.rest[left]
        return value

    def read_signed(self, coder: Coder) -> int:
        m = self.read(coder)
        return m // 2 if m % 2 == 0 else -(m + 1) // 2
