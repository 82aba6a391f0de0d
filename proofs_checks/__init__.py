"""One file for each claim of the paper: its statement, the exact law, the check and the negative control."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proofs_checks.claim import Claim
    from theorylab.report.results import Verification

__all__ = ["registry", "verify"]


def registry() -> tuple[Claim, ...]:
    """Every claim, in the order of the paper.

    Examples
    --------
    >>> [claim.id for claim in registry()][:3]
    ['lemma1', 'halfspace-mean', 'theorem1']
    """
    from proofs_checks import (
        class_insensitivity,
        dead_zones,
        depth_conv,
        depth_dense,
        depth_resnet50,
        depth_vgg16,
        equation8,
        equation9,
        error_rate,
        fc1_histograms,
        fgsm,
        figure7,
        figure9_dense,
        figure9_depth,
        filters_needed,
        gaussianity,
        halfspace_mean,
        lemma1,
        local_connections,
        maximum_logit,
        maxpool_deconvnet,
        maxpool_guided,
        maxpool_identity,
        maxpool_saliency,
        maxpool_selection,
        proposition1_deconvnet,
        proposition1_guided,
        proposition1_saliency,
        recovery_rate,
        theorem1,
        theorem2_deconvnet,
        theorem2_saliency,
        truncated_weights,
    )

    modules = (
        lemma1,
        halfspace_mean,
        theorem1,
        recovery_rate,
        error_rate,
        filters_needed,
        class_insensitivity,
        theorem2_saliency,
        theorem2_deconvnet,
        gaussianity,
        maximum_logit,
        maxpool_identity,
        maxpool_selection,
        maxpool_saliency,
        maxpool_guided,
        maxpool_deconvnet,
        equation8,
        proposition1_saliency,
        proposition1_deconvnet,
        proposition1_guided,
        depth_dense,
        depth_conv,
        depth_vgg16,
        depth_resnet50,
        equation9,
        dead_zones,
        fc1_histograms,
        figure7,
        fgsm,
        figure9_dense,
        figure9_depth,
        local_connections,
        truncated_weights,
    )
    return tuple(module.CLAIM for module in modules)


def verify(
    claims: Sequence[str] = (),
    *,
    image: str | os.PathLike[str] | None = None,
    budget: str = "standard",
    seed: int = 0,
    jobs: int | None = None,
    law_scale: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Verification:
    """Check claims of the paper on a picture.

    Parameters
    ----------
    claims : sequence of str
        Identifiers, or the part before a hyphen that several share ("maxpool", "theorem2"); all if empty.
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
        A trained VGG-16 for the claims about its dense layers, as :func:`theorylab.weights.load` takes it; without them these
        claims are not run.
    progress : callable, optional
        ``progress(study, done, total)``.

    Returns
    -------
    Verification

    Raises
    ------
    ValueError, TypeError, OSError
        For an unknown claim or budget, a bad seed, or a picture or weights that cannot be used.
    """
    import joblib

    import theorylab
    from proofs_checks import fc1_histograms
    from proofs_checks.claim import BUDGETS, FALSE_ALARM_PROBABILITY, RESERVE, Bench
    from theorylab import _random, _validation, images, stats
    from theorylab.report.results import ClaimResult, Verification

    known = {claim.id: claim for claim in registry()}
    chosen = [known[id_] for name in claims for id_ in _selected(name, known)]
    if budget not in BUDGETS:
        raise ValueError(f"unknown budget {budget!r}: choose from {', '.join(BUDGETS)}")
    _random.sequence(seed)
    law_scale = _validation.positive_number(law_scale, "law_scale")
    jobs = joblib.cpu_count() if jobs is None else _validation.positive_integer(jobs, "jobs")
    if weights is not None:
        if not isinstance(weights, (str, os.PathLike)) or isinstance(os.fspath(weights), bytes):
            raise TypeError(f"weights: expected a path or 'torchvision', got {type(weights).__name__}")
        weights = os.fspath(weights)
        fc1_histograms.check_weights(weights)
    n_checks = sum(claim.n_checks for claim in known.values())
    bench = Bench(
        x=images.load(image),
        budget=budget,
        seed=seed,
        jobs=jobs,
        level=stats.bonferroni(FALSE_ALARM_PROBABILITY / RESERVE, n_checks),
        law_scale=law_scale,
        weights=weights,
        progress=progress,
    )
    selected = list(dict.fromkeys(chosen) or known.values())
    # The claim that reads a file goes first: a bad one is noticed before the long studies.
    order = sorted(selected, key=lambda claim: claim is not fc1_histograms.CLAIM)
    outcomes = {claim.id: claim.run(bench) for claim in order}
    results = []
    for claim in selected:
        outcome = outcomes[claim.id]
        assert outcome.verdict in claim.verdicts, f"{claim.id}: {outcome.verdict} is not among its verdicts"
        results.append(
            ClaimResult(
                id=claim.id,
                section=claim.section,
                statement=claim.statement,
                verdict=outcome.verdict,
                exact_law=claim.exact_law,
                proof=claim.proof,
                finding=outcome.finding,
                checks=outcome.checks,
                headline=outcome.headline,
                figures=outcome.figures,
                formula=claim.formula,
            )
        )
    result = Verification(
        version=theorylab.__version__,
        seed=seed,
        budget=budget,
        image="cat" if image is None else os.fspath(image),
        false_alarm_probability=FALSE_ALARM_PROBABILITY,
        correction=f"Bonferroni over all {n_checks} checks of the registry, each at level "
        f"{bench.level:.1e}: their sum is a tenth of the stated probability, and the reserve covers the difference "
        "between the t statistic's tail and Student's.",
        claims=tuple(results),
        law_scale=law_scale,
        weights=weights,
    )
    return dataclasses.replace(result, command=result.command_for(*claims))


def _selected(name: str, known: Iterable[str]) -> list[str]:
    """The claims that a name stands for: the claim itself, or all of its family."""
    found = [id_ for id_ in known if id_ == name or id_.startswith(f"{name}-")]
    if not found:
        raise ValueError(f"unknown claim {name!r}: choose from {', '.join(known)}")
    return found
