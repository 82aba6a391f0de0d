"""Seeds: every random number of the package comes from an integer or a generator that the caller gives."""

from __future__ import annotations

import numpy as np

Seed = int | np.random.Generator


def generator(seed: Seed) -> np.random.Generator:
    """Return the generator that a `seed` argument stands for; ``None`` is refused, so that results are reproducible."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(sequence(seed))


def sequence(seed: Seed) -> np.random.SeedSequence:
    """Return a fresh seed sequence; each call with a generator spawns another child, so two calls differ."""
    if isinstance(seed, np.random.Generator):
        # ISeedSequence, the declared type, has no `spawn`; the class that all of NumPy's generators hold has.
        spawned: np.random.SeedSequence = seed.bit_generator.seed_seq.spawn(1)[0]  # type: ignore[attr-defined]
        return spawned
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed: expected an integer or a numpy Generator, got {type(seed).__name__}")
    if seed < 0:
        raise ValueError(f"seed: expected an integer of at least 0, got {seed}")
    return np.random.SeedSequence(int(seed))


def child(parent: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """Return the descendant of `parent` with this key, however many calls came before.

    ``SeedSequence.spawn`` numbers children in the order of the calls.  A key fixes the child instead: column 7 of a
    readout is the same whether it is drawn before column 3 or after it.
    """
    return np.random.SeedSequence(entropy=parent.entropy, spawn_key=(*parent.spawn_key, *key))


def standard_normal(rng: np.random.Generator, shape: int | tuple[int, ...], dtype: type) -> np.ndarray:
    """Draw independent standard normal numbers: in double precision NumPy's, in single precision those of a faster algorithm."""
    if np.dtype(dtype) != np.float32:
        return np.asarray(rng.standard_normal(shape, dtype=dtype))
    from theorylab import _normal  # with Numba, which takes a while to import

    return _normal.standard_normal(rng, shape)
