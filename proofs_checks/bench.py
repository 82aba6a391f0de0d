"""The bench on which a claim is checked: a picture, a budget, a seed, and the studies already made."""

from __future__ import annotations

import dataclasses
import functools
import math
import zlib
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

from proofs_checks.judge import Judge
from theorylab import PatchGrid, _random, montecarlo, training
from theorylab.montecarlo import Measurement, Simulation
from theorylab.progress import Progress
from theorylab.training import Classifier

T = TypeVar("T")

BUDGETS = {"quick": 0.12, "standard": 1.0, "full": 8.0}
"""Factor on every study's number of replicates."""

LARGEST_ERROR_UNSEEN = 0.03
"""Every check at the standard budget sees a relative error of this size in its law with probability 95 %."""


@dataclasses.dataclass(kw_only=True)
class Bench(Judge):
    """The laboratory: it runs studies and judges their measurements.

    Attributes
    ----------
    x : array, (3, H, W)
        The prepared image, norm 1.
    weights : str, optional
        A trained VGG-16, as :func:`theorylab.weights.load` takes it, for the claims about its dense layers.
    studies : dict
        Measurements by the names of the studies.
    kept : dict
        Results of :meth:`once`.
    """

    x: np.ndarray
    budget: str
    seed: int
    jobs: int
    weights: str | None = None
    progress: Progress | None = None
    studies: dict[str, Measurement] = dataclasses.field(default_factory=dict)
    kept: dict[Hashable, Any] = dataclasses.field(default_factory=dict, repr=False)

    @functools.cached_property
    def grid(self) -> PatchGrid:
        """The paper's: 7×7 filters, stride 2, no padding (the largest odd kernel that fits a smaller image)."""
        return PatchGrid(self.x.shape, min(7, *self.x.shape[1:]), stride=2)

    @functools.cached_property
    def classifier(self) -> Classifier:
        """The trained network that needs no download: one for all seeds, pictures and budgets."""
        return training.small_classifier()

    def once(self, compute: Callable[..., T], *arguments: Any) -> T:
        """Return ``compute(x, *arguments)`` of the picture `x`, kept because several claims need it."""
        key = compute, arguments
        if key not in self.kept:
            self.kept[key] = compute(self.x, *arguments)
        value: T = self.kept[key]
        return value

    def seed_of(self, name: str) -> np.random.SeedSequence:
        """Return the seed of a study, which depends on its name and not on the studies run before it."""
        return _random.child(_random.sequence(self.seed), zlib.crc32(name.encode()))

    def study(self, name: str, simulate: Simulation, replicates: int, *, block: int) -> Measurement:
        """Run a study, or take it from the shelf if another claim has run it.

        `replicates` is for the standard budget; at least four blocks are run at any.
        """
        if name not in self.studies:
            at_least = max(4 * block, math.ceil(replicates * BUDGETS[self.budget]))
            self.studies[name] = montecarlo.replicate(
                simulate,
                at_least,
                block=block,
                seed=self.seed_of(name),
                jobs=self.jobs,
                name=name,
                progress=self.progress,
            )
        return self.studies[name]
