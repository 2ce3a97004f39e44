"""Where addresses went (format.md, "Correspondence")."""

from __future__ import annotations

from bisect import bisect_right

from coder import U64
from layout import Layout
from plan import Match


class Correspondence:
    def __init__(self, matches: list[Match], old: Layout, new: Layout) -> None:
        most = 5 * len(matches) // 4 + 64
        # Start and end of a range of old addresses, and where it went.
        pieces: list[tuple[int, int, int]] = []
        for match in matches:
            done = 0
            while done < match.len and len(pieces) < most:
                from_, to = match.old + done, match.new + done
                step = max(1, min(match.len - done, old.room(from_), new.room(to)))
                was, is_ = old.address(from_), new.address(to)
                if was is not None and is_ is not None:
                    pieces.append((was, was + step, is_))
                done += step
        pieces.sort(key=lambda piece: (piece[0], -piece[1], piece[2]))
        ranges: list[tuple[int, int, int]] = []
        for start, end, moved in pieces:
            if ranges and ranges[-1][1] > start:
                last_start, last_end, last_moved = ranges[-1]
                if end <= last_end:
                    continue
                if end - start > last_end - last_start:
                    ranges[-1] = (last_start, start, last_moved)
                else:
                    start, moved = last_end, moved + last_end - start
            ranges.append((start, end, moved))
        self.ranges = [range_ for range_ in ranges if range_[0] < range_[1]]
        self.starts = [range_[0] for range_ in self.ranges]

    def moved(self, address: int) -> tuple[int, int]:
        """The new address, and by how many bytes the old one is outside of all ranges: 0 is inside."""
        if not self.ranges:
            return address, U64
        index = bisect_right(self.starts, address) - 1
        start, end, moved = self.ranges[max(index, 0)]
        outside = U64 if index < 0 else max(0, address + 1 - end)
        return (address - start + moved) & U64, outside
