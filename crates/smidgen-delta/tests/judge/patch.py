"""A patch of codec 3: header, sections, and the new file (format.md, "Header", "Sections", "Codec 3")."""

from __future__ import annotations

from dataclasses import dataclass

import zstandard

import parts
import plan
from walk import Walk

PLAN, REFERENCES, ADD, EXTRA_CODED = 16, 17, 18, 19


@dataclass
class Cursor:
    data: bytes
    at: int = 0

    def take(self, len_: int) -> bytes:
        taken = self.data[self.at : self.at + len_]
        assert len(taken) == len_, "the patch is short"
        self.at += len_
        return taken

    def low_first(self) -> int:
        """A number in its shortest spelling, low bits first."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                assert byte != 0 or shift == 7, "a number in a longer spelling"
                return value


@dataclass(frozen=True)
class Section:
    raw_size: int
    packed: bytes

    def unpack(self) -> bytes:
        """Of a section that is a zstd frame without its magic bytes."""
        unpacker = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS).decompressobj()
        raw = unpacker.decompress(self.packed)
        assert len(raw) == self.raw_size and unpacker.unused_data == b"", "a frame of another size"
        return raw


def sections_of(cursor: Cursor) -> dict[int, Section]:
    """The sections, by kind; each stands once at most, and they end the patch."""
    entries = []
    for _ in range(cursor.low_first()):
        entries.append((cursor.take(1)[0], cursor.low_first(), cursor.low_first()))
    kinds = [kind for kind, _, _ in entries]
    assert kinds == sorted(set(kinds)) and all(raw and packed for _, raw, packed in entries), "section table"
    sections = {kind: Section(raw, cursor.take(packed)) for kind, raw, packed in entries}
    assert cursor.at == len(cursor.data), "the patch goes on"
    return sections


class Patch:
    def __init__(self, data: bytes) -> None:
        cursor = Cursor(data)
        assert cursor.take(6) == b"smdg\x01\x03", "no patch of codec 3"
        assert cursor.take(1)[0] >= 10, "window"
        self.old_size, self.new_size = cursor.low_first(), cursor.low_first()
        # Digests are left to whoever compares the files.
        cursor.take(2 * 32)
        self.sections = sections_of(cursor)
        self.plan = plan.read(self.sections[PLAN].packed, self.sections[PLAN].raw_size)

    def raw_size(self, kind: int) -> int:
        """Of a section; 0 if the patch does not have it."""
        return self.sections[kind].raw_size if kind in self.sections else 0

    def apply(self, old: bytes) -> bytes:
        assert len(old) == self.old_size, "another old file"
        frames = {kind: section.unpack() for kind, section in self.sections.items() if kind in parts.KINDS}
        coded = {kind: section.packed for kind, section in self.sections.items() if kind not in parts.KINDS}
        extra_size = self.raw_size(EXTRA_CODED)
        in_matches = sum(match.len for match in self.plan.matches)
        assert in_matches == self.raw_size(ADD), "bytes of matches"
        assert in_matches + extra_size + sum(map(len, frames.values())) == self.new_size, "sizes"
        walk = Walk(self.plan, coded, extra_size, frames, old)
        new = walk.make(self.new_size)
        assert walk.references_made == self.raw_size(REFERENCES), "references"
        return new

    def seen(self) -> set[str]:
        """What the patch has, in words."""
        kinds = self.sections.keys()
        way = {(False, False): "none", (True, False): "coded", (False, True): "parted", (True, True): "mixed"}
        seen = {f"section-{kind}" for kind in kinds}
        seen.add("extra-" + way[EXTRA_CODED in kinds, any(kind in parts.KINDS for kind in kinds)])
        for rule in (region.rule for region in self.plan.regions):
            seen.add(f"rule-{rule.number}" if rule.number != 10 else f"packing-{rule.packing}")
        if self.plan.pages is not None:
            seen.add("pages")
        if self.plan.lines is not None:
            seen.add("lines")
        return seen
