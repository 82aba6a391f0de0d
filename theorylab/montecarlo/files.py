"""The pictures of a folder, read one by one."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from theorylab import _interrupt


class Unreadable(ValueError):
    """A picture of a folder cannot be read."""


@dataclasses.dataclass(frozen=True)
class Files(Sequence[np.ndarray]):
    """The pictures of a folder, each read when it is asked for.

    Attributes
    ----------
    folder : str
        As the user wrote it.
    paths : tuple of str
        Absolute, for workers that stand elsewhere.
    read : callable
        ``read(path)`` gives the picture, or raises a ValueError.
    """

    folder: str
    paths: tuple[str, ...]
    read: Callable[[str], np.ndarray]

    def __len__(self) -> int:
        """How many there are, whether they can be read or not."""
        return len(self.paths)

    def __getitem__(self, place: Any) -> Any:
        """Read a picture, or say in an :class:`Unreadable` why it cannot be read."""
        path = self.paths[place]
        try:
            return self.read(path)
        except ValueError as error:
            if _interrupt.from_handler(error):
                raise
            raise Unreadable(str(error).removeprefix(f"image {path!r}: ")) from None

    def name(self, place: int) -> str:
        """Return the name of a picture in the folder."""
        return os.path.basename(self.paths[place])

    def only(self, places: Sequence[int]) -> Files:
        """Return some of the pictures."""
        return dataclasses.replace(self, paths=tuple(self.paths[place] for place in places))

    def digest(self, place: int) -> str:
        """Return the SHA-256 of a picture's file, or nothing if there is none that can be opened."""
        if not os.path.isfile(self.paths[place]):  # a pipe would never end
            return ""
        try:
            with open(self.paths[place], "rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return ""

    def readable(self, place: int) -> bool:
        """Say whether a picture can be read."""
        try:
            return self[place] is not None
        except Unreadable:
            return False

    def skipped(self, reasons: Mapping[int, str]) -> list[dict[str, str]]:
        """Return the names of the pictures that were skipped and why; a ValueError if that is all of them."""
        found = [{"file": self.name(place), "reason": reasons[place]} for place in sorted(reasons)]
        if len(found) == len(self):
            first = found[0]
            raise ValueError(
                f"pictures {self.folder!r}: none of {len(self)} can be read; {first['file']}: {first['reason']}"
            )
        return found
