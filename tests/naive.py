"""Loop oracles: written from the definitions, slow, and importing nothing from the package."""

import numpy as np


def _windows(input_shape, kernel, stride, padding):
    """Top left corners of the windows in the unpadded image, row by row."""
    _, height, width = input_shape
    tops = range(-padding[0], height + padding[0] - kernel[0] + 1, stride[0])
    lefts = range(-padding[1], width + padding[1] - kernel[1] + 1, stride[1])
    return [(top, left) for top in tops for left in lefts], (len(tops), len(lefts))


def pool_starts(pool, axis, extent):
    """First rows or columns of windows inside the padded plane.

    With `ceil_mode` one more, if something is left and it begins before the plane ends.
    """
    size, stride, pad = pool.size[axis], pool.stride[axis], pool.padding[axis]
    found = list(range(-pad, extent + pad - size + 1, stride))
    if pool.ceil_mode and found[-1] + size < extent + pad and found[-1] + stride < extent:
        found.append(found[-1] + stride)
    return found


def _entries(input_shape, kernel, top, left):
    """Pairs (place in the patch, place in the image) of the entries inside the image."""
    channels, height, width = input_shape
    place = 0
    for c in range(channels):
        for i in range(kernel[0]):
            for k in range(kernel[1]):
                if 0 <= top + i < height and 0 <= left + k < width:
                    yield place, (c, top + i, left + k)
                place += 1


def extract(x, kernel, stride, padding):
    corners, _ = _windows(x.shape, kernel, stride, padding)
    patches = np.zeros((len(corners), x.shape[0] * kernel[0] * kernel[1]), dtype=x.dtype)
    for j, corner in enumerate(corners):
        for place, pixel in _entries(x.shape, kernel, *corner):
            patches[j, place] = x[pixel]
    return patches


def fold(patches, input_shape, kernel, stride, padding):
    image = np.zeros(input_shape, dtype=patches.dtype)
    for j, corner in enumerate(_windows(input_shape, kernel, stride, padding)[0]):
        for place, pixel in _entries(input_shape, kernel, *corner):
            image[pixel] += patches[j, place]
    return image


def conv_forward(x, weights, stride, padding, bias=None):
    kernel = weights.shape[2:]
    corners, shape = _windows(x.shape[1:], kernel, stride, padding)
    out = np.zeros((len(x), len(weights), len(corners)), dtype=x.dtype)
    for b, image in enumerate(x):
        for n, w in enumerate(weights):
            for j, corner in enumerate(corners):
                out[b, n, j] = 0 if bias is None else bias[n]
                for place, pixel in _entries(image.shape, kernel, *corner):
                    out[b, n, j] += image[pixel] * w.flat[place]
    return out.reshape(len(x), len(weights), *shape)


def conv_backward(gradient, x, weights, stride, padding):
    """Gradients of (x, weights, bias), each contribution added where it arises."""
    kernel = weights.shape[2:]
    corners, _ = _windows(x.shape[1:], kernel, stride, padding)
    dx, dw, db = np.zeros_like(x), np.zeros_like(weights), np.zeros(len(weights), dtype=x.dtype)
    columns = gradient.reshape(len(x), len(weights), -1)
    for b in range(len(x)):
        for n in range(len(weights)):
            for j, corner in enumerate(corners):
                r = columns[b, n, j]
                db[n] += r
                for place, pixel in _entries(x.shape[1:], kernel, *corner):
                    dx[(b, *pixel)] += r * weights[n].flat[place]
                    dw[n].flat[place] += r * x[(b, *pixel)]
    return dx, dw, db


def relu_backward(gradient, y, rule):
    out = np.zeros_like(gradient)
    for place in np.ndindex(gradient.shape):
        value = gradient[place]
        if rule != "saliency" and value < 0:
            value = 0
        if rule != "deconvnet" and not y[place] > 0:
            value = 0
        out[place] = value
    return out


def three_layer_map(x, filters, readout, stride, padding, rule, bias=0.0):
    """Eq. 4 word by word, for one logit's readout (N, H', W'): a sum over patches and filters."""
    kernel = filters.shape[2:]
    corners, _ = _windows(x.shape, kernel, stride, padding)
    patches = extract(x, kernel, stride, padding)
    result = np.zeros_like(x)
    for j, corner in enumerate(corners):
        for n, w in enumerate(filters):
            v = readout[n].flat[j]
            h = v if rule == "saliency" else max(v, 0.0)
            modified = w if rule == "deconvnet" or w.ravel() @ patches[j] + bias > 0 else 0 * w
            for place, pixel in _entries(x.shape, kernel, *corner):
                result[pixel] += h * modified.flat[place]
    return result


def logits(x, filters, readout, stride, padding, bias=0.0):
    hidden = np.maximum(conv_forward(x[None], filters, stride, padding)[0] + bias, 0)
    return np.array([sum((v * hidden).ravel()) for v in readout])
