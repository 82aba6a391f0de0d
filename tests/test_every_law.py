"""Every number of the laboratory's public laws is what a check of some claim expects.

A law is bent, its claim is run again on the same studies, and an expected value must move.  A law that is only drawn,
quoted in a sentence, used to choose a size or put into a negative control moves none.
"""

import dataclasses
import functools
import inspect
import math
import sys

import numpy as np
import pytest

import proofs_checks
import theorylab
from proofs_checks.bench import BUDGETS, Bench
from proofs_checks.studies import pooled_chart
from theorylab import analytic, estimates, images
from theorylab.analytic import halfspace
from theorylab.analytic.of_stack import MapLaw

CHECKED_BY = {
    "activation-weighted.class_distance": "weighted-gates",
    "activation-weighted.mean": "weighted-gates",
    "activation-weighted.variance": "weighted-gates",
    "active_coverage": "theorem2-saliency",
    "class_distance": "class-insensitivity",
    "covariance": "theorem2-deconvnet",
    "deconvnet_correlation": "proposition1-deconvnet",
    "deep-taylor.class_distance": "relevance-limit",
    "deep-taylor.expected_cosine": "relevance-limit",
    "deep-taylor.mean": "relevance-limit",
    "depth_maps": "proposition1-saliency",
    "depth_profile": "proposition1-guided",
    "estimation_error": "error-rate",
    "excitation-pullback.mean": "weighted-gates",
    "excitation-pullback.variance": "weighted-gates",
    "expected_class_product": "class-insensitivity",
    "expected_cosine": "recovery-rate",
    "expected_energy": "theorem2-deconvnet",
    "feature_cosine": "feature-geometry",
    "filters_needed": "filters-needed",
    "finite_width_profile": "narrow-layers",
    "fourth_cumulant_map": "gaussianity",
    "gradient_correlation": "shattered-gradients",
    "gradient_fourth_moment": "finite-width",
    "grad-cam.class_distance": "grad-cam",
    "grad-cam.mean": "grad-cam",
    "grad-cam.variance": "grad-cam",
    "halfspace.mean": "halfspace-mean",
    "halfspace.pair_matrix": "halfspace-mean",
    "halfspace.second_moment": "halfspace-mean",
    "infinite_depth_alignment": "depth-dense",
    "infinite_depth_class_distance": "depth-dense",
    "input-x-gradient.class_distance": "input-x-gradient",
    "input-x-gradient.variance": "input-x-gradient",
    "law.absolute_class_distance": "input-x-gradient",
    "law.absolute_cosine": "input-x-gradient",
    "law.class_distance": "class-insensitivity",
    "law.energy": "theorem2-saliency",
    "law.expected_cosine": "local-connections",
    "law.mean": "truncated-weights",
    "law.variance": "recovery-rate",
    "local_contrast": "theorem1",
    "maximum_logit_mean_map": "maximum-logit",
    "maximum_logit_moment": "maximum-logit",
    "maximum_moment": "maximum-logit",
    "mean_map": "theorem1",
    "orthant_probability": "maxpool-selection",
    "orthant_probability_with_error": "maxpool-selection",
    "pooled_expected_cosine": "maxpool-guided",
    "pooled_mean_map": "maxpool-guided",
    "lrp-alpha1beta0.mean": "relevance-limit",
    "pooled_mean_map_with_error": "maxpool-guided",
    "pooled_patch_variance": "maxpool-saliency",
    "pooled_variance_map": "maxpool-saliency",
    "relevance_collapse": "rank-one-collapse",
    "relevance_cosine": "rank-one-collapse",
    "rectgrad.mean": "weighted-gates",
    "selection_probabilities": "maxpool-selection",
    "smoothgrad.class_distance": "smoothgrad",
    "smoothgrad.mean": "smoothgrad",
    "smoothgrad.variance": "smoothgrad",
    "smoothgrad_cosine": "smoothgrad",
    "variance_map": "theorem2-saliency",
}
"""Each public number and a claim that checks it."""


METHODS = {
    "activation-weighted": ("class_distance", "mean", "variance"),
    "deep-taylor": ("class_distance", "expected_cosine", "mean"),
    "excitation-pullback": ("mean", "variance"),
    "grad-cam": ("class_distance", "mean", "variance"),
    "input-x-gradient": ("class_distance", "variance"),
    "lrp-alpha1beta0": ("mean",),
    "rectgrad": ("mean",),
    "smoothgrad": ("class_distance", "mean", "variance"),
}
"""What `law` says of each method, by its name."""


LAWS_OF_A_HALF_SPACE = ("mean", "second_moment", "pair_matrix")
"""The others are their parts: unit vectors, and the terms of the pair matrix."""


def public_numbers():
    """Names of the public laws, those of the half-space by their module and those of `law` by what it returns."""
    names = {*analytic.__all__, *estimates.__all__} - {"halfspace"}
    names |= {
        f"halfspace.{name}"
        for name, value in vars(halfspace).items()
        if inspect.isfunction(value)
        and value.__module__ == halfspace.__name__
        and name in LAWS_OF_A_HALF_SPACE
    }
    names |= {f"{method}.{part}" for method, parts in METHODS.items() for part in parts}
    return names | {f"law.{name}" for name in vars(MapLaw) if name[0] != "_" and name != "kind"}


def bent(value):
    """A law's value, changed in size and, where it is an array, in shape."""
    if isinstance(value, np.ndarray):
        return value * np.linspace(1, 1.1, value.size).reshape(value.shape)
    if isinstance(value, float):
        return 1.03 * value
    if isinstance(value, int):
        return math.ceil(1.1 * value)
    if isinstance(value, (tuple, list)):
        return type(value)(map(bent, value))
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(
            value, **{name: bent(v) for name, v in fields.items() if isinstance(v, (float, np.ndarray))}
        )
    return value


class BentLaw:
    """What `law` returns, with one of its parts bent."""

    def __init__(self, whole, part):
        self.whole, self.part = whole, part

    def __getattr__(self, name):
        value = getattr(self.whole, name)
        if name != self.part:
            return value
        return (lambda *args: bent(value(*args))) if callable(value) else bent(value)


def bend(monkeypatch, name):
    """Bend a law wherever the claims see it."""
    place, _, part = name.rpartition(".")
    if place in ("law", *METHODS):
        original, change = theorylab.law, functools.partial(BentLaw, part=part)
    elif place == "halfspace":
        original, change = getattr(halfspace, part), bent
    else:
        original, change = getattr(analytic if name in analytic.__all__ else estimates, name), bent

    def replaced(*args, **kwargs):
        found = original(*args, **kwargs)
        other = place in METHODS and place not in [arg for arg in args if isinstance(arg, str)]
        return found if other else change(found)

    rooms = [module for title, module in sys.modules.items() if title.split(".")[0] == "proofs_checks"]
    for room in (theorylab, analytic, estimates, halfspace, *rooms):
        for attribute, value in list(vars(room).items()):
            if value is original:
                monkeypatch.setattr(room, attribute, replaced)


def every_claim():
    return [claim for group in proofs_checks.GROUPS for claim in proofs_checks.registry(group)]


def run(claim, studies=()):
    bench = Bench(x=images.load(size=48), budget="quick", seed=0, jobs=1, level=1e-7, studies=dict(studies))
    (found,) = (known for known in every_claim() if known.id == claim)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUDGETS, "quick", 1e-9)  # as few blocks as may be
        patch.setattr(pooled_chart, "SIDE", 36)
        checks = found.run(bench).checks
    return bench.studies, {check.name: check.expected for check in checks}


unbent = functools.cache(run)


def expected_when_bent(claim, name):
    studies, _ = unbent(claim)
    with pytest.MonkeyPatch.context() as patch:
        bend(patch, name)
        return run(claim, studies)[1]


def test_every_public_number_has_a_claim():
    assert set(CHECKED_BY) == public_numbers()
    assert set(CHECKED_BY.values()) <= {claim.id for claim in every_claim()}


@pytest.mark.parametrize(("name", "claim"), sorted(CHECKED_BY.items(), key=lambda pair: pair[::-1]))
def test_a_check_expects_the_public_law(name, claim):
    moved = dict(expected_when_bent(claim, name).items() ^ unbent(claim)[1].items())
    assert moved
    assert all(math.isfinite(value) for value in moved.values())


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("covariance", "error-rate"),  # not used
        ("expected_cosine", "theorem2-saliency"),  # in a negative control
        ("maximum_moment", "theorem2-deconvnet"),
    ],
)
def test_what_reaches_no_check_is_noticed(name, claim):
    assert expected_when_bent(claim, name) == unbent(claim)[1]
