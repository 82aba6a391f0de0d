"""``theorylab explore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from theorylab.commands import _options as options
from theorylab.commands import _output as output

EXAMPLES = (
    ("theorylab explore", "explore.html: open it in a browser"),
    ("theorylab explore photo.jpg --out photo.html", "beginning with your picture"),
)


def explore(
    image: Annotated[
        str | None,
        typer.Argument(
            help="A picture to begin with: a path, or a bundled one (cat, astronaut, coffee, rocket). [default: cat]"
        ),
    ] = None,
    out: Annotated[str, typer.Option(help="The page's file.")] = "explore.html",
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Write a page that shows what the theorem means.

    Sliders change a random network; the predicted map stands beside one drawn in the page.  It is one file, which needs no
    network, and a link to it holds what is seen.
    """
    from theorylab import _files, explorer, images

    file = Path(_files.place(out))
    if file.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out: expected a name that ends with .html, got {out!r}")
    _files.check_file(out, image)
    page = explorer.page(image)
    before = file.exists()
    _files.write_atomically(file, page)
    if as_json:
        output.as_text({"image": image or images.bundled()[0], "files": [str(file)]})
    elif not quiet:
        output.written([file], "Replaced" if before else "Written")
