"""Formulas and deviations in the report: they parse, they are drawn, and they are the same every time."""

import dataclasses
import logging
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.path import Path

import proofs_checks
from proofs_checks.report import deviations, formulas
from proofs_checks.results import Check, NegativeControl

CLAIMS = [claim for group in proofs_checks.GROUPS for claim in proofs_checks.registry(group)]
WITHOUT_LAW = {"fc1-histograms"}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_law_has_a_formula_that_can_be_typeset(claim, caplog):
    assert bool(claim.formula) is (claim.id not in WITHOUT_LAW)
    assert isinstance(claim.formula, tuple)
    with caplog.at_level(logging.WARNING):
        drawn = formulas.svg(claim.formula, claim.exact_law)
    assert caplog.records == []  # a glyph that no font has is only a warning
    assert "$" not in "".join(claim.formula)
    if claim.formula:
        root = ElementTree.fromstring(drawn)
        assert (root.get("role"), root.get("aria-label")) == ("img", claim.exact_law)
        # Of a telephone's width, or a little more, at the smallest.
        assert float(re.search(r"min-width:([\d.]+)em", root.get("style"))[1]) < 28


def test_the_numbers_in_formulas_are_those_of_the_laws():
    """Constants to more than two digits stand in the plain text too: neither was changed alone."""
    seen = 0
    for claim in CLAIMS:
        for number in re.findall(r"\d+\.\d{2,}|\d{3,}", "".join(claim.formula)):
            assert number in claim.exact_law, claim.id
            seen += 1
    assert seen >= 3


def test_the_same_lines_give_the_same_bytes_and_no_ids():
    lines = [r"\dfrac{a}{b}", r"\sqrt{x}"]
    drawn = formulas.svg(lines, "a < b")
    assert drawn == formulas.svg(lines, "a < b")
    assert 'aria-label="a &lt; b"' in drawn
    for word in (" id=", "<defs", "href", "font", "#"):
        assert word not in drawn
    assert 'fill="currentColor"' in drawn
    assert formulas.svg([], "nothing") == ""


def test_what_is_no_mathtext_is_refused_by_name():
    with pytest.raises(ValueError, match=r"formula '.*nonsense\{x'"):
        formulas.svg([r"\nonsense{x"], "x")


def test_the_outlines_are_those_of_matplotlib():
    """The relative commands, summed up again, are the rounded outline."""
    *_, outline = formulas._typeset(r"\kappa_t = \dfrac{1}{2}")
    expected = [
        (round(10 + x), round(300 - y))
        for points, code in outline.iter_segments(simplify=False, curves=True)
        if code != Path.CLOSEPOLY
        for x, y in zip(points[::2], points[1::2], strict=True)
    ]
    places, here = [], np.zeros(2, dtype=int)
    for letter, words in re.findall(r"([MLQClqcz])([^MLQClqcz]*)", formulas._path_data(outline, 10, 300)):
        numbers = np.array(re.findall(r"-?\d+", words), dtype=int).reshape(-1, 2)
        if letter == "M":
            here = np.zeros(2, dtype=int)
        if letter != "z":
            places += [tuple(place) for place in here + numbers]
            here = here + numbers[-1]
    assert places == expected


def test_lines_stand_under_each_other():
    def height(*lines):
        return int(re.search(r'viewBox="0 0 \d+ (\d+)"', formulas.svg(lines, "x"))[1])

    assert height("x", "x") > height("x") + formulas._SIZE / 2
    assert height(r"\dfrac{x}{x}") > height("x")


# What a claim declares


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_declares_what_decides_it_and_why(claim):
    assert claim.authors
    for margin in claim.margins:
        assert margin.quantity
        assert margin.why
        assert margin.low < margin.high
        assert np.isfinite(margin.low) or np.isfinite(margin.high)


# Deviations


def check(**changes):
    control = NegativeControl("wrong", 0.0, True)
    made = Check("c", "moment", 1.02, 1.0, 0.01, 0.04, 10_000, 0.05, True, control)
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(("estimate", "expected"), [(1.02, 0.05), (1.0, 0.02), (1.4, 0.5), (0.985, 0.05)])
def test_the_axis_holds_every_interval(estimate, expected):
    # Half an interval is 1.96 %: 2 + 1.96 < 5, 1.96 < 2, 40 + 1.96 < 50, 1.5 + 1.96 < 5 per cent.
    assert deviations.scale([check(estimate=estimate)]) == pytest.approx(expected)


def test_a_deviation_is_where_it_should_be():
    drawn = deviations.svg(check(), 0.05)
    assert float(re.search(r'cx="([-\d.]+)"', drawn)[1]) == pytest.approx(40)  # 2 % of 5 %, of 100
    start, end = (float(value) for value in re.search(r"M([-\d.]+) 14H([-\d.]+)", drawn).groups())
    assert (start, end) == pytest.approx((0.8, 79.2), abs=0.1)  # ± 1.96 %
    # A negative law: above it is to the right all the same.
    below = deviations.svg(check(estimate=-1.02, expected=-1.0), 0.05)
    assert float(re.search(r'cx="([-\d.]+)"', below)[1]) == pytest.approx(-40)


@pytest.mark.parametrize(
    "changes", [{"kind": "identity"}, {"expected": 0.0}, {"standard_error": 0.0}, {"estimate": np.nan}]
)
def test_where_nothing_is_relative_nothing_is_drawn(changes):
    made = check(**changes)
    assert deviations.svg(made, 0.05) == ""
    assert deviations.scale([made]) == 0
