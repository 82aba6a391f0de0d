"""Verify every claim on many unlike pictures, at several seeds, and say where verdicts contradict each other.

``python tools/pictures.py --seeds 5 --budget quick --budget standard [PICTURE ...]``; pictures that are made here are always
among them.  Ends with status 1 if a check fails or a verdict contradicts that of another seed or budget; "undecided"
contradicts nothing.  Each run is one process of one thread, and is kept in a file as soon as it ends: a run whose file is there
is not repeated.  A claim that comes out equal on the first two pictures, in every number, does not read the picture, and is
run on the first alone.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import joblib
import numpy as np
import threadpoolctl
import typer

import proofs_checks
from proofs_checks.results import Verdict
from theorylab import _files, _json, _validation

SIDE = 224
Found = dict[tuple[str, str], set[Verdict]]
"""Verdicts by picture and claim."""


def made() -> dict[str, np.ndarray]:
    """Return pictures on which a law or a check may have nothing to hold on to, (H, W, 3 or 4) bytes.

    Examples
    --------
    >>> sorted(made())[:3]
    ['black but a pixel', 'checkerboard', 'eight pixels']
    """
    rng = np.random.default_rng(0)
    row, column = np.indices((SIDE, SIDE))
    pictures = {
        "flat": np.full((64, 64, 3), (200, 30, 30)),
        "black but a pixel": np.zeros((64, 64, 3)),
        "checkerboard": 255 * np.stack([(row + column) % 2] * 3, axis=2),
        "stripes": 255 * np.stack([column // 8 % 2] * 3, axis=2),
        "noise": rng.integers(0, 256, (SIDE, SIDE, 3)),
        "one pixel": np.full((1, 1, 3), (10, 200, 90)),
        "logo": np.zeros((100, 100, 4)),
        "eight pixels": rng.integers(0, 256, (8, 8, 3)),
        "one bright line": np.zeros((SIDE, SIDE, 3)),
        "large": np.kron(rng.integers(0, 256, (40, 40, 3)), np.ones((100, 100, 1))),
    }
    pictures["black but a pixel"][20, 31] = 255
    pictures["logo"][30:70, 30:70] = 0, 90, 200, 255
    pictures["one bright line"][:, 100] = 255
    return {name: picture.astype(np.uint8) for name, picture in pictures.items()}


def named(only: str) -> dict[str, np.ndarray]:
    """Return the made pictures of these names, apart by commas, or all of them.

    Examples
    --------
    >>> list(named("logo,flat")), len(named("")) == len(made())
    (['logo', 'flat'], True)
    >>> named("flat,logos")
    Traceback (most recent call last):
        ...
    ValueError: unknown picture 'logos': did you mean 'logo'? choose one of 'flat', 'black but a pixel', 'checkerboard', ...
    """
    pictures = made()
    names = [_validation.choice(name, pictures, "picture") for name in only.split(",")] if only else pictures
    return {name: pictures[name] for name in names}


def contradictions(found: Mapping[tuple[str, str], set[Verdict]]) -> list[tuple[str, str]]:
    """Return the pictures and claims with more than one verdict; undecided is none.

    Examples
    --------
    >>> contradictions({("cat", "theorem1"): {Verdict.HOLDS, Verdict.UNDECIDED}, ("cat", "x"): {Verdict.HOLDS, Verdict.REFUTED}})
    [('cat', 'x')]
    """
    return [key for key, verdicts in found.items() if len(verdicts - {Verdict.UNDECIDED}) > 1]


def run(file: str, image: str, budget: str, seed: int, claims: Sequence[str]) -> list[dict[str, Any]]:
    """Return the claims of one run as ``results.json`` has them, from `file` if it is there."""
    path = Path(file)
    if not path.exists():
        with threadpoolctl.threadpool_limits(1):
            result = proofs_checks.verify(claims, image=image, budget=budget, seed=seed, jobs=1)
        _files.write_atomically(path, _json.text(result.to_json()))
        typer.echo(f"{path.stem}: {'passed' if result.passed else 'FAILED'}", err=True)
    kept: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["claims"]
    return kept


def reads_the_picture(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> list[str]:
    """Return the claims that two pictures' results, in the same order, tell apart.

    Examples
    --------
    >>> reads_the_picture([{"id": "a", "n": 1}, {"id": "b", "n": 1}], [{"id": "a", "n": 1}, {"id": "b", "n": 2}])
    ['b']
    """
    return [one["id"] for one, other in zip(first, second, strict=True) if one != other]


def main(
    pictures: Annotated[list[str] | None, typer.Argument(help="Files, or names of bundled pictures.")] = None,
    budget: Annotated[list[str], typer.Option(help="One or several.")] = ["quick"],  # noqa: B006
    seeds: Annotated[int, typer.Option(min=1, help="0, 1, … below this.")] = 1,
    claims: Annotated[str, typer.Option(help="Ids apart by commas; all if not given.")] = "",
    only: Annotated[str, typer.Option(help="Names of made pictures, apart by commas.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 2,
    out: Annotated[
        Path, typer.Option(help="Folder of the runs; those of other code must not lie there.")
    ] = Path("out/pictures"),
) -> None:
    """Run it and print a table of claims by pictures."""
    from PIL import Image

    out.mkdir(parents=True, exist_ok=True)
    files = {Path(name).stem: name for name in pictures or []}
    for name, picture in named(only).items():
        files[name] = str(out / f"{name}.png")
        Image.fromarray(picture).save(files[name])
    chosen = [claim for claim in claims.split(",") if claim]
    settings = list(itertools.product(budget, range(seeds)))
    first, *others = files
    found: Found = {}
    failed = []

    def every(
        names: Sequence[str], settings: Sequence[tuple[str, int]], ids: Sequence[str]
    ) -> list[list[dict[str, Any]]]:
        tasks = [(name, *setting) for setting in settings for name in names]
        results: list[list[dict[str, Any]]] = joblib.Parallel(jobs)(
            joblib.delayed(run)(str(out / f"{name}, {size}, {seed}.json"), files[name], size, seed, ids)
            for name, size, seed in tasks
        )
        for (name, size, seed), result in zip(tasks, results, strict=True):
            for claim in result:
                found.setdefault((name, claim["id"]), set()).add(Verdict(claim["verdict"]))
                if claim["passed"] is False:
                    bad = [
                        check["name"]
                        for check in claim["checks"]
                        if not check["blind"]
                        and not (check["passed"] and check["negative_control"]["rejected"])
                    ]
                    failed.append(f"{name}, {size}, seed {seed}: {claim['id']}: {bad or claim['finding']}")
        return results

    ids = chosen
    if others:
        ids = reads_the_picture(*every([first, others[0]], settings[:1], chosen))
        every(others[1:], settings[:1], ids)
    every([first], settings[0 if not others else 1 :], chosen)
    every(others, settings[1:], ids)
    rows = list(dict.fromkeys(claim for _, claim in found))
    table = [
        (id_, *(" or ".join(sorted(v.value for v in found.get((name, id_), ()))) for name in files))
        for id_ in rows
    ]
    typer.echo("\n".join(["| claim | " + " | ".join(files) + " |", "|---" * (1 + len(files)) + "|"]))
    typer.echo("\n".join("| " + " | ".join(row) + " |" for row in table))
    for line in failed:
        typer.echo(f"FAILED {line}")
    for name, id_ in contradictions(found):
        typer.echo(f"CONTRADICTION {name}: {id_}: {sorted(v.value for v in found[name, id_])}")
    sys.exit(bool(failed or contradictions(found)))


if __name__ == "__main__":
    typer.run(main)
