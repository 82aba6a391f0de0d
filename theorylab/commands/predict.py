"""``theorylab predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from theorylab.commands import _options as options
from theorylab.commands import _output as output

EXAMPLES = (
    ("theorylab predict photo.jpg --filters 64 --rule all", "three rules: photo-prediction.png"),
    (
        "theorylab predict cat --pool 2 --rule all",
        "behind 2×2 max-pooling, some twenty seconds of a processor",
    ),
    ("theorylab predict cat --network vgg16", "all layers of VGG-16, a quarter of a minute"),
    (
        "theorylab predict photo.jpg --model mymodels:net",
        "your network, and what it would show if it knew nothing",
    ),
    ("theorylab predict cat --json", "the numbers of the table, for programs"),
)


def predict(
    image: options.Image,
    network: Annotated[
        str | None,
        options.one_of(
            ("cnn", "vgg16"),
            "network",
            "cnn: the three-layer network; vgg16: all 16 layers. [default: cnn]",
        ),
    ] = None,
    model: options.Model = None,
    target: Annotated[
        str | None, typer.Option(help="Of a model: max, random, cost or a logit's index. [default: max]")
    ] = None,
    classes: options.Classes = None,
    filters: Annotated[
        int | None, typer.Option(min=1, help="Number of the CNN's filters. [default: 256]")
    ] = None,
    kernel: options.Kernel = None,
    stride: options.Stride = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Side of the square that the picture is resized to. [default: 224, or SIZE]"
        ),
    ] = None,
    fit: options.Fit = "squeeze",
    pool: options.Pool = None,
    rule: options.Rules = "guided",
    out: options.Out = None,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Show the maps that the theory predicts, without simulation.

    They are written as a picture; the table, or the JSON, says how much of the input one map is expected to show.  Behind a
    max-pool the standard deviation takes seconds for each rule; of windows of more than four positions, the cosines are
    estimates from drawn filters.

    With --model: the map that your network would show on average if its weights were random, of the size that they have in each
    layer, beside the map that it shows.  So are its biases, which are left out of residual networks.  Where there is no law,
    a few networks are drawn, and a note says so.
    """
    file = output.figure_file(out, image, "prediction")
    own = "a model" if model else network if network == "vgg16" else ""
    sizes = {"--filters": filters, "--pool": pool, "--kernel": kernel, "--stride": stride}
    for name, given in (sizes | ({"--network": network} if model else {})).items():
        if own and given is not None:
            raise ValueError(f"{name}: {own} has its own layers, there is nothing to choose")
    for name, word in {"--target": target, "--classes": classes}.items():
        if not model and word is not None:
            raise ValueError(f"{name}: of a model, and no --model is given")
    from theorylab import exhibits, progress, subjects
    from theorylab.model import models
    from theorylab.model.laws import TruncatedGaussian
    from theorylab.model.patches import PatchGrid
    from theorylab.model.pooling import MaxPool

    if model:
        subject = subjects.given(model=model, side=size, classes=classes.split(",") if classes else ())
        x, about, words = output.picture(image, subject.side, "model", fit, subject)
        about |= {"model": model, "label": subject.label}
        with progress.live(quiet) as report:
            exhibit = exhibits.beside(
                subject.trained,
                x,
                rule=rule,
                target=options.logit(target or "max"),
                classes=subject.classes,
                progress=report,
            )
        output.show(exhibit, file, about, words, quiet=quiet, as_json=as_json)
        return
    x, about, words = output.picture(image, size or 224, "paper", fit)
    about["network"], weights = network or "cnn", TruncatedGaussian(0.1)
    if own:
        stack = models.vgg16(input_shape=x.shape, std=weights.std, readout=weights.std)
    else:
        n_filters, kernel, stride = filters or 256, kernel or 7, stride or 2
        grid = PatchGrid(x.shape, kernel, stride)
        about |= {"n_filters": n_filters, "kernel": kernel, "stride": stride, "pool": pool}
        windows = None if pool is None else MaxPool(pool)
        stack = models.three_layer(grid, n_filters, pool=windows, weights=weights)
    with progress.live(quiet) as report:
        exhibit = exhibits.predicted(stack, x, rule=rule, progress=report)
    output.show(exhibit, file, about, words, quiet=quiet, as_json=as_json)
