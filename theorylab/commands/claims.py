"""``theorylab claims``."""

from __future__ import annotations

from theorylab.commands import _options as options
from theorylab.commands import _output as output

EXAMPLES = (
    ("theorylab claims", "what is claimed, and where in the paper"),
    ("theorylab claims --json > claims.json", "with laws and formulas, for programs"),
    ("theorylab claims --beyond", "laws of our own, that go beyond the paper"),
    ("theorylab verify $(theorylab claims --quiet | grep pool)", "the ids alone, for the shell"),
)


def claims(
    beyond: options.Beyond = False,
    literature: options.Literature = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """List the claims that can be verified.

    Those of the paper, or of another group. With --quiet the ids alone, one a line.
    """
    import proofs_checks

    known = proofs_checks.registry(options.group(beyond, literature))
    if as_json:
        names = ("id", "section", "statement", "margins", "authors", "trained", "exact_law", "formula")
        output.as_text(
            [{**{name: getattr(claim, name) for name in names}, "checks": claim.n_checks} for claim in known]
        )
        return
    if quiet:
        for claim in known:
            output.line(claim.id)
        return
    from theorylab import drawing

    rows = [(claim.id, claim.section, claim.statement) for claim in known]
    output.display(drawing.table(("claim", "section", "statement"), rows))
