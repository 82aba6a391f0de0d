"""The trained weights of the package, read from their file and checked."""

from __future__ import annotations

import hashlib
import importlib.resources
import io
from collections.abc import Mapping

import numpy as np

CHECKSUMS = {
    "small_classifier.npz": "9c3b37397d5a89ebea5d23a6a0bcd5a1bfe3762f9a045aeb0299a9aba01a5add",
    "small_residual_classifier.npz": "95cee6f4aec80a19befbb243d27a5958b58d745c61dc4262b372acf91626563f",
}
"""The files beside this module, an array under the name of each parameter and "accuracy", and the :func:`checksum` of each."""


def checksum(parameters: Mapping[str, np.ndarray], accuracy: float) -> str:
    """Return the SHA-256 over names, shapes, dtypes and bytes of the parameters, in their order, and the accuracy."""
    digest = hashlib.sha256(float(accuracy).hex().encode())
    for name, array in parameters.items():
        digest.update(f"{name} {array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def read(file: str) -> bytes:
    """Read the bytes of a file; a FileNotFoundError if the package was installed without it."""
    return importlib.resources.files("theorylab.training").joinpath(file).read_bytes()


def decode(
    content: bytes, shapes: Mapping[str, tuple[int, ...]], file: str, expected: str | None = None
) -> tuple[dict[str, np.ndarray], float]:
    """Return float32 parameters, of these shapes, and the accuracy from the bytes of a file.

    A ValueError if the file is damaged, does not have its checksum (or `expected`), or a shape is another.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            parameters = {name: archive[name] for name in shapes}
            accuracy = float(archive["accuracy"])
    except Exception:
        # A pickle in the file is refused, never executed.  NumPy raises almost anything for a damaged archive.
        parameters, accuracy = {}, 0.0
    if checksum(parameters, accuracy) != (expected or CHECKSUMS[file]):
        raise ValueError(f"{file}: damaged, or not the file of this version; install theorylab again")
    for name, shape in shapes.items():
        if parameters[name].shape != shape:
            raise ValueError(f"{file}: {name}: expected {shape}, got {parameters[name].shape}; train again")
    return parameters, accuracy
