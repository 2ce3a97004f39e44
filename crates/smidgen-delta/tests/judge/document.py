"""Blocks of the documents. Tables of sweeps.md are read from there: what is wrong in the text is wrong here."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).resolve().parents[4] / "docs"


def lines(name: str, block: str) -> list[str]:
    """The lines of a block of a document."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return text.split(f"```{block}\n", 1)[1].split("```", 1)[0].splitlines()


def rows(block: str) -> list[list[str]]:
    """The words of each line of a table in sweeps.md, without the line that names the columns."""
    return [line.split() for line in lines("sweeps.md", block)[1:]]
