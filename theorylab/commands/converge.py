"""``theorylab converge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from theorylab.commands import _options as options
from theorylab.commands import _output as output

EXAMPLES = (
    ("theorylab converge --out study", "over the number of filters"),
    ("theorylab converge --over depth --size 64 --jobs 2", "over depth: cat-convergence/"),
    ("theorylab converge --filters 256 --replicates 1000 --precision 0.002", "one point, finely"),
    ("theorylab converge --scheduler tcp://127.0.0.1:8786 --out study", "on a Dask cluster"),
)

OVER = ("n_filters", "kernel", "stride", "pool", "depth")


def _several(words: str) -> Any:
    return typer.Option(metavar="N,...", help=words)


def converge(
    image: options.ImageOption = None,
    over: Annotated[str, options.one_of(OVER, "axis", "What the curves go over.")] = "n_filters",
    filters: Annotated[str | None, _several("Numbers of filters. [default: 16,64,256,1024 or 256]")] = None,
    kernel: Annotated[str | None, _several("Sides of the filters. [default: 7 or 3,5,7,11]")] = None,
    stride: Annotated[str | None, _several("Strides. [default: 2 or 1,2,4,7]")] = None,
    pool: Annotated[str | None, _several("Sides of pooling windows; 1: none. [default: 1 or 1,2,3]")] = None,
    depth: Annotated[str | None, _several("Numbers of convolutions. [default: 1 or 1,2,3,4]")] = None,
    size: Annotated[int, options.Size] = 224,
    rule: options.Rules = options.ALL,
    replicates: Annotated[int, typer.Option(min=2, help="Networks a point, at most.")] = 200,
    block: Annotated[int, typer.Option(min=1, help="Networks a block, which is what a kill can lose.")] = 10,
    precision: Annotated[
        float | None,
        typer.Option(
            help="End a point once each 95 % interval's half width is below this share of the estimate."
        ),
    ] = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    scheduler: options.Scheduler = None,
    out: Annotated[
        str | None, typer.Option(help="Folder for blocks and results. [default: named after the picture]")
    ] = None,
    as_csv: options.AsCsv = None,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure curves of random networks over the predicted ones.

    The same command resumes a run that was ended.  --json prints the content of results.json.
    """
    options.one_place(jobs, scheduler)
    import joblib

    from theorylab import _csv, _files, convergence, exhibits, images, progress

    x = images.load(image, size)
    name = Path(image or images.bundled()[0])
    folder = Path(f"{name.stem}-convergence" if out is None else _files.place(out))
    _files.check_folder(
        folder, ("results.json", "run.json", "table.txt", "figures/a figure", "blocks/a study/a block"), image
    )
    csv_file = output.table_file(as_csv, image)
    lists = {"n_filters": filters, "kernel": kernel, "stride": stride, "pool": pool, "depth": depth}
    axes = {key: _integers(text, key.removeprefix("n_")) for key, text in lists.items()}
    design = convergence.Design.of(
        x,
        name.name,
        over=over,
        **axes,
        rules=exhibits.rules_named(rule),
        replicates=replicates,
        block=block,
        precision=precision,
        seed=seed,
    )
    with output.resumable(folder, "blocks", "blocks/*/[!.]*"), progress.live(quiet) as report:
        result = convergence.study(
            design,
            x,
            jobs=jobs or int(joblib.cpu_count()),
            scheduler=scheduler,
            out=folder,
            progress=report,
            warn=output.warn,
        )
    if csv_file is not None:
        _files.write_atomically(csv_file, _csv.text(result.rows()))
    if as_json:
        output.as_it_stands(result.render())
    elif not quiet:
        from theorylab.convergence import files

        output.display(files.table(result))
        written = [
            *(str(folder / name) for name in ("results.json", "table.txt", "figures")),
            *([] if csv_file is None else [str(csv_file)]),
        ]
        output.written(written)


def _integers(text: str | None, name: str) -> list[int] | None:
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--{name}: expected integers with commas between them, got {text!r}") from None
