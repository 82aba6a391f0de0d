"""The one door for random numbers: an integer seed or a generator in, independent streams out."""

from __future__ import annotations

import numpy as np

Seed = int | np.random.Generator


def generator(seed: Seed) -> np.random.Generator:
    """The generator that a `seed` argument stands for.

    Raises
    ------
    TypeError
        If `seed` is neither an integer nor a generator (``None`` included: results are always reproducible).
    ValueError
        If an integer seed is negative.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(sequence(seed))


def sequence(seed: Seed) -> np.random.SeedSequence:
    """A fresh seed sequence; a generator gives one child of its own, so two calls differ."""
    if isinstance(seed, np.random.Generator):
        return seed.bit_generator.seed_seq.spawn(1)[0]  # type: ignore[attr-defined]
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed: expected an integer or a numpy Generator, got {type(seed).__name__}")
    if seed < 0:
        raise ValueError(f"seed: expected an integer of at least 0, got {seed}")
    return np.random.SeedSequence(int(seed))


def child(parent: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """The descendant of `parent` with this key, without counting the calls before it.

    ``SeedSequence.spawn`` numbers children in order of the calls; addressing them by key lets column 7 of a
    readout be drawn before column 3 and still be column 7.
    """
    return np.random.SeedSequence(entropy=parent.entropy, spawn_key=(*parent.spawn_key, *key))
