"""The files of a verification, written all or none."""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path

from proofs_checks.results import Verification
from theorylab import _files, _json, drawing, explorer
from theorylab.charts import CurveFigure, MapFigure
from theorylab.montecarlo.executors import JoblibExecutor
from theorylab.montecarlo.tasks import Call


def save(verification: Verification, folder: str | os.PathLike[str], jobs: int = 1) -> Path:
    """Write ``results.json``, ``report.html``, ``explore.html``, to which it leads, and ``figures/*.png``.

    Everything is drawn before the first file is written; after a failure the folder is as before.  Files of the same names
    are replaced, others are kept.

    Parameters
    ----------
    verification : Verification
    folder : str or os.PathLike
        Made if it does not exist, with the folders above it.
    jobs : int
        Processes that draw the figures.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    OSError
        If `folder` is a file or cannot be written; see `check_folder`.
    TypeError, ValueError
        If a figure cannot be drawn.

    Examples
    --------
    >>> import tempfile
    >>> run = Verification("0.1", 0, "quick", "cat", 0.01, "Bonferroni", ())
    >>> with tempfile.TemporaryDirectory() as top:
    ...     sorted(path.name for path in save(run, f"{top}/new/run").iterdir())
    ['explore.html', 'report.html', 'results.json']
    """
    check_folder(folder)
    _files.write_together(folder, render(verification, jobs))
    return Path(folder)


def render(verification: Verification, jobs: int = 1) -> dict[str, bytes | str]:
    """Return the content of every file of a verification, by its path within the folder.

    ``results.json`` is written last, so where it exists the others do.

    Examples
    --------
    >>> list(render(Verification("0.1", 0, "quick", "cat", 0.01, "Bonferroni", ())))
    ['explore.html', 'report.html', 'results.json']
    """
    from proofs_checks.report import html

    figures = [(claim.id, figure) for claim in verification.claims for figure in claim.figures]
    names = [figure.name for _, figure in figures]
    tasks = (
        (key, Call(functools.partial(_drawn, figure), (key,))) for key, (_, figure) in enumerate(figures)
    )
    drawn = dict(JoblibExecutor(jobs).run(tasks))
    pictures = {(claim, figure.name): drawn[key] for key, (claim, figure) in enumerate(figures)}
    content: dict[str, bytes | str] = {}
    for (claim, name), picture in pictures.items():
        stem = name if names.count(name) == 1 else f"{claim}-{name}"
        # Names become file names, which must not lead out of the folder.
        content[f"figures/{re.sub(r'[^A-Za-z0-9_-]+', '-', stem)}.png"] = picture
    content["explore.html"] = _explorer(verification.image)
    content["report.html"] = html.render(verification, pictures)
    content["results.json"] = _json.document(verification.to_json())
    return content


def _drawn(figure: MapFigure | CurveFigure, places: tuple[int, ...]) -> bytes:
    return drawing.render(figure)


def _explorer(image: str) -> str:
    try:
        return explorer.page(image or None)
    except ValueError:  # the picture has gone since the run began, which is no reason to lose what was found
        return explorer.page()


def check_folder(folder: str | os.PathLike[str], read: str | os.PathLike[str] | None = None) -> None:
    """Raise an OSError, before a long run, if results cannot be saved in `folder`, or if it is a folder that is `read`."""
    _files.check_folder(folder, ("explore.html", "report.html", "results.json", "figures/a figure"), read)
    there = Path(_files.place(folder)) / "results.json"
    if there.exists() and not _is_ours(there):
        raise FileExistsError(f"{os.fspath(folder)}: holds results of something else; choose another folder")


def _is_ours(results: Path) -> bool:
    try:
        return "claims" in json.loads(results.read_bytes())
    except (ValueError, TypeError):
        return False
