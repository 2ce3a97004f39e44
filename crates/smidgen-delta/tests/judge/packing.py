"""Packed lists of plain addresses (format.md, "Packed lists", packings 0 to 2)."""

from __future__ import annotations

from coder import U64
from plan import U32

STARTS, BLOCKS, BITMAPS, UNWINDING = range(4)


def unpack(packing: int, table: bytes, base: int) -> list[int]:
    if packing == BITMAPS:
        return unpack_bitmaps(table, base)
    return unpack_starts(table) if packing == STARTS else unpack_blocks(table)


def pack(packing: int, addresses: list[int], base: int) -> bytes:
    if packing == BITMAPS:
        return pack_bitmaps(addresses, base)
    return pack_starts(addresses) if packing == STARTS else pack_blocks(addresses)


def word(table: bytes, at: int, len_: int) -> int:
    return int.from_bytes(table[at : at + len_], "little")


def unpack_starts(table: bytes) -> list[int]:
    addresses: list[int] = []
    address = at = 0
    while True:
        distance = 0
        for index, byte in enumerate(table[at : at + 5]):
            distance |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                break
        else:
            return addresses
        at += index + 1
        address += distance
        if distance == 0 or address > U32:
            return addresses
        addresses.append(address)


def pack_starts(addresses: list[int]) -> bytes:
    table, last = bytearray(), 0
    for address in addresses:
        distance, last = address - last, address
        while distance >= 0x80:
            table.append(distance & 0x7F | 0x80)
            distance >>= 7
        table.append(distance)
    table.append(0)
    return bytes(table) + bytes(-len(table) % 8)


def unpack_blocks(table: bytes) -> list[int]:
    addresses, at = [], 0
    while at + 8 <= len(table):
        page, len_ = word(table, at, 4), word(table, at + 4, 4)
        if len_ < 8 or at + len_ > len(table):
            break
        for place in range(at + 8, at + len_ - 1, 2):
            entry = word(table, place, 2)
            if entry >> 12 == 0xA:
                addresses.append(page + (entry & 0xFFF) & U32)
        at += len_
    return addresses


def pack_blocks(addresses: list[int]) -> bytes:
    table, at = bytearray(), 0
    while at < len(addresses):
        page = addresses[at] & ~0xFFF
        entries = []
        while at < len(addresses) and addresses[at] & ~0xFFF == page:
            entries.append(0xA000 | addresses[at] & 0xFFF)
            at += 1
        entries += [0] * (len(entries) % 2)
        table += page.to_bytes(4, "little") + (8 + 2 * len(entries)).to_bytes(4, "little")
        table += b"".join(entry.to_bytes(2, "little") for entry in entries)
    return bytes(table)


def unpack_bitmaps(table: bytes, base: int) -> list[int]:
    addresses: list[int] = []
    behind = 0
    for at in range(0, len(table) - 7, 8):
        entry = word(table, at, 8)
        if entry & 1:
            places = [behind + 8 * bit for bit in range(63) if entry >> bit + 1 & 1]
            behind += 8 * 63
        else:
            places = [entry]
            behind = entry + 8
        for place in places:
            address = (place - base) & U64
            if address > U32 or (addresses and address <= addresses[-1]):
                return addresses
            addresses.append(address)
    return addresses


def pack_bitmaps(addresses: list[int], base: int) -> bytes:
    words = []
    left = [base + address for address in addresses]
    while left:
        first = left.pop(0)
        words.append(first & ~1)
        behind = first + 8
        while True:
            bits = 0
            while left and left[0] >= behind and (left[0] - behind) % 8 == 0 and left[0] < behind + 8 * 63:
                bits |= 1 << (left.pop(0) - behind) // 8
            if bits == 0:
                break
            words.append(bits << 1 | 1)
            behind += 8 * 63
    return b"".join((number & U64).to_bytes(8, "little") for number in words)
