"""``theorylab verify``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from theorylab.commands import _options as options
from theorylab.commands import _output as output

EXAMPLES = (
    ("theorylab verify --budget quick", "every claim, in a minute"),
    ("theorylab verify theorem1 maxpool --details", "some claims, or a family of them"),
    ("theorylab verify --image photo.jpg --seed 3 --out results", "on your picture, with a report"),
    ("theorylab verify figure7 fgsm --weights vgg16.pth", "claims about trained networks, on VGG-16"),
)


def _ids() -> list[str]:
    import proofs_checks

    return [claim.id for group in proofs_checks.GROUPS for claim in proofs_checks.registry(group)]


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLAIM",
            help="Ids, as listed by `theorylab claims`; none: all.",
            autocompletion=options.completion(_ids),
        ),
    ] = None,
    beyond: options.Beyond = False,
    literature: options.Literature = False,
    image: options.ImageOption = None,
    budget: Annotated[
        str,
        options.one_of(
            ("quick", "standard", "full"),
            "budget",
            "How many networks are simulated, hence how small an error is seen.",
        ),
    ] = "standard",
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    scheduler: options.Scheduler = None,
    out: Annotated[
        str | None,
        typer.Option(help="Write results.json, report.html, explore.html and figures/ into this folder."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="A trained VGG-16 for the claims about trained networks: torchvision, hed, or a .pth, .pt, .safetensors or "
            ".npz file, of the convolutions alone, too; small or small-residual: a classifier of the package. [default: small]"
        ),
    ] = None,
    model: options.Model = None,
    size: Annotated[
        int | None,
        typer.Option(min=8, help="Side of the pictures for the trained network. [default: SIZE, or 224]"),
    ] = None,
    classes: options.Classes = None,
    pictures: Annotated[
        str | None,
        typer.Option(
            help="A folder of pictures for the trained network. [default: crops of scikit-image's photographs]"
        ),
    ] = None,
    law_scale: Annotated[
        float, typer.Option(help="Self-test: multiply every exact law; at 1.03 every check must fail.")
    ] = 1.0,
    as_csv: options.AsCsv = None,
    details: Annotated[bool, typer.Option("--details", help="List all checks.")] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Check the paper's claims against exact laws and simulation.

    Exit status 0 if every check passed and every negative control was rejected, else 1; what failed is shown with --quiet
    too.  --json prints the content of results.json.
    """
    import dataclasses

    import joblib

    import proofs_checks
    from proofs_checks.report import save, terminal
    from theorylab import _csv, _files, _validation, images, progress

    # Check the input before the long run.
    options.one_place(jobs, scheduler)
    _validation.positive_number(law_scale, "--law-scale")
    folder = None if out is None else Path(_files.place(out))
    if folder is not None:
        for read in (image, pictures):
            save.check_folder(folder, read)
    table = output.table_file(as_csv, image)
    images.load(image)
    with progress.live(quiet) as report:
        result = proofs_checks.verify(
            names or (),
            group=options.group(beyond, literature),
            image=image,
            budget=budget,
            seed=seed,
            jobs=jobs,
            law_scale=law_scale,
            weights=weights,
            model=model,
            size=size,
            classes=classes.split(",") if classes else (),
            pictures=pictures,
            scheduler=scheduler,
            progress=report,
            warn=output.warn,
        )
    if not result.command:
        result = dataclasses.replace(result, command=shlex.join(["theorylab", *sys.argv[1:]]))
    try:
        if folder is not None:
            save.save(result, folder, jobs or joblib.cpu_count())
        if table is not None:
            _files.write_atomically(table, _csv.text(result.rows()))
    finally:  # what was found in minutes is not lost with a full disk
        if as_json:
            output.as_text(result.to_json())
        elif not (quiet and result.passed):
            output.display(terminal.render(result, details))
    written = (
        []
        if folder is None
        else [str(folder / name) for name in ("report.html", "results.json", "explore.html", "figures")]
    )
    written += [] if table is None else [str(table)]
    if written and not as_json and not quiet:
        output.written(written)
    raise typer.Exit(0 if result.passed else 1)
