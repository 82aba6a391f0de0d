"""The null of an audited network: what its intervals cover, its law and its samples, σ-maps, and what has no law."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from strategies import seeds

import theorylab as tl
from theorylab import _random, auditing, measures
from theorylab.auditing import NetworkAttribution, SmoothedAttribution, _null
from theorylab.methods._gradients import noisy_copies
from theorylab.model.specs import ConvSpec, Dense
from theorylab.networks.from_stack import from_stack

SHAPE = (1, 12, 12)
WIDE = tl.Stack(SHAPE, (ConvSpec(256, 5, stride=2),), tl.ReLU(), tl.Gaussian(1.0), 2)
DEEP = tl.Stack(SHAPE, (ConvSpec(8, 3, padding=1), ConvSpec(8, 3), Dense(16)), tl.ReLU(), tl.Gaussian(1.0), 2)


def net(stack, seed):
    return from_stack(stack, seed=seed, dtype=np.float64)


def null(attribute, networks=4, seed=0, count=1):
    pictures = np.random.default_rng(1).normal(0.3, 1.0, (count, *SHAPE))
    return _null.null_of(attribute, pictures, [0, 1], networks, np.random.SeedSequence(seed))


class Rolled(NetworkAttribution):
    """The maps of the audited network are moved; those of others stay."""

    def many(self, x, targets):
        return np.roll(super().many(x, targets), 5, axis=-1)

    def _with(self, net):
        return NetworkAttribution(net, self.rule)


@pytest.mark.parametrize(("stack", "rule", "law"), [(WIDE, "guided", "exact"), (DEEP, "saliency", "")])
def test_intervals_cover_networks_that_know_nothing(stack, rule, law, monkeypatch):
    if not law:
        monkeypatch.setattr(_null, "law_of", refused)
    trials, names = 60, ("share", "MPRT cosine", "random logit rank_correlation", "eMPRT")
    found = [null(NetworkAttribution(net(stack, seed), rule), seed=seed) for seed in range(trials)]
    assert {one.law for one in found} == {law}
    assert sum(one.along == ("mean" if law else "strength") for one in found) > 0.9 * trials
    for name in names:
        within = sum(one.numbers[name].where == "within" for one in found)
        assert found[0].numbers[name].level == 3 / 5
        # The rank among five is uniform, whatever the distribution: neither too narrow nor too wide.
        assert stats.binomtest(within, trials, 3 / 5).pvalue > 1e-3, (name, within)


def refused(attribute, x):
    raise tl.NoLaw(layer="what the test leaves out")


def test_a_map_that_is_no_null_falls_outside(classifier):
    rolled = [null(Rolled(net(WIDE, seed), "guided"), 19, seed).numbers["share"] for seed in range(3)]
    assert {one.where for one in rolled} == {"less"}
    crops = tl.training.crops("test", 4, seed=5)[0].astype(np.float64)
    for network, where in ((classifier.network, "less"), (classifier.random(1), "within")):
        report = tl.audit(NetworkAttribution(network, "deconvnet"), crops, [0, 1], randomize=False, null=19)
        logits = report.null.numbers["random logit cosine"]
        assert (logits.where, logits.networks, logits.level) == (where, 19, 0.9)
        assert report.null.law == "limit"


@pytest.mark.parametrize("rule", ["guided", "saliency"])
def test_the_law_is_that_of_the_samples(rule, monkeypatch):
    networks = 200
    attribute = NetworkAttribution(net(WIDE, 3), rule)
    law = null(attribute, 2)
    monkeypatch.setattr(_null, "law_of", refused)
    monkeypatch.setattr(_null, "_numbers", lambda *maps: {"share": 1.0})
    sampled = null(attribute, networks)
    assert sampled.law == ""
    assert "sampled, no law at what the test leaves out" in str(sampled)
    seen = law.standard_deviation > 0
    assert seen.any()
    for scale, fits in ((1.0, True), (2.0, False)):
        error = scale * law.standard_deviation[seen] / math.sqrt(networks)
        energy = (sampled.standard_deviation**2).sum() / (scale * law.standard_deviation**2).sum()
        assert (abs(energy - 1) < 4 * math.sqrt(2 / networks)) == fits
        near = (np.abs(sampled.mean[seen] - scale * law.mean[seen]) < 5 * error).all()
        assert near == (fits or rule == "saliency")


@given(seeds)
def test_sigma_maps(seed):
    rng = np.random.default_rng(seed)
    mean, deviation, noise = rng.normal(size=SHAPE), rng.exponential(size=SHAPE), rng.normal(size=SHAPE)
    deviation[0, 0] = 0
    map_ = mean + deviation * noise
    assert_allclose(_null.sigma_map(map_, mean, deviation)[0, 1:], noise[0, 1:], rtol=1e-6, atol=1e-9)
    assert_array_equal(_null.sigma_map(map_, mean, deviation)[0, 0], 0.0)
    assert np.isposinf(_null.sigma_map(mean + 1, mean, deviation)[0, 0]).all()
    assert_array_equal(_null.sigma_map(np.zeros(SHAPE), mean, deviation), 0.0)


def test_zero_maps_have_no_share():
    class Zero(NetworkAttribution):
        def many(self, x, targets):
            return 0 * super().many(x, targets)

        _with = Rolled._with

    found = null(Zero(net(WIDE, 0), "guided"))
    assert found.numbers["share"].where == "unknown"
    assert str(found).endswith("its maps or the audited ones are zero")
    assert not found.sigma_map.any()
    assert found.mean.any()


# --- PyTorch


def module(table=False):
    import torch
    from torch import nn

    torch.manual_seed(0)

    class Custom(nn.Sequential):
        """With a table of its own, which is in no layer."""

        def forward(self, x):
            return super().forward(x) @ self.table if hasattr(self, "table") else super().forward(x)

    built = Custom(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(600, 2))
    if table:
        built.table = nn.Parameter(torch.empty(2, 2))
    for part in built.modules():
        for name, value in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
            if name != "num_batches_tracked":
                value.data = torch.rand_like(value) + 0.5
    return built.double().eval()


def test_modules_know_nothing_at_the_same_scale():
    own = module(table=True)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    attribute = auditing.ModuleAttribution(own, "guided")
    drawn = _null.unknowing(attribute, 1).module.state_dict()
    for name, value in own.state_dict().items():
        assert bool((value == before[name]).all())
        if name.endswith(("bias", "running_mean")):
            assert not drawn[name].any()
        elif value.ndim > 1:
            assert not bool((value == drawn[name]).any())
            if len(value.ravel()) > 50:
                assert_allclose(float(drawn[name].square().mean() / value.square().mean()), 1, rtol=0.6)
                assert abs(float(drawn[name].mean())) < 0.5 * float(value.mean())
        else:
            assert bool((value == drawn[name]).all())


def test_a_module_and_the_network_read_from_it_have_one_law():
    own = module()
    network = tl.torch_bridge.from_torch(own, SHAPE)
    read = NetworkAttribution(network, "guided")
    found = [null(one, 2) for one in (auditing.ModuleAttribution(own, "guided"), read)]
    assert {one.law for one in found} == {"exact"}
    assert_allclose(found[0].mean, found[1].mean)
    assert_allclose(found[0].sigma_map, found[1].sigma_map)
    drawn = _null.unknowing(read, 0).net.parameters
    assert not any(value.any() for name, value in drawn.items() if name.endswith("bias"))


def test_what_has_no_law_is_named():
    import captum.attr
    from torch import nn

    above = nn.Conv2d(6, 6, 1), nn.ReLU(), nn.Flatten(), nn.Linear(96, 2)
    layers = nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(7, 1), *above
    pooled, looked_at = nn.Sequential(*layers).double().eval(), auditing.CaptumAttribution
    network = net(WIDE, 0)
    for attribute, named in (
        (
            auditing.ModuleAttribution(pooled, "guided"),
            "where a unit depends on 169 positions, more than 121",
        ),
        (looked_at(captum.attr.Saliency, module()), "CaptumAttribution, whose maps are not this package's"),
        (auditing.MethodAttribution(network, "guided-grad-cam"), "'guided-grad-cam'"),
        (auditing.MethodAttribution(network, "integrated-gradients", steps=3), "its options steps"),
    ):
        found = null(attribute, 2)
        assert (found.law, named in found.why) == ("", True), found.why
    assert null(auditing.MethodAttribution(network, "input-x-gradient"), 2).law == "exact"
    assert null(lambda x, target: x) is None


# --- the report


def test_the_null_in_a_report(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, *SHAPE))
    attribute = NetworkAttribution(net(WIDE, 0), "guided")
    assert tl.audit(attribute, x, [0, 1], randomize=False).null is None
    with pytest.raises(ValueError, match="null: expected 0, or two networks or more, got 1"):
        tl.audit(attribute, x, [0, 1], null=1)
    steps = []
    note = lambda *words: steps.append(words)  # noqa: E731
    report = tl.audit(attribute, x, [0, 1], randomize=False, null=3, progress=note)
    assert steps[-1] == ("networks that know nothing", 4, 4)
    verdict, sentence = str(report).splitlines()
    assert sentence.startswith("null, its own network with random weights: the null's mean map explains ")
    assert "by law, exact" in sentence
    assert verdict.startswith("NetworkAttribution: undecided")
    content = json.loads(report.save(tmp_path)[1].read_text())["null"]
    assert content["sentence"] == sentence
    share = content["numbers"]["share"]
    assert (share["value"], share["level"]) == (report.null.numbers["share"].value, 0.5)
    assert "mean" not in content
    header, rows = report.rows()
    assert {len(row) for row in rows} == {len(header)}
    assert rows[-1][-1].startswith("random ")


# --- Means over noise


@pytest.mark.parametrize("rule", ["saliency", "guided"])
def test_a_smoothed_rule_is_smoothgrad_and_has_its_law(rule):
    wide, noise = net(WIDE, 0), {"noise": 0.2, "draws": 3}
    smoothed = SmoothedAttribution(NetworkAttribution(wide, rule), seed=4, **noise)
    x = np.random.default_rng(2).normal(0.3, 1.0, SHAPE)
    alone = auditing.MethodAttribution(wide, "smoothgrad", seed=4, rule=rule, **noise)
    assert_allclose(smoothed(x, 1), alone(x, 1), rtol=1e-10, atol=1e-14)
    assert_array_equal(smoothed.many(x, [0, 1])[1], smoothed(x, 1))
    try:
        expected = tl.law(WIDE, x, "smoothgrad", options={**noise, "rule": rule})
        expected.variance  # noqa: B018 - the mean alone is known of some
    except tl.NoLaw:
        expected = None
    found = null(smoothed)
    assert (found.law == "") == (expected is None)


def test_smooth_mprt_is_that_of_means_over_noise():
    wide = net(WIDE, 0)
    x = np.random.default_rng(1).normal(0.3, 1.0, SHAPE)  # the null's own
    plain = NetworkAttribution(wide, "guided")
    smooth = null(SmoothedAttribution(plain, noise=0.3, draws=20)).numbers["MPRT cosine"].value
    stream = np.random.default_rng(_random.child(np.random.SeedSequence(0), _null._KEY, 0))
    other = _null.unknowing(plain, stream)
    copies = list(noisy_copies(x, 0.3, 20, 0))
    means = [np.mean([one(copy, 0) for copy in copies], axis=0) for one in (plain, other)]
    assert smooth == pytest.approx(measures.cosine(*means), rel=1e-9)


def test_smoothed_modules_keep_their_network():
    own = module()
    smoothed = SmoothedAttribution(auditing.ModuleAttribution(own, "guided"), draws=2, seed=1)
    x = np.random.default_rng(0).normal(size=SHAPE)
    assert_allclose(
        smoothed(x, 0), np.mean([smoothed.attribute(copy, 0) for copy in noisy_copies(x, 0.15, 2, 1)], axis=0)
    )
    assert smoothed.layers == smoothed.attribute.layers
    assert not np.array_equal(smoothed.randomized(smoothed.layers[-1:], 0)(x, 0), smoothed(x, 0))
    report = tl.audit(smoothed, [x], [0, 1], null=2)
    assert report.null is not None
    assert report.name == "smoothed ModuleAttribution"


@pytest.mark.parametrize("other", [len, None, SmoothedAttribution])
def test_what_knows_no_network_is_not_smoothed(other):
    with pytest.raises(TypeError, match="attribute: expected"):
        SmoothedAttribution(other)


def test_bad_noise_is_named_at_once():
    plain = NetworkAttribution(net(WIDE, 0), "guided")
    with pytest.raises(ValueError, match="noise: expected at least 0, got -1"):
        SmoothedAttribution(plain, noise=-1.0)
    with pytest.raises(ValueError, match="draws"):
        SmoothedAttribution(plain, draws=0)
