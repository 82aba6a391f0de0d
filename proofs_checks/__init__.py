"""The claims of the paper, checked: the statement, the exact law, the measurement and the negative control of each."""

from __future__ import annotations

import functools
import importlib
import itertools
import math
import os
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proofs_checks.bench import Bench
    from proofs_checks.claim import Claim
    from proofs_checks.results import ClaimResult, Verification
    from theorylab.progress import Progress

__all__ = ["GROUPS", "registry", "verify"]

GROUPS = {"paper": "claims", "beyond": "beyond", "literature": "literature"}
"""The folder of each group of claims: the paper's, laws that go beyond it, and what others claim of such maps."""


@functools.cache
def registry(group: str = "paper") -> tuple[Claim, ...]:
    """Return every claim of a group, in its order: those of the files in the group's folder.

    Parameters
    ----------
    group : {"paper", "beyond", "literature"}

    Examples
    --------
    >>> [claim.id for claim in registry()][:3]
    ['lemma1', 'halfspace-mean', 'theorem1']
    """
    from theorylab import _validation

    folder = importlib.import_module(f"{__name__}.{GROUPS[_validation.choice(group, GROUPS, 'group')]}")
    names = [module.name for module in pkgutil.iter_modules(folder.__path__)]
    loaded = [importlib.import_module(f"{folder.__name__}.{name}").CLAIM for name in names]
    return tuple(sorted(loaded, key=lambda claim: claim.order))


def verify(
    claims: Sequence[str] = (),
    *,
    group: str = "paper",
    image: str | os.PathLike[str] | None = None,
    budget: str = "standard",
    seed: int = 0,
    jobs: int | None = None,
    law_scale: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    model: str | None = None,
    size: int | None = None,
    classes: Sequence[str] = (),
    pictures: str | os.PathLike[str] | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Verification:
    """Check claims of a group on a picture.

    Parameters
    ----------
    claims : sequence of str
        Identifiers, or the part before a hyphen that several share ("maxpool", "theorem2"); all of the group if empty.
    group : {"paper", "beyond", "literature"}
        The paper's claims, laws that go beyond it, or what others claim of such maps.  The correction for multiplicity is
        the group's.
    image : path, optional
        Any photograph; a bundled one if not given.
    budget : {"quick", "standard", "full"}
        Number of replicates.
    seed : int
    jobs : int, optional
        Worker processes; one for each processor if not given.  Does not change a number.
    law_scale : float
        Multiplies every exact law: at 1.03 every check must fail (a test of the laboratory itself).
    weights : path or str, optional
        A trained VGG-16 for the claims about trained networks, as :func:`theorylab.weights.load` takes it; where the file
        holds the convolutions alone, the dense layers are random.
    model : str, optional
        In place of weights: ``module:function`` of a PyTorch classifier, as :func:`theorylab.subjects.given` takes it.  With
        neither, these claims look at a small classifier, and say nothing of VGG-16.
    size : int, optional
        Height and width of the pictures that VGG-16 or the model is shown; 224, or what the model's module says.
    classes : sequence of str
        Names of the model's logits.
    pictures : path, optional
        A folder of pictures for the claims about trained networks; crops of the photographs that scikit-image ships if not
        given.
    scheduler : str, optional
        Address of a Dask scheduler whose workers run the networks instead; the same numbers.
    progress : callable, optional
        ``progress(study, done, total)``; and ``progress("claims", done, total)``, from the start on.
    warn : callable, optional
        ``warn(message)``: a cluster without workers.

    Returns
    -------
    Verification

    Raises
    ------
    ValueError, TypeError, OSError
        For an unknown claim or budget, a bad seed, or a picture, weights, a model or a cluster that cannot be used.
    """
    import dataclasses
    import tempfile

    import joblib

    from proofs_checks import side_by_side
    from proofs_checks.bench import BUDGETS, Bench
    from proofs_checks.judge import FALSE_ALARM_PROBABILITY, LARGEST_ERROR_UNSEEN, RESERVE
    from proofs_checks.results import Verification
    from theorylab import _json, _random, _validation, images, montecarlo, photographs, stats, subjects
    from theorylab._version import __version__

    every = registry(group)
    known = {claim.id: claim for claim in every}
    selected = {id_: known[id_] for name in claims for id_ in _selected(name, known, group)} or known
    budget = _validation.choice(budget, BUDGETS, "budget")
    _random.sequence(seed)
    law_scale = _validation.positive_number(law_scale, "law_scale")
    jobs = joblib.cpu_count() if jobs is None else _validation.positive_integer(jobs, "jobs")
    n_checks = sum(claim.n_checks for claim in every)
    n_margins = sum(len(claim.margins) for claim in every)
    budgeted = FALSE_ALARM_PROBABILITY / RESERVE
    level = stats.bonferroni(budgeted, n_checks)
    executor = None
    if scheduler is not None:
        executor = montecarlo.DaskExecutor(scheduler, notify=warn)
        executor.connect()  # before anything takes time
    if progress is not None:
        progress("claims", 0, len(selected))
    # Read what the user gives first, so that a bad file is noticed before the long studies.
    subject = subjects.given(weights, model, side=size, classes=classes, seed=seed)
    bench = Bench(
        x=images.load(image),
        budget=budget,
        seed=seed,
        jobs=jobs,
        executor=executor,
        level=level,
        law_scale=law_scale,
        wanted=LARGEST_ERROR_UNSEEN / math.sqrt(BUDGETS[budget]),
        subject=subject,
        folder=pictures,
        progress=progress,
    )
    shown, name = tuple(bench.pictures), "cat" if image is None else os.fspath(image)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if subject.source not in subjects.PACKAGED:
            # Half a gigabyte for VGG-16, which workers would hold once more.
            bench.subject = subject = subject.mapped(folder)
        judged = functools.partial(_results, group, stats.bonferroni(budgeted, max(n_margins, 1)))
        found = tuple(side_by_side.run(list(selected.values()), bench, judged))
    result = Verification(
        version=__version__,
        seed=seed,
        budget=budget,
        image=name,
        false_alarm_probability=FALSE_ALARM_PROBABILITY,
        correction=f"Bonferroni over all {n_checks} checks of the group, each at level "
        f"{level:.1e}: their sum is a tenth of the stated probability, and the reserve covers the difference "
        "between the t statistic's tail and Student's. A claim looks at an eighth, a quarter, a half and all of its replicates, "
        "until it is decided; a level is shared out among its looks. "
        f"The intervals of the {n_margins} quantities that make the verdicts are corrected likewise, apart from the checks.",
        claims=found,
        group=group,
        law_scale=law_scale,
        weights=None if weights is None else os.fspath(weights),
        model=model,
        size=size,
        classes=tuple(classes),
        folder=None if pictures is None else os.fspath(pictures),
        pictures=shown,
        skipped=tuple(photographs.absent()) if shown and pictures is None else (),
        picture=_json.picture(bench.x, name=name),
    )
    return dataclasses.replace(result, command=result.command_for(*claims))


def _selected(name: str, known: Iterable[str], group: str = "paper") -> list[str]:
    """Return the claims that a name stands for: the claim itself, or all of its family."""
    from theorylab import _validation

    parts = (itertools.accumulate(id_.split("-"), "{}-{}".format) for id_ in known)
    names = dict.fromkeys(itertools.chain(known, *parts))
    if name not in names:  # only then load the other groups
        for other in GROUPS:
            if other != group and name in {claim.id for claim in registry(other)}:
                raise ValueError(f"claim: {name} is of the group {other!r}, not {group!r}")
    name = _validation.choice(name, names, "claim")
    return [id_ for id_ in known if id_ == name or id_.startswith(f"{name}-")]


def _results(group: str, level: float, ids: Sequence[str], bench: Bench) -> list[ClaimResult]:
    """Run claims of a group and return their results, in their order; verdicts are made at `level`."""
    from proofs_checks.claim import decide
    from proofs_checks.judge import Undecidable
    from proofs_checks.results import ClaimResult, Verdict
    from theorylab.progress import stepper

    names = ("id", "section", "statement", "exact_law", "proof", "formula", "authors")
    subject = bench.subject

    def of_the_paper(claim: Claim, judged: dict[str, Any]) -> dict[str, Any]:
        """Say nothing of the paper's statement where the network is not the one that it speaks of."""
        if not claim.trained or (subject.is_vgg16 and subject.trains(claim.trained)):
            return judged
        return judged | {"seen": judged["verdict"], "verdict": Verdict.NOT_RUN}

    def result(claim: Claim) -> ClaimResult:
        stated = {name: getattr(claim, name) for name in names} | {"checks": (), "headline": ""}
        if claim.trained:
            stated["network"] = subject.label
        try:
            outcome, judged = decide(claim, bench, level)
        except Undecidable as why:
            what = "These pictures decide" if claim.trained else "This picture decides"
            undecided = {"verdict": Verdict.UNDECIDED, "finding": f"{what} nothing: {why}."}
            return ClaimResult(**stated, **of_the_paper(claim, undecided))
        except (ArithmeticError, ValueError, RuntimeWarning) as error:
            # What was found of the other claims is kept.
            words = f"{type(error).__name__}: {error}"
            return ClaimResult(
                **stated, verdict=Verdict.NOT_RUN, finding=f"Stopped by an error: {words}", error=words
            )
        stated |= {"checks": outcome.checks, "headline": outcome.headline, "figures": outcome.figures}
        return ClaimResult(**stated, **(of_the_paper(claim, judged) if outcome.evidence else judged))

    known = {claim.id: claim for claim in registry(group)}
    found, tell = [], stepper(bench.progress, "claims", len(ids))
    for id_ in ids:
        found.append(result(known[id_]))
        tell()
    return found
