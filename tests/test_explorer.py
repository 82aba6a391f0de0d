"""The explorer in a real browser: its laws are those of the package, its networks obey them, and a visitor can use it."""

import base64
import io
import json
import re

import browsers
import numpy as np
import pytest
import shell
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import integrate
from scipy.stats import norm
from strategies import RULES, image_with_zeros, seeds
from typer.testing import CliRunner

from theorylab import cli, explorer, images
from theorylab.analytic import gates
from theorylab.analytic.pooled import pooled_mean_map
from theorylab.analytic.three_layer import law_of
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
START = "filters=64&kernel=7&stride=2&bias=0&noise=0&pool=1&picture=cat&rule=guided&seed=0"


@pytest.fixture(scope="module")
def text():
    return explorer.page()


@pytest.fixture(scope="module")
def page(text, tmp_path_factory):
    file = tmp_path_factory.mktemp("explorer") / "explore.html"
    file.write_text(text, encoding="utf-8")
    return f"file://{file}"


def opened(browser, page, width=1280, state="filters=4"):
    browsers.opened(browser, "about:blank", width)  # another fragment alone would not load the page anew
    browsers.opened(browser, f"{page}#{state}", width)
    return done(browser)


def until(browser, condition):
    shell.until(lambda: browser.execute_script(f"return {condition}"))
    return browser


def done(browser):
    """Wait until all filters are drawn."""
    return until(browser, "document.body.dataset.state === 'done'")


def said(browser, name):
    return browser.execute_script(f"return document.getElementById('{name}').textContent")


# The laws

JS = """
const [data, [channels, height, width], kernel, stride, tau, rule, n] = arguments;
const x = Float64Array.from(data), g = laws.grid(height, width, channels, kernel, stride), lengths = laws.norms(x, g);
const kappa = laws.contrast(lengths, g, tau), mean = laws.meanMap(laws.corrected(x, kappa), rule, n);
const pairs = laws.finish(laws.pairSteps(x, g, lengths, tau));
const pooled = laws.finish(pool.meanSteps(x, g, tau, laws.RULES[rule])).map(value => n * value);
const found = laws.predicted(laws.summary(x, g, lengths, tau, pairs), rule, n);
"""
RETURN = """
const coverage = laws.coverage(g), all = {coverage, lengths, kappa, mean, pooled};
for (const name in all) all[name] = [...all[name]];
return {...all, pairs, found};
"""


def channels_last(x):
    return x.transpose(1, 2, 0).ravel().tolist()


def in_the_page(browser, x, kernel, stride, tau, rule, n, script=RETURN, *more):
    return browser.execute_script(
        JS + script, channels_last(x), list(x.shape), kernel, stride, tau, rule, n, *more
    )


@pytest.fixture(scope="module")
def laboratory(browser, page):
    return opened(browser, page)


def picture_of(rng, shape, kind):
    x = image_with_zeros(rng, shape) if kind != "normal" else rng.standard_normal(shape)
    # Flat as a saturated part of a photograph: equal patches.
    return np.where(x == 0, rng.standard_normal((len(x), 1, 1)), x) if kind == "flat" else x


KINDS = ("normal", "zeros", "flat")
cases = st.tuples(
    st.integers(1, 3), st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), seeds
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", RULES)
@given(cases, st.integers(1, 5000), st.floats(-6, 6))
@settings(max_examples=25)
def test_the_laws_are_those_of_the_package(laboratory, kind, rule, case, n, exponent):
    channels, height, width, kernel, stride, seed = case
    kernel = min(kernel, height, width)
    x = 10.0**exponent * picture_of(np.random.default_rng(seed), (channels, height, width), kind)
    if not x.any():
        return
    grid = PatchGrid(x.shape, kernel, stride)
    law = law_of(x, grid, rule, n)
    if not law.energy:
        return
    seen = in_the_page(laboratory, x, kernel, stride, 0, rule, n)
    close = dict(rtol=1e-6, atol=0)
    np.testing.assert_array_equal(seen["coverage"], grid.coverage[0].ravel())
    np.testing.assert_allclose(seen["lengths"], np.linalg.norm(grid.extract(x), axis=1), **close)
    np.testing.assert_allclose(seen["kappa"], gates.local_contrast(x, grid).ravel(), **close)
    np.testing.assert_allclose(seen["mean"], channels_last(law.mean), **close)
    assert seen["found"]["energy"] == pytest.approx(law.energy, rel=1e-6)
    assert seen["found"]["picture"] == pytest.approx(law.expected_cosine(), rel=1e-6, abs=1e-9)
    assert seen["found"]["distance"] == pytest.approx(law.class_distance, rel=1e-6, abs=1e-9)
    if law.mean.any():
        assert seen["found"]["mean"] == pytest.approx(law.expected_cosine("mean"), rel=1e-6)
    else:
        assert seen["found"]["mean"] is None


@pytest.mark.parametrize("kind", KINDS)
@given(cases, st.floats(0.05, 5))
@settings(max_examples=10)
def test_the_law_of_biases(laboratory, kind, case, share):
    """κ by quadrature; all laws by the package's for one more channel, whose patches have norm τ."""
    channels, height, width, kernel, stride, seed = case
    height, width = min(height, 7), min(width, 7)
    kernel = min(kernel, height, width, 3)
    x = picture_of(np.random.default_rng(seed), (channels, height, width), kind)
    grid = PatchGrid(x.shape, kernel, stride)
    tau = share * kernel
    seen = in_the_page(laboratory, x, kernel, stride, tau, "guided", 5)
    patches = grid.extract(x)

    def at_zero(length):
        """√(2π) times the density of w·y + b at 0."""
        return (
            np.sqrt(2 * np.pi)
            * integrate.quad(
                lambda b: norm.pdf(b / length) / length * norm.pdf(b / tau) / tau,
                *(-8 * min(length, tau), 8 * min(length, tau)),
            )[0]
        )

    inverse = [at_zero(np.linalg.norm(y)) if y.any() else 1 / tau for y in patches]
    kappa = grid.fold(np.repeat(inverse, grid.patch_size).reshape(patches.shape))[0]
    np.testing.assert_allclose(seen["kappa"], kappa.ravel(), rtol=1e-6)
    longer, wide = with_bias(x, kernel, stride, tau)
    law = law_of(longer, wide, "guided", 5)
    np.testing.assert_allclose(seen["mean"], channels_last(law.mean[:-1]), rtol=1e-6)
    assert seen["found"]["energy"] == pytest.approx((law.mean[:-1] ** 2 + law.variance[:-1]).sum(), rel=1e-6)
    # Sums of terms of either sign, each at most 1 an entry.
    assert seen["pairs"] == pytest.approx(law.pairs[:-1].sum(), rel=1e-6, abs=1e-9 * patches.size)


def with_bias(x, kernel, stride, tau):
    """A picture with a constant channel: what its filters see of it is N(0, τ²), the same at every patch."""
    longer = np.concatenate([x, np.full((1, *x.shape[1:]), tau / kernel)])
    return longer, PatchGrid(longer.shape, kernel, stride)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("biased", [False, True])
@given(cases)
@settings(max_examples=20)
def test_the_mean_map_behind_a_pool(laboratory, kind, rule, biased, case):
    channels, height, width, kernel, stride, seed = case
    kernel = min(kernel, height, width)
    rng = np.random.default_rng(seed)
    x = picture_of(rng, (channels, height, width), kind)
    tau = rng.uniform(0.1, 2) * kernel if biased else 0
    longer, grid = with_bias(x, kernel, stride, tau)
    if not longer.any() or min(grid.output_shape) < 2:
        return
    seen = in_the_page(laboratory, x, kernel, stride, tau, rule, 7)["pooled"]
    expected = channels_last(pooled_mean_map(longer, grid, rule, 7, pool=MaxPool(2))[:-1])
    # Where conditions nearly coincide, an arc sine at 1 keeps half the digits.
    np.testing.assert_allclose(seen, expected, atol=1e-6)  # of order 1, whatever the scale of the picture


# The simulation

DRAW = """
const repeat = arguments[7], direction = Float64Array.from(arguments[8]), behind = arguments[9], all = [];
for (let seed = 0; seed < repeat; seed++) {
  const net = simulation.network(x, g, laws.RULES[rule], tau, seed, behind);
  while (net.filters < n) net.add();
  const [map, other] = net.maps;
  all.push([laws.dot(map, direction), laws.dot(map, map), laws.dot(map, other)]);
}
const other = laws.grid(height, width, channels, kernel, 1), long = laws.norms(x, other);
const wrong = laws.predicted(laws.summary(x, other, long, tau, laws.finish(laws.pairSteps(x, other, long, tau))), rule, n);
return {all, mean: [...mean], pooled: [...pooled], found, wrong};
"""


@pytest.mark.parametrize("tau", [0, 2.0])
@pytest.mark.parametrize("rule", RULES)
def test_networks_of_the_page_obey_the_law(laboratory, rule, tau):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(2, 9, 9)) + 0.5
    n, repeat = 4, 3000
    # Guided: along the mean map; the others, whose mean is 0: along the picture.
    direction = gates.local_contrast(x, PatchGrid(x.shape, 3, 2)) * x
    seen = in_the_page(laboratory, x, 3, 2, tau, rule, n, DRAW, repeat, channels_last(direction), False)
    along, energy, product = np.array(seen["all"]).T

    def deviation(sample, expected):
        return abs(sample.mean() - expected) / (sample.std(ddof=1) / np.sqrt(repeat))

    def products(law):
        return law["energy"], law["energy"] * (1 - law["distance"] ** 2 / 2)

    found = products(seen["found"])
    assert deviation(along, np.dot(seen["mean"], channels_last(direction))) < 4
    assert deviation(energy, found[0]) < 4
    assert deviation(product, found[1]) < 4
    # The law of another stride is rejected.
    wrong = products(seen["wrong"])
    assert deviation(energy, wrong[0]) > 10
    if rule != "saliency":
        assert deviation(product, wrong[1]) > 10
    if rule == "guided":
        other = gates.local_contrast(x, PatchGrid(x.shape, 3, 1)) * x
        assert deviation(along, n / (2 * np.pi) * np.sum(other * direction)) > 10


@pytest.mark.parametrize("tau", [0, 2.0])
@pytest.mark.parametrize("flat", [0, 1.5])
@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_networks_with_a_pool_obey_its_law(laboratory, rule, tau, flat):
    rng = np.random.default_rng(8)
    x, n, repeat = rng.normal(size=(2, 9, 9)) + 0.5, 4, 3000
    x[:, 5:, 5:] = flat  # equal patches tie
    longer, grid = with_bias(x, 3, 1, tau)
    expected = pooled_mean_map(longer, grid, rule, n, pool=MaxPool(2))[:-1]
    seen = in_the_page(laboratory, x, 3, 1, tau, rule, n, DRAW, repeat, channels_last(expected), True)
    along = np.array(seen["all"])[:, 0]
    np.testing.assert_allclose(seen["pooled"], channels_last(expected), atol=1e-6 * np.abs(expected).max())

    def deviation(mean):
        return abs(along.mean() - np.sum(mean * expected)) / (along.std(ddof=1) / np.sqrt(repeat))

    assert deviation(expected) < 4
    # The law without a pool, and the other rule's, are rejected.
    other = {"guided": "deconvnet", "deconvnet": "guided"}[rule]
    assert deviation(law_of(longer, grid, rule, n).mean[:-1]) > 10
    assert deviation(pooled_mean_map(longer, grid, other, n, pool=MaxPool(2))[:-1]) > 4


def test_numbers_are_normal_and_the_seed_decides_them(laboratory):
    draw = "const one = simulation.normals(arguments[0]); return Array.from({length: arguments[1]}, () => one());"
    first, again, other = (np.array(laboratory.execute_script(draw, seed, 20_000)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 4 / np.sqrt(20_000)
    # Kolmogorov: 1.95/√n has probability 0.001.
    ordered = norm.cdf(np.sort(first))
    assert abs(ordered - (np.arange(20_000) + 0.5) / 20_000).max() < 1.95 / np.sqrt(20_000)


# The page


def test_it_is_one_small_file_that_asks_for_nothing(text):
    assert len(text.encode()) < 300_000
    assert "http" not in re.sub(r'http-equiv|xmlns="[^"]*"', "", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_nothing_complains_and_nothing_scrolls_sideways(browser, page, width, rule, pool):
    driver = opened(browser, page, width, f"rule={rule}&filters=8&bias=0.5&noise=0.2&pool={pool}")
    driver.execute_script("document.querySelector('details').open = true")
    inside, outside = driver.execute_script(
        "return [document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert outside <= inside <= width
    assert "8 random filters" in said(driver, "sentence")
    assert driver.get_log("browser") == []


def test_it_shows_the_laws_of_its_picture(browser, page, text):
    data = json.loads(re.search(r"const DATA = (.*);", text)[1])
    assert [one["name"] for one in data["pictures"]] == ["cat", "rocket"]
    png = base64.b64decode(data["pictures"][0]["source"].partition(",")[2])
    x = images.prepare(np.asarray(Image.open(io.BytesIO(png))), explorer.SIDE)
    driver = opened(browser, page, state="filters=16&kernel=5&stride=3")
    seen = driver.execute_script("return [...explorer.scene().x]")
    np.testing.assert_allclose(seen, channels_last(x), rtol=1e-9, atol=1e-12)
    law = law_of(x, PatchGrid(x.shape, 5, 3), "guided", 16)
    assert said(driver, "picture-law") == f"{law.expected_cosine():.3f}"
    assert said(driver, "mean-law") == f"{law.expected_cosine('mean'):.3f}"
    assert said(driver, "distance-law") == f"{law.class_distance:.3f}"
    # One map's cosine scatters by some hundredths about the law.
    assert float(said(driver, "picture-measured")) == pytest.approx(law.expected_cosine(), abs=0.2)


def test_what_is_left_of_a_map_is_noise(browser, page):
    driver = opened(browser, page, state="filters=256&kernel=5&stride=1&noise=0.3")
    maps = driver.execute_script(
        "return arguments[0].map(name => { const one = document.getElementById(`${name}-map`);"
        "return [...one.getContext('2d').getImageData(0, 0, one.width, one.height).data]; })",
        ["picture", "predicted", "simulated", "difference"],
    )
    planes = np.array(maps).reshape(4, -1, 4)[:, :, :3].reshape(4, -1)
    correlation = np.corrcoef(planes)
    assert correlation[0, 1] > 0.8
    assert correlation[1, 2] > 0.8
    assert abs(correlation[1, 3]) < 0.4  # one filter is heard at all patches: noise has patterns
    assert planes[3].std() < planes[2].std()


def address(browser):
    return browser.execute_script("return location.hash.slice(1)")


def test_the_address_holds_the_state(browser, page):
    assert address(opened(browser, page, state="")) == START
    state = "filters=8&kernel=4&stride=3&bias=1.5&noise=0.25&pool=2&picture=rocket&rule=deconvnet&seed=12"
    driver = opened(browser, page, state=state)
    assert address(driver) == state
    first = [said(driver, f"{name}-measured") for name in ("picture", "distance")]
    driver.find_element("id", "again").click()
    done(driver)
    assert address(driver) == state.replace("seed=12", "seed=13")
    assert [said(driver, f"{name}-measured") for name in ("picture", "distance")] != first
    driver.execute_script(f"location.hash = {state!r}")  # as the button "back" of a browser
    until(driver, "explorer.state().seed === 12")
    done(driver)
    assert [said(driver, f"{name}-measured") for name in ("picture", "distance")] == first


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (
            "kernel=99&stride=-4&pool=3",
            START.replace("kernel=7&stride=2", "kernel=11&stride=1"),
        ),
        ("filters=abc&rule=toString&seed=1.5", START),
        ("filters=3&bias=&noise=NaN", START.replace("filters=64", "filters=4")),
    ],
)
def test_a_link_out_of_range_is_taken_into_it(browser, page, given_, kept):
    driver = opened(browser, page, state=given_)
    assert address(driver) == kept
    assert driver.get_log("browser") == []


def test_a_link_to_a_picture_that_is_not_there_says_so(browser, page):
    driver = opened(browser, page, state="picture=<b>x</b>&filters=2")
    assert "does not hold" in said(driver, "trouble")
    assert "picture=cat" in address(driver)


def test_the_keyboard_is_enough(browser, page):
    """Every control has a name, is reached in turn, shows that it is, and answers."""
    driver = opened(browser, page)
    seen = {}
    for _ in range(13):
        webdriver.ActionChains(driver).send_keys(webdriver.Keys.TAB).perform()
        name, label, outline = driver.execute_script(
            "const one = document.activeElement; return [one.id || one.name || one.tagName,"
            "one.labels?.length ? one.labels[0].textContent : one.textContent, getComputedStyle(one).outlineStyle]"
        )
        seen[name] = (label.strip(), outline)
    wanted = {
        "rule",
        "pool",
        "filters",
        "kernel",
        "stride",
        "bias",
        "noise",
        "picture",
        "own",
        "again",
        "SUMMARY",
    }
    assert wanted <= set(seen)
    for name in wanted:
        assert seen[name][0], name
        assert seen[name][1] != "none", name
    driver.find_element("id", "filters").send_keys(webdriver.Keys.RIGHT)
    done(driver)
    assert "filters=8" in address(driver)
    assert said(driver, "filters-words") == said(driver, "drawn") == "8"


def test_more_filters_go_on_from_those_that_are_there(browser, page):
    driver = opened(browser, page, state="filters=8")
    straight = driver.execute_script("return [...explorer.net().maps[0]]")
    driver = opened(browser, page, state="filters=4")
    driver.execute_script("window.before = explorer.net()")
    driver.find_element("id", "filters").send_keys(webdriver.Keys.RIGHT)
    done(driver)
    kept, map_ = driver.execute_script(
        "return [window.before === explorer.net(), [...explorer.net().maps[0]]]"
    )
    assert kept
    assert map_ == straight


def test_a_photograph_of_the_visitor(browser, page, tmp_path):
    file = tmp_path / "<i>mine.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(file)
    driver = opened(browser, page)
    driver.find_element("id", "own").send_keys(str(file))
    until(driver, "explorer.state().picture === 'your photograph'")
    done(driver)
    assert "picture=your+photograph" in address(driver)
    assert said(driver, "trouble") == ""
    for name, content, words in (
        ("broken.png", b"no picture", "broken.png cannot be used: it is not a picture"),
        ("even.png", None, "even.png cannot be used: it has the mean colour everywhere"),
    ):
        if content is None:
            Image.new("RGB", (9, 9), (124, 117, 104)).save(tmp_path / name)
        else:
            (tmp_path / name).write_bytes(content)
        driver.find_element("id", "own").send_keys(str(tmp_path / name))
        until(driver, f"document.getElementById('trouble').textContent.startsWith({words!r})")
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_the_light_and_in_the_dark(browser, page, scheme):
    browsers.prefer(browser, scheme)
    driver = opened(browser, page)
    driver.execute_script(
        "document.querySelector('details').open = true; document.getElementById('trouble').textContent = 'x'"
    )
    pairs = driver.execute_script("""
      const channels = words => words.match(/[\\d.]+/g).map(Number), found = new Map();
      for (const one of document.body.querySelectorAll("*")) {
        const words = [...one.childNodes].some(part => part.nodeType === 3 && part.data.trim());
        if (!words || ["SCRIPT", "title"].includes(one.tagName)) continue;
        let back = one;
        while (channels(getComputedStyle(back).backgroundColor)[3] === 0) back = back.parentElement;
        const ink = getComputedStyle(one)[one instanceof SVGElement ? "fill" : "color"];
        const paper = getComputedStyle(back).backgroundColor;
        found.set(ink + paper, [channels(ink), channels(paper), one.outerHTML.slice(0, 80)]);
      }
      return [...found.values()];
    """)
    browsers.prefer(browser, None)
    assert len(pairs) > 3
    assert (np.mean(pairs[0][1]) > 128) == (scheme == "light")
    for ink, paper, where in pairs:
        assert browsers.contrast(ink[:3], paper[:3]) >= 4.5, where


# From Python


def test_the_picture_that_is_given_comes_first(tmp_path):
    rng = np.random.default_rng(1)
    file = tmp_path / "a<b>.png"
    pixels = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    text = explorer.page(file)
    assert "a<b>" not in text
    data = json.loads(re.search(r"const DATA = (.*);", text)[1])
    assert [one["name"] for one in data["pictures"]] == ["a<b>.png", "cat"]
    shown = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(data["pictures"][0]["source"].partition(",")[2])))
    )
    np.testing.assert_array_equal(shown, pixels[:, 16:112])


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    assert run(cli.app, ["explore", "rocket"]).stdout == "Written: explore.html\n"
    assert run(cli.app, ["explore", "rocket"]).stdout == "Replaced: explore.html\n"
    assert (tmp_path / "explore.html").read_text(encoding="utf-8") == explorer.page("rocket")
    shown = run(cli.app, ["explore", "--out", "a.html", "--json"]).stdout
    answer = json.loads(shown)
    assert answer.pop("run")["libraries"]
    assert answer == {"image": "cat", "files": ["a.html"]}
    assert run(cli.app, ["explore", "--out", "b.html", "--quiet"]).stdout == ""
    refused = run(cli.app, ["explore", "no such.png", "--out", "c.html"])
    assert refused.exit_code == 2
    assert not (tmp_path / "c.html").exists()
    # The place is tried before the picture is read.
    assert "no folder" in run(cli.app, ["explore", "no such.png", "--out", "no/d.html"]).stderr
