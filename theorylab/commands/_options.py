"""Arguments and options that commands share: their types and help texts."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from theorylab import _imports
from theorylab.model.methods import TITLES

ALL = "all"


def rule_names() -> tuple[str, ...]:
    """Return the names that ``--rule`` takes; they are read when a command runs."""
    from theorylab.model.rules import registered

    return tuple(rule.value for rule in registered())


def choice(value: str | None, names: Sequence[str], what: str) -> str | None:
    """Return the name that the user means, capitals apart; a mistake of usage, with a guess, if there is none."""
    from theorylab import _validation

    try:
        return None if value is None else _validation.choice(value, names, what)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def completion(names: Callable[[], Sequence[str]]) -> Callable[[str], list[str]]:
    """Return what completes a word in a shell."""
    return lambda incomplete: [name for name in names() if name.startswith(incomplete.casefold())]


def one_of(names: Sequence[str], what: str, words: str) -> Any:
    """Make an option that takes one of a few names."""
    return typer.Option(
        metavar=f"[{'|'.join(names)}]",
        callback=lambda value: choice(value, names, what),
        autocompletion=completion(lambda: names),
        help=words,
    )


def _rule(value: str | None, more: tuple[str, ...]) -> str | None:
    """Return the name of a registered rule; ``MODULE:NAME`` first imports the module, which registers it."""
    if value is None:
        return None
    if ":" not in value:
        return choice(value, (*rule_names(), *more), "rule")
    try:
        name = _imports.imported(value, "--rule")[2]
    except ValueError as error:
        raise typer.BadParameter(str(error).removeprefix("--rule: ")) from None
    return choice(name, rule_names(), "rule")


def _rule_option(words: str, *more: str) -> Any:
    """Make an option whose choices are read when the command runs."""
    return typer.Option(
        "--rule",
        metavar="RULE",
        callback=lambda value: _rule(value, more),
        autocompletion=completion(lambda: (*rule_names(), *more)),
        help=words,
    )


_RULES = "saliency, deconvnet, guided, linear, or MODULE:NAME, a rule that a module of yours defines"
OneRule = Annotated[
    str | None, _rule_option(f"Without --attribute: the backward rule, {_RULES}. [default: guided]")
]
Rules = Annotated[str, _rule_option(f"Backward rule: {_RULES}; or all, the paper's three.", ALL)]
AnyRules = Annotated[
    str | None,
    _rule_option(
        f"Backward rule: {_RULES}; or all, the paper's three. [default: all; none with --method]", ALL
    ),
]


def _method_option(words: str, *more: str) -> Any:
    names = (*TITLES, *more)
    return typer.Option(
        "--method",
        metavar="METHOD",
        callback=lambda value: choice(value, names, "method"),
        autocompletion=completion(lambda: names),
        help=f"{words}: {', '.join(names)}.",
    )


Method = Annotated[str | None, _method_option("Without --attribute: a method in the place of the rule")]
Methods = Annotated[
    str | None, _method_option("A method of attribution, in the place of a rule or beside it", ALL)
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="An option of the method, such as steps=20; may be repeated."
    ),
]


def of_method(method: str | None, given: Sequence[str] | None) -> dict[str, Any]:
    """Return the options of a method as numbers or words, from ``NAME=VALUE``."""
    if given and method in (None, ALL):
        raise ValueError("--option: for one method, which --method names")
    found = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise ValueError(f"--option: expected NAME=VALUE, got {each!r}")
        try:
            found[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            found[name] = value
    return found


def logit(target: str) -> int | str:
    """Return a target as a number, if it is one."""
    return int(target) if target.lstrip("+-").isdecimal() else target


Image = Annotated[
    str, typer.Argument(help="A picture: a path, or a bundled one (cat, astronaut, coffee, rocket).")
]
Fit = Annotated[
    str,
    one_of(
        ("squeeze", "crop"),
        "fit",
        "How the picture becomes a square: the whole of it, narrower or flatter, or the square in its middle.",
    ),
]
Size = typer.Option(min=1, help="Side of the square that the picture is resized to.")
ImageOption = Annotated[
    str | None,
    typer.Option(
        "--image", help="A picture: a path or a bundled name; it is squeezed to a square. [default: cat]"
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Worker processes; results do not depend on it. [default: all]"),
]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Run on the workers of this Dask scheduler.")
]


Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Run the network by PyTorch on this device, such as cuda. [default: by NumPy, here]",
    ),
]


def check_device(device: str | None, jobs: int | None, scheduler: str | None) -> None:
    """Refuse a device that is not there, or beside workers."""
    if device is None:
        return
    if jobs is not None or scheduler is not None:
        raise ValueError(
            f"--{'scheduler' if jobs is None else 'jobs'}: --device runs all pictures in this process"
        )
    from theorylab.torch_bridge._attribute import device_of

    try:
        device_of(device)
    except ValueError as error:
        raise ValueError(f"--{error}") from None


def one_place(jobs: int | None, scheduler: str | None) -> None:
    """Refuse worker processes here beside those of a cluster."""
    if jobs is not None and scheduler is not None:
        raise ValueError("--jobs: the workers of --scheduler run the networks, give one of the two")


def for_folders(jobs: int | None, scheduler: str | None, folder: bool, words: str) -> None:
    """Refuse workers where no folder of pictures is measured; `words` say where one is."""
    one_place(jobs, scheduler)
    for name, value in (("--jobs", jobs), ("--scheduler", scheduler)):
        if value is not None and not folder:
            raise ValueError(f"{name}: {words}")


# Paths are strings: pathlib would make "./~", a folder of that name, "~", the home.
Out = Annotated[
    str | None,
    typer.Option(help="The figure's file: .png, .pdf or .svg. [default: named after the picture, .png]"),
]
Kernel = Annotated[int | None, typer.Option(min=1, help="Side of the CNN's filters, in pixels. [default: 7]")]
Stride = Annotated[int | None, typer.Option(min=1, help="Step of the CNN's filters, in pixels. [default: 2]")]
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
Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:FUNCTION",
        help="Your own classifier: a function that returns a torch.nn.Module of pictures in [0, 1]; "
        "preprocess(batch) and SIZE beside it are used.",
    ),
]
Classes = Annotated[
    str | None, typer.Option(help="Names of the model's logits, apart by commas. [default: numbers]")
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same numbers.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="No progress, no table and no notes; errors are still shown.")
]
Beyond = Annotated[
    bool, typer.Option("--beyond", help="In place of the paper's claims: laws of ours that go beyond it.")
]
Literature = Annotated[
    bool, typer.Option("--literature", help="In place of the paper's claims: what others claim of such maps.")
]


def group(beyond: bool, literature: bool) -> str:
    """Return the group of claims that is asked for."""
    if beyond and literature:
        raise typer.BadParameter("--beyond and --literature: one group at a time")
    return "beyond" if beyond else "literature" if literature else "paper"


AsCsv = Annotated[
    str | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        help="Write the numbers as a table too, FILE.csv, for spreadsheets and pandas.",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="The result as JSON and nothing else on stdout; progress goes to stderr."),
]
