"""``theorylab check``."""

from __future__ import annotations

from typing import Annotated

import typer

from theorylab.commands import _options as options
from theorylab.commands import _output as output

EXAMPLES = (
    ("theorylab check mymaps:guided", "guided(module, x, target) in mymaps.py, here"),
    ("theorylab check mymaps:guided --quiet", "for the shell: the kind alone, and the status"),
    ("theorylab check mymaps:guided --seed 1 --json", "other random networks; for programs"),
)
NOTES = """The exit status is 0 if it is one known rule or method on every network where it runs, and 1 if something is wrong or
the kind is unknown.  What is done to a map before it is shown, such as the absolute value, is noted and not wrong."""


def check(
    attribute: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FUNCTION",
            help="Your implementation: a callable (module, x, target) -> map, imported from the current folder; x is a "
            "tensor (1, C, H, W), or what the callable takes instead.",
        ),
    ],
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Say which rule or method an implementation of yours is.

    It is run on small random PyTorch modules, each of which has one thing that implementations get wrong: ReLUs that are
    functions, pools that overlap, branches.  With --quiet the kind alone.
    """
    from theorylab import _imports

    implementation = _imports.named(attribute, "MODULE:FUNCTION")
    if not callable(implementation):
        raise ValueError(f"MODULE:FUNCTION: {attribute!r} is not callable")
    from theorylab.checking import check as checked

    report = checked(implementation, seed=seed)
    if as_json:
        output.as_text(report.to_json())
    else:
        output.line(report.kind if quiet else str(report))
    if not report.right:
        raise typer.Exit(1)
