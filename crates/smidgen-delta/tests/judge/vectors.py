"""The vectors of sweeps.md and the whole patches of models.md, which the documents print with what comes of them."""

from __future__ import annotations

from typing import Iterator, Optional

import document
import plan
import sweep
import x86_64
from field import Reference
from layout import Layout, Segment
from plan import Region, Rule
from prediction import Surroundings
from walk import Walk

PATCHES = ("call", "pages", "unwinding")


def judge() -> int:
    """Holds all of them against this decoder; how many there are."""
    count = 0
    for line in document.lines("sweeps.md", "vectors x86-64")[1:]:
        data, how, lengths, found, _ = fields(line, 5)
        judge_sweep(line, data, how.split(), found, Rule(0, absolute="absolute" in how.split()), lengths)
        count += 1
    for line in document.lines("sweeps.md", "vectors aarch64")[1:]:
        data, how, found, _ = fields(line, 4)
        judge_sweep(line, data, how.split(), found, Rule(1), None)
        count += 1
    for name in PATCHES:
        judge_patch(name)
    return count + len(PATCHES)


def fields(line: str, count: int) -> list[str]:
    """What stands between the bars of a line; the last field may have some itself."""
    return [field.strip() for field in line.split("|", count - 1)]


def repeated(text: str) -> Iterator[str]:
    """Words, of which `x*3` is three."""
    for word in text.split():
        word, _, times = word.partition("*")
        yield from [word] * int(times or 1)


def file_bytes(text: str) -> bytes:
    """Bytes, and words of eight digits, which stand low byte first."""
    return b"".join(bytes.fromhex(word)[:: -1 if len(word) == 8 else 1] for word in repeated(text))


def judge_sweep(line: str, text: str, how: list[str], found: str, rule: Rule, lengths: Optional[str]) -> None:
    named = dict(word.split("=") for word in how if "=" in word)
    data, at = file_bytes(text), int(named.get("at", "1000"), 16)

    def part(name: str) -> tuple[int, int]:
        start, end = named.get(name, f"0..{len(data)}").split("..")
        return at + int(start), at + int(end)

    segments = [[int(word, 16) for word in row] for row in document.rows("segments")]
    layout = Layout([Segment(offset, len_, address, memory, True) for offset, len_, address, memory in segments])
    size = max([at + len(data)] + [segment.end for segment in layout.segments])
    old = (bytes(at) + data).ljust(size, b"\0")
    region = Region(*part("region"), rule)
    from_, to = part("stretch")
    references = sweep.of_old(old, layout, [region], from_, to)
    if "rest" in named:
        start, end = part("rest")
        address = layout.address(start)
        len_ = 0 if address is None else min(end - start, layout.room(start))
        match = Surroundings(0, address or 0, len_)
        references = [reference for reference in references if not match.may_rest(reference)]
    assert [written(one, at) for one in references] == [one.strip() for one in found.split(",") if one.strip()], line
    if lengths is not None:
        start = max(from_ - 64, region.start)
        window = old[start : min(to + 16, region.end)]
        assert list(read(window, to - start)) == list(repeated(lengths)), line


def written(reference: Reference, at: int) -> str:
    anchor = reference.anchor
    counts = f"+{anchor.n}" if anchor.kind == "+n" else anchor.kind
    form = reference.form
    return f"{reference.offset - at} {form.len} {reference.cls} {form.name} {counts} {reference.referent:x}"


def read(window: bytes, to: int) -> Iterator[str]:
    """The lengths of the instructions that are read."""
    at = 0
    while at < to:
        instruction = x86_64.whole(window[at:])
        if instruction is None:
            yield "end"
            return
        yield str(instruction.len)
        at += instruction.len


def hexadecimal(block: str, name: str) -> bytes:
    """The bytes of the lines of a block that begin with a name."""
    found = (line.split("#")[0].split() for line in document.lines("models.md", f"vector {block}"))
    return b"".join(bytes.fromhex("".join(words[1:])) for words in found if words and words[0] == name)


def judge_patch(name: str) -> None:
    old, new = (hexadecimal(f"files {name}", which) for which in ("old", "new"))
    raw_size = next(line for line in document.lines("models.md", f"vector plan {name}") if line.startswith("raw "))
    kinds = {17: "references", 18: "add", 19: "extra"}
    sections = {kind: hexadecimal(f"{section} {name}", "bytes") for kind, section in kinds.items()}
    read_ = plan.read(hexadecimal(f"plan {name}", "bytes"), int(raw_size.split()[1]))
    extra = len(new) - sum(match.len for match in read_.matches)
    assert Walk(read_, sections, extra, {}, old).make(len(new)) == new, name
