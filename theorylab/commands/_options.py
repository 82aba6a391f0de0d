"""Arguments and options that commands share: their types and help texts."""

from __future__ import annotations

import enum
import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

# Members have their names in lower case as values.
Budget = enum.StrEnum("Budget", ["QUICK", "STANDARD", "FULL"])
Network = enum.StrEnum("Network", ["CNN", "FCN", "VGG16", "RESNET50"])
PredictedNetwork = enum.StrEnum("PredictedNetwork", ["CNN", "VGG16"])
Preset = enum.StrEnum("Preset", ["PAPER", "AUTHORS"])
Weighting = enum.StrEnum("Weighting", ["TRAINED", "RANDOM"])
ALL = "all"


def rule_names() -> tuple[str, ...]:
    """Return the names that ``--rule`` takes; they are read when a command runs."""
    from theorylab.model.rules import registered

    return tuple(rule.value for rule in registered())


def _rule(value: str, more: tuple[str, ...]) -> str:
    """Return the name of a registered rule; ``MODULE:NAME`` first imports the module, which registers it."""
    module, _, name = value.rpartition(":")
    if module:
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as error:
            raise typer.BadParameter(f"{module}: {type(error).__name__}: {error}") from None
    names = (*rule_names(), *(() if module else more))
    if name not in names:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, names))}.")
    return name


def _rule_option(words: str, *more: str) -> Any:
    """Make an option whose choices are read when the command runs."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in (*rule_names(), *more) if name.startswith(incomplete)]

    return typer.Option(
        "--rule",
        metavar="RULE",
        callback=lambda value: _rule(value, more),
        autocompletion=complete,
        help=words,
    )


_RULES = "saliency, deconvnet, guided, linear, or MODULE:NAME, a rule that a module of yours defines"
OneRule = Annotated[str, _rule_option(f"Without --attribute: the backward rule, {_RULES}.")]
Rules = Annotated[str, _rule_option(f"Backward rule: {_RULES}; or all, the paper's three.", ALL)]
Image = Annotated[
    str, typer.Argument(help="A picture: a path, or a bundled one (cat, astronaut, coffee, rocket).")
]
ImageOption = Annotated[
    str | None, typer.Option("--image", help="A picture: a path or a bundled name. [default: cat]")
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Worker processes; results do not depend on it. [default: all]"),
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
