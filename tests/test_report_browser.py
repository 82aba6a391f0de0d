"""The report in a real browser: nothing is missing, nothing complains, and it fits a telephone."""

import shutil

import numpy as np
import pytest

from theorylab.report import save
from theorylab.report.results import (
    Check,
    ClaimResult,
    CurveFigure,
    Line,
    MapFigure,
    MapPanel,
    NegativeControl,
    Points,
    Verdict,
    Verification,
)

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and its driver are not installed")


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
        "0.1", 0, "quick", "cat", 1e-7, "Bonferroni over 113 checks", (run, idle), "theorylab verify"
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = save.save(verification(), tmp_path_factory.mktemp("report"))
    return f"file://{folder / 'report.html'}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for word in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "no-first-run",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    # No network: a report that needs one would show it as an error.
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    yield driver
    driver.quit()


def opened(browser, page, width, height=900):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get(page)
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
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        opened(browser, page, 800)
        shown[scheme] = browser.execute_script(
            "const body = getComputedStyle(document.body);"
            "const channels = words => words.match(/[\\d.]+/g).slice(0, 3).map(Number);"
            "return [channels(body.color), channels(body.backgroundColor)]"
        )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert shown["light"] != shown["dark"]
    for ink, paper in shown.values():
        assert contrast(ink, paper) > 7  # WCAG, level AAA


def contrast(one, other):
    """Ratio of relative luminances, as WCAG 2 defines it."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_it_prints(browser, page):
    browser.get(page)
    printed = browser.execute_cdp_cmd("Page.printToPDF", {})
    assert len(printed["data"]) > 10_000
