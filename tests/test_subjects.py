"""Trained networks that a user gives: what was trained, how pictures are prepared, and errors in one line."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from proofs_checks.claim import Bench
from theorylab import images, montecarlo, networks, photographs, subjects

torch = pytest.importorskip("torch")

MODULE = """
import torch
SIZE = 16
MEAN = torch.tensor([0.5, 0.4, 0.3])[:, None, None]
def preprocess(batch):
    return {preprocess}
def net():
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(784, 3)]
    return torch.nn.Sequential(*layers).eval()
def fails():
    raise SystemExit("no weights here")
class Leaves(torch.nn.Sequential):
    def forward(self, x):
        raise SystemExit("bye")
def leaves():
    return Leaves(*net()).eval()
def inside():
    return torch.nn.Sequential(torch.nn.ReLU(), leaves()).eval()
def one():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 1)).eval()
"""


@pytest.fixture
def user(tmp_path, monkeypatch):
    """Return a function that writes a user's module and gives its subject."""
    monkeypatch.chdir(tmp_path)

    def subject(preprocess="batch", function="net", **options):
        (tmp_path / "mine.py").write_text(MODULE.format(preprocess=preprocess))
        sys.modules.pop("mine", None)
        return subjects.given(model=f"mine:{function}", **options)

    yield subject
    sys.modules.pop("mine", None)
    sys.path[:] = [folder for folder in sys.path if folder != str(tmp_path)]


@pytest.mark.parametrize(
    "preprocess",
    ["batch", "(batch - MEAN) / 0.2", "batch.flip(1) * 255 - MEAN * 255", "2 * batch.flip(1) - 1"],
)
def test_a_users_model_sees_what_it_would_see_of_its_own(user, preprocess):
    subject = user(preprocess)
    rgb = subject.picture("cat")
    assert rgb.shape == (3, 16, 16)
    module = sys.modules["mine"]
    batch = torch.from_numpy(rgb[None] / 255).float().requires_grad_()
    logits = module.net()(module.preprocess(batch))
    assert_allclose(subject.trained.logits(subject.prepared(rgb)), logits.detach().numpy()[0], rtol=1e-4)
    assert_allclose(subject.shown(subject.prepared(rgb)), rgb, atol=1e-9)
    logits[0, 1].backward()
    trace = subject.trained.forward(subject.prepared(rgb))
    map_ = subject.trained.backward(trace, np.eye(3)[[1]], ["saliency"])[0, 0]
    assert_allclose(255 * subject.pulled_back(map_), batch.grad.numpy()[0], rtol=1e-3, atol=1e-5)


def test_a_user_says_size_and_classes(user):
    with pytest.raises(ValueError, match="3 classes, one for each logit, got 2"):
        user(classes=("a", "b"))
    assert user(classes=("a", "b", "c")).name_of(1) == "b"
    for side in (0, "16", 2.5):
        with pytest.raises((TypeError, ValueError), match=r"^(size|side): expected"):
            user(side=side)
    with pytest.raises(ValueError, match="mine:net"):
        user(side=24)  # its dense layer reads another size


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"preprocess": "batch - batch.mean()"}, "an affine map of each pixel's colours"),
        ({"preprocess": "batch.clamp(0.2, 0.8)"}, "an affine map of each pixel's colours"),
        ({"preprocess": "batch.mean(1, keepdim=True)"}, "preprocess"),
        ({"preprocess": "None"}, "preprocess: TypeError: what it returns: expected real numbers, got None"),
        (
            {"preprocess": "batch * torch.tensor([1, 1, 0])[:, None, None]"},
            "an affine map",
        ),
        ({"function": "fails"}, "SystemExit: no weights here"),
        ({"function": "leaves"}, "SystemExit"),
        ({"function": "inside"}, "SystemExit"),
        ({"function": "one"}, "two or more logits, got 1"),
        ({"function": "nothing"}, "'mine' has no 'nothing'"),
        ({"function": "SIZE"}, "expected a function that returns a torch.nn.Module"),
        ({"weights": "a.npz"}, "give one of the two"),
    ],
)
def test_what_cannot_be_used_is_one_line(user, options, line):
    with pytest.raises((TypeError, ValueError), match=line) as caught:
        user(**options)
    assert "\n" not in str(caught.value)


def test_a_file_in_place_of_a_module_is_guessed(user):
    with pytest.raises(ValueError, match=r"no module 'mine.py' here; did you mean mine:net\?"):
        subjects.given(model="mine.py:net")


def test_vgg16_is_known_by_its_convolutions():
    def of(net):
        return subjects.Subject("", "", net, networks.redrawn, True, np.zeros((3, 1, 1)), np.eye(3))

    vgg = networks.vgg16(input_shape=(3, 32, 32), n_logits=2, n_hidden=4)
    assert of(vgg).is_vgg16
    assert of(vgg).hidden == "classifier.0"
    assert of(vgg).features == "flatten"
    assert not subjects.small().is_vgg16
    assert not of(networks.resnet50(input_shape=(3, 32, 32), n_logits=2)).is_vgg16


def test_a_mapped_subject_is_the_same_one_in_a_file(tmp_path):
    plain = subjects.small()
    mapped = plain.mapped(tmp_path)
    for name, array in plain.trained.parameters.items():
        held = mapped.trained.parameters[name]
        np.testing.assert_array_equal(held, array)
        assert not held.flags.writeable
    x = np.random.default_rng(0).standard_normal(plain.trained.input_shape)
    np.testing.assert_array_equal(mapped.trained.forward(x).logits, plain.trained.forward(x).logits)
    np.testing.assert_array_equal(mapped.draw(3).forward(x).logits, plain.draw(3).forward(x).logits)


# --- pictures


def test_photographs_are_crops_of_what_is_shipped():
    names = photographs.present()
    assert "astronaut" in names
    assert not set(names) & set(photographs.absent())
    first, again, other = (photographs.crop("rocket", 20, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0 <= first.min() < first.max() <= 255
    with pytest.raises(ValueError, match="unknown photograph 'dog'"):
        photographs.crop("dog", 20, seed=0)


class Brightness:
    """Each picture's mean, with the block that measured it."""

    def __init__(self, pictures):
        self.pictures = pictures

    def part(self, first, size):
        return Brightness(self.pictures[first : first + size])

    def __call__(self, rng, size):
        assert len(self.pictures) == size
        return montecarlo.measurement({"mean": np.array([picture.mean() for picture in self.pictures])})


@pytest.mark.parametrize("block", [1, 2, 3])
def test_every_picture_is_a_replicate_once(block):
    pictures = np.random.default_rng(0).random((6, 4))
    measured = montecarlo.replicate(Brightness(pictures), 6, block=block, seed=0)
    value, error, count = measured.estimate("mean")
    assert count == 6
    assert_allclose(value, pictures.mean())
    assert_allclose(error, pictures.mean(axis=1).std(ddof=1) / 6**0.5)


def test_a_folder_of_pictures_is_shown_whole(tmp_path):
    for number in range(3):
        Image.fromarray(np.full((20, 30, 3), 40 * number, dtype=np.uint8)).save(tmp_path / f"{number}.png")
    bench = Bench(x=images.load(size=16), budget="quick", seed=0, jobs=1, level=1e-7, folder=str(tmp_path))
    assert [name[-5:] for name in bench.pictures] == ["0.png", "1.png", "2.png"]
    assert len(bench.crops("any", 2)) == 2
    assert len(bench.crops("any", 50)) == 3
