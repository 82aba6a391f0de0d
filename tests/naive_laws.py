"""The laws of the shallow network by loops over pairs of patches, importing nothing from the package."""

import math

import numpy as np
from naive import _entries, _windows, extract
from scipy import integrate, stats


def pair_matrix(y, other):
    """``E[w wᵀ 1(w·y > 0) 1(w·y' > 0)]`` in the basis (bisector, its normal, the rest); unit filters."""
    p = y.size
    if not y.any() or not other.any():
        return np.zeros((p, p))
    u, v = y / np.linalg.norm(y), other / np.linalg.norm(other)
    along, across = u + v, u - v
    angle = 2 * math.atan2(np.linalg.norm(across), np.linalg.norm(along))
    matrix = (math.pi - angle) / (2 * math.pi) * np.eye(p)
    for axis, sign in ((along, 1), (across, -1)):
        if axis.any():
            axis = axis / np.linalg.norm(axis)
            matrix += sign * math.sin(angle) / (2 * math.pi) * np.outer(axis, axis)
    return matrix


def readout_moments(std, cutoff=None):
    """``E[max(V, 0)]``, ``E[max(V, 0)²]`` and ``E[V²]`` by quadrature of the density."""
    law = stats.norm(scale=std) if cutoff is None else stats.truncnorm(-cutoff, cutoff, scale=std)
    edge = 12 * std if cutoff is None else cutoff * std
    first, second = (
        integrate.quad(lambda t, k=k: t**k * law.pdf(t), 0, edge, epsabs=1e-14, epsrel=1e-12)[0]
        for k in (1, 2)
    )
    return first, second, 2 * second


# h(1), h(-1) and whether the gate applies.
RULES = {
    "saliency": (1, -1, True),
    "deconvnet": (1, 0, False),
    "guided": (1, 0, True),
    "linear": (1, -1, False),
    "test-abs": (1, 1, True),
    "test-tilted": (2, -0.5, False),
}


def gated_pair(y, other, shut, same):
    """``E[w wᵀ g'(w·y) g'(w·y')]`` with ``g' = shut + (1 − shut) 1(w·y > 0)``, multiplied out."""
    if same:
        return shut**2 * np.eye(y.size) + (1 - shut**2) * pair_matrix(y, y)
    parts = np.eye(y.size), pair_matrix(y, y) + pair_matrix(other, other), pair_matrix(y, other)
    return sum(k * part for k, part in zip((shut**2, shut * (1 - shut), (1 - shut) ** 2), parts, strict=True))


def moments(x, kernel, stride, padding, rule, n_filters, readout, filter_std, slope=0.0, shared=False):
    """Mean map and covariance of Eq. 4 from first principles: terms of two filters are independent.

    `readout` holds the moments of the readout's law, `slope` is the unit's below 0; `shared` asks for the covariance of two
    logits' maps, whose readouts are independent at equal positions, too.
    """
    up, down, gate = RULES[rule]
    h_mean = (up + down) * readout[0]
    h_square = h_mean**2 if shared else (up**2 + down**2) * readout[1]
    shut = slope if gate else 1.0
    patches = extract(x, kernel, stride, padding)
    corners, _ = _windows(x.shape, kernel, stride, padding)
    entries = []
    for corner in corners:
        places, pixels = [], []
        for place, pixel in _entries(x.shape, kernel, *corner):
            places.append(place)
            pixels.append(np.ravel_multi_index(pixel, x.shape))
        entries.append((np.array(places, dtype=int), np.array(pixels, dtype=int)))
    p = patches.shape[1]
    mean, covariance = np.zeros(x.size), np.zeros((x.size, x.size))
    w_means = []
    for y, (places, pixels) in zip(patches, entries, strict=True):
        norm = np.linalg.norm(y)
        w_mean = (1 - shut) * y / norm / math.sqrt(2 * math.pi) if norm > 0 else np.zeros(p)
        w_means.append(h_mean * w_mean)
        mean[pixels] += w_means[-1][places]
    for j, y in enumerate(patches):
        for k, other in enumerate(patches):
            term = (h_square if j == k else h_mean**2) * gated_pair(y, other, shut, same=j == k)
            term = term - np.outer(w_means[j], w_means[k])
            (places, pixels), (others, to) = entries[j], entries[k]
            covariance[np.ix_(pixels, to)] += term[np.ix_(places, others)]
    mean = n_filters * filter_std * mean.reshape(x.shape)
    return mean, n_filters * filter_std**2 * covariance
