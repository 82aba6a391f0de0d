"""Fast-gradient-sign steps on a picture, in grey levels of 0–255 (Goodfellow et al., 2014)."""

from __future__ import annotations

import math

import numpy as np

from theorylab.model.rules import Rule
from theorylab.networks import GraphTrace
from theorylab.subjects import Subject

LEVELS = tuple(float(2.0**power) for power in range(-3, 7))
"""Steps that are tried, the smallest first."""

HALVINGS = 4
"""Of the interval below the first step that changes the class."""


def lead_gradient(subject: Subject, trace: GraphTrace) -> np.ndarray:
    """Return the gradient, with respect to the picture, of the lead of the largest logit over the second.

    Parameters
    ----------
    subject : Subject
    trace : GraphTrace
        Of its trained network, which has two logits or more, on the prepared picture.

    Returns
    -------
    (3, H, W) array

    Notes
    -----
    Unlike the gradient of a cross-entropy it does not vanish where a softmax is saturated, as it is in a network with random
    dense layers.

    Examples
    --------
    >>> from theorylab import subjects
    >>> small = subjects.small()
    >>> trace = small.trained.forward(small.prepared(np.full((3, 32, 32), 99.0)))
    >>> lead_gradient(small, trace).shape
    (3, 32, 32)
    """
    second, first = np.argsort(trace.logits)[-2:]
    lead = np.zeros((1, len(trace.logits)))
    lead[0, first], lead[0, second] = 1, -1
    return subject.pulled_back(subject.trained.backward(trace, lead, [Rule.SALIENCY])[0, 0])


def moved(rgb: np.ndarray, direction: np.ndarray, size: float) -> np.ndarray:
    """Return a picture moved by `size` levels along a direction, both (3, H, W), and cut to 0–255.

    Examples
    --------
    >>> moved(np.array([10.0, 254.0]), np.array([-1.0, 1.0]), 2.0)
    array([  8., 255.])
    """
    return np.asarray(np.clip(rgb + size * direction, 0, 255))


def smallest_step(subject: Subject, rgb: np.ndarray, direction: np.ndarray) -> float:
    """Return the smallest step along a direction that changes the predicted class.

    Parameters
    ----------
    subject : Subject
    rgb : (3, H, W) array
        A picture of 0–255.
    direction : (3, H, W) array
        Of −1, 0 and 1.

    Returns
    -------
    float
        In levels of 0–255, the first of `LEVELS` that changes the class, then refined by halving; infinite if none does.

    Examples
    --------
    >>> from theorylab import subjects
    >>> smallest_step(subjects.small(), np.full((3, 32, 32), 99.0), np.zeros((3, 32, 32)))
    inf
    """

    def label(size: float) -> int:
        return int(np.argmax(subject.trained.logits(subject.prepared(moved(rgb, direction, size)))))

    before, low = label(0), 0.0
    for high in LEVELS:
        if label(high) != before:
            break
        low = high
    else:
        return math.inf
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if label(middle) == before else (low, middle)
    return high
