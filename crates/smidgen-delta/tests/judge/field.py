"""Fields and what they say (sweeps.md, "What both have in common"; models.md, "Fields")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import document
from coder import U64


@dataclass(frozen=True)
class Form:
    name: str
    len: int
    # First and last of the bits that hold the value, the value's lowest first.
    ranges: tuple[tuple[int, int], ...]
    signed: bool
    unit: int

    @property
    def bits(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    @property
    def mask(self) -> int:
        return (1 << self.bits) - 1

    def read(self, raw: int) -> int:
        value = shift = 0
        for first, last in self.ranges:
            len_ = last - first + 1
            value |= (raw >> first & (1 << len_) - 1) << shift
            shift += len_
        return value

    def write(self, raw: int, value: int) -> int:
        for first, last in self.ranges:
            mask = (1 << last - first + 1) - 1
            raw = raw & ~(mask << first) | (value & mask) << first
            value >>= last - first + 1
        return raw

    def referent(self, value: int, anchor: int) -> int:
        if self.name == "back":
            return (anchor - value) & U64
        if self.name == "adrp":
            return ((anchor & ~4095) + sign_extended(value, 21) * 4096) & U64
        if self.name.startswith("low"):
            return anchor & ~4095 | value * self.unit & 4095
        if self.signed:
            value = sign_extended(value, self.bits)
        return (anchor + value * self.unit) & U64

    def value(self, referent: int, anchor: int) -> int:
        if self.name == "back":
            return (anchor - referent) & self.mask
        if self.name == "adrp":
            return ((referent & ~4095) - (anchor & ~4095) >> 12) & self.mask
        if self.name.startswith("low"):
            return (referent & 4095) // self.unit & self.mask
        return ((referent - anchor) & U64) // self.unit & self.mask


def sign_extended(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 & 1 else value


def _forms() -> dict[str, Form]:
    forms = [
        Form("long", 8, ((0, 63),), False, 1),
        Form("quad", 4, ((0, 31),), False, 4),
        Form("back", 4, ((0, 31),), False, 1),
        Form("leb", 3, ((0, 6), (8, 14), (16, 22)), False, 1),
        Form("link", 8, ((0, 35),), False, 1),
        Form("ordinal", 3, ((0, 23),), False, 1),
    ]
    for name, len_, *ranges, signed, unit in document.rows("forms"):
        bounds = [tuple(int(bit) for bit in range_.split("..")) for range_ in ranges]
        forms.append(Form(name, int(len_), tuple((low, high) for low, high in bounds), signed == "yes", int(unit)))
    return {form.name: form for form in forms}


FORMS = _forms()


@dataclass(frozen=True)
class Anchor:
    """What a field counts from: "+n", "base", "zero" or "page"; a "number" or a "step" counts from nothing."""

    kind: str
    n: int = 0


ZERO = Anchor("zero")
PAGE = Anchor("page")
NUMBER = Anchor("number")
STEP = Anchor("step")


def here(n: int) -> Anchor:
    return Anchor("+n", n)


def base(address: int) -> Anchor:
    return Anchor("base", address)


@dataclass
class Reference:
    # Offset of the field's first byte in the old file, or behind it.
    offset: int
    form: Form
    anchor: Anchor
    cls: int
    referent: int
    # Of class 15, the other base.
    other: Optional[int] = None

    @property
    def is_number(self) -> bool:
        return self.anchor.kind == "number"

    @property
    def is_step(self) -> bool:
        return self.anchor.kind == "step"
