"""Maps of random three-layer networks behind any gate, in whole arrays; claims check that they are those of the methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from proofs_checks.rows import PerDraw
from proofs_checks.studies.three_layers import inner, unit
from theorylab import PatchGrid

Handed = Callable[[np.ndarray, np.ndarray, np.random.Generator], Mapping[str, np.ndarray]]
"""What units hand on by the name of the map: of filters (p, N), readouts (2, J, N) and a generator, (..., J, N) each."""


@dataclasses.dataclass(frozen=True)
class Gated(PerDraw):
    """Numbers of maps of networks of `n_filters` standard normal filters and two logits; each replicate is a pair of networks.

    `handed` says what units hand on, `directions` where maps are measured: for a map ``m`` of that name and its unit direction
    ``u``, ``<name> along`` ⟨m, u⟩ and ``<name> toward`` ⟨m, x⟩/‖x‖, ``<name> energy`` ‖m‖², ``<name> classes`` ⟨m, m'⟩ of two
    logits and, of two independent networks, ``<name> halves`` and ``<name> halves_along``, of expectations ‖E m‖² and its part
    along u.  `products` names pairs whose inner product ``<first> <second>`` is kept.  `factors` multiply the maps.
    """

    x: np.ndarray
    grid: PatchGrid
    n_filters: int
    handed: Handed
    directions: Mapping[str, np.ndarray]
    products: tuple[tuple[str, str], ...] = ()
    factors: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        (first, left), (second, right) = self._network(rng), self._network(rng)
        row = {name: (left[name] + right[name]) / 2 for name in left}
        for name, axis in self.directions.items():
            u = unit(axis)
            row[f"{name} halves"] = inner(first[name], second[name])
            row[f"{name} halves_along"] = inner(first[name], u) * inner(second[name], u)
        return row

    def _network(self, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return the first logit's maps of a network, by name, and its numbers."""
        w = rng.standard_normal((self.grid.patch_size, self.n_filters))
        readouts = rng.standard_normal((2, self.grid.n_patches, self.n_filters))
        x, maps, row = unit(self.x), {}, {}
        for name, signal in self.handed(w, readouts, rng).items():
            pair = [self.factors.get(name, 1.0) * self.grid.fold(part @ w.T) for part in signal]
            maps[name] = pair[0]
            if name in self.directions:
                row[f"{name} along"] = sum(inner(map_, unit(self.directions[name])) for map_ in pair) / 2
                row[f"{name} toward"] = sum(inner(map_, x) for map_ in pair) / 2
            row[f"{name} energy"] = sum(inner(map_, map_) for map_ in pair) / 2
            row[f"{name} classes"] = inner(*pair)
        for first, second in self.products:
            row[f"{first} {second}"] = inner(maps[first], maps[second])
        return maps, row
