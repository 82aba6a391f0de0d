"""Patches as columns, one row for each place in a patch: long rows to copy, to multiply and to add."""

from __future__ import annotations

import numpy as np

from theorylab.kernels._policy import compiled

# Where a place is computed, it is computed without a sign: the compiler must provide for places before the first otherwise,
# and uses no vector instructions.


@compiled
def _inside(offset, step, width, columns):
    """The first patch of a row whose place at `offset` is in the image, and the one after the last."""
    begin = min(columns, max(0, -(offset // step)))
    return begin, max(begin, min(columns, (width - offset + step - 1) // step))


@compiled
def gather(image, kernel_size, stride, padding, first, last, columns, out):
    """The places of channels (C, H, W) in all patches of rows `first` to `last` of patches; `out` (C kh kw, R W')."""
    for channel in range(len(image)):
        _gather(image[channel], kernel_size, stride, padding, first, last, columns, channel, out)


@compiled
def _gather(image, kernel_size, stride, padding, first, last, columns, channel, out):
    height, width = image.shape
    step = stride[1]
    for i in range(kernel_size[0]):
        for k in range(kernel_size[1]):
            place = (channel * kernel_size[0] + i) * kernel_size[1] + k
            offset = k - padding[1]
            begin, end = _inside(offset, step, width, columns)
            for row in range(first, last):
                y = row * stride[0] + i - padding[0]
                start = (row - first) * columns
                if y < 0 or y >= height:
                    out[place, start : start + columns] = 0
                    continue
                out[place, start : start + begin] = 0
                if step == 1:
                    source, target = np.uint64(begin + offset), np.uint64(start + begin)
                    for c in range(end - begin):
                        out[place, target + np.uint64(c)] = image[y, source + np.uint64(c)]
                else:
                    for c in range(begin, end):
                        out[place, start + c] = image[y, c * step + offset]
                out[place, start + end : start + columns] = 0


@compiled
def scatter(products, kernel_size, stride, padding, rows, columns, image):
    """Add the places of channels in all patches, (C kh kw, H' W'), to their image (C, H, W): place by place, as `fold`."""
    for channel in range(len(image)):
        _scatter(products, kernel_size, stride, padding, rows, columns, channel, image[channel])


@compiled
def _scatter(products, kernel_size, stride, padding, rows, columns, channel, image):
    height, width = image.shape
    step = stride[1]
    for i in range(kernel_size[0]):
        for k in range(kernel_size[1]):
            place = (channel * kernel_size[0] + i) * kernel_size[1] + k
            offset = k - padding[1]
            begin, end = _inside(offset, step, width, columns)
            for row in range(rows):
                y = row * stride[0] + i - padding[0]
                if y < 0 or y >= height:
                    continue
                if step == 1:
                    source, target = np.uint64(row * columns + begin), np.uint64(begin + offset)
                    for c in range(end - begin):
                        image[y, target + np.uint64(c)] += products[place, source + np.uint64(c)]
                else:
                    for c in range(begin, end):
                        image[y, c * step + offset] += products[place, row * columns + c]
