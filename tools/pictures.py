"""Verify every claim on many unlike pictures, at several seeds, and say where verdicts contradict each other.

``python tools/pictures.py --seeds 5 --budget quick --budget standard [PICTURE ...]``; pictures that are made here are always
among them.  Ends with status 1 if a check fails or a verdict contradicts that of another seed or budget; "undecided"
contradicts nothing.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import proofs_checks
from proofs_checks.results import Verdict

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


def contradictions(found: Mapping[tuple[str, str], set[Verdict]]) -> list[tuple[str, str]]:
    """Return the pictures and claims with more than one verdict; undecided is none.

    Examples
    --------
    >>> contradictions({("cat", "theorem1"): {Verdict.HOLDS, Verdict.UNDECIDED}, ("cat", "x"): {Verdict.HOLDS, Verdict.REFUTED}})
    [('cat', 'x')]
    """
    return [key for key, verdicts in found.items() if len(verdicts - {Verdict.UNDECIDED}) > 1]


def main(
    pictures: Annotated[list[str] | None, typer.Argument(help="Files, or names of bundled pictures.")] = None,
    budget: Annotated[list[str], typer.Option(help="One or several.")] = ["quick"],  # noqa: B006
    seeds: Annotated[int, typer.Option(min=1, help="0, 1, … below this.")] = 1,
    claims: Annotated[str, typer.Option(help="Ids apart by commas; all if not given.")] = "",
    only: Annotated[str, typer.Option(help="Names of made pictures, apart by commas.")] = "",
) -> None:
    """Run it and print a table of claims by pictures."""
    from PIL import Image

    chosen = [claim for claim in claims.split(",") if claim]
    found: Found = {}
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        files = {name: name for name in pictures or []}
        for name, picture in made().items():
            if not only or name in only.split(","):
                files[name] = str(Path(folder, f"{name}.png"))
                Image.fromarray(picture).save(files[name])
        for name, file in files.items():
            for size in budget:
                for seed in range(seeds):
                    run = proofs_checks.verify(chosen, image=file, budget=size, seed=seed)
                    for claim in run.claims:
                        found.setdefault((name, claim.id), set()).add(claim.verdict)
                        why = claim.error or "; ".join(check.name for check in claim.failures)
                        failed += (
                            [f"{name}, {size}, seed {seed}: {claim.id}: {why}"]
                            if claim.passed is False
                            else []
                        )
                    typer.echo(
                        f"{name}, {size}, seed {seed}: {'passed' if run.passed else 'FAILED'}", err=True
                    )
    ids = list(dict.fromkeys(claim for _, claim in found))
    rows = [(id_, *(" or ".join(sorted(v.value for v in found[name, id_])) for name in files)) for id_ in ids]
    typer.echo("\n".join(["| claim | " + " | ".join(files) + " |", "|---" * (1 + len(files)) + "|"]))
    typer.echo("\n".join("| " + " | ".join(row) + " |" for row in rows))
    for line in failed:
        typer.echo(f"FAILED {line}")
    for name, id_ in contradictions(found):
        typer.echo(f"CONTRADICTION {name}: {id_}: {sorted(v.value for v in found[name, id_])}")
    sys.exit(bool(failed or contradictions(found)))


if __name__ == "__main__":
    typer.run(main)
