"""Arguments and options that commands share: their types and help texts."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer


class Budget(enum.StrEnum):
    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"


class Network(enum.StrEnum):
    CNN = "cnn"
    FCN = "fcn"
    VGG16 = "vgg16"
    RESNET50 = "resnet50"


class PredictedNetwork(enum.StrEnum):
    CNN = "cnn"
    VGG16 = "vgg16"


class RuleName(enum.StrEnum):
    SALIENCY = "saliency"
    DECONVNET = "deconvnet"
    GUIDED = "guided"
    ALL = "all"


class Preset(enum.StrEnum):
    PAPER = "paper"
    AUTHORS = "authors"


Image = Annotated[
    str,
    typer.Argument(help="A picture: a path, or a bundled one (cat, astronaut, coffee, rocket)."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="The figure's file: .png, .pdf or .svg. [default: named after the picture, .png]"),
]
Kernel = Annotated[int, typer.Option(min=1, help="Side of the CNN's filters, in pixels.")]
Stride = Annotated[int, typer.Option(min=1, help="Step of the CNN's filters, in pixels.")]
Pool = Annotated[
    int | None, typer.Option(min=1, help="Side of the CNN's max-pooling windows. [default: no pooling]")
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Trained weights of vgg16 or resnet50: torchvision, hed, or a .pth, .pt, .safetensors or .npz file. "
        "[default: random]"
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same numbers.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="No progress, no table and no notes; errors are still shown.")
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="The result as JSON and nothing else on stdout; progress goes to stderr."),
]
