"""`__unwind_info` of Mach-O (format.md, "Unwinding")."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Optional

from plan import U32, Unwound

MOST_WAYS = 256
MOST_COMMON = 127
PAGE_WORDS = 1021
REGULAR = 511


@dataclass
class Entry:
    address: int
    way: int = 0
    data: int = 0


def word(table: bytes, at: int, len_: int = 4) -> Optional[int]:
    data = table[at : at + len_]
    return int.from_bytes(data, "little") if len(data) == len_ else None


def words(table: bytes, at: Optional[int], count: Optional[int]) -> list[int]:
    """As many words as there are."""
    found: list[int] = []
    while at is not None and count is not None and len(found) < count and at + 4 <= len(table):
        found.append(int.from_bytes(table[at : at + 4], "little"))
        at += 4
    return found


def unpack(table: bytes) -> tuple[list[Entry], list[int]]:
    """Entries, and the other addresses."""
    head = words(table, 0, 7)
    if len(head) < 7:
        return [], []
    _, common_at, common_count, others_at, others_count, index, pages = head
    most = len(table) // 4
    common = words(table, common_at, min(common_count, MOST_WAYS))
    entries: list[Entry] = []
    for number in range(pages):
        first, at = word(table, index + 12 * number), word(table, index + 12 * number + 4)
        if first is None or at is None:
            break
        if at != 0:
            entries += unpack_page(table[at:], first, common, most - len(entries))
    read_data(table, index, pages, entries)
    return entries, words(table, others_at, others_count)


def unpack_page(page: bytes, first: int, common: list[int], most: int) -> list[Entry]:
    kind, at, count = word(page, 0), word(page, 4, 2), word(page, 6, 2)
    if at is None or count is None:
        return []
    count = min(count, most)
    if kind == 2:
        both = words(page, at, 2 * count)
        return [Entry(address, way) for address, way in zip(both[::2], both[1::2])]
    if kind != 3:
        return []
    ways = common + words(page, word(page, 8, 2), min(word(page, 10, 2) or 0, MOST_WAYS))
    entries = []
    for entry in words(page, at, count):
        ordinal = entry >> 24
        entries.append(Entry(first + (entry & 0xFFFFFF) & U32, ways[ordinal] if ordinal < len(ways) else 0))
    return entries


def read_data(table: bytes, index: int, pages: int, entries: list[Entry]) -> None:
    """Both are read once: what has no partner is passed over."""
    start = word(table, index + 8)
    end = word(table, index + 12 * (pages - 1) + 8) if pages > 0 else None
    if start is None or end is None or end > len(table):
        return
    data, at = words(table[:end], start, len(table)), 0
    for address, value in zip(data[::2], data[1::2]):
        while at < len(entries) and entries[at].address < address:
            at += 1
        if at < len(entries) and entries[at].address == address:
            entries[at].data = value
            at += 1


def pack(unwound: Unwound, entries: list[Entry], others: list[int]) -> bytes:
    kept: list[Entry] = []
    for entry in entries:
        is_same = bool(kept) and kept[-1].way == entry.way
        if entry.data != 0 or unwound.leads_to_record(entry.way) or not is_same:
            kept.append(entry)
    common = common_ways(unwound, kept)
    pages = []
    at = 0
    while at < len(kept):
        count, own = page_of(kept[at:], common)
        pages.append((kept[at : at + count], own))
        at += count

    others_at = 28 + 4 * len(common)
    index_at = others_at + 4 * len(others)
    data_at = index_at + 12 * (len(pages) + 1) + (12 if unwound.tight else 0)
    data_end = data_at + 8 * sum(entry.data != 0 for entry in kept)
    head = [1, 28, len(common), others_at, len(others), index_at, len(pages) + 1]
    index: list[int] = []
    body = b""
    for page, own in pages:
        index += [page[0].address, data_end + len(body), data_at]
        data_at += 8 * sum(entry.data != 0 for entry in page)
        written = write_page(page, own, common)
        body += written + bytes(-len(written) % 8 if unwound.tight else 4096 - len(written))
    index += [unwound.end, 0, data_end] + ([0, 0, 0] if unwound.tight else [])
    data = [number for entry in kept if entry.data != 0 for number in (entry.address, entry.data)]
    return write_words(head + common + others + index + data) + body


def common_ways(unwound: Unwound, entries: list[Entry]) -> list[int]:
    counts = Counter(entry.way for entry in entries)
    ways = [way for way, count in counts.items() if count >= (2 if unwound.tight else 1)]
    ways.sort(key=lambda way: (-counts[way], way if unwound.tight else -way))
    return ways[:MOST_COMMON]


def page_of(entries: list[Entry], common: list[int]) -> tuple[int, Optional[list[int]]]:
    """How many of the entries a page takes, and its own ways if it is a compressed one."""
    own: list[int] = []
    room, count, known = PAGE_WORDS, 0, set(common)
    for entry in entries:
        is_new = entry.way not in known
        if room < 1 + is_new or len(known) + is_new > MOST_WAYS or entry.address - entries[0].address > 0xFFFFFF:
            break
        if is_new:
            own.append(entry.way)
            known.add(entry.way)
        room -= 1 + is_new
        count += 1
    if count < len(entries) and count < REGULAR:
        return min(REGULAR, len(entries)), None
    return count, own


def write_page(entries: list[Entry], own: Optional[list[int]], common: list[int]) -> bytes:
    if own is None:
        both = [number for entry in entries for number in (entry.address, entry.way)]
        return write_words([2, 8 | len(entries) << 16] + both)
    ways = common + own
    head = [3, 12 | len(entries) << 16, 12 + 4 * len(entries) | len(own) << 16]
    first = entries[0].address
    return write_words(head + [entry.address - first | ways.index(entry.way) << 24 for entry in entries] + own)


def write_words(numbers: list[int]) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)
