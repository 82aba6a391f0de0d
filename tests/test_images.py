"""Pictures in, prepared arrays out; and one clear line for every kind of bad picture."""

import os
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from strategies import seeds

from theorylab import _files, images

MEAN = np.array([123.68, 116.779, 103.939])


def raw(path, size, **arguments):
    """The picture on the scale 0–255, (size, size, 3)."""
    return np.moveaxis(images.load(path, size, "authors", **arguments), 0, -1) + MEAN


def bilinear(picture, size):
    """Bilinear resizing by its definition: on pixel centres, mirrored at the outermost ones."""
    height, width = picture.shape[:2]
    result = np.empty((size, size, 3))
    for i in range(size):
        for k in range(size):
            row, column = abs((i + 0.5) * height / size - 0.5), abs((k + 0.5) * width / size - 0.5)
            row, column = min(row, 2 * (height - 1) - row), min(column, 2 * (width - 1) - column)
            top, left = min(int(row), height - 2), min(int(column), width - 2)
            a, b = row - top, column - left
            result[i, k] = (1 - a) * ((1 - b) * picture[top, left] + b * picture[top, left + 1]) + a * (
                (1 - b) * picture[top + 1, left] + b * picture[top + 1, left + 1]
            )
    return result


@pytest.fixture
def colours():
    return np.random.default_rng(5).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def saved(array, path, **arguments):
    Image.fromarray(array).save(path, **arguments)
    return path


@pytest.mark.parametrize("size", [1, 2, 4, 7, 13])
def test_resizing_is_bilinear_by_its_definition(tmp_path, colours, size):
    path = saved(colours, tmp_path / "a.png")
    np.testing.assert_allclose(raw(path, size), bilinear(colours.astype(float), size), atol=1e-10)


def test_default_is_the_cat():
    cat = skimage.data.cat().astype(float)
    assert cat.shape == (300, 451, 3)
    assert images.bundled()[0] == "cat"
    np.testing.assert_array_equal(images.load(size=20), images.load("cat", 20))
    np.testing.assert_allclose(raw(None, 20), bilinear(cat, 20), atol=1e-9)


@pytest.mark.parametrize("name", images.bundled())
def test_bundled_pictures_have_norm_one(name):
    x = images.load(name, 24)
    assert x.shape == (3, 24, 24)
    assert x.dtype == np.float64
    assert np.linalg.norm(x) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(
        x * np.linalg.norm(images.load(name, 24, "authors")), images.load(name, 24, "authors")
    )


def test_default_size_is_224():
    assert images.load().shape == (3, 224, 224)


def test_alpha_is_dropped_without_compositing(tmp_path, colours):
    alpha = np.zeros((6, 9, 1), dtype=np.uint8)
    path = saved(np.concatenate([colours, alpha], axis=2), tmp_path / "a.png")
    np.testing.assert_allclose(raw(path, 4), bilinear(colours.astype(float), 4), atol=1e-10)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_of_8_and_16_bits_spans_the_same_range(tmp_path, depth):
    top = np.iinfo(depth).max
    grey = (np.array([[0, 1], [0.5, 1]]) * top).astype(depth)
    found = raw(saved(grey, tmp_path / "a.png"), 2)
    np.testing.assert_allclose(found[..., 0], [[0, 255], [int(0.5 * top) / top * 255, 255]], atol=1e-10)
    np.testing.assert_allclose(found[..., 0], found[..., 2], atol=1e-10)


MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I", "F", "I;16", "I;16B")
Image.init()
SUFFIXES = sorted(
    s for s, kind in Image.registered_extensions().items() if {kind} <= {*Image.OPEN} & {*Image.SAVE}
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Pillow, about formats
@settings(max_examples=150)
@given(st.sampled_from(MODES), st.sampled_from(SUFFIXES), seeds)
def test_black_and_white_stay_so_in_every_mode_and_format_or_are_refused(mode, suffix, seed):
    # A bare code stream does not say in which colours it is.
    assume(suffix != ".j2k" or mode not in ("CMYK", "YCbCr"))
    size = np.random.default_rng(seed).integers(8, 40, 2) * 2
    grey = np.zeros(size, dtype=np.uint8)
    grey[:, size[1] // 2 :] = 255
    if mode.startswith("I;16"):
        picture = Image.frombytes(mode, grey.shape[::-1], (grey * np.uint16(257)).tobytes())
    else:
        picture = Image.fromarray(grey).convert("RGB").convert("L" if mode in "IF" else "RGB")
        if mode == "LAB":
            profile = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
            picture = ImageCms.profileToProfile(picture, *profile, outputMode="LAB")
        else:
            picture = picture.convert("P").convert("PA") if mode == "PA" else picture.convert(mode)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a{suffix}"
        try:
            picture.save(path)
        except (OSError, ValueError, KeyError):
            assume(False)  # the format does not hold that mode
        with Image.open(path) as opened:
            kind, held = opened.format, opened.mode
        # The widest integers of PNG and PPM have 16 bits.
        if held == "F" or kind == "EPS" or (held == "I" and kind not in ("PNG", "PPM")):
            with pytest.raises(
                ValueError, match=r"a\.\w+': cannot be read, .*(no known range|not a picture)"
            ) as refused:
                images.load(path, 8)
            assert "\n" not in str(refused.value)
            return
        found = raw(path, 8).mean(axis=2)
    if held == mode == "I":
        return  # levels of 0–255 kept as 16 bits: dark, as documented
    assert found[:, :3].max() < 20
    assert found[:, -3:].min() > 235


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int16, np.float32])
@given(top=st.sampled_from([1, 255, 4095, 32_767]), seed=seeds)
def test_values_without_a_known_range_are_refused_whatever_they_are(dtype, top, seed):
    values = np.random.default_rng(seed).integers(0, top + 1, (4, 4)).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        if dtype == np.int16:  # which Pillow reads and does not write
            picture = Image.frombytes("I;16", (4, 4), values.tobytes())
            picture.save(f"{folder}/a.tif", tiffinfo={339: 2})
        else:
            Image.fromarray(values.astype(np.int32) if dtype == np.uint32 else values).save(f"{folder}/a.tif")
        with pytest.raises(ValueError, match=r"a\.tif.*no known range"):
            images.load(f"{folder}/a.tif", 2)


def tiff(path, planes, bits, photometric, *, order="<", sign=1, palette=(), packed=False):
    """Write unsigned integers (channels, H, W), one plane after the other, by the words of the TIFF specification."""
    samples, (height, width) = len(planes), planes[0].shape
    byte_order = order if bits == 16 else ">"  # else the most significant bit of a row is first
    rows = [
        np.unpackbits(row.astype(f"{byte_order}u2").view("u1")).reshape(-1, 16)
        for row in planes.reshape(-1, width)
    ]
    strips = b"".join((np.packbits(row[:, -bits:]).tobytes()) for row in rows)
    strips, compression = (zlib.compress(strips), 8) if packed else (strips, 1)
    tags = {256: [width], 257: [height], 258: [bits] * samples, 259: [compression], 262: [photometric]}
    tags |= {273: [len(strips) // samples * k for k in range(samples)], 277: [samples], 278: [height]}
    tags |= {279: [len(strips) // samples] * samples, 284: [1 + (samples > 1)], 339: [sign] * samples}
    tags |= {320: list(palette)} if len(palette) else {}
    at = 8 + 2 + 12 * len(tags) + 4
    beside = sum(4 * len(values) for values in tags.values() if len(values) > 1)
    tags[273] = [at + beside + start for start in tags[273]]
    directory, more = b"", b""
    for tag, values in sorted(tags.items()):
        kind = "H" if tag == 320 else "L"
        held = struct.pack(f"{order}{len(values)}{kind}", *values).ljust(4, b"\0")
        directory += struct.pack(f"{order}HHL", tag, 3 if kind == "H" else 4, len(values))
        directory += held if len(values) == 1 else struct.pack(f"{order}L", at + len(more))
        more += held.ljust(4 * len(values), b"\0") if len(values) > 1 else b""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}LH", 8, len(tags))
    path.write_bytes(head + directory + bytes(4) + more + strips)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_grey_tiffs_of_every_depth_are_read_or_refused(tmp_path, bits, white, order, packed):
    top = 2**bits - 1
    grey = np.random.default_rng(bits).integers(0, top + 1, (5, 7))
    path = tiff(
        tmp_path / "a.tif", (grey if white else top - grey)[None], bits, white, order=order, packed=packed
    )
    # Pillow itself takes these for no picture.
    if (bits == 12 and (not white or order == ">")) or (bits == 16 and not white and order == ">"):
        with pytest.raises(ValueError, match=r"a\.tif.*not a picture in a format that is read here"):
            images.original(path)
        return
    found = images.original(path)
    np.testing.assert_allclose(found, np.repeat(grey[:, :, None], 3, axis=2) / (top / 255), atol=1e-9)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("white", [0, 1])
def test_signed_tiffs_are_refused(tmp_path, bits, white, order):
    grey = np.arange(12).reshape(1, 3, 4)
    words = "not a picture" if white == 0 else "signed values have no known range"
    with pytest.raises(ValueError, match=rf"a\.tif.*{words}"):
        images.original(tiff(tmp_path / "a.tif", grey, bits, white, order=order, sign=2))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_tiffs(tmp_path, bits):
    palette = np.random.default_rng(bits).integers(0, 256, (3, 2**bits))
    index = np.arange(35).reshape(5, 7) % 2**bits
    path = tiff(tmp_path / "a.tif", index[None], bits, 3, palette=(257 * palette).ravel())
    np.testing.assert_array_equal(images.original(path), np.moveaxis(palette[:, index], 0, -1))


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_separate_planes(tmp_path, order):
    planes = np.random.default_rng(0).integers(0, 256, (3, 5, 7))
    path = tiff(tmp_path / "a.tif", planes, 8, 2, order=order)
    np.testing.assert_array_equal(images.original(path), np.moveaxis(planes, 0, -1))
    with pytest.raises(ValueError, match="separate planes of 16 bits are not read"):
        images.original(tiff(path, 257 * planes, 16, 2, order=order))


def test_signed_16_bits_of_astronomy_are_refused(tmp_path):
    cards = ("SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 2", "NAXIS1  = 2", "NAXIS2  = 2", "END")
    header = "".join(card.ljust(80) for card in cards).ljust(2880)
    (tmp_path / "a.fits").write_bytes(
        header.encode() + np.array([-1, 0, 1, 2], dtype=">i2").tobytes().ljust(2880)
    )
    with pytest.raises(ValueError, match=r"a\.fits.*signed values have no known range"):
        images.original(tmp_path / "a.fits")


@pytest.mark.parametrize("transparency", [None, 1, bytes([0, 128])])
def test_palette(tmp_path, transparency):
    picture = Image.new("P", (2, 2))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putdata([0, 1, 1, 0])
    path = tmp_path / "a.png"
    picture.save(path, **({} if transparency is None else {"transparency": transparency}))
    expected = np.array([[[10, 20, 30], [200, 100, 50]], [[200, 100, 50], [10, 20, 30]]])
    np.testing.assert_allclose(raw(path, 2), expected, atol=1e-10)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "CMYK", "RGB"])
def test_other_modes_become_rgb(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new("RGB", (3, 2), (255, 255, 255)).convert(mode).save(path)
    np.testing.assert_allclose(raw(path, 2), 255, atol=1e-10)


def test_rotation_by_exif(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    turned = saved(colours, tmp_path / "a.png", exif=exif)
    np.testing.assert_allclose(raw(turned, 4), bilinear(np.rot90(colours, -1).astype(float), 4), atol=1e-10)


def test_a_bundled_name_wins_unless_it_is_a_path(tmp_path, colours, monkeypatch):
    saved(colours, tmp_path / "cat", format="png")
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(images.load("cat", 4), images.load(None, 4))
    np.testing.assert_allclose(raw("./cat", 4), bilinear(colours.astype(float), 4), atol=1e-10)
    np.testing.assert_allclose(raw(Path("cat"), 4), bilinear(colours.astype(float), 4), atol=1e-10)


def test_missing_folder_empty_and_not_a_picture(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    for name, words in {
        "missing.png": "no such file",
        ".": "is a folder",
        "empty.png": "the file is empty",
        "text.png": "not a picture",
        "text.png/below": "Not a directory",
        "nul\0.png": "null",
    }.items():
        with pytest.raises(ValueError, match=words) as caught:
            images.load(f"{tmp_path}/{name}")
        assert "\n" not in str(caught.value)
        assert repr(f"{tmp_path}/{name}") in str(caught.value)
    with pytest.raises(ValueError, match="path is empty"):
        images.load("")


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated(tmp_path, kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = saved(noise, tmp_path / f"whole.{kind}").read_bytes()
    path = tmp_path / f"part.{kind}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=rf"part\.{kind}"):
        images.load(path)


@pytest.mark.parametrize("limit", [100, 50])
def test_oversized(tmp_path, colours, monkeypatch, limit):
    path = saved(np.zeros((12, 12, 3), dtype=np.uint8), tmp_path / "large.png")
    monkeypatch.setattr(images, "MAX_PIXELS", limit)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # 144 pixels: Pillow warns at 100 and refuses at 50
    with pytest.raises(ValueError, match=r"large\.png.*too large"):
        images.load(path, 2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not an ordinary file"):
        images.load(tmp_path / "pipe")


@pytest.mark.parametrize("preset", images.PRESETS)
def test_mean_coloured_picture_has_no_direction(preset):
    with pytest.raises(ValueError, match="norm is 0"):
        images.prepare(np.broadcast_to(MEAN, (5, 4, 3)), 3, preset)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"path": 3}, TypeError, "path: expected a string, a path or None"),
        ({"path": b"cat.png"}, TypeError, "path: expected a string, a path or None"),
        ({"path": np.zeros((2, 2, 3))}, TypeError, "path: expected a string, a path or None"),
        ({"size": 0}, ValueError, "size: expected at least 1"),
        ({"size": -2}, ValueError, "size"),
        ({"size": 10_001}, ValueError, "size: expected at most 10000"),
        ({"size": 2.0}, TypeError, "size: expected an integer"),
        ({"preset": "imagenet"}, ValueError, "unknown preset 'imagenet': choose one of 'paper', 'authors'"),
        ({"preset": None}, TypeError, "preset: expected a string"),
        ({"fit": "pad"}, ValueError, "unknown fit 'pad': choose one of 'squeeze', 'crop'"),
        ({"path": "rockets"}, ValueError, "'rockets': no such file; did you mean 'rocket'"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        images.load(**arguments)


@pytest.mark.parametrize("name", ["CAT", "Rocket", "coFFee"])
def test_capitals_name_bundled_pictures_unless_there_is_such_a_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(images.original(name), images.original(name.lower()))
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match="the file is empty"):
        images.original(name)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3), (3, 4, 5)])
def test_prepare_wants_rgb(shape):
    with pytest.raises(ValueError, match=r"expected an array \(H, W, 3\)"):
        images.prepare(np.ones(shape))


def test_prepare_wants_finite_numbers():
    picture = np.ones((2, 2, 3))
    picture[1, 0, 2] = np.nan
    with pytest.raises(ValueError, match=r"not finite at index \(1, 0, 2\)"):
        images.prepare(picture)


def test_pictures_of_a_folder_in_the_order_of_their_names(tmp_path):
    for name in ("b.PNG", "a.jpg"):
        Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "paper.pdf").write_text("Pillow writes this format and does not read it")
    (tmp_path / "folder.png").mkdir()
    assert images.in_folder(tmp_path) == [str(tmp_path / "a.jpg"), str(tmp_path / "b.PNG")]


STRANGERS = (
    ".h5",
    ".hdf",
    ".mpg",
    ".mpeg",
    ".fits",
    ".fit",
    ".ps",
    ".eps",
    ".bufr",
    ".grib",
    ".wmf",
    ".emf",
    ".txt",
    "",
)
PICTURES = (".png", ".JPG", ".jpeg", ".tif", ".webp", ".bmp", ".gif", ".ppm", ".jp2")
bytes_of_names = st.binary(min_size=1, max_size=12).filter(lambda name: not {*b"\0/."} & {*name})


@given(st.sets(bytes_of_names, min_size=1, max_size=6), st.data())
def test_strangers_in_a_folder_are_passed_over(stems, data):
    with tempfile.TemporaryDirectory() as folder:
        expected = []
        for number, stem in enumerate(sorted(stems)):
            dotted = data.draw(st.booleans()) if number else False
            suffix = data.draw(st.sampled_from((*STRANGERS, *PICTURES) if number else PICTURES))
            path = os.fsencode(folder) + b"/" + b"." * dotted + stem + suffix.encode()
            with open(path, "wb") as file:
                file.write(b"\0\5\26\7" + bytes(50))
            if not dotted and suffix in PICTURES:
                expected.append(os.fsdecode(path))
        found = images.in_folder(folder)
        assert found == sorted(expected)
        for path in found:  # a broken picture is refused by its name, whatever that is
            with pytest.raises(ValueError, match="not a picture") as refused:
                images.load(path)
            assert str(refused.value).encode()  # surrogates are escaped


def test_what_is_no_picture_is_refused_and_starts_no_interpreter(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started")
    )
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")  # the content decides, not the name
    with pytest.raises(ValueError, match=r"a\.png.*not a picture"):
        images.load(tmp_path / "a.png")


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), seeds)
def test_crop_is_the_square_in_the_middle(height, width, size, seed):
    rgb = np.random.default_rng(seed).integers(0, 255, (height, width, 3))
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = rgb[top : top + side, left : left + side]
    assert middle.shape[0] == middle.shape[1]
    found = images.prepare(rgb, size, "authors", "crop")
    np.testing.assert_array_equal(found, images.prepare(middle, size, "authors"))
    if height == width:
        np.testing.assert_array_equal(found, images.prepare(rgb, size, "authors", "squeeze"))


def test_a_folder_without_a_picture_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no picture in this folder"):
        images.in_folder(tmp_path)


@pytest.mark.parametrize("error", [PermissionError, IsADirectoryError, OSError])
def test_what_the_system_refuses_is_said_in_its_words_alone(error):
    with (
        pytest.raises(ValueError, match=r"^image 'p.png': cannot be read, Permission denied$"),
        _files.decoding("image 'p.png'"),
    ):
        raise error(13, "Permission denied", "p.png")
