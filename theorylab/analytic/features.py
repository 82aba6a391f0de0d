"""What a random convolution and its units keep of the angle of two pictures."""

from __future__ import annotations

import numpy as np

from theorylab import _validation
from theorylab.analytic import _windows
from theorylab.analytic._inner_products import arc_cosine, quotient
from theorylab.model.patches import PatchGrid


@_validation.checked
def feature_cosine(first: np.ndarray, second: np.ndarray, grid: PatchGrid) -> float:
    """Return the cosine of two pictures' outputs of a random convolution with ReLUs; exact for every number of filters.

    Parameters
    ----------
    first, second : array, (C, H, W)
        The pictures, not zero.
    grid : PatchGrid
        The convolution's; of one patch for a dense layer.

    Returns
    -------
    float
        Expected inner product over the square root of the product of expected energies, for Gaussian filters.

    Raises
    ------
    TypeError, ValueError
        If a picture is not finite or is zero, or no patch of the grid holds anything of it.

    Notes
    -----
    Filter ``w`` sees the patches ``y_j`` and ``y'_j`` of one position at their angle ``θ_j``, and
    ``E[σ(w·y) σ(w·y')] = c²‖y‖‖y'‖ k₁(cos θ)/2`` with the arc-cosine kernel ``k₁``.  Energies are ``c²‖y‖²/2``.  Positions and
    filters add up:

    ``ρ = Σ_j ‖y_j‖‖y'_j‖ k₁(cos θ_j)/√(Σ_j ‖y_j‖² Σ_j ‖y'_j‖²)``.

    A dense layer has one angle, that of the pictures, and contracts it.  A convolution has as many as patches: where the
    patches are parallel or nearly so, and only their strengths differ, it contracts nothing.  The cosine of one draw of ``N``
    filters tends to ``ρ``.

    Examples
    --------
    >>> x, y = np.array([[[1.0, 0.0]]]), np.array([[[0.0, 1.0]]])
    >>> round(feature_cosine(x, y, PatchGrid((1, 1, 2), kernel=(1, 2))) * np.pi, 12)
    1.0
    >>> feature_cosine(x, y, PatchGrid((1, 1, 2), kernel=1))
    0.0
    """
    patches, norms = [], []
    for name, picture in (("first", first), ("second", second)):
        x, _ = _windows.scaled(_validation.image(picture, grid.input_shape, name))
        patches.append(grid.extract(x))
        norms.append(np.linalg.norm(patches[-1], axis=1))
        if not norms[-1].any():
            raise ValueError(f"{name}: every patch of the grid is zero")
    sizes = norms[0] * norms[1]
    angles = quotient((patches[0] * patches[1]).sum(axis=1), sizes)
    return float((sizes * arc_cosine(angles)).sum() / (np.linalg.norm(norms[0]) * np.linalg.norm(norms[1])))
