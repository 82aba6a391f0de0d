"""What a check found: plain data, in words and as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from theorylab import _json, _validation
from theorylab._version import __version__


@_validation.checked
@dataclasses.dataclass(frozen=True)
class OnNetwork:
    """What the maps were on one network.

    Attributes
    ----------
    name : str
    made_of : str
    kind : str
        The rule or method there; "unknown", or "" if the callable did not run.
    deviation : float
        Norm of what is left of the callable's map without the report's kind, as a share of the map's; the largest of all
        pictures.  NaN if it did not run or the kind is unknown.
    said : str
        The error of the callable, if it did not run.

    Examples
    --------
    >>> OnNetwork("dense", "dense layers alone", "guided", 1e-9).kind
    'guided'
    """

    name: str
    made_of: str
    kind: str
    deviation: float
    said: str = ""


@_validation.checked
@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes
    ----------
    name : str
        Of the callable.
    kind : str
        The rule's or the method's name, or "unknown".
    faults : list of str
        What is wrong.
    notes : list of str
        What was done to the map, and the method's options; nothing that makes it wrong.
    alike : tuple of str
        Other kinds that the maps agree with as well.
    tolerance, deviation : float
        The share of a map's norm that it may be off by, and the most that it was off by where it agreed.
    nearest : tuple of (str, float)
        The nearest other kind on the plainest network, shown alike, and how far it is off: how sure the name is; an empty name
        and NaN if none is near.
    networks : tuple of OnNetwork
    form : str
        How the callable takes pictures.
    seed : int or None
        None if a generator was given.

    Examples
    --------
    See :func:`theorylab.check`.
    """

    name: str
    kind: str
    faults: list[str]
    notes: list[str]
    alike: tuple[str, ...]
    tolerance: float
    deviation: float
    nearest: tuple[str, float]
    networks: tuple[OnNetwork, ...]
    form: str
    seed: int | None

    @property
    def right(self) -> bool:
        """Whether it is one known rule or method wherever it runs, without a fault."""
        return self.kind != "unknown" and not self.faults

    @property
    def remarks(self) -> list[str]:
        """Faults, then notes."""
        return [*self.faults, *self.notes]

    def __str__(self) -> str:
        """Return the kind, how sure that is, and a line for each remark."""
        ran = [one for one in self.networks if one.kind]
        same = sum(one.kind == self.kind for one in ran)
        other, off = self.nearest
        if self.kind == "smoothgrad":
            about = "by the mean of many calls on one network"
        elif self.kind == "unknown":
            about = f"the nearest, {other}, is off by {off:.2g}" if other else "no known kind is near"
        else:
            about = f"on {same} of {len(ran)} networks, off by at most {self.deviation:.1g}" + (
                f"; the nearest other kind, {other}, is off by {off:.2g}" if other else ""
            )
        right = (
            "" if self.kind == "unknown" and not self.faults else f", {'right' if self.right else 'wrong'}"
        )
        lines = [f"{self.name}: {self.kind}{right} ({about})"]
        lines += [f"  wrong: {fault}" for fault in self.faults]
        lines += [f"  note: {note}" for note in self.notes]
        if self.alike:
            lines.append(f"  cannot be told from: {', '.join(self.alike)}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data, with None for NaN."""
        content = {
            "theorylab": __version__,
            "sentence": str(self),
            "right": self.right,
            "remarks": self.remarks,
        }
        plain: dict[str, Any] = _json.plain(
            content | {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        )
        return plain
