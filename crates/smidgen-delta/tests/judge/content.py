"""What stands at a place of the old file (models.md, "Add", the table of contents)."""

from __future__ import annotations

from typing import Union

from plan import Region

X86_64 = "x86-64"
AARCH64 = "aarch64"
# Contents are numbers but for code.
Content = Union[int, str]

BY_RULE: dict[int, Content] = {0: X86_64, 1: AARCH64, 2: 1, 3: 2, 7: 2, 4: 3, 5: 4, 6: 5, 8: 6, 9: 7, 10: 0}


def at(regions: list[Region], offset: int) -> Content:
    region = next((region for region in regions if region.start <= offset < region.end), None)
    return 0 if region is None else BY_RULE[region.rule.number]
