"""The report in a real browser: nothing is missing, nothing complains, and it fits a telephone."""

import io

import browsers
import numpy as np
import pytest
from browsers import contrast
from PIL import Image

from proofs_checks.report import save
from proofs_checks.results import Check, ClaimResult, NegativeControl, Verdict, Verification
from theorylab.charts import CurveFigure, Line, MapFigure, MapPanel, Points


def verification():
    """A claim with pictures and long formulas, and one that was not run."""
    rng = np.random.default_rng(0)
    check = Check(
        "cosine of the mean map and the local contrast normalised picture, over all positions and channels",
        "ratio",
        0.8991,
        0.8989,
        0.0004,
        0.62,
        2000,
        0.012,
        True,
        NegativeControl("no κ: the picture itself", 1e-30, True),
    )
    maps = MapFigure(
        "maps", "Maps.", tuple(MapPanel(f"map {i}", rng.normal(size=(3, 24, 24))) for i in range(4))
    )
    at = np.array([1.0, 10.0, 100.0])
    curve = CurveFigure(
        "curve",
        "A curve.",
        "filters",
        "cosine",
        (Line("law", at, at),),
        (Points("law", at, at, at * 0.9, at * 1.1),),
    )
    formula = (
        r"\mathrm{E}\,S = \dfrac{N m_0 c}{\sqrt{2\pi}}\; x \odot \kappa",
        r"\mathrm{Cov}\,S = N c^2 \left[(m_2 - m_0^2) \sum_j D_j^{\mathrm{T}} D_j + m_0^2\, T T^{\mathrm{T}}\right]"
        r" + \text{and so on, to be much too long for a telephone}",
    )
    long = "E S = N m₀ c/√(2π) x⊙κ, κ_t = Σ_{j∋t} 1/‖y_j‖, " * 4
    run = ClaimResult(
        id="theorem1",
        section="3.1.1",
        statement="A statement.",
        verdict=Verdict.REFUTED,
        exact_law=long,
        proof=f"{long}\n\n{long}",
        finding="A finding.",
        checks=(check,),
        headline=check.name,
        figures=(maps, curve),
        formula=formula,
    )
    idle = ClaimResult(
        id="fc1-histograms",
        section="3.2.3",
        statement="Another.",
        verdict=Verdict.NOT_RUN,
        exact_law="None.",
        proof="None.",
        finding="Needs weights.",
        checks=(),
        headline="",
    )
    return Verification(
        "0.1", 0, "quick", "cat", 1e-7, "Bonferroni over 5 checks", (run, idle), "theorylab verify"
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = save.save(verification(), tmp_path_factory.mktemp("report"))
    return f"file://{folder / 'report.html'}"


def opened(browser, page, width):
    browsers.opened(browser, page, width)
    browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    return browser


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_complains_and_every_picture_is_there(browser, page, width):
    driver = opened(browser, page, width)
    assert driver.get_log("browser") == []
    sizes = driver.execute_script(
        "return [...document.images].map(one => [one.complete, one.naturalWidth, one.alt])"
    )
    assert len(sizes) == 2
    for complete, pixels, words in sizes:
        assert complete
        assert pixels > 100
        assert words


@pytest.mark.parametrize("width", [320, 400, 800, 1200])
def test_nothing_scrolls_sideways(browser, page, width):
    driver = opened(browser, page, width)
    inside, outside = driver.execute_script(
        "return [document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert width - 20 < inside <= width  # a scroll bar for up and down takes its part
    assert outside <= inside


FORMULA = "document.querySelector('svg.formula')"


@pytest.mark.parametrize("width", [400, 1200])
def test_a_formula_is_seen_whole_or_scrolls_in_its_own_box(browser, page, width):
    driver = opened(browser, page, width)
    role, label, count = driver.execute_script(
        f"const all = document.querySelectorAll('svg.formula'), one = {FORMULA};"
        "return [one.getAttribute('role'), one.getAttribute('aria-label'), all.length]"
    )
    assert (role, count) == ("img", 1)
    assert label.startswith("E S = N m₀")
    drawn, inside, box = driver.execute_script(
        f"const one = {FORMULA}, box = one.parentElement;"
        "return [one.getBoundingClientRect().width, box.scrollWidth, box.clientWidth]"
    )
    assert drawn > 300
    assert driver.execute_script(f"return {FORMULA}.getBoundingClientRect().height") > 50
    # A long one shrinks, but not until it cannot be read; the box then scrolls, and the keyboard can do that.
    assert (inside > box) is (width == 400)
    assert driver.execute_script(f"return {FORMULA}.parentElement.tabIndex") == 0
    assert box < width


def test_ids_are_unique(browser, page):
    ids = opened(browser, page, 800).execute_script(
        "return [...document.querySelectorAll('[id]')].map(one => one.id)"
    )
    assert len(ids) == len(set(ids)) > 0


def test_the_link_to_the_notation_leads_there(browser, page):
    top = opened(browser, page, 400).execute_script(
        "document.querySelector('a[href=\"#notation\"]').click();"
        "return document.getElementById('notation').getBoundingClientRect().top"
    )
    assert -1 < top < 900  # a browser rounds to parts of a pixel


def test_a_formula_has_the_colour_of_the_text(browser, page):
    seen = {}
    for scheme in ("light", "dark"):
        browsers.prefer(browser, scheme)
        opened(browser, page, 400)
        browser.execute_script(f"{FORMULA}.scrollIntoView()")
        seen[scheme] = pixels(browser.find_element("css selector", "svg.formula").screenshot_as_png)
        ink, paper = browser.execute_script(
            f"const one = {FORMULA}, channels = words => words.match(/[\\d.]+/g).slice(0, 3).map(Number);"
            "return [channels(getComputedStyle(one.querySelector('path')).fill),"
            "channels(getComputedStyle(one.parentElement).backgroundColor)]"
        )
        assert contrast(ink, paper) > 7
    browsers.prefer(browser, None)
    light, dark = seen["light"], seen["dark"]
    # Mostly paper, and letters on it.
    assert np.median(light) > 200 > 100 > light.min()
    assert np.median(dark) < 60 < 150 < dark.max()


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def test_deviations_are_drawn_in_their_table(browser, page):
    driver = opened(browser, page, 1200)
    boxes = driver.execute_script(
        "return [...document.querySelectorAll('td.off svg')].map(one => [one.getBoundingClientRect().width, "
        "one.getAttribute('aria-label')])"
    )
    assert len(boxes) == 1
    assert boxes[0][0] > 60
    assert "off the law" in boxes[0][1]
    # At this width the table fits.
    inside, box = driver.execute_script(
        "const one = document.querySelector('table').parentElement; return [one.scrollWidth, one.clientWidth]"
    )
    assert inside <= box


def test_a_broken_picture_and_a_wide_table_would_be_seen(browser, tmp_path):
    """The checks above can fail."""
    broken = tmp_path / "broken.html"
    broken.write_text(
        "<img src='nothing.png' alt='x'><div style='width: 900px'>wide</div><script>console.error('no')</script>"
    )
    driver = opened(browser, f"file://{broken}", 400)
    assert driver.execute_script("return document.images[0].naturalWidth") == 0
    assert driver.execute_script("return document.documentElement.scrollWidth") > 400
    assert any("no" in entry["message"] for entry in driver.get_log("browser"))


def test_light_and_dark_differ_and_can_be_read(browser, page):
    shown = {}
    for scheme in ("light", "dark"):
        browsers.prefer(browser, scheme)
        opened(browser, page, 800)
        shown[scheme] = browser.execute_script(
            "const body = getComputedStyle(document.body);"
            "const channels = words => words.match(/[\\d.]+/g).slice(0, 3).map(Number);"
            "return [channels(body.color), channels(body.backgroundColor)]"
        )
    browsers.prefer(browser, None)
    assert shown["light"] != shown["dark"]
    for ink, paper in shown.values():
        assert contrast(ink, paper) > 7  # WCAG, level AAA


def test_it_prints(browser, page):
    browser.get(page)
    printed = browser.execute_cdp_cmd("Page.printToPDF", {})
    assert len(printed["data"]) > 10_000
