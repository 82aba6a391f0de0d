"""Every parameter of every public function and class, fed with what it is not: it works, or one line names the parameter."""

import dataclasses
import importlib
import inspect
import math
import re
import tempfile
import types
from pathlib import Path

import captum.attr
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

import theorylab as tl
from theorylab import _validation, montecarlo, subjects
from theorylab.auditing import Estimate
from theorylab.convergence import Design
from theorylab.convergence.predictions import Law
from theorylab.model.rules import Rule
from theorylab.montecarlo.pictures import Files


def public():
    """Name every function and class in the ``__all__`` of the package and of its public modules."""
    found = {}
    for name in (*tl.__all__, "subjects", "photographs"):
        value = importlib.import_module(f"theorylab.{name}") if name not in tl.__all__ else getattr(tl, name)
        if isinstance(value, types.ModuleType):
            parts = vars(value)
            inside = [
                key
                for key in parts
                if getattr(parts[key], "__module__", "") == value.__name__ and key[0] != "_"
            ]
            found |= {f"{name}.{key}": getattr(value, key, None) for key in getattr(value, "__all__", inside)}
        else:
            found[name] = value
    for name, value in list(found.items()):
        if isinstance(value, types.ModuleType):
            found |= {
                f"{name}.{key}": part
                for key, part in vars(value).items()
                if getattr(part, "__module__", "") == value.__name__ and key[0] != "_"
            }
    callables = {
        name: value
        for name, value in found.items()
        if callable(value) and not isinstance(value, types.GenericAlias)
    }
    none = (
        "montecarlo.Simulation",
        "montecarlo.Undetermined",
    )  # a type, and an error without parameters of its own
    return {name: value for name, value in callables.items() if name not in none}


PUBLIC = public()
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 8, 8))
GRID = tl.PatchGrid(X.shape, 3)
MODULE = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)).double().eval()
CLASSIFIER = tl.training.small_classifier().network
NET = tl.networks.three_layer_cnn(GRID, 2, 3)
FOLDER = tempfile.TemporaryDirectory()
SOURCE = f"{FOLDER.name}/weights.npz"
np.savez(SOURCE, **CLASSIFIER.parameters)
Image.fromarray(np.eye(9, dtype=np.uint8)).save(f"{FOLDER.name}/picture.png")
DESIGN = Design.of(X, n_filters=[2], kernel=3, replicates=2, block=2, rules=["guided"])
POINT, GUIDED = DESIGN.points[0], Rule.GUIDED
ESTIMATE = Estimate.of(RNG.normal(size=4))
REPORT = tl.audit(lambda x, target: x, X, [0, 1])
COMPARED = tl.auditing.Compared.of(0.3, [0.1, 0.2])
NULL = tl.auditing.Null("exact", "", "mean", 1, {"share": COMPARED}, X, X, X)
CHECKED = tl.check(lambda module, x, target: x)
STATISTICS = montecarlo.Statistics.of({"a": RNG.normal(size=4)})
FIGURE = tl.figures.FinishedFigure("4", "A caption.", Figure((1, 1)), {})


def measure(rng, size):
    return montecarlo.measurement({"a": rng.normal(size=size)})


def fields(value):
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}


GOOD = {
    "output": "numpy",
    "begin": 0,
    "nodes_at": tl.training.small_nodes,
    "accuracy": 0.5,
    "array": np.eye(3),
    "attribute": lambda x, target: x,
    "block": 2,
    "bias": tl.Gaussian(0.3),
    "bias_std": 0.1,
    "biases": tl.Uniform(0.3),
    "blocks": (1, 1),
    "branch": [tl.ConvSpec(3, 1)],
    "ceil_mode": True,
    "classes": ("a", "b"),
    "configuration": {"seed": 0},
    "branch_scale": 1.0,
    "correlation": np.eye(3),
    "cosine": 0.5,
    "count": 4,
    "cutoff": 2.0,
    "degrees": 5,
    "dense_bias": 0.5,
    "depth": 2,
    "design": DESIGN,
    "draws": 2,
    "error": 0.1,
    "estimate": 0.2,
    "except_for": "filters",
    "expected": 0.1,
    "family": 0.05,
    "filter_law": tl.Gaussian(0.5),
    "filter_std": 0.5,
    "filters": RNG.normal(size=(2, 3, 3, 3)),
    "finished": FIGURE,
    "first": X,
    "folder": "no-such-folder-of-results",
    "gap": np.ones(3),
    "gate": True,
    "gradient": lambda x, target: x,
    "grid": GRID,
    "h": np.abs,
    "half_width": 0.5,
    "hidden_bias": 0.5,
    "image": X,
    "init": "law",
    "input_norm": 2.0,
    "input_shape": (3, 32, 32),
    "jobs": 1,
    "kernel": 3,
    "law": tl.Gaussian(0.5),
    "layers": [tl.ConvSpec(2, 3), tl.MaxPool(2)],
    "level": 0.05,
    "maps": X,
    "mean": 0.2,
    "null": 0,
    "memory_limit": 10**6,
    "method": type("Method", (), {}),
    "module": MODULE,
    "n": 3,
    "n_checks": 3,
    "n_filters": 2,
    "n_hidden": 4,
    "n_logits": 3,
    "n_readouts": 1,
    "n_units": 2,
    "name": "guided",
    "net": NET,
    "network": NET,
    "nodes": NET.nodes,
    "noise": 0.1,
    "numbers": {"a": np.ones(3)},
    "order": 2,
    "other": np.array([1.0, 2.0, 0.0]),
    "over": "kernel",
    "padding": 1,
    "parameters": dict(NET.parameters),
    "patch_size": 9,
    "picture": "cat",
    "plane": 2,
    "points": 64,
    "pool": tl.MaxPool(2),
    "power": 0.9,
    "preset": "authors",
    "fit": "crop",
    "random_up_to": "filters",
    "randomize": False,
    "readout": tl.Gaussian(0.5),
    "readout_law": tl.Gaussian(0.5),
    "readout_std": 0.5,
    "replicates": 2,
    "rgb": 255 * RNG.random((9, 9, 3)),
    "row_shape": (2, 2),
    "rule": "guided",
    "rules": ["guided"],
    "saved": {},
    "scale": 0.5,
    "second": -X,
    "seed": 1,
    "sequence": np.random.SeedSequence(0),
    "settings": tl.figures.Settings(),
    "shortcut": tl.ConvSpec(3, 1),
    "simulate": measure,
    "size": 2,
    "slope": 0.1,
    "source": SOURCE,
    "span": (0.0, 1.0),
    "split": "test",
    "stack": tl.models.three_layer(GRID, 2),
    "standard_error": 0.1,
    "statistics": STATISTICS,
    "std": 0.5,
    "stds": 0.5,
    "stride": 2,
    "studies": [montecarlo.Study("a", measure, 2, 2, 0)],
    "target": 0,
    "targets": [0, 1],
    "title": "Title",
    "total": np.full(3, 1.5),
    "unit": tl.LeakyReLU(0.1),
    "unit_mean": X,
    "up_to": "filters",
    "weights": tl.Gaussian(0.5),
    "width": 4,
    "widths": [4, 3],
    "x": X,
    "xs": X[None],
    "y": np.array([1.0, 0.0, 2.0]),
    "confidence": 0.9,
    "address": "tcp://127.0.0.1:1",
    "timeout": 1.0,
    "path": "cat",
    "instead": "draw",
    "layer": "a layer",
    "dtype": np.float64,
    "device": "cpu",
    "digest": "0",
    "shape": (3, 8, 8),
    "precision": 0.5,
    "checkpoints": None,
    "executor": None,
    "files": Files("photos", (f"{FOLDER.name}/picture.png",), lambda path: tl.images.load(path, 9)),
    "kept": None,
    "crops": None,
    "decides": False,
    "preprocess": None,
    "factor": 2.0,
    "function": lambda means: means["a"],
    "groups": 1,
    "index": 0,
    "indices": np.array([0, 1]),
    "label": "a label",
    "logit": 0,
    "measured": measure(RNG, 2),
    "point": POINT,
    "rng": np.random.default_rng(0),
    "side": 32,
    "study": "a",
    "tasks": [],
    "threshold": 0.5,
    "values": RNG.normal(size=4),
    "number": 1,
    "trained": CLASSIFIER,
    "trained_dense": True,
    "pictures": None,
    "scheduler": None,
    "out": None,
    "warn": print,
    "notify": print,
    "progress": lambda label, done, total=1: None,
    "stop": lambda measured: False,
}
"""A value that works, by the name of a parameter."""

SUBJECT = subjects.small()
VGG = f"{FOLDER.name}/vgg.npz"
BIG = np.ones((3, 32, 32))
TRACE = CLASSIFIER.forward(BIG)
LOGITS = np.eye(CLASSIFIER.n_logits)
TWO_RULES = {"trace": TRACE, "logit_gradients": LOGITS[:2], "rules": ["guided"]}
THREE = {"trace": NET.forward(X), "logit_gradients": np.eye(3), "rules": ["guided"]}

OWN = {
    "subjects.Subject": fields(SUBJECT),
    "check": {"attribute": lambda module, x, target: x},
    "checking.check": {"attribute": lambda module, x, target: x},
    "checking.CheckReport": fields(CHECKED),
    "checking.OnNetwork": fields(CHECKED.networks[0]),
    "subjects.best": {"source": "small"},
    "subjects.given": {"model": None},
    "NetworkAttribution.backward_cosines": {"x": BIG, "first": 0, "second": 1},
    "NetworkAttribution.expected_distance": {"x": BIG},
    "NetworkAttribution.many": {"x": BIG},
    "NetworkAttribution.randomized": {"layers": ["fc1"][:0]},
    "MethodAttribution.randomized": {"layers": ["fc1"][:0]},
    "Method.check_options": {"names": []},
    "ModuleAttribution.randomized": {"layers": ["0"]},
    "CaptumAttribution.randomized": {"layers": ["0"]},
    "auditing.SmoothedAttribution": {"attribute": tl.auditing.NetworkAttribution(CLASSIFIER, "guided")},
    "SmoothedAttribution.many": {"x": BIG, "targets": [0, 1]},
    "SmoothedAttribution.randomized": {"layers": ["fc1"][:0]},
    "torch_bridge.to_torch": {"net": CLASSIFIER},
    "CheckpointFolder.load": {"block": 0},
    "CheckpointFolder.path": {"block": 0},
    "CheckpointFolder.save": {"block": 0},
    "Study.task": {"block": 0},
    "DaskExecutor.run": {"keep": False},
    "JoblibExecutor.run": {"keep": False},
    "DenseSampler.draw": {"rules": [GUIDED]},
    "GraphSampler.draw": {"rules": [GUIDED]},
    "MapSampler.draw": {"rules": [GUIDED]},
    "TiledSampler.draw": {"rules": [GUIDED], "n_logits": None},
    "Subject.prepared": {"rgb": X},
    "Subject.trains": {"layers": ["dense"]},
    "subjects.column": {"values": (1, 2, 3)},
    "subjects.of_module": {"side": 8},
    "subjects.vgg16": {"source": VGG, "side": 32},
    "photographs.crop": {"name": "cat", "side": 8},
    "PatchGrid.fold": {"patches": np.ones((36, 27))},
    "Rule.backward": {"gradient": X, "pre_activation": X},
    "Rule.h": {"gradient": X},
    "Statistics.estimate": {"function": lambda means: means["a"]},
    "Statistics.merge": {"other": STATISTICS},
    "Statistics.of": {"observations": {"a": RNG.normal(size=4)}},
    "Measurement.estimate": {"function": "a"},
    "Measurement.merge": {"other": measure(RNG, 4)},
    "ArrayMoments.add": {"observation": np.ones((3, 8, 8))},
    "ArrayMoments.merge": {"other": montecarlo.ArrayMoments.of(np.stack([X, -X]))},
    "ArrayMoments.of": {"observations": X},
    "GraphNetwork.forward": {"x": BIG, "keep": ["filters"][:0]},
    "GraphNetwork.logits": {"x": BIG},
    "GraphNetwork.backward": TWO_RULES,
    "GraphNetwork.backward_scaled": TWO_RULES,
    "GraphNetwork.layer_gradients": TWO_RULES | {"names": [CLASSIFIER.nodes[1].name]},
    "ThreeLayerNetwork.forward": {"keep": []},
    "ThreeLayerNetwork.backward": THREE,
    "ThreeLayerNetwork.backward_scaled": THREE,
    "ThreeLayerNetwork.layer_gradients": THREE | {"names": ["filters"]},
    "Subject.partly": {"layers": [next(iter(SUBJECT.layers()))]},
    "Subject.picture": {"image": "cat"},
    "Subject.read": {"image": "cat"},
    "Subject.pulled_back": {"gradient": X},
    "Settings.steps": {"label": "steps", "total": 2},
    "Design.check": {"x": X},
    "stats.sample_distances": {"first": np.array([0.0, 2.0]), "second": np.array([1.0, 3.0, 4.0])},
    "analytic.depth_maps": {"layers": [tl.ConvSpec(2, 3)]},
    "analytic.expected_cosine": {"target": "mean"},
    "analytic.local_contrast": {},
    "display.to_rgb": {},
    "methods.attribute": {"method": "rectgrad"},
    "methods.method": {"name": "rectgrad"},
    "Constant": {"value": 0.4},
    "methods.Method": {"value": "mine", "run": lambda asked: asked.x},
    "methods.NoRule": {"method": "rectgrad", "node": NET.nodes[0]},
    "estimates.pooled_expected_cosine": {"target": "input"},
    "figures.Settings": {"image": "cat", "weights": "small", "size": 32},
    "images.load": {"size": 8},
    "images.pixels": {"path": f"{FOLDER.name}/picture.png"},
    "images.in_folder": {"folder": FOLDER.name},
    "Subject.mapped": {"folder": f"{FOLDER.name}/parameters"},
    "figures.save": {"folder": f"{FOLDER.name}/figures"},
    "montecarlo.CheckpointFolder": {"folder": f"{FOLDER.name}/blocks"},
    "weights.load": {"net": CLASSIFIER},
    "images.prepare": {"size": 8},
    "law": {"options": {}},
    "convergence.Convergence": {"points": (), "curves": ()},
    "convergence.Comparison": {"measured": 0.1, "low": 0.0, "high": 0.2, "law": Law()},
    "convergence.Design": fields(DESIGN),
    "convergence.Point": {"depth": 1, "pool": 1},
    "convergence.PointResult": {"point": POINT, "precise": True, "rules": {GUIDED: {}}},
    "auditing.AuditReport": fields(REPORT),
    "auditing.MethodAttribution": {"method": "rectgrad"},
    "auditing.Compared": fields(COMPARED),
    "auditing.Estimate": fields(ESTIMATE),
    "auditing.Null": fields(NULL),
    "Compared.of": {"value": 0.3, "drawn": [0.1, 0.2]},
    "auditing.Measured": fields(REPORT.measured),
    "auditing.Randomized": {
        "layer": "a",
        "cascading": True,
        "similarity": ESTIMATE,
        "rank_correlation": ESTIMATE,
        "cosine": ESTIMATE,
    },
    "auditing.Verdict": fields(REPORT.verdict),
    "montecarlo.ArrayMoments": {"mean": X, "deviations": X},
    "montecarlo.Measurement": {"maps": {}, "share": 1.0},
    "montecarlo.Statistics": fields(STATISTICS),
    "montecarlo.measurement": {"maps": {}},
    "figures.FinishedFigure": fields(FIGURE),
    "figures.make": {"name": "4"},
    "Gaussian.sample": {"shape": (2, 3)},
    "MaxPool.output_shape": {"plane": (4, 4)},
    "MaxPool.whole": {"plane": (4, 4)},
    "MaxPool.windows": {"plane": (4, 4)},
    "law.expected_cosine": {"target": "mean"},
    "networks.GraphTrace": {"readout": np.ones(3), "activations": {}},
    "networks.ThreeLayerNetwork": {"readout": RNG.normal(size=(3, 2, 6, 6))},
    "NoLaw": {"rule": GUIDED, "unit": tl.ReLU()},
    "rules.define": {"name": "test-arguments", "h": "relu"},
    "training.crops": {"n": 2},
    "torch_bridge.from_torch": {"input_shape": X.shape},
    "torch_bridge.stack_of": {"input_shape": X.shape, "init": "kaiming"},
    "models.vgg16": {"readout": 0.5},
    "figures.files_of": {"folder": Path("x")},
    "analytic.pooled_variance_map": {"rule": "saliency"},
    "analytic.pooled_patch_variance": {"rule": "saliency"},
    "networks.GraphNetwork": {"nodes": CLASSIFIER.nodes, "parameters": CLASSIFIER.parameters},
}

# What a message may say in the place of the parameter's name, each with the reason.
SYNONYMS = {
    "Rule.name": ("rule",),  # the name of a rule is what a rule is
    "method.name": ("method",),  # and that of a method what a method is
    "make.name": ("figure",),  # the name of a figure is what a figure is
    "rules": ("rule",),  # one of them is unknown
    "targets": ("target", "attribute"),  # one of them is unknown; or the network does not have so many
    "display.*": ("map",),  # all of its functions take one or more maps
    "side": ("size",),  # the word of the command line
    "crop.name": ("photograph",),  # its name is what a photograph is
    "backward.gradient": ("pre_activation",),  # the two shapes differ
    "path": ("image",),  # of a picture: the word for files of pictures, wherever they come from
    "source": ("weights",),  # the word for files of weights
}

NOT_CALLED = {
    "figures.make": "draws for seconds",
    "subjects.vgg16": "reads gigabytes",
    "CheckpointFolder.save": "wants the folder to be locked",
}
NO_OBJECT = ("NoLaw",)
MADE = {
    "PatchGrid": GRID,
    "networks.GraphNetwork": CLASSIFIER,
    "networks.ThreeLayerNetwork": NET,
    "networks.GraphTrace": TRACE,
    "training.Classifier": tl.training.small_classifier(),
    "subjects.Subject": SUBJECT,
    "auditing.AuditReport": REPORT,
    "auditing.NetworkAttribution": tl.auditing.NetworkAttribution(CLASSIFIER, "guided"),
    "auditing.ModuleAttribution": tl.auditing.ModuleAttribution(MODULE, "guided"),
    "auditing.CaptumAttribution": tl.auditing.CaptumAttribution(captum.attr.Saliency, MODULE),
    "montecarlo.ArrayMoments": montecarlo.ArrayMoments.of(np.stack([X, X])),
}

WRONG = {
    "None": None,
    "a string": "no such thing",
    "a float": 0.1,
    "an int": 2,
    "a list": [[1, 2], [3]],
    "a dict": {"a": 1},
    "an object": object(),
    "NaN": math.nan,
    "five dimensions": np.ones((1, 1, 1, 1, 2)),
    "a scalar array": np.array(1.5),
    "True": True,
    "complex": np.ones((3, 8, 8)) * 1j,
    "masked": np.ma.masked_less(X, 0),
    "a tensor with gradient": torch.ones(3, 8, 8, requires_grad=True),
    "NaN in an array": np.where(X > 1, np.nan, X),
    "a class": tl.Gaussian,
}


LIGHT = ("input_shape", "n_logits", "n_hidden", "blocks", "width", "readout", "progress")
"""Optional ones that are always given, because the default takes long or hides what is refused."""


def good(name):
    """Make the arguments that `name` is called with: all that it requires, and what `OWN` adds."""
    parameters = inspect.signature(PUBLIC[name]).parameters.values()
    own = OWN.get(name, {})
    return {
        one.name: own.get(one.name, GOOD.get(one.name))
        for one in parameters
        if one.name in own
        or (one.default is one.empty and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL))
        or one.name in LIGHT
    }


def methods():
    """Every public method with parameters, bound to an object of its class, by the names of class and method."""
    found = {
        "law.expected_cosine": tl.law(tl.models.three_layer(GRID, 2), X, "guided").expected_cosine,
        "Design.of": Design.of,
    }
    for name, owner in list(PUBLIC.items()):
        if not inspect.isclass(owner) or issubclass(owner, BaseException) or name in NO_OBJECT:
            continue
        one = MADE.get(name) or owner(**good(name))
        for key in dir(one):
            method = (
                None
                if key.startswith("_") or key in getattr(one, "__dict__", ())
                else getattr(owner, key, None)
            )
            if callable(method) and inspect.signature(getattr(one, key)).parameters:
                found.setdefault(f"{owner.__name__}.{key}", getattr(one, key))
    return found


PUBLIC |= methods()


def named_in(message, name, parameter):
    keys = (parameter, f"{name.rpartition('.')[2]}.{parameter}", f"{name.partition('.')[0]}.*")
    words = [parameter, *(word for key in keys for word in SYNONYMS.get(key, ()))]
    return any(re.search(rf"(?<![A-Za-z_]){re.escape(word)}(?![A-Za-z_])", message) for word in words)


def faults(name):
    """Call `name` with each parameter in turn made wrong; yield what is not answered as it should be."""
    known = good(name)
    for parameter in inspect.signature(PUBLIC[name]).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        for what, value in WRONG.items():
            if (callable(value) and callable(GOOD.get(parameter.name))) or (parameter.name, what) == (
                "jobs",
                "an int",
            ):
                continue  # a class can be called, and processes take long to start
            try:
                PUBLIC[name](**known | {parameter.name: value})
            except (TypeError, ValueError, tl.NoLaw, ModuleNotFoundError, OSError) as error:
                if "\n" in str(error) or not named_in(str(error), name, parameter.name):
                    yield f"{parameter.name} = {what}: {type(error).__name__}: {error}"
            except Exception as error:
                yield f"{parameter.name} = {what}: {type(error).__name__}: {error}"


def test_every_parameter_has_a_value_that_works():
    for name, function in PUBLIC.items():
        for parameter in inspect.signature(function).parameters.values():
            assert (
                parameter.name in GOOD
                or parameter.name in OWN.get(name, {})
                or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            ), (name, parameter.name)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """What is saved by a name without a folder must not lie in the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in NOT_CALLED])
def test_good_arguments_work(name):
    PUBLIC[name](**good(name))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", [name for name in PUBLIC if name not in ("subjects.vgg16", "CheckpointFolder.save")]
)
def test_wrong_arguments_are_one_line_that_names_them(name):
    assert not list(faults(name))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        *(
            (
                lambda shape=shape: tl.measures.similarity(np.ones(shape), np.ones(shape)),
                "first, second: expected maps .* 7",
            )
            for shape in [
                (1, 5, 5),
                (1, 6, 6),
                (3, 6, 90),
                (90, 6),
                (7, 7),
                (1, 0, 6),
                (0, 8, 8),
                (1, 1, 8, 8),
            ]
        ),
        *(
            (lambda shape=shape, f=f: f(np.ones(shape)), f"map: expected .*{re.escape(str(shape))}")
            for shape in [(1, 0, 6), (3, 6, 0), (0, 6, 6), (2, 0, 4, 4)]
            for f in (tl.display.unit_norm, tl.display.min_max, tl.display.to_rgb, tl.display.shades)
        ),
        *(
            (
                lambda counts=counts: tl.draw(
                    tl.models.three_layer(GRID, 2), X, "guided", **{"size": 1} | counts
                ),
                "size, n_readouts: expected maps that fit in memory",
            )
            for counts in [
                {"size": 10**30},
                {"n_readouts": 10**30},
                {"size": 10**17},
                {"size": 10**9, "n_readouts": 10**9},
            ]
        ),
        (lambda: tl.analytic.mean_map(X, GRID, "guided", 2, law=0.1), "law: expected a WeightLaw, got float"),
        (
            lambda: tl.analytic.mean_map(X, GRID, "guided", 2, pool=2),
            "pool: expected a MaxPool or None, got int",
        ),
        (lambda: tl.networks.three_layer_cnn(GRID, law="x"), "law: expected a WeightLaw, got str"),
        (
            lambda: tl.networks.three_layer_cnn(GRID, law=tl.Gaussian),
            "law: expected a WeightLaw, got the class Gaussian",
        ),
        (
            lambda: tl.analytic.depth_profile([4, "3"], "guided"),
            "widths: expected a sequence .*, got list of int, str",
        ),
        (lambda: tl.weights.load(NET, SOURCE), "net: its weights are read row by row"),
        (lambda: tl.visualize_many(NET, X, "guided", [0]), "rules: expected a sequence .*, got str"),
        (
            lambda: tl.analytic.expected_cosine(X, GRID, "guided", 10**400),
            "n_filters: expected a number within",
        ),
        (
            lambda: tl.draw(tl.models.three_layer(GRID, 2), X, "guided", size=1, dtype="float16"),
            "dtype: expected float32 or float64, got 'float16'",
        ),
        (
            lambda: tl.draw(tl.models.three_layer(GRID, 2), X, "guided", size=1, dtype=np.dtype(">f4")),
            "dtype: expected float32 or float64, got dtype.'>f4'",
        ),
        (lambda: tl.audit(identity, X, "abc"), "targets: expected several classes .* integers, got 'abc'"),
        (lambda: tl.audit(identity, X, [0, 0.5]), "targets: expected classes .* integers, got 0.5"),
        (lambda: tl.training.small_classifier().at((1, 99, 99)), "input_shape: .* 3 channels, got 1"),
        (
            lambda: tl.rules.define("broken", h=lambda r: 1 / 0, gate=True),
            "h: ZeroDivisionError for an array",
        ),
    ],
)
def test_what_is_said(call, said):
    with pytest.raises((TypeError, ValueError), match=f"^{said}"):
        call()


def test_an_array_is_handed_on_as_it_is():
    assert _validation.checked(identity)(X) is X
    assert _validation.as_array(X, "x") is _validation.real_array(X, "x") is X


def identity(x: np.ndarray):
    return x
