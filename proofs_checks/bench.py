"""The bench on which a claim is checked: a picture, a budget, a seed, and the studies already made."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import os
import zlib
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np

from proofs_checks.judge import (
    LOOKS,
    Control,
    Estimator,
    Judge,
    Look,
    Undecidable,
    common_share,
    extrapolated,
)
from proofs_checks.results import Check
from proofs_checks.rows import PerPicture
from theorylab import PatchGrid, _random, images, montecarlo, photographs, subjects, training
from theorylab.montecarlo import Measurement, Simulation
from theorylab.montecarlo.copies import digest
from theorylab.montecarlo.executors import Executor
from theorylab.progress import Progress
from theorylab.subjects import Subject

T = TypeVar("T")

BUDGETS = {"quick": 0.06, "standard": 1.0, "full": 8.0}
"""Factor on every study's number of replicates."""

PHOTOGRAPHS = {"quick": 6, "standard": 9, "full": None}
"""How many photographs a large trained network is shown, the first of those present; None: all."""


@dataclasses.dataclass(kw_only=True)
class Bench(Judge):
    """The laboratory: it runs studies and judges their measurements.

    Attributes
    ----------
    x : array, (3, H, W)
        The prepared image, norm 1.
    executor : Executor, optional
        Where studies run, in the place of `jobs` worker processes.
    subject : Subject
        The trained network for the claims about one; the small classifier if none is given.
    folder : path, optional
        Of pictures to show it; none: crops of the photographs that scikit-image ships, and for the small classifier crops that
        it was not trained on.
    studies : dict
        Measurements by the name of a study and its number of replicates.
    used : dict
        Of each study that the claim at hand uses, how many blocks its look has seen, and how many there are.
    kept : dict
        Results of :meth:`once` and :meth:`remember`.
    """

    x: np.ndarray
    budget: str
    seed: int
    jobs: int
    executor: Executor | None = None
    subject: Subject = dataclasses.field(default_factory=subjects.small)
    folder: str | os.PathLike[str] | None = None
    progress: Progress | None = None
    studies: dict[tuple[str, int], Measurement] = dataclasses.field(default_factory=dict)
    used: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    kept: dict[Hashable, Any] = dataclasses.field(default_factory=dict, repr=False)

    @functools.cached_property
    def grid(self) -> PatchGrid:
        """The paper's: 7×7 filters, stride 2, no padding (the largest odd kernel that fits a smaller image)."""
        return PatchGrid(self.x.shape, min(7, *self.x.shape[1:]), stride=2)

    @functools.cached_property
    def pictures(self) -> dict[str, np.ndarray]:
        """What the trained network is shown, by name, (3, S, S) as it reads them; none for a small one without a folder."""
        subject = self.subject
        if self.folder is not None:
            read = {file: subject.picture(file) for file in images.in_folder(self.folder)}
            first: dict[str, str] = {}
            for file, x in read.items():
                first.setdefault(digest(x), file)
            shown = {file: read[file] for file in first.values()}  # a copy counts once
        elif subject.source in subjects.PACKAGED:
            return {}
        else:
            names = photographs.present()[: PHOTOGRAPHS[self.budget]]
            seeds = {name: np.random.default_rng(self.seed_of(f"crop of {name}")) for name in names}
            shown = {name: photographs.crop(name, subject.side, seed=seeds[name]) for name in names}
        return {name: subject.prepared(rgb).astype(subject.trained.dtype) for name, rgb in shown.items()}

    def crops(self, name: str, count: int) -> np.ndarray | list[np.ndarray]:
        """Return the pictures, or `count` test crops of the small classifier's; never more than there are."""
        if self.pictures:
            return list(self.pictures.values())[:count]
        return training.crops("test", count, seed=np.random.default_rng(self.seed_of(name)))[0]

    def over_pictures(self, name: str, study: PerPicture, replicates: int, *, block: int) -> Measurement:
        """Run a study of which each replicate is a picture: `replicates` crops at the standard budget, or each picture once.

        The interval speaks of more pictures of the kind, so a picture is never counted twice; one alone is Undecidable.
        """
        if len(self.pictures) == 1:
            raise Undecidable("an interval over pictures needs two or more, and one was given")
        if (name, 0) not in self.studies:
            count = max(4 * block, math.ceil(replicates * BUDGETS[self.budget] / block) * block)
            shown = list(self.crops(f"crops for {name}", count if not self.pictures else len(self.pictures)))
            simulate = dataclasses.replace(study, images=shown)
            self.studies[name, 0] = self._run(name, simulate, len(shown), 1 if self.pictures else block)
        return self.studies[name, 0]

    def limit(
        self,
        name: str,
        studies: Mapping[int, Measurement],
        estimator: Estimator,
        expected: float,
        wrong: Control,
        *,
        tolerance: float = 0.0,
    ) -> Check:
        """Compare a ratio, extrapolated from studies of two widths, with its law in the limit of wide layers."""
        return self.judge(
            name,
            "approximation" if tolerance else "ratio",
            *extrapolated(studies, estimator),
            expected,
            wrong,
            share=common_share(studies.values()),
            tolerance=tolerance,
        )

    @property
    def complete(self) -> bool:
        """Whether no further look sees more of the studies that the claim at hand uses."""
        return not self.grows(LOOKS[-1])

    def grows(self, look: Look) -> bool:
        """Return whether a look sees more of a study that the claim at hand uses than the last one did."""
        return any(_seen(complete, look) > seen for seen, complete in self.used.values())

    def remember(self, compute: Callable[[Bench], T]) -> T:
        """Return ``compute(bench)``, which no further replicates of a study change, from the first look."""
        key = compute, self.law_scale  # on which its checks depend
        if key not in self.kept:
            self.kept[key] = compute(self)
        value: T = self.kept[key]
        return value

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
        """Run the part of a study that this look sees, or take it from the shelf if another look or claim has run it.

        `replicates` is for the standard budget and the last look; at least four blocks are run at any.
        """
        at_least = max(4 * block, math.ceil(replicates * BUDGETS[self.budget]))
        complete = -(-at_least // block)
        blocks = _seen(complete, self.look)
        self.used[name] = blocks, complete
        if (name, blocks) not in self.studies:
            begin = max((run for known, run in self.studies if known == name and run < blocks), default=0)
            fresh = self._run(name, simulate, blocks * block, block, begin)
            if begin:
                # What an earlier look saw is kept as it was, for claims that are decided there.
                merged = copy.deepcopy(self.studies[name, begin])
                merged.merge(fresh)
                fresh = merged
            fresh.share = blocks / complete
            self.studies[name, blocks] = fresh
        return self.studies[name, blocks]

    def _run(
        self, name: str, simulate: Simulation, replicates: int, block: int, begin: int = 0
    ) -> Measurement:
        return montecarlo.replicate(
            simulate,
            replicates,
            block=block,
            seed=self.seed_of(name),
            jobs=self.jobs,
            executor=self.executor,
            name=name,
            progress=self.progress,
            begin=begin,
        )


def _seen(complete: int, look: Look) -> int:
    """Return how many blocks of a study a look sees, four at least."""
    return max(4, math.ceil(complete * look.share))
