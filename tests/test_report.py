"""The report: nothing left out, nothing fetched, nothing half-written."""

import dataclasses
import errno
import io
import itertools
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from rich.console import Console, Group

import proofs_checks
from proofs_checks.report import html, save, terminal
from proofs_checks.report import words as readings
from proofs_checks.results import Check, ClaimResult, Margin, NegativeControl, Ruling, Verdict, Verification
from theorylab import _files, drawing
from theorylab.charts import CurveFigure, Line, MapFigure, MapPanel, Points

NASTY = "<script>alert('x & y')</script> [bold]b[/bold] ${7*7} {{ 7 * 7 }}"


def check(name="cosine with the image", *, passed=True, rejected=True, **changes):
    fields = {
        "kind": "ratio",
        "estimate": 0.70711,
        "expected": 0.7068,
        "standard_error": 0.0021,
        "p_value": 0.41,
        "replicates": 20_000,
        "detectable_effect": 0.019,
    }
    control = NegativeControl("the law without its mask", 3e-11 if rejected else 0.3, rejected)
    return Check(name=name, passed=passed, negative_control=control, **{**fields, **changes})


def curves(name="curves"):
    x = np.array([16.0, 64.0, 256.0])
    low, high = 1 / x * 0.9, 1 / x * 1.1
    return CurveFigure(
        name,
        "A curve & its points.",
        "N",
        "error",
        (Line("guided", x, 1 / x), Line("saliency", x, 2 / x)),
        (Points("guided", x, 1 / x, low, high), Points("other $x", x, 3 / x, 2 / x, 4 / x)),
        "log",
        "log",
    )


def maps(name="maps"):
    rng = np.random.default_rng(1)
    colour, grey = (
        MapPanel("cost $5 and $6", rng.normal(size=(3, 6, 5))),
        MapPanel("grey", rng.normal(size=(1, 6, 5))),
    )
    return MapFigure(name, "Maps.", (colour, grey, MapPanel("zero", np.zeros((3, 6, 5)))))


def claim(name="theorem-1", *checks, verdict=Verdict.REFUTED, figures=()):
    checks = checks or (check(),)
    return ClaimResult(
        id=name,
        section="Theorem 1, Eq. 5",
        statement=NASTY,
        verdict=verdict,
        exact_law="E S = N m₀ c/√(2π) (x ⊙ κ)",
        proof="First line\nof the proof.\n\nSecond <paragraph>.",
        finding="The cosine is 0.8953, not 1.",
        checks=checks,
        headline=checks[0].name,
        figures=figures,
    )


def run(*claims, **changes):
    fields = {"version": "0.1", "seed": 7, "budget": "quick", "image": "my <cat>.png"}
    claims = claims or (
        claim(figures=(maps(), curves())),
        claim("second", check(expected=0.0, detectable_effect=np.inf)),
    )
    return Verification(
        **{**fields, **changes},
        false_alarm_probability=1e-4,
        correction="Bonferroni over 2 checks.",
        claims=claims,
    )


def text(result, details=False, width=80):
    console = Console(width=width, record=True, file=open(os.devnull, "w"), force_terminal=False)  # noqa: SIM115
    with console.file:
        console.print(terminal.render(result, details))
        return console.export_text()


# --- tables


@pytest.mark.parametrize("details", [False, True])
def test_table_fits_80_columns(details):
    long = claim(
        "insensitivity-to-class-of-everything",
        check(estimate=-1.23456e-7, expected=-1.23456e-7, standard_error=1.234e-12),
        verdict=Verdict.HOLDS_IN_THE_LIMIT,
    )
    shown = text(run(long, claim("saliency-zero-mean")), details)
    assert max(map(len, shown.splitlines())) <= 80
    for word in ("measured", "predicted", "0.707", "refuted", "saliency-zero-mean"):
        assert word in shown
    assert shown.count("−1.23e−7") == 2
    if details:
        assert shown.count("−1.2346e−7") == 2
        for word in ("how sure", "sees", "1.9\N{NO-BREAK SPACE}%", "cosine with the image"):
            assert word in shown


@pytest.mark.parametrize(
    "reading", [*readings.VERDICTS.values(), readings.NOT_TESTED], ids=lambda one: one.words
)
@pytest.mark.parametrize("width", [80, 120])
def test_a_row_is_one_line_that_says_what_was_measured(reading, width, monkeypatch):
    """Whatever the verdict: of 80 letters the name of the quantity keeps its beginning, of 120 all."""
    monkeypatch.setattr(readings, "reading", lambda claim: reading)
    quantity = "a share of the patches, 3 layers below"
    known = [
        dataclasses.replace(claim(one.id, check(quantity)), section=one.section)
        for one in proofs_checks.registry()
    ]
    lines = text(run(*known), width=width).splitlines()
    short = reading.words.removeprefix("holds in the ").removesuffix(" on VGG-16")
    said = quantity if width == 120 else "a share of the patches"
    for one in known:
        [line] = [line for line in lines if line.startswith(f"✓ {one.id} ")]
        assert re.search(rf" {short} +0.707 +0.707 +{said}", line)


def ruled(name, verdict, estimate, margin, spread=0.01):
    ruling = Ruling(margin, estimate, estimate - spread, estimate + spread, verdict)
    return dataclasses.replace(claim(name, verdict=verdict), rulings=(ruling,))


def test_what_matters_stands_on_top_by_one_rule():
    """Refuted before undecided before the limit before what holds; then by how far outside; a failed check finds nothing."""
    made = run(
        ruled("inside", Verdict.HOLDS, 0.95, Margin("cosine", low=0.9)),
        ruled("limit", Verdict.HOLDS_IN_THE_LIMIT, 0.1, Margin("cosine", low=0.9)),
        ruled("near", Verdict.REFUTED, 0.8, Margin("cosine", low=0.9)),
        ruled("unsure", Verdict.UNDECIDED, 0.9, Margin("cosine", low=0.9)),
        ruled("far", Verdict.REFUTED, 0.5, Margin("correlation", -0.1, 0.1)),
        dataclasses.replace(
            ruled("broken", Verdict.REFUTED, 9.0, Margin("size", high=1)), checks=(check(passed=False),)
        ),
    )
    assert [one.id for one, _ in readings.mattering(made.claims)] == ["far", "near", "unsure"]
    shown = text(made).splitlines()
    assert shown[0].startswith(
        "The paper's 6 statements, as written: 1 holds, 1 holds in the limit, 3 refuted,"
    )
    [far] = [line for line in shown if line.startswith("• far")]
    assert far == "• far refuted: correlation, from −0.1 to 0.1: 0.5 (0.49 to 0.51)"
    page = " ".join(" ".join(Page(html.render(made)).words).split())
    assert page.index("correlation, from −0.1 to 0.1: 0.5 (0.49 to 0.51)") < page.index("how sure")
    assert readings.RULE in page
    assert "What matters most" not in text(dataclasses.replace(made, law_scale=1.03))


@hypothesis.given(st.floats(-1, 1), st.floats(0, 3))
def test_no_cosine_is_shown_beyond_1_and_no_difference_is_cut(estimate, spread):
    quantities = {"cosine to x": True, "guided: mean cosine of two maps": True, "correlation at lag 1": True}
    quantities |= {"cosine to x, less that under one": False, "cosine to x, over that of another": False}
    quantities |= {"slope of a cosine": False}
    for quantity, cut in quantities.items():
        ruling = Ruling(
            Margin(quantity, low=0.9), estimate, estimate - spread, estimate + spread, Verdict.HOLDS
        )
        low, high = (estimate - spread, estimate + spread)
        shown = (max(low, -1), min(high, 1)) if cut else (low, high)
        ends = " to ".join(drawing.number(end, 3) for end in shown)
        assert f" ({ends}), holds" in readings.margin(ruling) or low == high


def test_the_last_line_counts_the_verdicts():
    """Of 'passed' alone, a hurried reader takes it that the paper is right."""
    made = run(claim("a"), claim("b", verdict=Verdict.HOLDS), claim("c", verdict=Verdict.HOLDS))
    last = "The paper's 3 statements, as written: 2 hold, 1 refuted."
    assert text(made).splitlines()[-1] == last
    page = " ".join(" ".join(Page(html.render(made)).words).split())
    assert page.index(last) < page.index("all 3 checks passed")


PARTS = st.sampled_from(["a", "holds", "0.86 %", "5\N{NO-BREAK SPACE}%", "12\N{NO-BREAK SPACE}× 3"])


@hypothesis.given(st.lists(PARTS, min_size=1), st.integers(20, 40))
def test_no_line_begins_with_a_per_cent_sign(parts, width):
    console = Console(width=width, file=io.StringIO())
    console.print(Group(drawing.Words(" ".join(parts))))  # alone, a plain text would be made of it
    table = drawing.table(("name", "what"), [("x", " ".join(parts))])
    console.print(table)
    shown = console.file.getvalue().replace(" \n", "\n")
    assert not re.search(r"^\s*[%×]", shown, re.MULTILINE)
    assert shown.split()[: len(" ".join(parts).split())] == " ".join(parts).split()


def test_markup_in_names_is_text():
    assert "[bold]b[/bold]" in text(run(claim()), details=True, width=200)


def test_passed_and_failed_are_unmistakable():
    good = text(run(claim()))
    assert "FAILED" not in good
    assert "1 check of 1 claim passed" in good
    # The headline passes, another check fails: still a failed claim, and named.
    bad = text(
        run(claim("a"), claim("b", check("headline"), check("other", passed=False, p_value=1e-9))), width=120
    )
    row = next(line for line in bad.splitlines() if re.match(r"✗\s+b\s", line))
    assert "CHECK" in row
    assert "b: other: check failed" in bad
    assert "1 of 2 claims FAILED." in bad


def test_a_control_that_is_not_rejected_fails():
    shown = text(run(claim("b", check(rejected=False))), width=120)
    assert "negative control not rejected" in shown
    assert "1 of 1 claim FAILED." in shown


def test_details_list_every_check():
    shown = text(
        run(claim("a", check("first"), check("second one", rejected=False))), details=True, width=120
    )
    for word in (
        "first",
        "second one",
        "the law without its mask",
        "NOT REJECTED",
        "  rejected  ",
    ):
        assert word in shown


def test_no_colours_when_piped_and_some_in_a_terminal():
    assert "\x1b[" not in text(run())
    with Console(force_terminal=True, color_system="standard", width=80).capture() as capture:
        pass
    console = Console(force_terminal=True, color_system="standard", width=80, _environ={})
    with console.capture() as capture:
        console.print(terminal.render(run(claim("b", check(passed=False)))))
    assert "\x1b[" in capture.get()


def test_certainty_in_words():
    nothing = claim("a", check(kind="identity", standard_error=0.0, detectable_effect=np.nan))
    assert "exact" in text(run(nothing), details=True)
    zero = claim("a", check(expected=0.0, standard_error=0.0021, detectable_effect=np.inf))
    assert "±0.0021" in text(run(zero), details=True)


# --- claims without checks


def unchecked(name="fc1", verdict=Verdict.NOT_RUN, finding="Needs weights that were not given."):
    return dataclasses.replace(
        claim(name), checks=(), headline="", verdict=verdict, finding=finding, statement="They are alike."
    )


def test_a_claim_that_was_not_run_counts_neither_way():
    assert unchecked().passed is None
    assert unchecked().headline_check() is None
    assert run(claim("a"), unchecked()).passed
    assert not run(claim("a", check(passed=False)), unchecked()).passed
    assert run(unchecked()).passed
    content = run(claim("a"), unchecked()).to_json()["claims"][1]
    assert content["passed"] is None
    assert content["verdict"] == "not-run"
    assert content["checks"] == []
    assert json.loads(json.dumps(content, allow_nan=False)) == content


@pytest.mark.parametrize("details", [False, True])
def test_the_table_says_what_was_not_run_and_why(details):
    shown = text(run(claim("a"), unchecked()), details)
    row = next(line for line in shown.splitlines() if re.match(r"–\s+fc1\s", line))
    assert "not run" in row
    assert "– fc1: not run: Needs weights that were not given." in shown
    assert "1 check of 1 claim passed" in shown
    assert "FAILED" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    bad = text(run(claim("a", check(passed=False)), unchecked()), details)
    assert "1 of 1 claim FAILED." in bad


def test_nothing_checked_is_not_all_passed():
    assert "Nothing was checked." in text(run(unchecked()))
    assert "passed" not in text(run(unchecked()))
    words = " ".join(Page(html.render(run(unchecked()))).words)
    assert "Nothing was checked." in words
    assert "checks passed, and every" not in words


def test_a_measurement_without_a_law_shows_its_verdict():
    shown = text(run(claim("a"), unchecked(verdict=Verdict.HOLDS, finding="0.03 apart.")), details=True)
    assert re.search(r"–\s+fc1\s.*holds", shown)
    assert "0.03 apart." in shown
    assert "not run" not in shown


def test_undecided_is_said_and_explained():
    result = run(claim("a", verdict=Verdict.UNDECIDED))
    row = next(line for line in text(result).splitlines() if re.match(r"✓\s+a\s", line))
    assert "undecided" in row
    words = " ".join(" ".join(Page(html.render(result)).words).split())
    assert "as written: 1 undecided." in words
    assert "neither shown nor excluded" in words
    assert result.to_json()["claims"][0]["verdict"] == "undecided"


def test_the_report_says_what_was_not_run_and_why(tmp_path):
    page = html.render(run(claim("a"), unchecked()))
    words = " ".join(" ".join(Page(page).words).split())
    assert "Not run: fc1 . Needs weights that were not given." in words
    assert "as written: 1 refuted, 1 not run." in words
    assert "checked 1 claim of the paper on backpropagation-based visualizations; 1 was not run." in words
    assert "all 1 checks passed" in words
    assert page.count("Checks, each with its negative control") == 1
    save.save(run(claim("a"), unchecked()), tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["claims"][1]["passed"] is None


def test_the_report_counts_what_was_checked_as_the_terminal_does():
    result = run(claim("a"), claim("b"), unchecked(), unchecked("c", Verdict.HOLDS), unchecked("d"))
    words = " ".join(" ".join(Page(html.render(result)).words).split())
    assert "checked 2 claims of the paper on" in words
    assert ", measured 1 more that has no law; 2 were not run. Each" in words
    assert "2 checks of 2 claims" in text(result)
    words = " ".join(" ".join(Page(html.render(run(claim("a")))).words).split())
    assert "checked 1 claim of the paper on backpropagation-based visualizations. Each" in words


def test_the_report_cites_the_paper_as_the_bibliography_does():
    page = Page(html.render(run()))
    words = " ".join(" ".join(page.words).split())
    bibliography = Path(__file__).parent.parent.joinpath("references.bib").read_text(encoding="utf-8")
    entry = bibliography[bibliography.index("{nie2018theoretical,") :].split("\n}")[0]
    fields = dict(re.findall(r"(\w+) += \{(.*)\}", entry))
    for name in ("title", "booktitle", "series", "volume", "year"):
        assert fields[name] in words
    assert fields["pages"].replace("--", "–") in words
    for author in fields["author"].split(" and "):
        assert " ".join(reversed(author.split(", "))) in words
    assert "notation" in [attributes.get("id") for _, attributes in page.tags]
    for symbol in ("x", "S", "w_i", "D_j", "h", "g'", "N", "c", "p", "m₀, m₂", "κ", "K"):
        assert symbol in page.words


def test_a_headline_must_be_a_check():
    with pytest.raises(ValueError, match="fc1: no check is called 'absent'"):
        dataclasses.replace(unchecked(), headline="absent").headline_check()


# --- plots


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
@pytest.mark.parametrize("figure", [maps(), curves()], ids=lambda figure: figure.name)
def test_figures_in_every_format(figure, kind, start):
    assert drawing.render(figure, kind).startswith(start)


@pytest.mark.parametrize("kind", drawing.FORMATS)
def test_equal_figures_give_equal_bytes(kind):
    assert drawing.render(curves(), kind) == drawing.render(curves(), kind)


def test_maps_are_shown_by_joint_min_max():
    figure = maps()
    axes = drawing.draw(figure).axes
    raw = figure.panels[0].map
    expected = (np.moveaxis(raw, 0, -1) - raw.min()) / (raw.max() - raw.min())
    np.testing.assert_allclose(axes[0].images[0].get_array(), expected, atol=1e-12)
    assert axes[1].images[0].get_array().shape == (6, 5)
    assert axes[1].images[0].get_cmap().name == "gray"
    assert (axes[2].images[0].get_array() == 0.5).all()  # not black, which would be the lowest value
    assert not figure.panels[2].map.any()
    assert [axis.get_title() for axis in axes] == ["cost $5 and $6", "grey", "zero"]


def test_panels_that_are_compared_share_a_scale():
    predicted, measured = np.array([[[0.0, 2.0]]]), np.array([[[-1.0, 3.0]]])
    panels = (
        MapPanel("predicted", predicted, "variance"),
        MapPanel("measured", measured, "variance"),
        MapPanel("nothing", np.zeros((1, 1, 2)), "variance"),
        MapPanel("another", predicted),
    )
    axes = drawing.draw(MapFigure("m", "", panels)).axes
    shown = [one.images[0].get_array().ravel().tolist() for one in axes]
    assert shown == [[0.25, 0.75], [0, 1], [0.25, 0.25], [0, 1]]
    words = [one.get_xlabel() for one in axes]
    assert words[0] == "0 … 2\nshown on −1 … 3"
    assert words[3] == "0 … 2"


@pytest.mark.parametrize("figure", [maps(), curves()], ids=lambda figure: figure.name)
def test_a_title_stands_on_top_and_within_the_figure(figure):
    """It says what is seen, however long; no other word lies on it."""
    canvas = drawing.draw(dataclasses.replace(figure, title="The law costs $5 and no more than $6: " * 4))
    canvas.draw_without_rendering()
    title = canvas._suptitle or canvas.legends[0].get_title()
    box, whole = title.get_window_extent(), canvas.bbox
    assert 0 <= box.x0 < box.x1 <= whole.x1
    assert box.y1 <= whole.y1
    assert title.get_text().replace("\n", " ").startswith("The law costs $5 and no more than $6")
    for axes in canvas.axes:
        assert axes.title.get_window_extent().y1 <= box.y0


def test_a_chart_says_what_lines_and_points_are():
    both = curves()
    notes = {"lines: predicted · points: measured, with 95 % intervals": both}
    notes |= {"points: measured, with 95 % intervals": dataclasses.replace(both, lines=())}
    notes |= {"": dataclasses.replace(both, points=())}
    for words, figure in notes.items():
        assert drawing.draw(figure).axes[0].get_title(loc="left") == words


@pytest.mark.parametrize("letters", [5, 20, 45])
def test_a_legend_is_no_wider_than_its_figure(letters):
    x = np.ones(1)
    points = tuple(Points(f"{n} " + "a" * letters, x, x, x, x) for n in range(6))
    canvas = drawing.draw(CurveFigure("c", "", "x", "y", (), points))
    canvas.draw_without_rendering()
    assert canvas.legends[0].get_window_extent().x1 <= canvas.bbox.x1


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_points_without_lines_stand_beside_each_other(scale):
    x = np.array([1.0, 2.0, 8.0])
    points = tuple(Points(name, x, x, x, x) for name in "abc")
    drawn = drawing.draw(CurveFigure("c", "", "x", "y", (), points, scale)).axes[0].containers
    places = np.array([container[0].get_xdata() for container in drawn])
    assert (np.diff(places, axis=0) > 0).all()
    np.testing.assert_allclose(places[1], x)
    np.testing.assert_allclose(places, [x] * 3, rtol=0.15)


def test_colours_are_read_on_white():
    assert len(set(drawing.PALETTE)) == 7
    for colour in (*drawing.PALETTE, drawing.INK, drawing.FAINT):
        red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
        assert 1.05 / (np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05) >= 4.5


def test_line_and_points_of_one_label_share_a_colour():
    figure = drawing.draw(curves())
    axes = figure.axes[0]
    colours = [container[0].get_color() for container in axes.containers]
    lines = [line.get_color() for line in axes.lines if len(line.get_xdata()) and line.get_linestyle() == "-"]
    assert colours[0] == lines[0]
    assert len({*lines[:2], colours[1]}) == 3
    assert [entry.get_text() for entry in figure.legends[0].get_texts()] == ["guided", "saliency", "other $x"]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2, 16, ["2", "5", "10"]),
        (0.004, 0.6, ["0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5"]),
        (16, 4096, ["20", "50", "100", "200", "500", "1000", "2000", "5000"]),
        (1, 1000, ["1", "10", "100", "1000"]),
        (4, 100_000, ["10", "100", "1000", "10000", "100000"]),
        (1e-6, 1e7, ["1e−6", "0.0001", "0.01", "1", "100", "10000", "1e6"]),
        (1.2, 1.25, ["1.2", "1.21", "1.22", "1.23", "1.24", "1.25"]),
    ],
)
def test_logarithmic_axes_have_plain_numbers_that_do_not_touch(low, high, expected):
    x = np.geomspace(low, high, 5)
    figure = drawing.draw(CurveFigure("c", "", "N", "y", (Line("a", x, x),), (), "log", "log"))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for axis, side in ((axes.xaxis, 0), (axes.yaxis, 1)):
        first, last = axis.get_view_interval()
        ticks = [
            tick for tick in axis.get_ticklabels() if first <= tick.get_position()[side] <= last * (1 + 1e-9)
        ]
        assert [tick.get_text() for tick in ticks] == expected
        boxes = [tick.get_window_extent() for tick in ticks]
        assert not any(one.overlaps(two) for one, two in itertools.pairwise(boxes))
        assert not any(tick.get_text() for tick in axis.get_ticklabels(minor=True))


def test_a_linear_axis_keeps_its_own_ticks():
    x = np.linspace(0, 4, 5)
    figure = drawing.draw(CurveFigure("c", "", "N", "y", (Line("a", x, x),), ()))
    figure.draw_without_rendering()
    assert "3.0" in [tick.get_text() for tick in figure.axes[0].get_xticklabels()]


def test_an_interval_that_misses_its_point_is_drawn():
    x = np.ones(1)
    figure = CurveFigure("c", "", "x", "y", (), (Points("a", x, x, x * 1.1, x * 1.2),))
    assert drawing.render(figure).startswith(b"\x89PNG")


def test_more_panels_than_a_row_holds():
    panel = MapPanel("a long title that needs more than one line", np.ones((1, 4, 4)))
    assert sum(bool(axes.images) for axes in drawing.draw(MapFigure("m", "", (panel,) * 6)).axes) == 6


@pytest.mark.parametrize("n_panels", [1, 2, 3, 4, 5, 8])
def test_the_drawer_says_how_wide_it_draws(n_panels):
    figure = MapFigure("m", "", (MapPanel("a map", np.ones((1, 4, 4))),) * n_panels)
    for one in (figure, curves()):
        inches = int.from_bytes(drawing.render(one)[16:20], "big") / 160  # as the PNG says
        assert drawing.width(one) == pytest.approx(inches, abs=0.35)


def test_points_have_students_intervals():
    points = Points.of("a", [4, 16], [(1.0, 0.1, 10), (2.0, 0.2, 1000)])
    np.testing.assert_array_equal(points.x, [4, 16])
    np.testing.assert_allclose(points.high - points.y, [0.1 * 2.262157, 0.2 * 1.962341], rtol=1e-6)
    np.testing.assert_allclose(points.low + points.high, 2 * points.y)
    with pytest.raises(ValueError, match="shorter"):
        Points.of("a", [4, 16], [(1.0, 0.1, 10)])


def test_bad_figures():
    with pytest.raises(ValueError, match="'m': there is no panel"):
        drawing.draw(MapFigure("m", "", ()))
    with pytest.raises(ValueError, match="'c': there is no curve"):
        drawing.draw(CurveFigure("c", "", "", "", (), ()))
    with pytest.raises(ValueError, match=r"panel 'p': expected \(1, H, W\)"):
        drawing.draw(MapFigure("m", "", (MapPanel("p", np.ones((2, 4, 4))),)))
    with pytest.raises(TypeError, match="expected a MapFigure"):
        drawing.draw("m")
    with pytest.raises(ValueError, match="unknown 'bmp'"):
        drawing.render(maps(), "bmp")


# --- HTML


class Page(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_html_says_everything():
    result = run(claim("a", check(), check("other", passed=False), figures=(maps(), curves())), claim("b"))
    page = Page(html.render(result))
    words = " ".join(" ".join(page.words).split())
    first = result.claims[0]
    expected = [
        NASTY,
        first.exact_law,
        first.finding,
        "of the proof.",
        "Second <paragraph>.",
        "the law without its mask",
    ]
    expected += [
        "my <cat>.png",
        "Bonferroni over 2 checks.",
        "0.0001",
        "numpy",
        np.__version__,
        "scipy",
        "numba",
    ]
    expected += ["theorylab verify --image 'my <cat>.png' --budget quick --seed 7", "✗ 1 of 2 claims failed"]
    expected += ["holds in the limit", "refuted", "20 000", "A curve & its points.", "off the law"]
    expected += [
        f"theorylab verify {name} --image 'my <cat>.png' --budget quick --seed 7" for name in ("a", "b")
    ]
    for piece in expected:
        assert " ".join(piece.split()) in words
    assert [item["id"] for item in page.all("details") if "id" in item] == ["a", "b"]
    assert [item["id"] for item in page.all("details") if "open" in item] == ["a"]


def test_html_escapes_and_runs_nothing():
    page = Page(html.render(run()))
    assert page.all("script") == []
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_html_fetches_nothing_and_embeds_every_figure():
    document = html.render(run())
    page = Page(document)
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            if (name, attributes.get(name)) != ("href", "explore.html"):  # followed, not fetched
                assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    pictures = page.all("img")
    assert len(pictures) == 2
    assert all(picture["alt"] for picture in pictures)
    assert "url(" not in document
    assert "@import" not in document
    assert page.all("link") == []
    assert "default-src 'none'" in document


def test_the_command_of_the_run_is_shown():
    command = "theorylab verify --seed 7 --jobs 2"
    assert command in html.render(run(command=command))


# --- files


def test_saved_files(tmp_path):
    result = run()
    folder = save.save(result, tmp_path / "new" / "run")
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "results.json",
        "report.html",
        "explore.html",
        "figures/maps.png",
        "figures/curves.png",
    }

    def refuse(constant):
        raise AssertionError(constant)

    content = json.loads((folder / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)
    made = content.pop("run")
    assert content == result.to_json()
    assert set(made) == {"date", "platform", "python", "libraries"}
    assert {"theorylab", "seed", "budget", "image", "passed", "claims"} <= set(content)
    assert {"id", "section", "statement", "verdict", "exact_law", "passed", "checks"} <= set(
        content["claims"][0]
    )
    check_keys = {"name", "kind", "estimate", "expected", "standard_error", "p_value", "replicates"}
    one = content["claims"][1]["checks"][0]
    assert check_keys | {"detectable_effect", "passed", "negative_control"} <= set(one)
    assert {"what", "p_value", "rejected"} == set(one["negative_control"])
    assert one["detectable_effect"] is None  # infinite: JSON has no word for it


def test_saving_twice_replaces_and_leaves_other_files(tmp_path):
    save.save(run(claim(figures=(maps(),))), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "figures" / "mine.png").write_text("mine")
    save.save(run(claim(figures=(maps(),)), seed=8), tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["seed"] == 8
    assert (tmp_path / "notes.txt").read_text() == (tmp_path / "figures" / "mine.png").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 5


def test_the_explorer_begins_with_the_picture_of_the_run(tmp_path):
    for image, first in (("rocket", "rocket"), ("", "cat"), ("gone.png", "cat")):
        save.save(run(image=image), tmp_path)
        assert 'href="explore.html"' in (tmp_path / "report.html").read_text(encoding="utf-8")
        page = (tmp_path / "explore.html").read_text(encoding="utf-8")
        assert f'"pictures": [{{"name": "{first}"' in page


def test_figures_of_one_name_are_both_kept(tmp_path):
    result = run(claim("a", figures=(maps("same"),)), claim("b", figures=(curves("same"),)))
    save.save(result, tmp_path)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"a-same.png", "b-same.png"}
    pictures = [picture["src"] for picture in Page((tmp_path / "report.html").read_text()).all("img")]
    assert len(set(pictures)) == 2


def test_a_figure_name_cannot_leave_the_folder(tmp_path):
    save.save(run(claim(figures=(maps("../../escape"),))), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run" / "figures").iterdir()] == ["-escape.png"]


def tree(folder):
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("fail_at", range(8))
@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_midway_leaves_all_as_it_was(tmp_path, monkeypatch, fail_at, existing):
    folder = tmp_path / "a" / "run"
    if existing:
        save.save(run(claim(figures=(maps(),)), seed=1), folder)
        (folder / "figures" / "mine.png").write_text("mine")
    before, real, calls = tree(tmp_path), os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == fail_at + 1:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    # Two figures and two documents are each written and moved: eight moves, more where old files make room.
    with pytest.raises(OSError, match="No space left"):
        save.save(run(seed=2), folder)
    assert tree(tmp_path) == before


def test_a_figure_that_cannot_be_drawn_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="there is no panel"):
        save.save(run(claim(figures=(maps(), MapFigure("empty", "", ())))), tmp_path / "run")
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("below", ["", "/inner/run"])
def test_folder_is_a_file(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"file: is a file, not a folder"):
        save.save(run(), f"{tmp_path}/file{below}")
    assert (tmp_path / "file").read_text() == "mine"


def test_places_that_are_taken(tmp_path):
    (tmp_path / "figures").write_text("mine")
    with pytest.raises(NotADirectoryError, match="figures"):
        save.check_folder(tmp_path)
    (tmp_path / "figures").unlink()
    (tmp_path / "results.json").mkdir()
    with pytest.raises(IsADirectoryError, match=r"results\.json"):
        save.check_folder(tmp_path)


def test_unwritable_folder(tmp_path, monkeypatch):
    # The permission bits do not bind the superuser, so the system's answer is replaced.
    def refused(path, *_):
        raise OSError(errno.EROFS, "Read-only file system", path)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(OSError, match="not writable: Read-only file system"):
        save.check_folder(tmp_path / "run")
    with pytest.raises(OSError, match="not writable: Read-only file system"):
        _files.check_file(tmp_path / "map.png")


def test_write_atomically(tmp_path, monkeypatch):
    path = _files.write_atomically(tmp_path / "a.txt", "old é")
    assert path.read_bytes() == "old é".encode()
    link = tmp_path / "link.txt"
    link.symlink_to(path)
    _files.write_atomically(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"

    def failing(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match=r"No space left on device.*a\.txt"):
        _files.write_atomically(path, b"newer")
    assert tree(tmp_path) == {"a.txt": b"new", "link.txt": b"new"}


def test_files_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for name, words in {
        "": "is a folder",
        "no/a.png": "no folder",
        "file/a.png": "is a file, not a folder",
    }.items():
        with pytest.raises(OSError, match=words):
            _files.write_atomically(tmp_path / name, b"")
    with pytest.raises(OSError, match="not an ordinary file"):
        _files.write_atomically(os.devnull, b"")


# --- how to reproduce


def test_the_command_says_all_that_the_numbers_depend_on():
    changed = run(claim("a"), law_scale=1.03, weights="my vgg.pth")
    words = "--image 'my <cat>.png' --weights 'my vgg.pth' --budget quick --seed 7 --law-scale 1.03"
    assert changed.command_for("a") == f"theorylab verify a {words}"
    assert changed.command_for() == f"theorylab verify {words}"
    page = html.render(changed)
    assert page.count("--law-scale 1.03") == 2  # of the claim and of the run


@pytest.mark.parametrize("scale", [1.03, 0.5])
def test_a_self_test_says_so_everywhere(scale):
    made = run(claim("a"), law_scale=scale)
    assert made.self_test
    assert made.to_json()["law_scale"] == scale
    page = html.render(made)
    words = f"Self-test: every exact law was multiplied by {scale}"
    assert page.index(words) < page.index('<div class="claims">')
    assert "<title>theorylab: self-test" in page
    assert words in " ".join(text(made).split())
    assert words in " ".join(text(run(claim("a", check(passed=False)), law_scale=scale)).split())


def test_an_honest_run_says_nothing_of_a_self_test():
    made = run(claim("a"))
    assert not made.self_test
    assert made.to_json()["law_scale"] == 1.0
    assert "elf-test" not in html.render(made) + text(made)


def test_a_claim_of_identities_has_no_column_of_deviations():
    exact = check(kind="identity", expected=0.0, standard_error=0.0)
    assert "off the law<br>" in html.render(run(claim("a")))
    assert "off the law<br>" not in html.render(run(claim("a", exact)))


def test_a_formula_stands_before_the_law_in_words():
    typeset = dataclasses.replace(claim("a"), formula=(r"\mathrm{E}\,S = 0",))
    page = html.render(run(typeset))
    assert page.index('<svg class="formula"') < page.index('<p class="law">')
    assert html.render(run(typeset)) == page
    assert '<svg class="formula"' not in html.render(run(claim("a")))
