"""Settings of a figure, the finished figure, and its files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theorylab import _files, _json, _random, _validation, images
from theorylab._version import __version__
from theorylab.drawing import encode
from theorylab.montecarlo.executors import Executor
from theorylab.montecarlo.pictures import Kept
from theorylab.progress import Progress, stepper

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from theorylab.subjects import Subject


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a figure; each figure uses those it needs.

    Attributes
    ----------
    image : str or None
        A path or the name of a bundled picture; None is the cat.
    weights : str or None
        For figures with trained networks: "small", or what :func:`theorylab.weights.load` takes; None: the best
        that is present.
    size : int or None
        Side of the prepared picture; None: 224.
    crops : int or None
        How many pictures figure 7 averages over.
    pictures : str or None
        A folder of pictures for figure 7; None: random crops of the photographs that scikit-image ships.
    seed : int
    progress : callable or None
        ``progress(label, done, total)``.
    executor : Executor or None
        Where the pictures of a folder are measured; None: here.
    kept : Kept or None
        Where their finished rows are kept until the result is written.
    device : str or None
        Where figure 7 runs the networks, by PyTorch; None: here, by NumPy.
    """

    image: str | None = None
    weights: str | None = None
    size: int | None = None
    crops: int | None = None
    pictures: str | None = None
    seed: int = 0
    progress: Progress | None = None
    executor: Executor | None = None
    kept: Kept | None = None
    device: str | None = None

    @property
    def side(self) -> int:
        return self.size or 224

    def picture(self, side: int | None = None) -> np.ndarray:
        """Load the picture as the three-layer networks see it, of norm 1."""
        return images.load(self.image, side or self.side)

    def subject(self, *, decides: bool = False) -> Subject:
        """Return the networks to look at; `decides`: the dense layers decide, see :func:`theorylab.subjects.best`."""
        from theorylab import subjects

        return subjects.best(self.weights, decides=decides, side=self.size, seed=self.seed)

    def stream(self, *key: int) -> np.random.Generator:
        """Return a separate random generator for each part of a figure."""
        return np.random.default_rng(_random.child(_random.sequence(self.seed), *key))

    def steps(self, label: str, total: int) -> Callable[[], None]:
        """Return a function to call after each of `total` steps."""
        return stepper(self.progress, label, total)


Parts = tuple[str, "Figure", dict[str, Any]]
"""What a figure's file makes: caption, canvas and numbers of a :class:`FinishedFigure`."""


@dataclasses.dataclass(frozen=True)
class FinishedFigure:
    """A finished figure.

    Attributes
    ----------
    name : str
        As in ``theorylab figure NAME``.
    caption : str
        What is seen, and in which network.
    canvas : matplotlib.figure.Figure
    numbers : dict
        What was measured and predicted: numbers, words, lists and dicts of them.
    """

    name: str
    caption: str
    canvas: Figure
    numbers: dict[str, Any]


@_validation.checked
def files_of(name: str, folder: Path) -> tuple[Path, Path]:
    """Return the paths of a figure's picture and numbers."""
    return folder / f"figure-{name}.png", folder / f"figure-{name}.json"


@_validation.checked
def content(finished: FinishedFigure, settings: Settings) -> dict[str, Any]:
    """Return what the JSON file beside a figure holds: standard types only, every number finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> content(FinishedFigure("2", "Empty.", Figure(figsize=(1, 1)), {"cosine": np.float32(0.5)}), Settings())["numbers"]
    {'cosine': 0.5}
    """
    name = settings.image or images.bundled()[0]
    return {
        "figure": finished.name,
        "theorylab": __version__,
        "caption": finished.caption,
        "image": name,
        "picture": _json.picture(settings.picture(), name=name),
        "seed": settings.seed,
        "numbers": _json.plain(finished.numbers),
    }


@_validation.checked
def save(finished: FinishedFigure, folder: str | os.PathLike[str], settings: Settings) -> tuple[Path, Path]:
    """Write the picture and, beside it, its numbers; both or none.

    Raises
    ------
    OSError
        If the folder cannot be made or written.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> finished = FinishedFigure("2", "Empty.", Figure(figsize=(1, 1)), {"cosine": 0.5})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in save(finished, folder, Settings())]
    ['figure-2.png', 'figure-2.json']
    """
    names = [path.name for path in files_of(finished.name, Path(folder))]
    parts = encode(finished.canvas), _json.document(content(finished, settings))
    picture, numbers = _files.write_together(folder, dict(zip(names, parts, strict=True)))
    if settings.kept is not None:
        settings.kept.remove()
    return picture, numbers
