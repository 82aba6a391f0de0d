"""Patches as columns of a matrix, with one row for each tap (entry of a patch), so that loops run over long rows."""

from __future__ import annotations

import numpy as np

from theorylab._compiled import Array, Pair, compiled

# Inner loops index with unsigned integers: a signed index might count from the end, and then the compiler uses no vector
# instructions.


@compiled
def _inside(offset: int, step: int, width: int, columns: int) -> tuple[int, int]:
    """Return the first patch of a row whose tap at `offset` lies in the image, and one past the last."""
    begin = min(columns, max(0, -(offset // step)))
    return begin, max(begin, min(columns, (width - offset + step - 1) // step))


@compiled
def gather(
    image: Array, kernel: Pair, stride: Pair, padding: Pair, first: int, last: int, columns: int, out: Array
) -> None:
    """Write the taps of channels (C, H, W) for the patches of rows `first` to `last` to `out` (C kh kw, R W')."""
    height, width = image.shape[1:]
    step = stride[1]
    for channel in range(len(image)):
        for i in range(kernel[0]):
            for k in range(kernel[1]):
                tap, offset = (channel * kernel[0] + i) * kernel[1] + k, k - padding[1]
                begin, end = _inside(offset, step, width, columns)
                for row in range(first, last):
                    y = row * stride[0] + i - padding[0]
                    start = (row - first) * columns
                    if y < 0 or y >= height:
                        out[tap, start : start + columns] = 0
                        continue
                    out[tap, start : start + begin] = 0
                    if step == 1:
                        source, target = np.uint64(begin + offset), np.uint64(start + begin)
                        for c in range(end - begin):
                            out[tap, target + np.uint64(c)] = image[channel, y, source + np.uint64(c)]
                    else:
                        for c in range(begin, end):
                            out[tap, start + c] = image[channel, y, c * step + offset]
                    out[tap, start + end : start + columns] = 0


@compiled
def scatter(
    products: Array, kernel: Pair, stride: Pair, padding: Pair, rows: int, columns: int, image: Array
) -> None:
    """Add the taps of all patches, (C kh kw, H' W'), to their image (C, H, W), tap by tap as `PatchGrid.fold` does."""
    height, width = image.shape[1:]
    step = stride[1]
    for channel in range(len(image)):
        for i in range(kernel[0]):
            for k in range(kernel[1]):
                tap, offset = (channel * kernel[0] + i) * kernel[1] + k, k - padding[1]
                begin, end = _inside(offset, step, width, columns)
                for row in range(rows):
                    y = row * stride[0] + i - padding[0]
                    if y < 0 or y >= height:
                        continue
                    if step == 1:
                        source, target = np.uint64(row * columns + begin), np.uint64(begin + offset)
                        for c in range(end - begin):
                            image[channel, y, target + np.uint64(c)] += products[tap, source + np.uint64(c)]
                    else:
                        for c in range(begin, end):
                            image[channel, y, c * step + offset] += products[tap, row * columns + c]
