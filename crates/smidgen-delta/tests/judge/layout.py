"""Segments: which bytes of a file have which addresses (format.md, "Plan"; sweeps.md, "Address", "Image")."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Optional

from coder import U64


@dataclass(frozen=True)
class Segment:
    offset: int
    len: int
    address: int
    memory_len: int
    code: bool

    @property
    def end(self) -> int:
        return self.offset + self.len


class Layout:
    def __init__(self, segments: list[Segment]) -> None:
        self.segments: list[Segment] = []
        end = 0
        for segment in segments:
            # One that overlaps the one before is dropped, as is one that has no room below 2^64.
            if segment.address >= end and segment.address + segment.memory_len <= U64:
                self.segments.append(segment)
                end = segment.address + segment.memory_len
        self.starts = [segment.address for segment in self.segments]

    def _at(self, offset: int) -> Optional[Segment]:
        return next((one for one in self.segments if one.offset <= offset < one.end), None)

    def address(self, offset: int) -> Optional[int]:
        segment = self._at(offset)
        return None if segment is None else segment.address + offset - segment.offset

    def room(self, offset: int) -> int:
        """Bytes from `offset` to where a segment of the file ends or begins."""
        segment = self._at(offset)
        if segment is not None:
            return segment.end - offset
        return min((one.offset - offset for one in self.segments if one.offset > offset), default=U64)

    def holding(self, address: int) -> Optional[Segment]:
        """The segment of the image that has an address."""
        index = bisect_right(self.starts, address) - 1
        if index >= 0 and address - self.starts[index] < self.segments[index].memory_len:
            return self.segments[index]
        return None
