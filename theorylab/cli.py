"""The command line: parse, call one function, show.  There is no mathematics here.

Everything heavy is imported inside the commands, so that ``theorylab --help`` answers at once.
"""

from __future__ import annotations

import functools
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from theorylab import _output as output
from theorylab._options import (
    Budget,
    Image,
    Kernel,
    Network,
    Out,
    Pool,
    PredictedNetwork,
    Preset,
    RuleName,
    Seed,
    Stride,
    Weights,
)

INTERRUPTED = 130

app = typer.Typer(
    help="A laboratory that tests the theory of backpropagation-based visualizations.\n\n"
    "Exit status: 0 all checks passed, 1 a check failed, 2 bad input.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _fail(message: str) -> NoReturn:
    typer.echo(f"theorylab: error: {' '.join(message.split())}", err=True)
    raise typer.Exit(2)


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Bad input ends with one line and status 2, Ctrl-C with status 130; a bug keeps its traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("theorylab: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # whoever read the output has gone (`| head`): not an error of the input
        except OSError as error:
            known = error.filename is not None and error.strerror is not None
            _fail(f"{error.filename}: {error.strerror}" if known else str(error))
        except ModuleNotFoundError as error:
            if error.name is not None:
                raise  # not an extra that somebody left out
            _fail(str(error))
        except (ValueError, TypeError) as error:
            _fail(str(error) or type(error).__name__)

    return run


def _version(wanted: bool) -> None:
    if wanted:
        import theorylab

        typer.echo(f"theorylab {theorylab.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
@_guarded
def claims(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the claims of the paper that can be verified.

    Example: theorylab claims
    """
    import proofs_checks

    fields = ("id", "section", "statement", "exact_law")
    known = [{name: getattr(claim, name) for name in fields} for claim in proofs_checks.registry()]
    if as_json:
        typer.echo(json.dumps(known, indent=2, ensure_ascii=False))
        return
    from theorylab.report import tables

    output.display(
        tables.table(("claim", "section", "statement"), [list(claim.values())[:3] for claim in known])
    )


@app.command()
@_guarded
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLAIM", help="Ids, as listed by `theorylab claims`; none: all."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="A picture: a path or a bundled name. [default: cat]")
    ] = None,
    budget: Annotated[
        Budget, typer.Option(help="How many networks are simulated, hence how small an error is seen.")
    ] = Budget.STANDARD,
    seed: Seed = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; results do not depend on it. [default: all]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write results.json, report.html and figures/ into this folder.")
    ] = None,
    law_scale: Annotated[
        float, typer.Option(help="Self-test: multiply every exact law; at 1.03 every check must fail.")
    ] = 1.0,
    details: Annotated[bool, typer.Option("--details", help="List all checks.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, and no table if all passed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json, no table.")] = False,
) -> None:
    """Check the paper's claims against exact laws and simulation.

    Exit status 0 if every check passed and every negative control was rejected, else 1.

    Examples: theorylab verify --budget quick; theorylab verify --image photo.jpg --seed 3 --out results
    """
    import dataclasses

    from theorylab import _validation, images
    from theorylab.report import progress, save, tables

    # What can be known to be wrong is said before the long run, not after it.
    _validation.positive_number(law_scale, "--law-scale")
    if out is not None:
        save.check_folder(out)
    images.load(image)
    import proofs_checks

    with progress.shown(quiet or as_json) as report:
        result = proofs_checks.verify(
            names or (),
            image=image,
            budget=budget.value,
            seed=seed,
            jobs=jobs,
            law_scale=law_scale,
            progress=report,
        )
    if not result.command:
        result = dataclasses.replace(result, command=shlex.join(["theorylab", *sys.argv[1:]]))
    if out is not None:
        save.save(result, out)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False))
    elif not (quiet and result.passed):
        output.display(tables.render(result, details))
    if out is not None and not as_json and not quiet:
        typer.echo(f"Written: {out / 'report.html'}, {out / 'results.json'}")
    raise typer.Exit(0 if result.passed else 1)


@app.command()
@_guarded
def visualize(
    image: Image,
    network: Annotated[
        Network, typer.Option(help="Three layers, convolutional or fully connected, or a deep network.")
    ] = Network.CNN,
    filters: Annotated[
        int | None, typer.Option(min=1, help="Filters, or hidden units. [default: cnn 256, fcn 4096]")
    ] = None,
    kernel: Kernel = 7,
    stride: Stride = 2,
    pool: Pool = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the resized picture. [default: 224, fcn 64]")
    ] = None,
    logits: Annotated[
        int | None, typer.Option(min=1, help="Logits of the network. [default: 10; 1000 with trained ones]")
    ] = None,
    rule: Annotated[RuleName, typer.Option(help="Backward rule.")] = RuleName.ALL,
    target: Annotated[str, typer.Option(help="max, random, cost or a logit's index.")] = "max",
    preset: Annotated[Preset, typer.Option(help="Scale of the input: norm 1, or 0–255.")] = Preset.PAPER,
    weights: Weights = None,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """Show the maps of a picture in a random network.

    Examples: theorylab visualize photo.jpg; theorylab visualize cat --rule guided --target 3 --out cat.png;
    theorylab visualize cat --network vgg16 --weights hed --preset authors
    """
    file = output.figure_file(out, image, "maps")
    from theorylab import images
    from theorylab.report import maps

    fcn = network is Network.FCN
    x = images.load(image, size or (64 if fcn else 224), preset.value)
    shown = maps.visualized(
        x,
        network=network.value,
        n_filters=filters,
        kernel=kernel,
        stride=stride,
        n_logits=logits or (10 if weights in (None, "hed") else 1000),
        pool=pool,
        rule=rule.value,
        target=int(target) if target.lstrip("+-").isdecimal() else target,
        weights=weights,
        seed=seed,
    )
    output.show(shown, file)


@app.command()
@_guarded
def predict(
    image: Image,
    network: Annotated[
        PredictedNetwork, typer.Option(help="cnn: the three-layer network; vgg16: all 16 layers.")
    ] = PredictedNetwork.CNN,
    filters: Annotated[
        int | None, typer.Option(min=1, help="Number of the CNN's filters. [default: 256]")
    ] = None,
    kernel: Kernel = 7,
    stride: Stride = 2,
    size: Annotated[int, typer.Option(min=1, help="Side of the resized picture.")] = 224,
    pool: Pool = None,
    rule: Annotated[RuleName, typer.Option(help="Backward rule.")] = RuleName.GUIDED,
    out: Out = None,
) -> None:
    """Show the maps that the theory predicts: closed form, no simulation.

    Examples: theorylab predict photo.jpg --filters 64 --rule all; theorylab predict cat --pool 2 --rule deconvnet;
    theorylab predict cat --network vgg16
    """
    file = output.figure_file(out, image, "prediction")
    deep = network is PredictedNetwork.VGG16
    for name, given in (("--filters", filters), ("--pool", pool)):
        if deep and given is not None:
            raise ValueError(f"{name}: {network.value} has its own layers, there is nothing to choose")
    from theorylab import images
    from theorylab.report import predictions, progress

    x = images.load(image, size)
    with progress.shown(not deep and pool is None) as report:
        shown = (
            predictions.predicted_vgg16(x, rule=rule.value, progress=report)
            if deep
            else predictions.predicted(
                x,
                n_filters=filters or 256,
                kernel=kernel,
                stride=stride,
                pool=pool,
                rule=rule.value,
                progress=report,
            )
        )
    output.show(shown, file)


def main() -> None:
    """Entry point of ``theorylab`` and ``python -m theorylab``."""
    try:
        app(prog_name="theorylab")
    except KeyboardInterrupt:  # while a module was being imported
        sys.exit(INTERRUPTED)
