"""Laws as formulas in a page: mathtext drawn as one path of SVG, in the colour of the text around it.

Matplotlib's own SVG files carry a date, identifiers and a fixed colour.  Only its typesetting is used: the outlines of a
line of mathtext are one path, so a page holds no identifier twice, needs no font, and follows light and dark.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from theorylab.drawing import plain

with plain():  # which imports matplotlib whatever MPLBACKEND names
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath, text_to_path

# Units of the view box in an em; one unit is far below a pixel.
_SIZE = 200.0
_GAP = 0.55 * _SIZE
_MARGIN = 0.1 * _SIZE
# Letters are a little larger than the text's, so that indices stay legible; a narrow screen shrinks them this far.
_LARGEST, _SMALLEST = 1.12, 0.86
_LETTERS = {Path.MOVETO: "M", Path.LINETO: "l", Path.CURVE3: "q", Path.CURVE4: "c", Path.CLOSEPOLY: "z"}


@plain()
def svg(lines: Sequence[str], label: str) -> str:
    r"""Draw lines of mathtext, without their dollar signs, under each other as one inline SVG element.

    `label` is what a screen reader says in their place.  The SVG is empty if there are no lines; sizes are in em of the text
    around it, and the same lines give the same bytes.  A ValueError says which line is not mathtext, and where.

    Examples
    --------
    >>> drawn = svg([r"\mathrm{E}\,S = 0"], "E S = 0")
    >>> drawn[:5], 'aria-label="E S = 0"' in drawn, " id=" in drawn
    ('<svg ', True, False)
    """
    if not lines:
        return ""
    top, width, paths = _MARGIN, 0.0, []
    for line in lines:
        right, ascent, descent, outline = _typeset(line)
        paths.append(_path_data(outline, _MARGIN, top + ascent))
        top += ascent + descent + _GAP
        width = max(width, right)
    width, height = width + 2 * _MARGIN, top - _GAP + _MARGIN
    return (
        '<svg class="formula" role="img" aria-label="{}" viewBox="0 0 {} {}" style="width:{}em;min-width:{}em">'
        '<path fill="currentColor" d="{}"/></svg>'
    ).format(
        html.escape(label),
        round(width),
        round(height),
        round(_LARGEST * width / _SIZE, 2),
        round(_SMALLEST * width / _SIZE, 2),
        "".join(paths),
    )


def _typeset(line: str) -> tuple[float, float, float, TextPath]:
    """Return the width, the height over and depth under the base line, and the outlines around it."""
    font = FontProperties(math_fontfamily="stix", size=_SIZE)
    text = f"${line}$"
    try:
        width, height, depth = text_to_path.get_text_width_height_descent(text, font, ismath=True)
        return width, height - depth, depth, TextPath((0, 0), text, prop=font)
    except ValueError as error:
        raise ValueError(f"formula {line!r}: {str(error).strip().splitlines()[-1]}") from None


def _path_data(path: Path, left: float, base: float) -> str:
    """Write the commands of an SVG path in whole units, relative but for each outline's start: that is short."""
    parts, here = [], (0, 0)
    for points, code in path.iter_segments(simplify=False, curves=True):
        letter = _LETTERS[code]
        # Round before taking differences, so that errors do not add up.  SVG counts downwards.
        positions = [
            (round(left + x), round(base - y)) for x, y in zip(points[::2], points[1::2], strict=True)
        ]
        if letter == "z":
            parts.append(letter)
            continue
        if letter == "M":
            here = (0, 0)
        numbers = [f"{x - here[0]} {y - here[1]}" for x, y in positions]
        parts.append(letter + " ".join(numbers).replace(" -", "-"))
        here = positions[-1]
    return "".join(parts)
