"""The list of wrong changes: what is scaled, shifted, left out or turned round, and nothing that runs.

To renew an entry whose code has moved: `module` and `function` say where the code is; `old` is an expression, or a statement,
that occurs once in that function, in any layout; `new` takes its place.  A law is changed by a decorator right above its
``def``: of a function that ``made_by`` gives another's arguments, the result of the inner one is scaled.
"""

from __future__ import annotations

import dataclasses
import importlib
import types
from collections.abc import Iterator
from pathlib import Path

from mutant_edits import Edited, EditError, decorated, replaced, turned_round

FACTORS = (1.03, 0.97)

DECISIONS = (
    "proofs_checks.judge",
    "proofs_checks.referee",
    "proofs_checks.results",
    "theorylab.stats.comparison",
    "theorylab.stats.multiplicity",
)
"""Modules of which every comparison, ``and``, ``or``, ``not`` and bare condition is turned round."""


@dataclasses.dataclass(frozen=True)
class Law:
    """A law and what it returns: "value", "integer", "first" (of a pair), "all" (of a tuple), or fields of a record.

    `records` is "one" or "list" where fields are named, and "lazy" where they are functions that return them; `shifted` names how a map is moved by one pixel: its axis or axes, as
    NumPy's roll takes them.
    """

    module: str
    function: str
    returns: str = "value"
    records: str = ""
    shifted: str = ""


@dataclasses.dataclass(frozen=True)
class Term:
    """One term, factor or condition that is left out or replaced."""

    what: str
    module: str
    function: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A wrong change: its kind, in words what it is, the file relative to the root, and the edited source."""

    kind: str
    what: str
    path: str
    edited: Edited


# The names of theorylab.analytic.__all__ and theorylab.estimates.__all__; where they live is read from the package.
PUBLIC: dict[str, tuple[str, str, str]] = {
    "active_coverage": ("value", "", "-1"),
    "class_distance": ("value", "", ""),
    "covariance": ("value", "", "(0, 1)"),
    "deconvnet_correlation": ("value", "", ""),
    "depth_maps": ("alpha beta alignment mean_map variance_map", "list", ""),
    "depth_profile": ("alpha beta alignment class_distance", "list", ""),
    "estimation_error": ("value", "", ""),
    "expected_class_product": ("value", "", ""),
    "expected_cosine": ("value", "", ""),
    "expected_energy": ("value", "", ""),
    "feature_cosine": ("value", "", ""),
    "filters_needed": ("integer", "", ""),
    "finite_width_profile": ("alignment cosine energy", "list", ""),
    "fourth_cumulant_map": ("value", "", "-1"),
    "gradient_correlation": ("value", "", ""),
    "gradient_fourth_moment": ("value", "", ""),
    "infinite_depth_alignment": ("value", "", ""),
    "infinite_depth_class_distance": ("factor power coefficient", "one", ""),
    "local_contrast": ("value", "", "-1"),
    "maximum_logit_mean_map": ("value", "", "-1"),
    "maximum_logit_moment": ("value", "", ""),
    "maximum_moment": ("value", "", ""),
    "mean_map": ("value", "", "-1"),
    "orthant_probability": ("value", "", ""),
    "orthant_probability_with_error": ("first", "", ""),
    "pooled_expected_cosine": ("first", "", ""),
    "pooled_mean_map": ("value", "", "-1"),
    "pooled_mean_map_with_error": ("first", "", "-1"),
    "pooled_patch_variance": ("value", "", "0"),
    "pooled_variance_map": ("value", "", "-1"),
    "relevance_collapse": ("all", "", ""),
    "relevance_cosine": ("value", "", ""),
    "selection_probabilities": ("all_zero positive_given_chosen chosen_given_positive", "one", ""),
    "smoothgrad_cosine": ("value", "", ""),
    "variance_map": ("value", "", "-1"),
}

# Modules among those names: their public functions.
OF_MODULES: dict[str, dict[str, str]] = {
    "halfspace": {"mean": "value", "second_moment": "value", "pair_terms": "all", "pair_matrix": "value", "unit": "value"},
}  # fmt: skip

# What theorylab.law returns.  Pooled and deep laws share _Moments; what is deep is scaled by itself too.
LAW_OF = "theorylab.analytic.of_stack"
THREE = "theorylab.analytic.three_layer"
RETURNED = (
    Law(THREE, "ThreeLayerLaw.mean", shifted="-1"),
    Law(THREE, "ThreeLayerLaw.variance", shifted="-1"),
    Law(THREE, "ThreeLayerLaw.class_distance"),
    Law(THREE, "MapLaw.energy"),
    Law(THREE, "MapLaw.expected_cosine"),
    Law(THREE, "MapLaw.class_distance"),
    Law(THREE, "MapLaw.absolute_cosine"),
    Law(THREE, "MapLaw.absolute_class_distance"),
    Law(LAW_OF, "_Moments.mean", shifted="-1"),
    Law(LAW_OF, "_Moments.variance", shifted="-1"),
    Law(LAW_OF, "_deep", "mean_map variance_map distance", "lazy"),
    Law(LAW_OF, "_pooled", "distance", "lazy"),
    Law("theorylab.analytic.conv_depth", "LayerMaps.class_distance"),
    Law("theorylab.analytic.relevance_maps", "RelevanceLaw.mean", shifted="-1"),
    Law("theorylab.analytic.relevance_maps", "RelevanceLaw.variance", shifted="-1"),
    Law("theorylab.analytic.relevance_maps", "RelevanceLaw.class_distance"),
    Law("theorylab.analytic.relevance_maps", "RelevanceLaw.expected_cosine"),
    Law("theorylab.analytic.cam", "CamLaw.mean", shifted="-1"),
    Law("theorylab.analytic.cam", "CamLaw.variance", shifted="-1"),
    Law("theorylab.analytic.cam", "CamLaw.both_positive"),
    Law("theorylab.analytic.cam", "CamLaw.class_distance"),
    Law("theorylab.analytic.other_gates", "GatedLaw.mean", shifted="-1"),
    Law("theorylab.analytic.other_gates", "GatedLaw.variance", shifted="-1"),
)

# Fields of records that are maps, and so are shifted too.  A dense layer's variance is the same everywhere.
MAPS = ("alpha", "beta", "mean_map", "variance_map")
UNSHIFTED = (
    ("theorylab.analytic.depth", "depth_profile", "alpha"),
    ("theorylab.analytic.depth", "depth_profile", "beta"),
)


def _in(module: str, *terms: tuple[str, str, str, str]) -> tuple[Term, ...]:
    return tuple(Term(what, f"theorylab.{module}", function, old, new) for function, what, old, new in terms)


TERMS: tuple[Term, ...] = (
    *_in(
        "analytic.halfspace",
        ("mean", "the norm of the patch kept", "std / math.sqrt(2 * math.pi) * unit(y)", "std / math.sqrt(2 * math.pi) * y"),
        ("second_moment", "both half-spaces", "std**2 / 2", "std**2"),
        ("second_moment", "a patch of zeros opens its unit", "y.any()", "True"),
        ("pair_terms", "k₊ and k₋ exchanged", "((gap, total), (total, gap))", "((total, gap), (gap, total))"),
        ("pair_terms", "probability of the wedge halved", "np.arctan2(total, gap) / math.pi", "np.arctan2(total, gap) / (2 * math.pi)"),
        ("pair_terms", "θ/2 from its sine, half of the digits near opposite vectors lost", "np.arctan2(total, gap) / math.pi", "0.5 - np.arcsin(np.minimum(gap / 2, 1)) / math.pi"),
        ("pair_matrix", "the part along u + u' dropped", "plus * np.outer(u + v, u + v)", "0 * plus"),
        ("pair_matrix", "the part along u − u' dropped", "minus * np.outer(u - v, u - v)", "0 * minus"),
        ("unit", "squares of norms overflow", "-np.frexp(largest)[1]", "0 * np.frexp(largest)[1]"),
    ),
    *_in(
        "analytic.gates",
        ("local_contrast", "the square of the norm taken for the norm", "np.sqrt(_windows.energies(image, grid))", "_windows.energies(image, grid)"),
        ("local_contrast", "the scale of the picture forgotten", "_windows.rescaled(_windows.fold(_inverse(np.sqrt(_windows.energies(image, grid))), grid), exponent)", "_windows.fold(_inverse(np.sqrt(_windows.energies(image, grid))), grid)"),
        ("active_coverage", "patches of zeros counted", "_windows.energies(x, grid) > 0", "_windows.energies(x, grid) >= 0"),
        ("neighbours", "pairs j ≠ j' dropped", "total += term", "pass"),
        ("neighbours", "the product of differences of pixels dropped", "term -= step", "pass"),
        ("neighbours", "the difference of norms dropped", "(minus - plus) * g", "0 * g"),
        ("neighbours", "norms of the two patches exchanged", "(even + odd * m, even - odd * n, (plus + minus) * nm)", "(even + odd * n, even - odd * m, (plus + minus) * nm)"),
        ("neighbours", "one of ±δ alone", "2 * np.stack([_windows.crop(plane, grid) for plane in total])", "np.stack([_windows.crop(plane, grid) for plane in total])"),
        ("neighbours", "the common part of two patches one row short", "range(i, grid.kernel[0])", "range(i + 1, grid.kernel[0])"),
        ("neighbours", "the common part of two patches: the whole width", "range(max(k, 0), grid.kernel[1] + min(k, 0))", "range(grid.kernel[1])"),
        ("neighbours", "the patch behind mirrored", "(-i, -k)", "(-i, k)"),
        ("neighbours", "of opposite patches, y' taken for −y' behind", "np.negative(behind, out=behind)", "None"),
        ("neighbours", "the few pairs left over dropped", "tapped, left = tapped | left, np.zeros_like(left)", "left = np.zeros_like(left)"),
        ("neighbours", "pairs of very different norms taken by windows, digits lost", "near & (of_norms > _CANCELS**2 * apart)", "near & False"),
        ("_tap_by_tap", "the part along u − u' dropped", "plus * together[first] * together[second] - minus * apart[first] * apart[second]", "plus * together[first] * together[second]"),
        ("_tap_by_tap", "the part along u + u' dropped", "plus * together[first] * together[second] - minus * apart[first] * apart[second]", "-minus * apart[first] * apart[second]"),
        ("_tap_by_tap", "the second patch mirrored", "np.s_[:, :, : height - i, max(-k, 0) : width - max(k, 0)]", "np.s_[:, :, : height - i, max(k, 0) : width + min(k, 0)]"),
    ),
    *_in(
        "analytic._windows",
        ("scaled", "squares overflow", "-int(np.frexp(abs(x).max())[1])", "0"),
        ("energies", "every patch cut one pixel off", "(padded(x, grid) ** 2).sum(axis=0)", "np.roll((padded(x, grid) ** 2).sum(axis=0), 1, axis=1)"),
        ("moved", "to the left taken for to the right", "zip(shift, plane.shape[-2:], strict=True)", "zip((shift[0], -shift[1]), plane.shape[-2:], strict=True)"),
        ("crop", "the map cut one pixel off", "plane[pad_rows : pad_rows + height, pad_columns : pad_columns + width]", "np.roll(plane, 1, axis=0)[pad_rows : pad_rows + height, pad_columns : pad_columns + width]"),
        ("window_sums", "windows one column short", "range(grid.kernel[1])", "range(1, grid.kernel[1])"),
        ("overlapping_offsets", "the farthest neighbours left out", "(size - 1) // step", "(size - 2) // step"),
        ("overlapping_offsets", "the next patch to the right left out", "(i, k) > (0, 0)", "(i, k) > (0, 1)"),
    ),
    *_in(
        "analytic.three_layer",
        ("ThreeLayerLaw.first", "the factor 1 − s of a leaky unit dropped", "(1 - self.shut) / math.sqrt(2 * math.pi)", "1 / math.sqrt(2 * math.pi)"),
        ("ThreeLayerLaw.second", "what a closed leaky gate passes dropped", "squared * self.grid.coverage", "0 * self.grid.coverage"),
        ("ThreeLayerLaw.second", "patches of zeros counted as open", "gates.active_coverage(self.x, self.grid)", "self.grid.coverage"),
        ("ThreeLayerLaw.pairs", "1 − s not squared", "(1 - self.shut) ** 2", "(1 - self.shut)"),
        ("ThreeLayerLaw.variance", "−m₀² of the variance dropped", "self.pairs - self.first**2", "self.pairs"),
        ("ThreeLayerLaw.variance", "pairs j ≠ j' dropped", "self.pairs - self.first**2", "-self.first**2"),
        ("ThreeLayerLaw.variance", "E[h²] taken for its variance", "self.rule.second_moment(self.readout) * self.second", "self.h_variance * self.second"),
        ("ThreeLayerLaw.variance", "c for c²", "self.filter_std**2", "self.filter_std"),
        ("ThreeLayerLaw.h_variance", "−m₀² of the readout's variance dropped", "self.rule.second_moment(self.readout) - self.h_mean**2", "self.rule.second_moment(self.readout)"),
        ("ThreeLayerLaw.class_product", "−m₀² of the class product dropped", "self.h_variance", "self.rule.second_moment(self.readout)"),
        ("ThreeLayerLaw.class_product", "readouts of two logits shared", "self.energy - float(lost)", "self.energy"),
        ("ThreeLayerLaw.mean", "c of the filters dropped", "self.n_filters * self.h_mean * self.filter_std * self.first", "self.n_filters * self.h_mean * self.first"),
        ("MapLaw.energy", "the mean map's energy dropped", "(self.mean**2).sum() + self.variance.sum()", "self.variance.sum()"),
        ("MapLaw.energy", "the noise's energy dropped", "(self.mean**2).sum() + self.variance.sum()", "(self.mean**2).sum()"),
        ("MapLaw.expected_cosine", "the noise left out of the cosine", "math.sqrt(self.energy)", "np.linalg.norm(self.mean)"),
        ("MapLaw.class_distance", "every rule taken for one without a mean", "self.rule.up + self.rule.down == 0", "True"),
    ),
    *_in(
        "analytic._biases",
        ("longer", "the constant not shared out among the pixels of a patch", "math.sqrt(math.prod(grid.kernel))", "1.0"),
        ("longer", "the filters' deviation dropped", "bias.std / filter_std", "bias.std"),
        ("density", "Gaussian biases added to the size, not to its square", "np.hypot(size, bias.std)", "(size + bias.std)"),
        ("density", "half of a uniform density", "2 * h", "h"),
        ("open_energy", "the part along the patch dropped", "image**2 * _windows.fold(along, grid)", "0 * image"),
    ),
    *_in(
        "analytic._uniform_moments",
        ("unit_moments", "the jump at 0 dropped", "(1 - shut) * (rule.up + rule.down) * noise / math.sqrt(2 * math.pi) * at_zero", "0 * at_zero"),
        ("_half", "a uniform bias's variance for its half-width", "np.sqrt(3 * share)", "np.sqrt(share)"),
        ("_lost", "two logits independent where both are positive", "special.ndtr(q) - 2 * special.owens_t(q, bent)", "special.ndtr(q) ** 2"),
    ),
    *_in(
        "analytic.whole_covariance",
        ("covariance", "one leaky gate shut, the other open: dropped", "shut**2 * every.T @ every + mixed + mixed.T", "shut**2 * every.T @ every"),
        ("covariance", "both leaky gates shut: dropped", "shut**2 * every.T @ every", "0 * every.T @ every"),
        ("covariance", "patches of zeros counted as open", "(wide.extract(x) != 0).any(axis=1)", "np.ones(grid.n_patches)"),
        ("_open_pairs", "−m₀² of the covariance dropped", "rows -= u[:, None, None] * units / (2 * math.pi)", "pass"),
        ("_open_pairs", "pairs j ≠ j' dropped", "grid.fold(rows)", "grid.fold(rows * (np.arange(len(units)) == j)[:, None])"),
        ("_open_pairs", "the part along u + u' dropped", "rows += ((active * plus)[:, None] * together).T[:, :, None] * together", "pass"),
        ("_open_pairs", "the part along u − u' dropped", "rows -= ((active * minus)[:, None] * apart).T[:, :, None] * apart", "pass"),
        ("_open_pairs", "every patch put back one pixel off", "inside = indices[j] >= 0", "indices[j] -= 1\ninside = indices[j] >= 0"),
        ("_open_pairs", "patches of zeros counted as open", "units.any(axis=1)", "np.ones(len(units), dtype=bool)"),
    ),
    *_in(
        "analytic.relevance",
        ("relevance_cosine", "the fluctuation of the positive parts dropped", "_SPREAD * (a @ b)", "0"),
        ("relevance_collapse", "relevance that leaves the readout taken for flat", "mean_square, above = math.pi, 0.0", "mean_square, above = 1.0, 0.0"),
        ("relevance_collapse", "activations do not weigh the units", "_SPREAD * mean_square * math.pi / width", "_SPREAD * mean_square / width"),
        ("relevance_collapse", "z independent of its unit", "_ROOT * spread", "0"),
        ("relevance_collapse", "variance of the positive parts not shifted", "kappa * skew", "0"),
        ("relevance_collapse", "mean of the positive parts not shifted above", "tau * (_ROOT * spread - kappa * skew) + under - above", "tau * (_ROOT * spread - kappa * skew) + under"),
    ),
    *_in(
        "analytic.relevance_maps",
        ("RelevanceLaw.direction", "entries of the padding have relevance", "inside * (1 + u**2)", "1 + u**2"),
        ("RelevanceLaw.direction", "a filter independent of its unit", "inside * (1 + u**2)", "inside"),
        ("RelevanceLaw.direction", "α1β0 to first order", "u * arc_cosine(u)", "u"),
        ("RelevanceLaw.class_distance", "the part along the mean counted", "whole - along", "whole"),
        ("RelevanceLaw.class_distance", "second moment for variance", "self.readout.relu_second_moment / self.readout.relu_mean**2 - 1", "self.readout.relu_second_moment / self.readout.relu_mean**2"),
    ),
    *_in(
        "analytic.features",
        ("feature_cosine", "angles kept", "arc_cosine(angles)", "angles"),
        ("feature_cosine", "one weight for every position", "sizes * arc_cosine(angles)", "sizes.mean() * arc_cosine(angles)"),
    ),
    *_in(
        "analytic._angles",
        ("descend", "a quarter of the units open for both", "1 - share * angle / math.pi", "1 - share / 2"),
        ("descend", "the angle of the first layer in all", "before, cosine = cosine, (1 - share) * cosine + share * rectified", "before = None"),
        ("descend", "the second term of the arc-cosine map dropped", "(math.pi - angle) * cosine", "0.0"),
    ),
    *_in(
        "analytic.gradients",
        ("gradient_correlation", "the branch's energy for its share", "1 / (1 + b**-2) if b > 1 else b * b / (1 + b * b)", "b * b"),
        ("gradient_fourth_moment", "the input's χ² dropped", "(1 + 2 / sizes[0])", "1"),
        ("gradient_fourth_moment", "all units open", "6 * (1 + square**2) / (1 + square) ** 2 - 1", "2"),
    ),
    *_in(
        "analytic.kurtosis",
        ("fourth_cumulant_map", "−4 μ₃ μ₁ dropped", "fourth - 4 * third * first", "fourth"),
        ("fourth_cumulant_map", "−3 μ₂² dropped", "fourth - 4 * third * first - 3 * second**2", "fourth - 4 * third * first"),
        ("fourth_cumulant_map", "+12 μ₂ μ₁² dropped", "12 * second * first**2", "0"),
        ("fourth_cumulant_map", "−6 μ₁⁴ dropped", "6 * first**4", "0"),
        ("fourth_cumulant_map", "−u³ of the third moment dropped", "3 * u - u**3", "3 * u"),
        ("_gated", "what a closed leaky gate passes dropped", "half + closed", "half"),
        ("_gated", "patches of zeros counted as open", "active > 0", "active >= 0"),
    ),
    *_in(
        "analytic.maximum",
        ("maximum_moment", "Φ^K for Φ^(K−1) in the density", "(n - 1) * special.log_ndtr(t)", "n * special.log_ndtr(t)"),
        ("maximum_logit_moment", "(E m)² taken for E m²", "maximum_moment(n_logits, 2)", "maximum_moment(n_logits) ** 2"),
        ("maximum_logit_moment", "all units open", "maximum_moment(n_logits, 2) * std**4 * n_filters / 2", "maximum_moment(n_logits, 2) * std**4 * n_filters"),
        ("maximum_logit_moment", "the scale of the picture once for twice", "-2 * exponent", "-exponent"),
        ("maximum_logit_mean_map", "coverage dropped", "scale * grid.coverage * x", "scale * x"),
        ("maximum_logit_mean_map", "all units open", "n_filters / 2 / energy", "n_filters / energy"),
    ),
    *_in(
        "analytic.estimation",
        ("estimation_error", "the squared norm of the mean left in", "patch_size / 2 - 1 / (2 * math.pi)", "patch_size / 2"),
        ("filters_needed", "rounded down", "math.ceil(estimation_error(patch_size, 1, std=std) ** 2 / error**2)", "math.floor(estimation_error(patch_size, 1, std=std) ** 2 / error**2)"),
    ),
    *_in(
        "analytic.orthant",
        ("_merged", "opposite coordinates taken for free ones", "matrix < -1 + _ALIKE", "matrix < -2"),
        ("_merged", "equal coordinates counted twice", "matrix[r, :r] > 1 - _ALIKE", "matrix[r, :r] > 2"),
        ("orthant_probability_with_error", "one standard error for three", "3 * float(_conditioning.error(values))", "float(_conditioning.error(values))"),
    ),
    *_in(
        "analytic.orthant_moments",
        ("event_probabilities", "conditions that exclude each other have probability 1", "possible.astype(np.float64)", "np.ones(len(rows))"),
        ("orthant_mean", "rows not projected on the face", "_cones.across(units[:, others], units[:, r])", "units[:, others]"),
        ("orthant_mean", "faces of conditions that do not count kept", "face * active[:, r]", "face"),
        ("orthant_second_moment", "rows not projected on the face", "_cones.across(units[:, others], units[:, r])", "units[:, others]"),
        ("_conditions", "equal rows counted twice", "active[:, s] &= ~(active[:, r] & (gap < _COINCIDE))", "pass"),
        ("_conditions", "opposite rows taken for possible", "possible &= ~(active[:, r] & active[:, s] & (total < _COINCIDE))", "pass"),
    ),
    *_in(
        "analytic._cones",
        ("angle", "half of the angle", "2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))", "np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))"),
        ("angle", "an arc cosine, half of the digits lost", "2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))", "np.arccos(np.clip((a * b).sum(axis=-1), -1, 1))"),
        ("across", "the part along the axis kept", "rest = rest - np.einsum('nkd,nd->nk', rest, axis)[:, :, None] * axis[:, None]", "pass"),
        ("across", "parts not brought to length 1", "np.divide(rest, sizes, out=np.zeros(rest.shape), where=sizes > 0)", "rest"),
        ("across", "opposite normals projected as they are, digits lost", "np.where(np.einsum('nkd,nd->nk', rows, axis) < 0, -1.0, 1.0)", "np.ones(rows.shape[:2])"),
        ("from_angles", "angles over 2π for angles over π", "2 / math.pi * angles", "1 / math.pi * angles"),
        ("closed", "the factor 2 of rows that do not count dropped", "2.0 ** (~counts).sum(axis=1)", "1.0 ** (~counts).sum(axis=1)"),
        ("closed", "rows that do not count are felt", "counts[:, first] & counts[:, second]", "counts[:, first] | True"),
        ("small", "of five, sets of three dropped", "((2, 1), (3, -1), (4, 1))", "((2, 1), (4, 1))"),
        ("small", "of five, sets of four dropped", "((2, 1), (3, -1), (4, 1))", "((2, 1), (3, -1))"),
        ("small", "of five, twice the probability", "np.clip(value / 2, 0.0, 1.0)", "np.clip(value, 0.0, 1.0)"),
        ("small", "of five, the errors of four forgotten", "error + doubt", "error"),
        ("_four", "the thin cone dropped", "np.where(reversed_ == 1, -rest, rest)", "0 * rest"),
        ("_four", "the thin cone added where one condition is reversed", "np.where(reversed_ == 1, -rest, rest)", "rest"),
        ("_four", "cones of three dropped", "value += flips[:, r] * closed(units[:, others], every[:, others])", "pass"),
        ("_four", "where two conditions are reversed, the wedge of the others kept", "value -= kept * closed(units[:, [r, s]], every[:, :2])", "pass"),
        ("_four", "where three conditions are reversed, the cone's opposite not taken", "least *= np.where((least < 0).sum(axis=1) > 2, -1.0, 1.0)[:, None]", "pass"),
        ("_thin", "α for the wedge π − α", "math.pi - alpha", "alpha"),
        ("_thin", "the density of the face forgotten", "4 * math.pi**2", "2 * math.pi"),
        ("_thin", "p_r not divided by its norm", "np.divide(t[r], sizes[r], out=np.zeros(phi.shape), where=sizes[r] > 0)", "t[r]"),
        ("_thin", "turned from the other side", "-np.einsum('nr,nrd->nd', weights[:, :3], units[:, :3])", "np.einsum('nr,nrd->nd', weights[:, :3], units[:, :3])"),
        ("_thin", "along g taken for constant", "along[which, r, None] * -np.sin(phi)", "0 * phi"),
        ("_thin", "one halving and no more", "gap > _TOLERANCE", "gap > 1"),
        ("_thin", "the error of the pieces dropped", "np.add.at(error, which[~bad], gap[~bad])", "None"),
    ),
    *_in(
        "analytic._conditioning",
        ("moments", "the last coordinate has no mean", "last if i == k - 1 else coordinates[i] * weight", "coordinates[i] * weight"),
        ("moments", "conditions that follow from others taken for certain", "(value > 0) | ~active[part, i, None]", "np.ones(value.shape, dtype=bool)"),
        ("error", "the error of a sum for that of a mean", "wide * np.std(replicates, axis=0, ddof=1) / math.sqrt(count)", "wide * np.std(replicates, axis=0, ddof=1)"),
        ("error", "the normal for Student's t", "special.stdtrit(count - 1, special.ndtr(3.0)) / 3", "1.0"),
    ),
    *_in(
        "analytic.pooled",
        ("pooled_mean_maps", "c of the filters dropped", "plain.n_filters * plain.h_mean * plain.filter_std", "plain.n_filters * plain.h_mean"),
        ("pooled_mean_maps", "every patch put back one pixel off", "grid.fold(means)", "np.roll(grid.fold(means), 1, axis=1)"),
        ("pooled_mean_maps", "one integration for all", "first[r] @ basis.swapaxes(1, 2)", "first[0] @ basis.swapaxes(1, 2)"),
        ("selection_probabilities", "every unit counted as open", "active.sum() / 2", "active.sum()"),
        ("selection_probabilities", "one standard error for three", "3 * float(_conditioning.error(sums))", "float(_conditioning.error(sums))"),
    ),
    *_in(
        "analytic._unions",
        ("filter_means", "K for √K: the weights of a patch's windows rectified one by one", "np.sqrt(one) - np.sqrt(mirrored)", "one - mirrored"),
        ("filter_means", "won or not: one window a patch", "np.sqrt(one) - np.sqrt(mirrored)", "(one > 0).astype(float) - (mirrored > 0)"),
        ("filter_energies", "what is left of the filter outside the span forgotten", "spread -= probability[:, None, None] * np.eye(len(normals))", "pass"),
        ("filter_energies", "a winner tells nothing of its filter", "spread = (counts[:, None] * normals) @ normals.T / (2 * points)", "spread = probability[:, None, None] * np.eye(len(normals))"),
        ("_wins", "all-zero windows of DeconvNet dropped", "not gate and window[0] == own", "False"),
        ("_wins", "the last position receives what all-zero windows send", "window[0] == own", "window[-1] == own"),
        ("_wins", "an equal patch before takes no win", "equal[:, : own + 1] = False", "equal[:, own] = False"),
    ),
    *_in(
        "analytic._pool_windows",
        ("Windows.closes", "all units open for all closed", "-self.patches", "self.patches"),
        ("Windows.events", "the winner need not be positive (Eq. 7)", "active[:, m] = possible = self.nonzero[:, m] & ~self.equal[:, m, :m].any(axis=1)", "possible = self.nonzero[:, m] & ~self.equal[:, m, :m].any(axis=1)\nactive[:, m] = False"),
        ("Windows.events", "the last of equal patches wins", "self.equal[:, m, :m]", "self.equal[:, m, m:]"),
        ("Windows.events", "the last position receives what all-zero windows send", "self.present.argmax(axis=1)", "self.present.shape[1] - 1 - self.present[:, ::-1].argmax(axis=1)"),
        ("Windows.events", "all-zero windows of DeconvNet dropped", "yield (np.arange(len(self.numbers)), self.present.argmax(axis=1)), *self.closes()", "None"),
        ("windows_of", "y_l − y_m for y_m − y_l before the winner", "-gaps[:, m, m + 1 :]", "gaps[:, m, m + 1 :]"),
    ),
    *_in(
        "analytic._filter_pairs",
        ("filter_pairs", "the gate forgotten", "sent = sent[each[every, first] > 0]", "pass"),
        ("filter_pairs", "a patch that wins k windows counts k times", "np.sqrt(wins[reached])", "wins[reached]"),
        ("filter_pairs", "one patch counted as a pair", "squares += whole**2 - np.bincount(where, (parts**2).ravel(), len(sums))", "squares += whole**2"),
        ("filter_pairs", "the square of the mean left in", "(sums / points) ** 2", "0 * sums"),
        ("filter_pairs", "the padding of the pool wins", "np.full((len(filters), 1), -1.0)", "np.full((len(filters), 1), 1e9)"),
    ),
    *_in(
        "analytic.finite_width",
        ("_unit_means", "the jump of h at 0 dropped", "jump * at_zero / math.pi", "0 * at_zero"),
        ("_unit_means", "second moments for covariances", "8 * (values * weights) @ values.T - np.outer(means, means)", "8 * (values * weights) @ values.T"),
        ("finite_width_profile", "the noise along the output kept", "1 / active, -mu / (2 * active**2), -1 / active**2", "1 / active, -mu / (2 * active**2), 0"),
        ("finite_width_profile", "the layers' scatter not handed on", "scatter = jacobian @ spread @ jacobian.T", "pass"),
        ("finite_width_profile", "the layers' bias not handed on", "jacobian[:, :2] @ shift + np.array([(bend * spread).sum() / 2 for bend in curvature])", "np.array([(bend * spread).sum() / 2 for bend in curvature])"),
        ("_record", "scale and signal independent", "t + of_t + t * (of_b + b_b / 2) + t_b", "t + of_t + t * (of_b + b_b / 2)"),
    ),
    *_in(
        "analytic.pooled_moments",
        ("pooled_patch_variance", "−m₀² of the variance dropped", "plain.h_mean**2 * first**2", "0 * first**2"),
        ("_patch_moments", "a winner tells nothing of its filter: C_j dropped", "((basis @ orthant_second_moment(rows, active)) * basis).sum(axis=2)", "0"),
        ("_patch_moments", "C_j alone: the probability of winning dropped", "probability[:, None] + spread", "spread"),
        ("pooled_patch_variance", "c for c²", "plain.filter_std**2", "plain.filter_std"),
        ("pooled_variance_map", "pairs of patches dropped", "variance += plain.h_mean**2 * filter_pairs(image, grid, pool, plain.rule.gate, count, progress)", "pass"),
        ("pooled_variance_map", "c for c²", "plain.n_filters * plain.filter_std**2 * variance", "plain.n_filters * plain.filter_std * variance"),
        ("pooled_own_variance", "E[h²] taken for its variance", "plain.h_variance", "plain.rule.second_moment(plain.readout)"),
    ),
    *_in(
        "analytic._unit_moments",
        ("unit_moments", "the gate's jump dropped", "slope - shut * shut_slope + jump", "slope - shut * shut_slope"),
        ("unit_moments", "slope of a closed leaky gate dropped", "slope - shut * shut_slope", "slope"),
        ("unit_moments", "energy of a closed leaky gate dropped", "shut**2 * shut_energy", "0 * shut_energy"),
        ("_open_half", "the wedge's own term tβ/(2π) dropped", "signal * noise / (2 * math.pi)", "0 * noise"),
        ("lost_between", "the half where the unit is shut dropped", "lost + shut**2 * _lost_in_open_half(rule, -unit.slope * signal, noise, own)", "lost"),
        ("_lost_in_open_half", "the kink of h at 0 dropped", "smooth - (rule.up + rule.down) ** 2 * kink", "smooth"),
    ),
    *_in(
        "analytic._pair_moments",
        ("pair_moments", "the scale of z counted as noise along it", "z**2 - variance", "z**2"),
        ("pair_moments", "what both logits share of the noise dropped", "mean + shared[part, None] * u[-1]", "mean"),
        ("higher", "the fourth moment's own variance dropped", "3 * variance * second", "0 * second"),
    ),
    *_in(
        "analytic._scale_fields",
        ("Form.through", "what the unit norm takes away left in", "total -= float((aa * a**2 + 2 * ab * a * b + bb * b**2).sum())", "pass"),
        ("Form.through", "the covariance of the two sources dropped", "2 if i != k else 1", "0 if i != k else 1"),
        ("Form._mix", "the mean's scale not handed to the noise", "f, g = follows", "f, g = follows[0], 0 * follows[1]"),
        ("_turned", "a kernel taken for symmetric", "kernel[rows - i, columns - k]", "kernel[rows + i, columns + k]"),
        ("_summed_rows", "strides forgotten", "stride * d - r - first", "d - r - first"),
    ),
    *_in(
        "analytic._two_logits",
        ("TwoLogits.distance", "the white part dropped", "2 * layer.law.block.channels * float(self._own[number][-1].sum()) / energy", "0.0"),
        ("TwoLogits.distance", "one channel for all of a sum", "2 * layer.law.block.shape[0] * float(self._own[number][inside].sum()) / energy", "2 * float(self._own[number][inside].sum()) / energy"),
        ("TwoLogits.distance", "the fields of scale dropped", "form.through(layer)", "0.0"),
        ("_transfer", "sources of one filter for those of all", "n = units.block.n_filters", "n = 1"),
    ),
    *_in(
        "analytic.insensitivity",
        ("infinite_depth_class_distance", "squares of distances for distances", "np.sqrt(lost / (small * second))", "lost / (small * second)"),
    ),
    *_in(
        "analytic.depth",
        ("depth_profile", "β not carried down: E[T²] dropped", "math.log(second) / 2", "0.0"),
        ("depth_profile", "α not carried down", "signal = ratio / active", "signal = 0.0"),
        ("depth_profile", "norm of the activations not halved by the unit", "signal = ratio / active", "signal = ratio"),
        ("depth_profile", "widths left out of the alignment", "math.sqrt((1 - share) * above / below)", "math.sqrt(1 - share)"),
        ("depth_profile", "the readout's deviation dropped", "math.log(top)", "0.0"),
        ("depth_profile", "the share of a logit's own noise not carried down", "lost_between(rule, unit, signal, 1.0, apart, uniform)", "lost_between(rule, unit, signal, 1.0, 1.0, uniform)"),
        ("depth_profile", "the share of biases dropped", "(1 - share) * above / below", "above / below"),
        ("depth_profile", "biases left out of the norms", "float(np.logaddexp(2 * of_weights, 2 * math.log(bias.std))) / 2", "of_weights"),
        ("depth_profile", "every readout taken for Gaussian", "kind * first, second - kind**2 * (second - lost)", "first, lost"),
        ("depth_profile", "the unit's slope left out of the norms", "math.hypot(1.0, unit.slope)", "1.0"),
        ("infinite_depth_alignment", "the tangent taken for the cosine", "ratio / math.hypot(1.0, ratio)", "ratio"),
    ),
    *_in(
        "analytic._inner_products",
        ("arc_cosine", "the first term of the arc-cosine map dropped", "np.sqrt(1 - cosine**2)", "0"),
        ("InnerProducts.activated", "the slope of a leaky unit dropped", "2 * a * self._cosine(s)", "0"),
        ("InnerProducts.of_patches", "biases left out of the patches", "_windows.window_sums(padded, grid) + bias", "_windows.window_sums(padded, grid)"),
        ("InnerProducts.of_patches", "strides forgotten", "times(s, grid.stride)", "s"),
        ("InnerProducts.pooled", "the gap between neighbouring windows dropped", "energy + moved(energy, s) - gap", "energy + moved(energy, s)"),
        ("InnerProducts.pooled", "equal windows told apart by rounding", "_equal.shared(planes, labels)", "planes"),
        ("InnerProducts.pooled", "far windows not corrected", "(share + moved(share, s)) / 2 * (1 - self._cosine_of_entries(pool, s))", "1 - self._cosine_of_entries(pool, s)"),
    ),
    *_in(
        "analytic._joint_moments",
        ("largest_energy", "the largest taken for the mean", "z.max(axis=2) ** 2", "z.mean(axis=2) ** 2"),
        ("winner", "all-zero windows of DeconvNet not sent to the first", "np.where(z.max(axis=1) > 0, first, 0)", "first"),
        ("winner", "ties not given to the first", "z - TIE * scale[:, None, None] * np.arange(size)[:, None]", "z + TIE * scale[:, None, None] * np.arange(size)[:, None]"),
        ("contradictory", "rough matrices trusted", "-np.linalg.eigvalsh(gram)[:, 0] > least", "least < 0"),
        ("contradictory", "the window's largest variance for its least", "np.where(values > ROUNDING * values[:, :1], values, np.inf).min(axis=1)", "values[:, 0]"),
        ("pooled_moments", "the gate forgotten", "first, energy = first * (largest > 0), energy * (largest > 0)", "pass"),
        ("neighbour_moments", "the gate's jump dropped", "jump.mean(axis=1)", "0 * jump.mean(axis=1)"),
        ("neighbour_moments", "neighbours not given z_j = 0", "z -= share[:, None] * z[..., centre, None]", "pass"),
    ),
    *_in(
        "analytic._field",
        ("Projection.of", "the part along o left in the noise", "power - alpha * along", "power"),
        ("Field.projection", "noise of one channel for that of all", "channels * self.beta**2", "self.beta**2"),
        ("Field.power", "neighbours' activations taken for one another", "(t[0] - s[0], t[1] - s[1])", "HERE"),
        ("Field.mean_map", "neighbours' pixels taken at the pixel itself", "a * moved(x, s)", "a * x"),
        ("Field.below_weights", "equal weights taken for independent ones", "1.0 if averaged else kind**2", "kind**2"),
        ("Field.noise", "noises of two positions independent", "self.shared[shift]", "0 * self.shared[shift]"),
    ),
    *_in(
        "analytic._several_windows",
        ("Sites.received", "gradients of several windows not added", "mean += win * sum(handed)", "mean = np.maximum(mean, win * sum(handed))"),
        ("Sites.received", "noises of two windows independent", "one[d] & other[e]", "(d == e) & one[d] & other[e]"),
        ("Sites.received", "closed windows of DeconvNet lost", "win |= (tops[d] <= 0) & self.first[n, d][:, None]", "pass"),
        ("product_of_pair", "noises of two units independent", "share * u[-1]", "0 * u[-1]"),
        ("lost_of_sum", "what two logits share not drawn", "common * u[-1]", "0 * u[-1]"),
    ),
    *_in(
        "analytic._gradient_field",
        ("Units.lost", "patches of zeros counted as open", "2 * shut / (1 + shut) * lost", "lost"),
        ("BlockLaw.lost", "noises of two windows taken for a logit's own", "dataclasses.replace(field, beta=np.sqrt(own), shared={})", "dataclasses.replace(field, beta=np.sqrt(own))"),
        ("BlockLaw._alone", "patches of zeros counted as open", "np.where(size > 0, second, closed)", "second"),
        ("BlockLaw.units", "rough matrices trusted", "self._step.rough and not field.plain", "False"),
        ("BlockLaw._behind_pool", "window mirrored", "(down - row, right - column)", "(row - down, column - right)"),
        ("handed_down", "strides forgotten", "times(s, block.grid.stride)", "s"),
        ("handed_down", "noises of neighbours lost behind a convolution", "moved(ones, steps[s])", "0"),
        ("handed_down", "the noise's n c² dropped", "block.energy_gain * fold(second, block.grid)", "fold(second, block.grid)"),
    ),
    *_in(
        "analytic._chains",
        ("Chain.lost", "what two logits skip taken for alike", "(first[0] - first[1]) ** 2 / 2", "0"),
        ("Chain.lost", "what two logits share not drawn", "common * noises[:, 0]", "0 * noises[:, 0]"),
        ("Chain.moments", "the gradient that skips a block dropped", "skipped + alpha[part, None] * o[k]", "alpha[part, None] * o[k]"),
        ("Chain.moments", "noise left out of the gradient's energy", "(mean**2).mean(axis=1) + beta[part] ** 2", "(mean**2).mean(axis=1)"),
        ("_climb", "the identity dropped", "o[-1] + step", "step"),
    ),
    *_in(
        "analytic._residual",
        ("StageLaw.own", "what skips a block left out", "lost + of_noise[-1]", "of_noise[-1]"),
        ("StageLaw.own", "the projection left out", "sum(law.own(down, lost, rule) for law, down in heads)", "next(law.own(down, lost, rule) for law, down in heads)"),
        ("StageLaw.gradients", "the projection left out of the noise", "np.sqrt(np.asarray(sum(part.beta**2 for part in below)))", "below[0].beta"),
        ("StageLaw.gradients", "the projection left out of the mean", "np.asarray(sum(part.shifts[HERE] for part in below))", "below[0].shifts[HERE]"),
    ),
    *_in(
        "analytic._blocks",
        ("_add_residual", "the scale of the shortcut forgotten", "_scaled(projection, other / most)", "projection"),
        ("needs_every", "strides between pools forgotten", "stride * block.grid.stride", "stride"),
        ("needs_every", "overlapping windows read estimates", "not block.one_window or (pools and reach > 2)", "pools and reach > 2"),
        ("refuse_faint", "faint pictures not refused", "1e-12 < contrast < CONTRAST", "False"),
        ("Block.energy_gain", "c for c²", "self.std**2", "self.std"),
    ),
    *_in(
        "analytic.conv_depth",
        ("depth_maps", "β for its square", "field.beta**2", "field.beta"),
        ("depth_maps", "the scale of the filters squared but once", "2 * backward", "backward"),
        ("depth_maps", "a layer's deviation not carried down", "backward += gains[number]", "pass"),
        ("depth_maps", "the readout's deviation dropped", "math.log(readout_std)", "0.0"),
        ("depth_maps", "the mean over positions taken for their sum", "math.log(math.prod(blocks[-1].shape[1:]))", "0.0"),
        ("depth_maps", "the picture's norm dropped", "field.mean_map(x / norm)", "field.mean_map(x)"),
    ),
    *_in(
        "analytic.of_stack",
        ("_input_x_gradient", "x for x²", "x**2", "x"),
    ),
    *_in(
        "analytic.cam",
        ("CamLaw.variance", "neighbours taken for one position", "norms * _windows.moved(norms, offset) * arc_cosine(self.correlation(offset))", "norms**2"),
        ("CamLaw.variance", "one of each pair of offsets", "(1 + any(offset))", "1"),
        ("CamLaw.variance", "the mean left in", "self._everywhere(self.gain * self.n_filters / 4 * second, 2) - self.mean**2", "self._everywhere(self.gain * self.n_filters / 4 * second, 2)"),
        ("CamLaw.correlation", "strides forgotten", "offset[0] * self.grid.stride[0], offset[1] * self.grid.stride[1]", "offset"),
        ("CamLaw.correlation", "angles of patches for those of features", "arc_cosine(quotient(products, sizes))", "quotient(products, sizes)"),
        ("mean_norm", "the limit of many filters", "math.sqrt(2) * float(np.exp(logs).sum())", "math.sqrt(n / 2)"),
        ("of_stack", "windows of a pool taken for positions", "math.prod(stack.shape_above[1:]) if pool else grid.n_patches", "grid.n_patches"),
    ),
    *_in(
        "analytic.other_gates",
        ("GatedLaw.variance", "the part along the patch dropped", "_windows.fold(self.across, self.grid) + self.x**2 * _windows.fold(self.along, self.grid)", "_windows.fold(self.across, self.grid)"),
        ("activation_weighted", "c for c²", "c**2 * energies / 2", "c * energies / 2"),
        ("excitation_pullback", "a gate taken for its square", "density * shut * (1 - shut)", "density * shut"),
        ("smoothgrad", "few copies taken for infinitely many", "(1 - 1 / draws) * value + 1 / (2 * draws)", "value"),
        ("smoothgrad", "the part along the patch as across it", "_over(along - across, energies)", "0 * energies"),
        ("smoothgrad_cosine", "patches of zeros counted in the saliency map", "np.where(energies > 0, 0.5, 0.0)", "0.5"),
        ("rectgrad", "the threshold forgotten", "math.exp(optimize.brentq(above, *ends))", "0.0"),
        ("rectgrad", "the picture's factor forgotten", "GatedLaw('rectgrad', x, grid, Rule.GUIDED, 'limit', scale * _over(mean, norms), scale=x)", "GatedLaw('rectgrad', x, grid, Rule.GUIDED, 'limit', scale * _over(mean, norms))"),
        ("_law", "variance given for a map with a mean", "first == 0", "True"),
        ("_noisy", "padding counted as noisy", "_windows.padded(np.ones(grid.input_shape), grid).sum(axis=0)", "_windows.padded(np.ones(grid.input_shape), grid).sum(axis=0) * 0 + grid.input_shape[0]"),
        ("_directions", "all directions alike", "(several - 2) * np.log(np.cos(psi))", "0 * psi"),
    ),
    *_in(
        "estimates.pooled_cosine",
        ("pooled_expected_cosine", "−m₀² of the second moment dropped", "rule.second_moment(law) / rule.mean(law) ** 2 - 1", "rule.second_moment(law) / rule.mean(law) ** 2"),
        ("pooled_expected_cosine", "the mean's energy left in the noise", "float(energies.mean()) - products", "float(energies.mean())"),
        ("pooled_expected_cosine", "all-zero windows pass the gate", "winners = winners[values.max(axis=1) > 0]", "pass"),
        ("pooled_expected_cosine", "the padding of patches counted", "inside[winners] @ w**2", "np.ones(inside.shape)[winners] @ w**2"),
        ("pooled_expected_cosine", "the error of a sum for that of a mean", "abs(value) * float(energies.std(ddof=1)) / math.sqrt(draws)", "abs(value) * float(energies.std(ddof=1))"),
        ("pooled_expected_cosine", "the square of the mean integration, with its bias", "(len(maps) * signal - float((flat**2).sum(axis=1).mean())) / (len(maps) - 1)", "signal"),
        ("pooled_expected_cosine", "the error of the integrals dropped", "error = math.hypot(error, float(_conditioning.error((1 - len(means)) * left_out)))", "pass"),
    ),
    *_in(
        "stats.comparison",
        ("compare_p_value", "one side for two", "2 * stats.t.sf(abs(estimate - expected) / standard_error, degrees)", "stats.t.sf(abs(estimate - expected) / standard_error, degrees)"),
        ("compare_p_value", "laws that are too small never rejected", "abs(estimate - expected)", "expected - estimate"),
        ("compare_p_value", "the normal for Student's t", "stats.t.sf(abs(estimate - expected) / standard_error, degrees)", "stats.norm.sf(abs(estimate - expected) / standard_error)"),
        ("detectable_effect", "one side for two", "level / 2", "level"),
        ("detectable_effect", "the power dropped", "stats.norm.isf(1 - power)", "0.0"),
        ("interval", "one side for two", "(1 - confidence) / 2", "1 - confidence"),
        ("interval", "ends exchanged", "(estimate - reach, estimate + reach)", "(estimate + reach, estimate - reach)"),
        ("interval", "the lower half alone", "estimate + reach", "estimate"),
        ("interval", "the upper half alone", "estimate - reach", "estimate"),
        ("bounded_interval", "one side for two", "4 / (1 - confidence)", "2 / (1 - confidence)"),
        ("bounded_interval", "the term that never vanishes dropped", "7 * term / (3 * (count - 1))", "0.0"),
        ("bounded_interval", "the lower half alone", "mean + reach", "mean"),
        ("bounded_interval", "the upper half alone", "mean - reach", "mean"),
    ),
    *_in("stats.multiplicity", ("bonferroni", "no correction", "family / n_checks", "family")),
    Term("the law's scale forgotten", "proofs_checks.judge", "Judge.judge", "expected * self.law_scale", "expected"),
    Term("one degree of freedom too many", "proofs_checks.judge", "Judge.judge", "stats.compare_p_value(beyond, error, 0.0, replicates - 1)", "stats.compare_p_value(beyond, error, 0.0, replicates)"),
    Term("the tolerance held against the law", "proofs_checks.judge", "Judge.judge", "abs(estimate - value) - tolerance * abs(value)", "abs(estimate - value) + tolerance * abs(value)"),
    Term("the control judged by the law", "proofs_checks.judge", "Judge.judge", "control < level", "p_value < level"),
    Term("the tolerance left out of what is seen", "proofs_checks.judge", "Judge.judge", "tolerance + stats.detectable_effect(last_error, law, last_replicates - 1, level=last_level)", "stats.detectable_effect(last_error, law, last_replicates - 1, level=last_level)"),
    Term("what was spent before forgotten", "proofs_checks.judge", "Judge.judge", "1 - self.look.before", "1.0"),
    Term("an early look that spends all", "proofs_checks.judge", "Judge.judge", "self.look.spent", "1.0"),
    Term("no room for chance at an early look", "proofs_checks.judge", "Judge.judge", "1 - 2 * ACCEPTED_WRONGLY", "0.2"),
    Term("what this look sees for what the last one does", "proofs_checks.judge", "Judge.judge", "error * math.sqrt(share)", "error"),
    Term("the law's scale forgotten in identities", "proofs_checks.judge", "Judge.identity", "error(law, self.law_scale)", "error(law, 1.0)"),
    Term("the control of an identity judged by the law", "proofs_checks.judge", "Judge.identity", "error(wrong, 1.0)", "error(law, self.law_scale)"),
    Term("weights by the error for weights by its square", "proofs_checks.judge", "weighted_slope", "errors**-2.0", "errors**-1.0"),
    Term("the precision taken for the error", "proofs_checks.judge", "weighted_slope", "precision**-0.5", "precision**0.5"),
    Term("the largest study's degrees of freedom", "proofs_checks.judge", "Judge.slope", "min(study.replicates for study in studies.values())", "max(study.replicates for study in studies.values())"),
    Term("one degree of freedom too many", "proofs_checks.referee", "rule", "evidence.replicates - 1", "evidence.replicates"),
    Term("the level taken for the confidence", "proofs_checks.referee", "rule", "stats.interval(estimate, error, evidence.replicates - 1, confidence=1 - level)", "stats.interval(estimate, error, evidence.replicates - 1, confidence=level)"),
    Term("the level taken for the confidence, shares", "proofs_checks.referee", "rule", "stats.bounded_interval(estimate, error, evidence.replicates, confidence=1 - level)", "stats.bounded_interval(estimate, error, evidence.replicates, confidence=level)"),
    Term("the farther edge for the nearer", "proofs_checks.referee", "rule", "min(abs(estimate - edge) for edge in (margin.low, margin.high))", "max(abs(estimate - edge) for edge in (margin.low, margin.high))"),
    Term("the error falls like one over the replicates", "proofs_checks.referee", "rule", "(2 if error > 0 else 1)", "1"),
    Term("the kindest verdict for the strictest", "proofs_checks.referee", "_strictest", "min(verdicts, key=order.index)", "max(verdicts, key=order.index)"),
    Term("verdicts not corrected for their number", "proofs_checks", "verify", "stats.bonferroni(budgeted, max(n_margins, 1))", "budgeted"),
    Term("the reserve of the level forgotten", "proofs_checks", "verify", "FALSE_ALARM_PROBABILITY / RESERVE", "FALSE_ALARM_PROBABILITY"),
)  # fmt: skip


def laws() -> Iterator[Law]:
    """Every law that is scaled: the public ones, and what ``theorylab.law`` returns."""
    for package in ("theorylab.analytic", "theorylab.estimates"):
        names = importlib.import_module(package)
        for name in names.__all__:
            value = getattr(names, name)
            if name not in PUBLIC and name not in OF_MODULES:
                raise EditError(f"{package}.{name}: say in PUBLIC what this law returns")
            if isinstance(value, types.ModuleType):
                for function, returns in OF_MODULES[name].items():
                    yield Law(value.__name__, function, returns)
            else:
                yield Law(value.__module__, value.__qualname__, *PUBLIC[name])
    yield from RETURNED


def _wrapped(law: Law, field: str, change: str) -> str:
    """Return a decorator, as source, that puts `change` of ``v`` in place of the law's value ``v``."""
    of_field = f"(lambda v: None if v is None else {change})"
    made = f"lambda *of: {of_field}(r.{field}(*of))" if law.records == "lazy" else f"{of_field}(r.{field})"
    record = f"__import__('dataclasses').replace(r, {field}={made})"
    value = f"(lambda v: {change})"
    result = {
        ("value", ""): f"{value}(r)",
        ("integer", ""): f"round({value}(r))",
        ("first", ""): f"({value}(r[0]), *r[1:])",
        ("all", ""): f"tuple({value}(v) for v in r)",
    }.get((law.returns, law.records))
    if result is None:
        result = f"[{record} for r in r]" if law.records == "list" else record
    return f"(lambda f: __import__('functools').wraps(f)(lambda *a, **k: (lambda r: {result})(f(*a, **k))))"


def mutants(root: Path) -> list[Mutant]:
    """Return every mutant of the source tree at `root`, in the order of the table.

    Raises
    ------
    mutant_edits.EditError
        If an entry of the table does not apply to exactly one place.
    """
    found: list[Mutant] = []

    def add(kind: str, what: str, module: str, edited: Edited) -> None:
        words = f"{module.removeprefix('theorylab.')}.{what}"
        again = sum((mutant.kind, mutant.what.partition(" (place ")[0]) == (kind, words) for mutant in found)
        words += f" (place {again + 1})" if again else ""
        found.append(Mutant(kind, words, _path(root, module), edited))

    for law in laws():
        source = (root / _path(root, law.module)).read_text(encoding="utf-8")
        fields = law.returns.split() if law.records else [""]
        for field in fields:
            name = f"{law.function}[].{field}" if law.records == "list" else f"{law.function} {field}".strip()
            for factor in FACTORS:
                wrapper = _wrapped(law, field, f"{factor} * v")
                add("scaled", f"{name} × {factor}", law.module, decorated(source, law.function, wrapper))
            axes = law.shifted or (
                "-1" if field in MAPS and (law.module, law.function, field) not in UNSHIFTED else ""
            )
            if axes:
                shift = "(1, 1)" if "," in axes else "1"
                wrapper = _wrapped(law, field, f"__import__('numpy').roll(v, {shift}, axis={axes})")
                add("shifted", f"{name}, by one pixel", law.module, decorated(source, law.function, wrapper))
    for term in TERMS:
        source = (root / _path(root, term.module)).read_text(encoding="utf-8")
        edited = replaced(source, term.function, term.old, term.new)
        judging = not term.module.startswith(("theorylab.analytic", "theorylab.estimates"))
        add("judge" if judging else "term", f"{term.function}: {term.what}", term.module, edited)
    for module in DECISIONS:
        source = (root / _path(root, module)).read_text(encoding="utf-8")
        for what, edited in turned_round(source):
            add("decision", what, module, edited)
    return found


def _path(root: Path, module: str) -> str:
    path = Path(*module.split("."))
    return (path / "__init__.py" if (root / path).is_dir() else path.with_suffix(".py")).as_posix()
