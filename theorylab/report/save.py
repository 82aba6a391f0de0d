"""The files of a verification, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
from pathlib import Path

from theorylab import _files
from theorylab.report.results import Verification


def save(verification: Verification, folder: str | os.PathLike[str]) -> Path:
    """Write ``results.json``, ``report.html`` and ``figures/*.png``.

    Everything is drawn before the first file is written, and moved into place when all is written; if
    anything fails, the folder is as it was before.  Files of the same names are replaced, others left alone.

    Parameters
    ----------
    verification : Verification
    folder : str or os.PathLike
        Made if it does not exist, with the folders above it.

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
    ['report.html', 'results.json']
    """
    folder = Path(folder)
    check_folder(folder)
    content = render(verification)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    staging = folder / f".theorylab-{secrets.token_hex(6)}"
    try:
        staging.mkdir(parents=True)
        for name, data in content.items():
            target = staging / "new" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _files.write_atomically(target, data)
        _move_in(staging, folder, list(content))
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
    shutil.rmtree(staging, ignore_errors=True)
    return folder


def render(verification: Verification) -> dict[str, bytes]:
    """The content of every file of a verification, by its path within the folder.

    ``results.json`` is the last one: where it stands, the others do.

    Examples
    --------
    >>> list(render(Verification("0.1", 0, "quick", "cat", 0.01, "Bonferroni", ())))
    ['report.html', 'results.json']
    """
    from theorylab.report import html, plots

    figures = [(claim.id, figure) for claim in verification.claims for figure in claim.figures]
    names = [figure.name for _, figure in figures]
    content, pictures = {}, {}
    for claim, figure in figures:
        unique = names.count(figure.name) == 1
        stem = figure.name if unique else f"{claim}-{figure.name}"
        picture = plots.render(figure)
        # Names become file names: nothing in them may lead out of the folder.
        content[f"figures/{re.sub(r'[^A-Za-z0-9_-]+', '-', stem)}.png"] = picture
        if unique:
            pictures[figure.name] = picture
    content["report.html"] = html.render(verification, pictures).encode()
    text = json.dumps(verification.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    content["results.json"] = f"{text}\n".encode()
    return content


def check_folder(folder: str | os.PathLike[str]) -> None:
    """See, without writing, whether results can be saved in `folder`: to be asked before a long run.

    Raises
    ------
    NotADirectoryError
        If `folder`, or a part of its path, is a file.
    PermissionError
        If the folder, or the one in which it would be made, is not writable.
    IsADirectoryError
        If a folder stands where a file is to be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     check_folder(file.name)
    Traceback (most recent call last):
        ...
    NotADirectoryError: /...: is a file, not a folder
    """
    folder = Path(folder)
    existing = folder
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    for place in (existing, folder / "figures"):
        if os.path.lexists(place) and not place.is_dir():
            of = "" if place == folder else f" (wanted: the folder {folder})"
            raise NotADirectoryError(f"{place}: is a file, not a folder{of}")
        if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(f"{place}: the folder is not writable")
    for name in ("report.html", "results.json"):
        if (folder / name).is_dir():
            raise IsADirectoryError(f"{folder / name}: is a folder; a file is to be written there")


def _move_in(staging: Path, folder: Path, names: list[str]) -> None:
    """Move the new files to their places; after a failure, bring the old ones back."""
    figures = folder / "figures"
    new_figures = any(name.startswith("figures/") for name in names) and not figures.exists()
    (staging / "old" / "figures").mkdir(parents=True)
    done: list[str] = []
    try:
        if new_figures:
            figures.mkdir()
        for name in names:
            if (folder / name).is_dir():
                raise IsADirectoryError(f"{folder / name}: is a folder; a file is to be written there")
            if os.path.lexists(folder / name):
                os.replace(folder / name, staging / "old" / name)
            done.append(name)
            os.replace(staging / "new" / name, folder / name)
    except BaseException:
        for name in reversed(done):
            with contextlib.suppress(OSError):
                (folder / name).unlink(missing_ok=True)
                if os.path.lexists(staging / "old" / name):
                    os.replace(staging / "old" / name, folder / name)
        if new_figures:
            with contextlib.suppress(OSError):
                figures.rmdir()
        raise
