"""Pages of HTML: one file each, in the look that they share."""

from __future__ import annotations

from typing import Any

from theorylab import _validation
from theorylab.drawing import _numbers


@_validation.checked
def page(package: str, template: str, values: dict[str, Any]) -> str:
    """Render a template of a package as a page that needs nothing but itself.

    Parameters
    ----------
    package : str
        The package whose folder holds the template.
    template : str
        A file of Jinja.  There ``include "look.css"`` gives the styles that all pages share, ``source("a.js")`` the text of a
        file beside the template as it stands, and the filter ``powers`` writes powers of ten.
    values : dict
        What the template names.  A name that is missing is an error, and text is escaped.

    Returns
    -------
    str

    Examples
    --------
    >>> "--paper" in page("theorylab.drawing", "look.css", {})
    True
    """
    import jinja2
    import markupsafe

    own = jinja2.PackageLoader(package, ".")
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([own, jinja2.PackageLoader("theorylab.drawing", ".")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["powers"] = _numbers.powers
    environment.globals["source"] = lambda name: markupsafe.Markup(own.get_source(environment, name)[0])
    return environment.get_template(template).render(values)
