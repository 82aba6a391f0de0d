"""``theorylab visualize``."""

from __future__ import annotations

from typing import Annotated

import typer

from theorylab.commands import _options as options
from theorylab.commands import _output as output

EXAMPLES = (
    ("theorylab visualize photo.jpg", "three rules, the largest logit: photo-maps.png"),
    ("theorylab visualize cat --rule guided --target 3 --out cat.svg", "one rule, logit 3"),
    ("theorylab visualize cat --network vgg16 --weights hed", "trained"),
    ("theorylab visualize cat --method integrated-gradients --option steps=20", "a method in use today"),
    ("theorylab visualize cat --json | jq '.maps[].cosine_with_input'", "for programs"),
)


def visualize(
    image: options.Image,
    network: Annotated[
        str,
        options.one_of(
            ("cnn", "fcn", "vgg16", "resnet50"),
            "network",
            "Three layers, convolutional or fully connected, or a deep network.",
        ),
    ] = "cnn",
    filters: Annotated[
        int | None, typer.Option(min=1, help="Filters, or hidden units. [default: cnn 256, fcn 4096]")
    ] = None,
    kernel: options.Kernel = None,
    stride: options.Stride = None,
    pool: options.Pool = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Side of the square that the picture is resized to. [default: 224, fcn 64]"),
    ] = None,
    fit: options.Fit = "squeeze",
    logits: Annotated[
        int | None, typer.Option(min=1, help="Logits of the network. [default: 10; 1000 with trained ones]")
    ] = None,
    rule: options.AnyRules = None,
    method: options.Methods = None,
    option: options.Option = None,
    target: Annotated[str, typer.Option(help="max, random, cost or a logit's index.")] = "max",
    preset: Annotated[
        str | None,
        options.one_of(
            ("paper", "authors"),
            "preset",
            "Scale of the input: norm 1, or 0–255. [default: paper; with trained weights authors]",
        ),
    ] = None,
    weights: options.Weights = None,
    seed: options.Seed = 0,
    out: options.Out = None,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Show the maps of a picture in a random or a trained network.

    They are written as a picture; the table, or the JSON, says how each is scaled and how much of the input it shows.
    """
    given = options.of_method(method, option)
    file = output.figure_file(out, image, "maps")
    from theorylab import exhibits, progress

    # Biases trained on inputs of 0–255 dominate an input of norm 1.
    scale = preset or ("paper" if weights is None else "authors")
    x, about, words = output.picture(image, size or (64 if network == "fcn" else 224), scale, fit)
    n_logits = logits or (10 if weights in (None, "hed") else 1000)
    choice = exhibits.NetworkChoice(network, filters, kernel, stride, n_logits, pool, weights)
    with progress.live(quiet) as report:
        exhibit = exhibits.visualized(
            x,
            choice,
            rule=rule or (None if method else options.ALL),
            method=method,
            options=given,
            target=options.logit(target),
            seed=seed,
            read_logit=as_json,
            progress=report,
        )
    output.show(exhibit, file, about, words, quiet=quiet, as_json=as_json)
