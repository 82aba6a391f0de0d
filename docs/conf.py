"""The site of the documentation: ``make docs``.  Nothing of it needs a network, neither to be built nor to be read."""

import os
import re
import sys
from pathlib import Path

from theorylab import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
# Pages that stand elsewhere in the checkout, where people look for them.
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "notebooks/README.md": "notebooks.md",
    "reference/README.md": "reference.md",
}

project = "theorylab"
copyright = "the theorylab developers, BSD-3-Clause"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

myst_heading_anchors = 3

# What a package names in `__all__` is documented there, wherever it is defined.
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
# Types of parameters are prose ("path or str, optional") and no references.
napoleon_use_param = napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"theorylab {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}


def included(text):
    """Put the pages that stand elsewhere in the place of their `include`, with links that are right from here."""

    def whole(match):
        page = HERE / match[1]

        def link(found):
            target = Path(os.path.normpath(page.parent / found[1])).relative_to(HERE.parent).as_posix()
            here = ELSEWHERE.get(target) or os.path.relpath(HERE.parent / target, HERE)
            return f"]({here}{found[2] or ''})"

        return re.sub(r"\]\((?![a-z]+:|#)([^)#]+)(#[^)]*)?\)", link, page.read_text(encoding="utf-8"))

    return re.sub(r"```\{include\} (\S+)\n```", whole, text)


def setup(app):
    """Write the page of laws, which is made of the claims, before the pages are read."""
    import laws

    def read(_app, _name, source):
        source[0] = included(source[0])

    app.connect("builder-inited", lambda _: laws.write())
    app.connect("source-read", read)
