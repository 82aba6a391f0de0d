"""Run the blocks of Python in a page of the documentation; its pictures are written beside it.

``python tools/blocks.py docs/gallery.md`` (``make gallery``).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

COLOURS = 255
"""Of a picture that is kept: a palette takes a third of the bytes, and rare colours keep their place in it."""


def blocks(page: Path, language: str = "python") -> list[tuple[str, str]]:
    """Return the blocks of a language, each with what the ``text`` block right below it says; "" if there is none.

    Examples
    --------
    >>> [code.splitlines()[0] for code, _ in blocks(Path(__file__).parents[1] / "README.md")]
    ['import theorylab as tl']
    """
    text = page.read_text(encoding="utf-8")
    pattern = rf"^```{language}\n(.*?)^```\n(?:\n```text\n(.*?)^```)?"
    return [(found[1], found[2] or "") for found in re.finditer(pattern, text, re.S | re.M)]


def pictures(code: str) -> list[str]:
    """Return the names of the pictures that a block writes.

    Examples
    --------
    >>> pictures('drawing.save(figure, "a.png")'), pictures('report.save(".")  # audit.png, audit.json')
    (['a.png'], ['audit.png'])
    """
    return re.findall(r"[\w-]+\.png", code)


def run(page: Path, number: int) -> None:
    """Run one block by itself, with the name of the page in tracebacks."""
    code, _ = blocks(page)[number]
    exec(compile(code, f"{page.name}, block {number}", "exec"), {"__name__": "__main__"})


def main(page: Path) -> None:
    """Run all blocks of a page in its folder, and keep their pictures with a palette."""
    from PIL import Image

    page = page.resolve()
    os.chdir(page.parent)
    for number, (code, _) in enumerate(blocks(page)):
        run(page, number)
        for name in pictures(code):
            with Image.open(name) as drawn:
                reduced = drawn.convert("RGB").quantize(
                    COLOURS, Image.Quantize.MAXCOVERAGE, 2, dither=Image.Dither.NONE
                )
            reduced.save(name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
