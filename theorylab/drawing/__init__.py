"""Charts drawn with matplotlib's objects alone, numbers in words, plain tables, and pages.

Knows plain data only (:mod:`theorylab.charts`): no network is run and no law is evaluated here.
"""

from theorylab.drawing._charts import FORMATS, check_path, draw, encode, render, save, width
from theorylab.drawing._curves import label_axes
from theorylab.drawing._maps import maps_over_charts, rows_of_maps
from theorylab.drawing._numbers import MINUS, fixed, number, percent, powers, signs, with_error, with_reach
from theorylab.drawing._pages import page
from theorylab.drawing._style import FAINT, INK, PALETTE, entitle, plain
from theorylab.drawing._tables import Words, empty_table, table

__all__ = [
    "FAINT",
    "FORMATS",
    "INK",
    "MINUS",
    "PALETTE",
    "Words",
    "check_path",
    "draw",
    "empty_table",
    "encode",
    "entitle",
    "fixed",
    "label_axes",
    "maps_over_charts",
    "number",
    "page",
    "percent",
    "plain",
    "powers",
    "render",
    "rows_of_maps",
    "save",
    "signs",
    "table",
    "width",
    "with_error",
    "with_reach",
]
