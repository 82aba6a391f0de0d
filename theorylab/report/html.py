"""The report as one HTML file that opens offline."""

from __future__ import annotations

import base64
import importlib.metadata
import platform
from collections.abc import Mapping

from theorylab.report import _format, deviations, formulas, plots
from theorylab.report.results import ClaimResult, Verdict, Verification

_MEANING = {
    Verdict.HOLDS: "The statement as written agrees with the exact law at the sizes that were checked.",
    Verdict.HOLDS_IN_THE_LIMIT: (
        "The statement is the limit of the exact law as the network grows; at a finite size there is a "
        "departure, and the laboratory says how large."
    ),
    Verdict.REFUTED: (
        "The exact law, or for trained networks the measurement, contradicts the statement as written; the laboratory checks "
        "the law in its place."
    ),
    Verdict.NOT_RUN: "Something that the claim needs was not given; nothing is said of the statement.",
}
# The entry nie2018theoretical of references.bib, which an installed package does not have beside it.
_PAPER = (
    "Weili Nie, Yang Zhang, Ankit B. Patel: A Theoretical Explanation for Perplexing Behaviors of "
    "Backpropagation-based Visualizations. Proceedings of the 35th International Conference on Machine Learning (ICML "
    "2018), Proceedings of Machine Learning Research 80, pages 3809–3818."
)
_NOTATION = (
    ("x", "the picture, scaled to norm 1"),
    ("S", "the map that a rule shows of one logit, raw; E S is its mean over random networks"),
    ("V, V_ij", "the readout: weights from filter i at patch j to the logit that is shown"),
    ("w_i", "filter i of the first layer, as long as a patch"),
    ("y_j = D_j x", "patch j of the picture; û_j = y_j/‖y_j‖ is its direction"),
    ("D_j", "cuts patch j out of the picture; D_jᵀ puts it back in its place"),
    (
        "h",
        "what a rule does to the gradient from above (Eq. 1 and 2): max(·, 0); saliency leaves it as it is",
    ),
    (
        "g'",
        "the mask of the forward pass: 1 where the ReLU was active and 0 elsewhere, for DeconvNet always 1",
    ),
    ("w̃_ij", "w_i where the mask of the rule lets it through at patch j, else 0"),
    ("N", "the number of filters"),
    ("c", "the standard deviation of the filters' entries; in maximum-logit, of the readout's"),
    ("p", "the number of entries of a patch; in the tables of checks, the probability above"),
    ("m₀, m₂", "E[max(V, 0)] and E[max(V, 0)²] of a readout weight V; v is E V²"),
    (
        "κ",
        "local contrast: κ_t = Σ_{j∋t} 1/‖y_j‖, over the patches that hold pixel t (κ₄ is an excess kurtosis)",
    ),
    ("K", "the number of logits (K₁ and K₂ are functions, given where they stand)"),
    ("⊙", "product entry by entry"),
    (
        "o^(l), n_l, V̂^(l)",
        "in deep networks: activations of layer l, their number, the modified gradient that reaches them",
    ),
)
_PACKAGES = ("numpy", "scipy", "numba")


def render(verification: Verification, pictures: Mapping[str, bytes] | None = None) -> str:
    """The whole report as one HTML document.

    Parameters
    ----------
    verification : Verification
    pictures : mapping of figure names to the bytes of PNG files, optional
        Figures already drawn; the others are drawn here.

    Returns
    -------
    str
        Styles and pictures are inside; nothing is fetched and no script runs.

    Raises
    ------
    TypeError, ValueError
        If a figure cannot be drawn, or the headline of a claim names none of its checks.

    Examples
    --------
    >>> page = render(Verification("0.1", 0, "quick", "cat", 0.01, "Bonferroni", ()))
    >>> page.splitlines()[0]
    '<!DOCTYPE html>'
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("theorylab", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["powers"] = _format.powers
    template = environment.get_template("report.html.j2")
    pictures = pictures or {}
    claims = [_claim(claim, pictures, verification.command_for(claim.id)) for claim in verification.claims]
    return template.render(
        run=verification,
        claims=claims,
        failed=[claim for claim in verification.claims if claim.passed is False],
        not_run=[claim for claim in verification.claims if claim.verdict is Verdict.NOT_RUN],
        n_checked=sum(bool(claim.checks) for claim in verification.claims),
        # Claims without a law that were run all the same, as trained networks with given weights.
        n_measured=sum(
            not claim.checks and claim.verdict is not Verdict.NOT_RUN for claim in verification.claims
        ),
        paper=_PAPER,
        notation=_NOTATION,
        n_checks=sum(len(claim.checks) for claim in verification.claims),
        counts=[
            (_format.VERDICT_WORDS[verdict], sum(claim.verdict is verdict for claim in verification.claims))
            for verdict in Verdict
        ],
        meanings=[(verdict.value, _format.VERDICT_WORDS[verdict], _MEANING[verdict]) for verdict in Verdict],
        alarm=_format.p_value(verification.false_alarm_probability),
        command=verification.command or verification.command_for(),
        versions=versions(),
        f=_format,
    )


def versions() -> tuple[tuple[str, str], ...]:
    """Names and versions of what the numbers depend on."""
    found = [(package, importlib.metadata.version(package)) for package in _PACKAGES]
    return (("python", platform.python_version()), *found)


def _claim(claim: ClaimResult, pictures: Mapping[str, bytes], command: str) -> dict:
    figures = []
    for figure in claim.figures:
        picture = pictures.get(figure.name) or plots.render(figure)
        # A PNG says its width in bytes 16 to 20; a small figure is not blown up to the width of the page.
        width = int.from_bytes(picture[16:20], "big") * 110 // plots.DPI
        figures.append((figure.caption, base64.b64encode(picture).decode("ascii"), width))
    scale = deviations.scale(claim.checks)
    proof = [part.strip() for part in claim.proof.split("\n\n") if part.strip()]
    return {
        "result": claim,
        "headline": claim.headline_check(),
        "words": _format.VERDICT_WORDS[claim.verdict],
        "failures": _format.failures(claim),
        "figures": figures,
        "proof": proof,
        "formula": formulas.svg(claim.formula, claim.exact_law),
        "scale": scale,
        "deviations": [deviations.svg(check, scale) for check in claim.checks],
        "command": command,
    }
