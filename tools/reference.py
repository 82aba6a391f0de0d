"""Write reference/*.json: exact numbers that other libraries can test themselves with, without this one.

``python tools/reference.py`` (``make reference``); ``reference/README.md`` says how pictures, networks and maps are defined.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import theorylab as tl
from theorylab import _json

FOLDER = Path(__file__).parent.parent / "reference"
METHODS = ("saliency", "deconvnet", "guided", "linear", "input-x-gradient")


def waves() -> np.ndarray:
    """Return the picture that is given by a formula, (3, 16, 16), norm 1.

    Examples
    --------
    >>> waves().shape, round(float(np.linalg.norm(waves())), 12)
    ((3, 16, 16), 1.0)
    """
    c, i, j = np.ogrid[:3, :16, :16]
    x = np.sin(0.7 * i + c) + np.cos(0.4 * j - 0.3 * c * i) + 0.02 * i * (c - 1)
    return np.asarray(x / np.linalg.norm(x))


# Picture, and its networks: kernel, stride, padding, filters, slope of the unit below 0, side of the pooling windows.
CASES: dict[str, tuple[Callable[[], np.ndarray], tuple[tuple[int, int, int, int, float, int], ...]]] = {
    "waves": (waves, ((5, 1, 0, 16, 0.0, 1), (3, 1, 1, 8, 0.1, 1), (5, 1, 0, 16, 0.0, 2))),
    "cat": (lambda: tl.images.load("cat", size=32), ((7, 2, 0, 64, 0.0, 1), (7, 2, 0, 256, 0.0, 1))),
}


def corner(values: np.ndarray) -> list[list[float]]:
    """Return entries of a map as [channel, row, column, value]: a corner, two off the middle, and one at the border."""
    _, height, width = values.shape
    places = [
        (0, 0, 0),
        (0, height // 2, width // 2),
        (1, height // 2, width // 3),
        (2, height - 1, width // 2),
    ]
    return [[*place, float(values[place])] for place in places]


def known(value: Callable[[], Any]) -> Any:
    """Return a value, or None where there is no law."""
    try:
        return value()
    except tl.NoLaw:
        return None


def predicted(law: Any) -> dict[str, Any]:
    """Return what a law says of one map."""
    variance = known(lambda: law.variance)
    return {
        "cosine_with_input": known(lambda: law.expected_cosine("input")),
        "class_distance": known(lambda: law.class_distance),
        "mean_norm": float(np.linalg.norm(law.mean)),
        "mean": corner(law.mean),
        "variance_sum": None if variance is None else float(variance.sum()),
        "variance": None if variance is None else corner(variance),
    }


def document(name: str) -> dict[str, Any]:
    """Return the numbers of one picture.

    Examples
    --------
    >>> [network["n_filters"] for network in document("waves")["networks"]]
    [16, 8, 16]
    """
    picture, settings = CASES[name]
    x = picture()
    networks = []
    for kernel, stride, padding, n_filters, slope, pool in settings:
        stack = tl.models.three_layer(
            tl.PatchGrid(x.shape, kernel, stride, padding),
            n_filters,
            unit=tl.LeakyReLU(slope) if slope else tl.ReLU(),
            pool=tl.MaxPool(pool) if pool > 1 else None,
        )
        setting = {
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "n_filters": n_filters,
            "slope": slope,
        }
        maps = {method: predicted(tl.law(stack, x, method)) for method in METHODS}
        networks.append({**setting, "pool": pool, "maps": maps})
    return {"picture": {"name": name, "shape": list(x.shape), "entries": corner(x)}, "networks": networks}


def main() -> None:
    """Write a file for each picture."""
    parser = argparse.ArgumentParser(description="Write exact numbers for the tests of other libraries.")
    parser.add_argument("--out", type=Path, default=FOLDER)
    folder = parser.parse_args().out
    for name in CASES:
        text = json.dumps(_json.plain(document(name)), indent=1)
        text = re.sub(r"\[[^][{}]*\]", lambda row: " ".join(row[0].split()), text)  # an entry a line
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
