"""An independent decoder of codec 3, written from docs/format.md, docs/models.md and docs/sweeps.md.

    python judge FOLDER     for each case in FOLDER, applies NAME.patch to NAME.old and writes NAME.made;
                            and holds itself to the vectors that the documents print

It takes patches that the encoder made, and fails on others. Where it disagrees, the documents have a bug, or a decoder.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import patch
import vectors


def main(folder: Path) -> None:
    print(f"{vectors.judge()} vectors of the documents")
    seen: set[str] = set()
    for case in sorted(folder.glob("*.patch")):
        start = time.monotonic()
        opened = patch.Patch(case.read_bytes())
        made = opened.apply(case.with_suffix(".old").read_bytes())
        case.with_suffix(".made").write_bytes(made)
        seen |= opened.seen()
        print(f"{case.stem}: {len(made)} bytes, {time.monotonic() - start:.1f} s")
    print("seen:", *sorted(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
